"""Which signals reach ffmpeg, and which process ends with which."""

import signal
import subprocess
import time

from support.bench import Bench
from support.waiting import wait_for, wait_for_none

from heldar_mirror.recorder.ffmpeg import Child


def test_ffmpeg_is_told_to_stop_once(bench: Bench) -> None:
    """Of three SIGTERMs ffmpeg gets one, since a second one would make it lose its last segment."""
    bench.stand_in("""
got = []
signal.signal(signal.SIGTERM, lambda *_: got.append(1))
note("ready")
while not got: time.sleep(0.01)
note("told")
time.sleep(2)
note(str(len(got)))
""")
    process = bench.start()
    bench.noted()
    process.terminate()
    wait_for(lambda: bench.noted() == "told", every=0.02)
    process.terminate()
    time.sleep(0.2)
    bench.end(process)
    assert bench.noted() == "1"


def test_a_stop_at_any_moment_of_the_start_is_obeyed(bench: Bench) -> None:
    """A SIGTERM that comes before, while or just after ffmpeg is started ends both processes."""
    bench.stand_in("until_told()")
    # With a long PATH a program takes long to start, so more signals arrive in the middle of that.
    bench.env["PATH"] = "/x:" * 40_000 + bench.env["PATH"]
    for number in range(30):
        process = bench.start(bench.spec(f"camera_{number}"))
        time.sleep(number * 0.005)
        process.terminate()
    for process in bench.started:
        output, _ = process.communicate(timeout=180)
        assert process.returncode in {0, -signal.SIGTERM}, output
        assert "ERROR" not in output
        assert "Traceback" not in output
    assert not wait_for_none(str(bench.home))


def test_a_recorder_that_is_stopped_waits_no_more() -> None:
    """Once stopped, no wait but that for ffmpeg lasts, also a second one."""
    child = Child()
    child.stop()
    for _ in range(2):
        assert not child.ready(3600)


def test_ffmpeg_dies_with_its_recorder(bench: Bench) -> None:
    """When a recorder is killed, its ffmpeg ends too, even one that ignores SIGTERM."""
    bench.stand_in("signal.signal(signal.SIGTERM, signal.SIG_IGN); note('ready'); signal.pause()")
    process = bench.start()
    bench.noted()
    assert bench.ffmpegs()
    process.kill()
    assert not wait_for_none(str(bench.ffmpeg))


def test_a_recorder_dies_with_its_parent(bench: Bench) -> None:
    """When supervisord is killed, neither recorder nor ffmpeg is left behind."""
    bench.stand_in("until_told()")
    parent = subprocess.Popen(
        ["/bin/sh", "-c", '"$@"; exit', str(bench.home), *bench.command(bench.spec())],
        env=bench.env,
        stdout=subprocess.DEVNULL,
    )
    try:
        bench.noted()
    finally:
        parent.kill()
        parent.wait()
    assert not wait_for_none(str(bench.home))
