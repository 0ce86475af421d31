"""The ends of segments that a real recorder has written, with a real camera that goes away and comes back."""

import time

import pytest
from support.camera import Camera
from support.mirror import Mirror
from support.recordings import wait_until_grown

from heldar_mirror.sides.ends import JOIN_SECONDS
from heldar_mirror.sides.side import Side

pytestmark = pytest.mark.slow

SEGMENT_SECONDS = 4
# Longer than an outage that could be taken for two segments that touch.
AWAY_SECONDS = 6


def test_an_outage_is_the_only_gap(mirror: Mirror, camera: Camera) -> None:
    """Segments touch, but for the time when the camera was away. What is open ends with what was written of it."""
    mirror.env["HELDAR_FFMPEG_BIN"] = "ffmpeg"
    mirror.database.add("gate", rtsp_port=camera.port, segment_seconds=SEGMENT_SECONDS)
    began = time.time()
    with mirror.up():
        wait_until_grown(mirror, "gate")
        camera.unplug()
        away = time.time()
        time.sleep(AWAY_SECONDS)
        back = time.time()
        camera.plug_in()
        wait_until_grown(mirror, "gate")
        with Side("mirror", mirror.root) as side:
            found = side.recorded("gate", began - 1, time.time(), SEGMENT_SECONDS)
        now = time.time()
    assert (found.damaged, found.unread) == ({}, {})
    gaps = [(end, after) for end, after in zip(found.ends, found.begun[1:], strict=False) if after - end > JOIN_SECONDS]
    assert len(gaps) == 1
    ((end, after),) = gaps
    assert away - SEGMENT_SECONDS <= end <= away + 1
    assert after >= int(back)
    assert found.begun[-1] <= found.ends[-1] <= now + 1
