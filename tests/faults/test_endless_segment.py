"""A camera whose timestamps stand still, so that ffmpeg never cuts, with an old ffmpeg and a new one."""

from pathlib import Path

import imageio_ffmpeg
import pytest
from support.camera import ScriptedCamera
from support.inspection import log_of
from support.mirror import Mirror
from support.recordings import count_packets
from support.waiting import wait_for

from heldar_mirror.recorder.segments import ENDLESS, ENDLESS_BYTES, ENDLESS_RATE

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]

SEGMENT_SECONDS = 2
# What the camera may send until the recorder looks, which it does every few seconds, and until its ffmpeg has ended.
LATE_BYTES = 200 << 20


@pytest.mark.parametrize("ffmpeg", ["ffmpeg", imageio_ffmpeg.get_ffmpeg_exe()], ids=["debian", "newest"])
def test_a_segment_without_end_is_ended(mirror: Mirror, tmp_path: Path, ffmpeg: str) -> None:
    """It is ended when it is far beyond its share of the volume, this is told, and the next one begins at once."""
    camera = ScriptedCamera(log=tmp_path / "log")
    camera.plug_in()
    try:
        mirror.env["HELDAR_FFMPEG_BIN"] = ffmpeg
        mirror.database.add("flood", main_stream_url=camera.url("flood"), segment_seconds=SEGMENT_SECONDS)
        with mirror.up(watched=True):
            wait_for(lambda: ENDLESS in log_of(mirror, "mirror-flood"))
            wait_for(lambda: len(mirror.segments("flood")) == 2)
    finally:
        camera.unplug()
    segments = mirror.segments("flood")
    most = SEGMENT_SECONDS * ENDLESS_RATE + ENDLESS_BYTES
    assert most < segments[0].stat().st_size < most + LATE_BYTES
    assert not count_packets(segments)[1]
    assert camera.events("flood").count("plays") == 2
