"""The machine's clock jumps while recorders, supervisord and the watcher are at work."""

import time
from datetime import datetime, timezone
from pathlib import Path

import pytest
from support.camera import Camera
from support.mirror import Mirror
from support.recordings import digests
from support.running import ffmpegs, recorders
from support.stepping_clock import HOUR, Clock
from support.waiting import wait_for

from heldar_mirror.recorder.leftovers import is_stub
from heldar_mirror.recorder.segments import SEGMENT_NAME, segment_path


def recorded(mirror: Mirror, since: float, until: float) -> dict[Path, str]:
    """Return the closed segments whose names lie in a span of time, all but the last of them, with their digests."""
    begun = {
        path: datetime.strptime(path.name, SEGMENT_NAME).replace(tzinfo=timezone.utc).timestamp()
        for path in mirror.segments("gate")
    }
    return digests([path for path, at in begun.items() if since <= at < until][:-1])


@pytest.mark.slow
def test_recording_goes_on_whichever_way_the_clock_jumps(mirror: Mirror, camera: Camera) -> None:
    """After the clock jumps an hour forwards or back, recording goes on by itself, and no closed segment ever
    changes."""
    mirror.env["HELDAR_FFMPEG_BIN"] = "ffmpeg"
    mirror.database.add("gate", rtsp_port=camera.port, segment_seconds=4)
    clock = Clock(mirror.home)
    mirror.env |= clock.env
    begun = time.time() - 1
    with mirror.up(watched=True):

        def goes_on(since: float, until: float) -> dict[Path, str]:
            found: dict[Path, str] = wait_for(lambda: recorded(mirror, since, until))
            assert not any(is_stub(str(path)) for path in found)
            return found

        closed = goes_on(begun, begun + HOUR)
        before = ffmpegs(mirror, "gate")

        clock.jump(HOUR)
        closed |= goes_on(begun + HOUR, begun + 2 * HOUR)
        assert ffmpegs(mirror, "gate") == before

        # Back to a time of which every second has a segment already, that anybody may write.
        now = time.time()
        footage = next(iter(closed)).read_bytes()
        for second in range(-2, 8):
            path = Path(segment_path(str(mirror.root / "gate"), now + second))
            if not path.exists():
                path.write_bytes(footage)
                path.chmod(0o666)
        closed |= recorded(mirror, begun, begun + HOUR)
        clock.jump(0)
        closed |= goes_on(now + 8, begun + HOUR)
        assert ffmpegs(mirror, "gate") == before

        # Back again, to a time that has no segments.
        clock.jump(-HOUR)
        closed |= goes_on(begun - HOUR, begun)
        wait_for(lambda: mirror.json("status")["well"])
        assert len(ffmpegs(mirror, "gate")) == len(recorders(mirror)) == 1
    assert digests(closed) == closed
