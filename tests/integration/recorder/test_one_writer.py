"""A camera directory has one writer."""

import os
import signal

from support.bench import Bench
from support.waiting import wait_for


def test_a_second_recorder_is_refused(bench: Bench) -> None:
    """A second recorder of a directory says that it is in use and starts nothing. When the first one has ended, the
    next one may record there."""
    bench.stand_in("until_told()")
    first = bench.start()
    bench.noted()
    (running,) = bench.ffmpegs()
    assert f"cannot record: another recorder is writing to {bench.root}/gate" in bench.run()
    assert list(bench.ffmpegs()) == [running]
    bench.end(first)

    (bench.notes / "gate").unlink()
    third = bench.start()
    bench.noted()
    bench.end(third)


def test_an_ffmpeg_without_recorder_keeps_its_directory(bench: Bench) -> None:
    """As long as an orphaned ffmpeg lives, no other process writes to its directory."""
    bench.stand_in("ctypes.CDLL(None).prctl(1, 0); until_told()")
    first = bench.start()
    bench.noted()
    (orphan,) = bench.ffmpegs()
    first.kill()
    first.wait()
    try:
        assert "cannot record: another recorder is writing to" in bench.run()
        assert list(bench.ffmpegs()) == [orphan]
    finally:
        os.kill(orphan, signal.SIGKILL)
    wait_for(lambda: not bench.ffmpegs())
    bench.stand_in("sys.exit(7)")
    assert "exit status 7" in bench.run()
