"""A recorder waits for its camera before it starts ffmpeg."""

import contextlib
import errno
import os
import re
import select
import socket
import subprocess
import sys
from collections.abc import Callable

import pytest
from support.bench import PASSWORD, Bench
from support.listeners import Address, listening, refusing, silent
from support.waiting import wait_for

from heldar_mirror.recorder.camera import host_of, literal
from heldar_mirror.recorder.ffmpeg import Child
from heldar_mirror.recorder.lookup import look_up
from heldar_mirror.recorder.waiting import Knocking


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("rtsp://10.0.0.1:8554/x", ("10.0.0.1", 8554)),
        ("rtsp://10.0.0.1", ("10.0.0.1", 554)),
        ("RTSP://10.0.0.1:/x", ("10.0.0.1", 554)),
        ("rtsps://10.0.0.1/x", ("10.0.0.1", 322)),
        ("rtsp://admin:p%40ss@10.0.0.1:8554?channel=1", ("10.0.0.1", 8554)),
        ("rtsp://admin:p@ss@10.0.0.1/x", ("10.0.0.1", 554)),
        ("rtsp://10.0.0.9:12@10.0.0.1/x", ("10.0.0.1", 554)),
        ("rtsp://admin@[fd00::1]/x", ("fd00::1", 554)),
        ("rtsp://[fd00::1]:8554", ("fd00::1", 8554)),
        ("rtsp://[fe80::1%eth0]/x", ("fe80::1%eth0", 554)),
        ("rtsp://gate.example:8554/x", ("gate.example", 8554)),
        ("rtsp://localhost", ("localhost", 554)),
        # URLs of which we can't be sure: ffmpeg is started at once, and reports what is wrong.
        ("rtsp://10.0.0.9:12/raw@10.0.0.1/x", None),
        ("rtsp://admin:p@10.0.0.1/x?token=t@10.0.0.9", None),
        ("rtsp://[fd00::1/x", None),
        ("rtsp://10.0.0.1:x/x", None),
        ("rtsp://10.0.0.1:65536/x", None),
        (f"rtsp://10.0.0.1:{'9' * 5000}/x", None),  # more digits than Python takes for a number
        ("rtsp://10.0.0.1:5:6/x", None),
        ("rtsp:///x", None),
        ("rtsp", None),
        ("http://10.0.0.1/x", None),
    ],
)
def test_where_a_camera_is_waited_for(url: str, expected: Address | None) -> None:
    """A recorder waits only for a host and port that ffmpeg is sure to connect to itself, before all else."""
    assert host_of(url) == expected


@pytest.mark.parametrize(
    ("host", "expected"),
    [
        ("127.0.0.1", socket.AF_INET),
        ("::1", socket.AF_INET6),
        *((name, None) for name in ("localhost", "10.1", "fe80::1%eth0", "1.2.3.4.5")),
    ],
)
def test_only_a_whole_number_is_no_name(host: str, expected: int | None) -> None:
    """A host that is no numeric address is looked up, as ffmpeg does."""
    assert literal(host, 1) == ([(expected, (host, 1))] if expected else [])


def ask(*addresses: Address, turns: int = 1) -> str:
    """Return what the last of some turns of asking says."""
    child = Child()
    knocking = Knocking(child)
    try:
        return [knocking.ask([(socket.AF_INET, address) for address in addresses]) for _ in range(turns)][-1]
    finally:
        knocking.close()


def test_only_a_camera_that_accepts_counts_as_there() -> None:
    """A camera that refuses or is silent is not there, and the reason is given."""
    with listening() as here, refusing() as closed, silent() as nowhere:
        assert ask(here) == ""
        assert ask(closed) == "Connection refused"
        assert ask(nowhere) == "no answer"


@pytest.mark.parametrize("dead", [refusing, silent])
def test_one_address_that_accepts_is_enough(
    dead: Callable[[], contextlib.AbstractContextManager[Address]],
) -> None:
    """A dead address beside a good one, in either order, keeps no camera from being there."""
    with listening() as here, dead() as nowhere:
        assert ask(here, nowhere) == ask(nowhere, here) == ""


def test_an_answer_may_take_longer_than_a_turn() -> None:
    """A camera that answers after some seconds is there: an attempt goes on while later ones are begun."""
    with socket.create_server(("127.0.0.1", 0), backlog=0) as listener, contextlib.ExitStack() as stack:
        address = listener.getsockname()
        for _ in range(3):
            caller = stack.enter_context(socket.socket())
            caller.setblocking(False)
            caller.connect_ex(address)
        knocking = Knocking(Child())
        assert knocking.ask([(socket.AF_INET, address)]) == "no answer"
        # The queue has room again, so Linux accepts the first attempt when it repeats its SYN.
        for _ in range(2):
            listener.accept()[0].close()
        wait_for(lambda: not knocking.ask([]), every=0)
        knocking.close()


def test_names_are_looked_up_as_ffmpeg_does() -> None:
    """A name gives its addresses, and one that nobody knows gives the reason."""
    assert (socket.AF_INET, ("127.0.0.1", 554)) in look_up("localhost", 554, Child())[0]
    peers, reason = look_up("gate.invalid", 554, Child())
    assert not peers
    assert reason.startswith("cannot look up its name: ")


def test_a_name_is_looked_up_though_an_attempt_to_connect_has_ended() -> None:
    """Else a camera whose name has got a new address would not be found there."""
    child = Child()
    with listening() as address, socket.create_connection(address) as connection:
        child.poll.register(connection, select.POLLOUT)
        assert look_up("localhost", 554, child)[0]


def test_what_linux_refuses_is_a_reason_and_no_crash(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without IPv6, processes or descriptors the recorder goes on: with other addresses, or at the next turn."""
    nowhere = socket.AF_APPLETALK, ("127.0.0.1", 1)
    child = Child()
    with listening() as here:
        assert Knocking(child).ask([nowhere]) == "Address family not supported by protocol"
        assert Knocking(child).ask([nowhere, (socket.AF_INET, here)]) == ""

    def fork() -> int:
        raise BlockingIOError(errno.EAGAIN, os.strerror(errno.EAGAIN))

    monkeypatch.setattr("posix.fork", fork)
    descriptors = os.listdir("/proc/self/fd")
    assert look_up("localhost", 554, child) == ([], "cannot look up its name: Resource temporarily unavailable")
    assert os.listdir("/proc/self/fd") == descriptors


ALTERNATING = """
import sys
from heldar_mirror.recorder import camera, recorder, waiting
camera.accepts = lambda *_: False
reasons = ["no answer", "No route to host"] * 3 + ["Connection refused", ""]
waiting.Knocking.ask = lambda *_: reasons.pop(0)
sys.exit(recorder.main(sys.argv[1]))
"""


def test_each_reason_is_told_once(bench: Bench) -> None:
    """Of a camera that is off Linux says in turn that it is silent and that there is no route to it."""
    bench.stand_in("until_told()")
    command = [sys.executable, "-c", ALTERNATING, str(bench.spec())]
    process = subprocess.Popen(command, env=bench.env, stdout=subprocess.PIPE, text=True)
    bench.started.append(process)
    assert bench.noted() == "ready"
    told = re.findall(r"port \d+: (.*)[.] Asking", bench.end(process))
    assert told == ["no answer", "No route to host", "Connection refused"]


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
        assert re.fullmatch(r"ERROR ffmpeg ended after \d+ s, exit status 3", bench.first(process))
    assert bench.noted() == "begun"
    assert PASSWORD not in said


def test_a_camera_by_name_is_waited_for_as_well(bench: Bench) -> None:
    """A camera whose address is a name is recorded as soon as it is there, with no ffmpeg before."""
    bench.stand_in('note("begun"); until_told()')
    with refusing() as (_, port):
        process = bench.start(bench.spec(url=f"rtsp://localhost:{port}/x"))
        assert process.stdout
        assert f"no connection to the camera at localhost, port {port}: " in process.stdout.readline()
        assert not (bench.notes / "gate").exists()
    with listening(port=port):
        assert bench.noted()
    bench.end(process)


IMPATIENT = """
import sys
from heldar_mirror.recorder import recorder, waiting
waiting.BLIND_SECONDS = 1
sys.exit(recorder.main(sys.argv[1]))
"""


@pytest.mark.parametrize("absent", [refusing, silent])
def test_a_camera_that_we_cannot_reach_is_tried_all_the_same(
    bench: Bench, absent: Callable[[], contextlib.AbstractContextManager[Address]]
) -> None:
    """In the end ffmpeg is started though nobody accepts a connection, since it may reach what we can't."""
    bench.stand_in("until_told()")
    with absent() as (address, port):
        spec = bench.spec(url=f"rtsp://{address}:{port}/x")
        command = [sys.executable, "-c", IMPATIENT, str(spec)]
        process = subprocess.Popen(command, env=bench.env, stdout=subprocess.PIPE, text=True)
        bench.started.append(process)
        assert bench.noted() == "ready"
        bench.end(process)


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
