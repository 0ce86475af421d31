"""A recorder waits for its camera before it starts ffmpeg."""

import contextlib
import re
import socket
import subprocess
import sys
import time
from collections.abc import Callable

import pytest
from support.bench import PASSWORD, Bench
from support.listeners import listening, refusing, silent

from heldar_mirror.recorder import camera, recorder
from heldar_mirror.watcher.probe import Address


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("rtsp://10.0.0.1:8554/x", ("10.0.0.1", 8554)),
        ("rtsp://10.0.0.1", ("10.0.0.1", 554)),
        ("RTSP://10.0.0.1:/x", ("10.0.0.1", 554)),
        ("rtsp://admin:p%40ss@10.0.0.1:8554?channel=1", ("10.0.0.1", 8554)),
        ("rtsp://admin:p@ss@10.0.0.1/x", ("10.0.0.1", 554)),
        ("rtsp://10.0.0.9:12@10.0.0.1/x", ("10.0.0.1", 554)),
        ("rtsp://admin:p@10.0.0.1/x?token=t@10.0.0.9", ("10.0.0.1", 554)),
        ("rtsp://admin@[fd00::1]/x", ("fd00::1", 554)),
        ("rtsp://[fd00::1]:8554", ("fd00::1", 8554)),
        # URLs of which we can't be sure: ffmpeg is started at once, and reports what is wrong.
        ("rtsp://10.0.0.9:12/raw@10.0.0.1/x", None),
        ("rtsp://gate.example:8554/x", None),
        ("rtsp://localhost", None),
        ("rtsp://10.1/x", None),
        ("rtsp://[fe80::1%eth0]/x", None),
        ("rtsp://[fd00::1/x", None),
        ("rtsp://10.0.0.1:x/x", None),
        ("rtsp://10.0.0.1:65536/x", None),
        ("rtsp://10.0.0.1:5:6/x", None),
        ("rtsp:///x", None),
        ("rtsp", None),
        ("rtsps://10.0.0.1/x", None),
        ("http://10.0.0.1/x", None),
    ],
)
def test_where_a_camera_is_waited_for(url: str, expected: tuple[str, int] | None) -> None:
    """A recorder waits only for an address and port that ffmpeg is sure to connect to itself, directly and before all
    else."""
    assert camera.peer_of(url) == (expected and (_family(expected[0]), expected))


def _family(address: str) -> int:
    return socket.AF_INET6 if ":" in address else socket.AF_INET


def test_only_a_camera_that_accepts_counts_as_there() -> None:
    """A camera that refuses or is silent is not there, and the reason is given in ffmpeg's words."""

    def knock(place: Address, patience: float = 1, *, over: bool = False) -> str:
        return camera.knock(socket.AF_INET, place, patience, lambda: over)

    with listening() as here, refusing() as closed, silent() as nowhere:
        assert knock(here) == ""
        assert knock(closed) == "Connection refused"
        assert knock(nowhere) == "Connection timed out"
        assert knock(nowhere, patience=1000, over=True)


def test_a_camera_that_comes_is_recorded_by_the_recorder_that_waited(bench: Bench) -> None:
    """A recorder says once what it waits for. It starts ffmpeg only when the camera is there, and goes on as usual."""
    bench.stand_in('note("begun"); sys.exit(3)')
    with refusing() as (address, port):
        process = bench.start(bench.spec(url=f"rtsp://admin:{PASSWORD}@{address}:{port}/x"))
        assert process.stdout
        said = process.stdout.readline()
        assert f"ERROR no connection to the camera at {address}, port {port}: Connection refused" in said
        assert not (bench.notes / "gate").exists()
    with listening(port=port):
        assert re.fullmatch(r"ERROR ffmpeg ended after \d+ s, exit status 3", bench.end(process, recorder.FAILED_SOON))
    assert bench.noted() == "begun"
    assert PASSWORD not in said


IMPATIENT = """
import sys
from heldar_mirror.recorder import camera, recorder
camera.START_SECONDS = recorder.START_SECONDS = {}
camera.LAST_ANSWER_SECONDS = 1
sys.exit(recorder.main(sys.argv[1]))
"""


@pytest.mark.parametrize("absent", [refusing, silent])
def test_a_camera_that_does_not_come_is_left_to_the_watcher(
    bench: Bench, absent: Callable[[], contextlib.AbstractContextManager[Address]]
) -> None:
    """A recorder that waits in vain starts no ffmpeg. It ends once its program counts as running, with the status that
    keeps supervisord from restarting it."""
    bench.stand_in('note("begun")')
    with absent() as (address, port):
        spec = bench.spec(url=f"rtsp://{address}:{port}/x")
        command = [sys.executable, "-c", IMPATIENT.format(0.2), str(spec)]
        ended = subprocess.run(command, env=bench.env, capture_output=True, text=True, timeout=180, check=False)
    assert ended.returncode == recorder.FAILED_SOON
    first, last = (line.partition(" ERROR ")[2] for line in ended.stdout.splitlines())
    assert first.startswith(f"no connection to the camera at {address}, port {port}: Connection ")
    assert last.startswith(f"cannot record: {first.partition('. ')[0]}")
    assert not (bench.notes / "gate").exists()


@pytest.mark.slow
def test_a_camera_that_came_late_is_started_again_by_supervisord(bench: Bench) -> None:
    """If the camera came late and its ffmpeg does not last, supervisord is to start it again, since the program counted
    as running by then."""
    bench.stand_in("time.sleep(7)")
    with refusing() as (address, port):
        command = [sys.executable, "-c", IMPATIENT.format(10), str(bench.spec(url=f"rtsp://{address}:{port}/x"))]
        process = subprocess.Popen(command, env=bench.env, stdout=subprocess.PIPE, text=True)
        bench.started.append(process)
        assert process.stdout
        process.stdout.readline()  # it waits from now on
        time.sleep(4)
    with listening(port=port):
        process.communicate(timeout=180)
    assert process.returncode == 1


@pytest.mark.parametrize("absent", [refusing, silent])
def test_a_stop_ends_the_waiting(
    bench: Bench, absent: Callable[[], contextlib.AbstractContextManager[Address]]
) -> None:
    """A recorder that waits for its camera obeys SIGTERM with status 0, without an ffmpeg and before it is killed."""
    bench.stand_in('note("begun")')
    with absent() as (address, port):
        process = bench.start(bench.spec(url=f"rtsp://{address}:{port}/x"))
        assert process.stdout
        process.stdout.readline()
        process.terminate()
        assert not process.communicate(timeout=180)[0]
    assert process.returncode == 0
    assert not (bench.notes / "gate").exists()
