"""What `up` does beside its supervisord: notify systemd that it is ready, and watch over the watcher."""

import contextlib
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.mirror import Mirror
from support.users import as_root
from support.waiting import processes_of, wait_for

# The same command, with a shorter limit for a hung watcher.
IMPATIENT = (
    "import sys; from heldar_mirror.cli.main import main; from heldar_mirror.foreground import attendant; "
    "attendant.HUNG_WATCHER_SECONDS = float(sys.argv.pop(1)); main()"
)


class ImpatientMirror(Mirror):
    """A mirror whose `up` takes the watcher for hung after 15 s. The watcher publishes every second or two."""

    def command(self, *args: str) -> list[str]:
        return [sys.executable, "-c", IMPATIENT, "15", *args]


@pytest.fixture
def impatient(mirror: Mirror) -> ImpatientMirror:
    return ImpatientMirror(mirror.home, mirror.database, mirror.env)


@pytest.fixture
def notified(home: Path) -> Iterator[socket.socket]:
    """A socket like systemd's, to which `up` sends its notifications."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listener:
        listener.bind(str(home / "notify"))
        listener.settimeout(180)
        yield listener


@pytest.fixture
def served(mirror: Mirror) -> Iterator["subprocess.Popen[bytes]"]:
    """Serve the database's directory by a process, which tests may stop."""
    place = mirror.home / "served"
    place.mkdir()
    # With relative paths its command line lacks the test's directory, so it is not taken for a process of the mirror.
    server = subprocess.Popen(["bindfs", "-f", "heldar", "served"], cwd=mirror.home)
    try:
        wait_for(lambda: f" {place} fuse" in Path("/proc/self/mounts").read_text())
        yield server
    finally:
        server.send_signal(signal.SIGCONT)
        subprocess.run(["umount", "--lazy", place], check=True)
        server.wait(180)


def watcher_of(mirror: Mirror) -> int:
    with contextlib.suppress(ValueError):
        return int(mirror.supervisorctl("pid", "watch"))
    return 0


@pytest.mark.parametrize("dead", [False, True], ids=["a good database", "a dead one"])
def test_systemd_is_told_when_supervisord_runs(mirror: Mirror, notified: socket.socket, *, dead: bool) -> None:
    """READY=1 is sent once, also if the database can't be read. No other process inherits the socket's address."""
    mirror.database.add("gate")
    if dead:
        mirror.database.path.write_text("garbage")
    with mirror.up(watched=True, NOTIFY_SOCKET=str(mirror.home / "notify")):
        assert notified.recv(100) == b"READY=1"
        assert "watch" in mirror.supervisorctl("status")
        for pid in processes_of(str(mirror.state)):
            with contextlib.suppress(OSError):
                assert b"NOTIFY_SOCKET" not in Path(f"/proc/{pid}/environ").read_bytes()
    notified.setblocking(False)
    with pytest.raises(BlockingIOError):
        notified.recv(100)


@as_root
def test_a_database_that_hangs_only_delays_up(mirror: Mirror, served: "subprocess.Popen[bytes]") -> None:
    """If the database's disk does not answer, what was known last is mirrored, and `up` can be stopped."""
    mirror.database.add("gate")
    mirror.env["HELDAR_DATABASE_URL"] = f"sqlite://{mirror.home}/served/heldar.db"
    with mirror.up(watched=True):
        wait_for(lambda: mirror.segments("gate"))
    before = len(mirror.segments("gate"))
    served.send_signal(signal.SIGSTOP)
    try:
        with mirror.up(watched=True):
            wait_for(lambda: len(mirror.segments("gate")) > before)
            assert "does not answer within 20 s" in mirror.up_log()
    finally:
        served.send_signal(signal.SIGCONT)


def test_a_watcher_that_hangs_is_killed(impatient: ImpatientMirror) -> None:
    """A watcher that publishes nothing is replaced, and no recorder is disturbed."""
    impatient.database.add("gate")
    with impatient.up(watched=True):
        wait_for(
            lambda: "mirror-gate" in impatient.supervisorctl("status"), seen=lambda: impatient.supervisorctl("status")
        )
        hung, recorder = watcher_of(impatient), impatient.supervisorctl("pid", "mirror-gate")
        os.kill(hung, signal.SIGSTOP)
        wait_for(lambda: watcher_of(impatient) not in (0, hung), every=1)
        wait_for(lambda: "the watcher has published nothing" in impatient.up_log())
        assert impatient.supervisorctl("pid", "mirror-gate") == recorder


def test_a_watcher_that_a_person_stopped_stays_stopped(impatient: ImpatientMirror) -> None:
    """A watcher that a person stopped does not count as hung."""
    with impatient.up(watched=True) as process:
        impatient.supervisorctl("stop", "watch")
        time.sleep(25)
        assert process.poll() is None
        assert "STOPPED" in impatient.supervisorctl("status", "watch")
        assert "published nothing" not in impatient.up_log()


def test_a_hangup_is_for_the_watcher(mirror: Mirror) -> None:
    """SIGHUP of `up` has the watcher read the settings again, and ends nothing."""
    with mirror.up(watched=True) as process:
        watcher = watcher_of(mirror)
        process.send_signal(signal.SIGHUP)
        wait_for(lambda: "read the settings anew" in mirror.watch_log())
        assert watcher_of(mirror) == watcher
        assert process.poll() is None
