"""A state directory that can't be written, with the watcher at work: what needs no writing goes on."""

import contextlib
import pwd
import subprocess
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path

import pytest
from support.following import recorded, wait_until_recorded
from support.mirror import Mirror
from support.mounts import mount, mounted, unmount
from support.running import kill, recorders, wait_until_recording
from support.users import MirrorForAll, as_root, new_mirror
from support.waiting import wait_for
from support.watched import wait_until_shown, wait_until_well, watcher_pid

pytestmark = [as_root, pytest.mark.slow, pytest.mark.timeout(600)]


@contextlib.contextmanager
def full(state: Path) -> Iterator[None]:
    """The disk has no room. What becomes free meanwhile may be used."""
    filler = state / "filler"
    with filler.open("wb", buffering=0) as file, contextlib.suppress(OSError):
        while True:
            file.write(bytes(4096))
    yield
    filler.unlink()


@contextlib.contextmanager
def without_inodes(state: Path) -> Iterator[None]:
    """The disk has room, but no file can be made."""
    fillers = state / "fillers"
    fillers.mkdir()
    with contextlib.suppress(OSError):
        for number in range(1_000_000):
            (fillers / str(number)).touch()
    yield
    for filler in fillers.iterdir():
        filler.unlink()
    fillers.rmdir()


@contextlib.contextmanager
def read_only(state: Path) -> Iterator[None]:
    """The disk is read-only. Files that are open for writing stay so, as the logs."""
    for left in range(20, -1, -1):
        mount("--bind", state, state)
        try:
            mount("-o", "remount,bind,ro", state)
            break
        except subprocess.CalledProcessError:  # the watcher has just opened a file in the new mount
            unmount(state)
            if not left:
                raise
    try:
        yield
    finally:
        unmount(state)


@contextlib.contextmanager
def forbidden(state: Path) -> Iterator[None]:
    """No file can be made in the directories, since their modes were changed."""
    for directory in (state, state / "specs", state / "status"):
        directory.chmod(0o500)
    yield
    for directory in (state, state / "specs", state / "status"):
        directory.chmod(0o700)


FAULTS: dict[str, Callable[[Path], AbstractContextManager[None]]] = {
    "full": full,
    "without inodes": without_inodes,
    "read-only": read_only,
    "forbidden": forbidden,
}


@pytest.fixture(params=FAULTS)
def fault(request: pytest.FixtureRequest) -> Callable[[Path], AbstractContextManager[None]]:
    return FAULTS[request.param]


@pytest.fixture
def watched() -> Iterator[Mirror]:
    """A mirror that is up with its watcher and records `gate` and `hall`. Its state is on a small disk of its own."""
    with new_mirror(MirrorForAll) as mirror:
        mirror.env["HELDAR_MIRROR_USER"] = "games"
        games = pwd.getpwnam("games")
        options = f"size=4m,nr_inodes=300,mode=700,uid={games.pw_uid},gid={games.pw_gid}"
        with mounted(mirror.state, "-t", "tmpfs", "-o", options, "tmpfs"):
            for camera_id in ("gate", "hall"):
                mirror.database.add(camera_id)
            with mirror.up(watched=True):
                wait_until_recording(mirror, "gate", "hall")
                yield mirror


def test_a_status_that_can_not_be_published_is_known_as_old_at_once(
    watched: Mirror, fault: Callable[[Path], AbstractContextManager[None]]
) -> None:
    """`status` says that the watcher can't write its report, and shows what it finds out itself, also of a camera whose
    recorder stopped after the last report."""
    wait_for(lambda: watched.json("status")["well"])
    with fault(watched.state):
        wait_until_shown(watched, f"the watcher runs, but can't write its report to {watched.state}/status")
        assert watched.status()["hall"]["segment"]
        watched.supervisorctl("stop", "mirror-hall")
        status = watched.json("status")
        assert not status["well"]
        assert {camera["camera_id"]: camera["activity"] for camera in status["cameras"]} == {
            "gate": "recording",
            "hall": "stopped",
        }
    watched.supervisorctl("start", "mirror-hall")
    wait_until_well(watched)
    watched.run("status")


def test_a_new_watcher_that_could_never_publish_is_not_taken_for_one_that_ended(watched: Mirror) -> None:
    """It says so itself; the last report is that of a watcher that was killed."""
    with full(watched.state):
        before = watcher_pid(watched)
        kill(before)
        wait_for(lambda: watcher_pid(watched) not in {0, before})
        wait_until_shown(watched, "the watcher runs, but can't write its report")
    wait_until_well(watched)


def test_what_is_to_be_stopped_does_not_wait_until_the_state_can_be_written(
    watched: Mirror, fault: Callable[[Path], AbstractContextManager[None]]
) -> None:
    """One camera's change can't be written. The other one, which is deleted, is stopped all the same, the first goes on
    being recorded, and all is applied when the state can be written again."""
    before = recorders(watched)
    with fault(watched.state):
        watched.database.update("gate", segment_seconds=30)
        watched.database.execute("DELETE FROM cameras WHERE id = 'hall'")
        watched.database.add("yard")
        wait_for(lambda: "hall" not in recorders(watched))
        assert recorded(watched)["gate"]
        # The recorder goes on unless what the deleted camera freed was enough for the changed one.
        assert recorders(watched)["gate"] == before["gate"] or recorded(watched)["gate"] == [30]
    wait_until_recorded(watched, {"gate": 30, "yard": 60})
    wait_for(lambda: watched.json("status")["well"])
