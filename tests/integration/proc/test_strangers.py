"""Other users' processes that look like recorders, beside a mirror that runs, hangs or is stopped."""

import contextlib
import os
import pwd
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from support.joined import Joined
from support.made_footage import FLOOR, camera_directory, make_segment
from support.mirror import Mirror
from support.running import kill, wait_until_recording
from support.users import STRANGER_UID, MirrorForAll, as_root, identity, new_mirror
from support.waiting import wait_for
from support.watched import published, wait_until_published_again

from heldar_mirror.proc.recorders import RECORDER

pytestmark = as_root

GAMES = pwd.getpwnam("games").pw_uid

# What a stranger's fake does: it waits, or it has a child that has a file open which is named like a segment.
WAITS = "echo; read x"
RECORDS = "cd {home}/strangers && sh -c 'exec 9>20260101_000000.mp4; echo; read x'; :"


@contextlib.contextmanager
def fakes(mirror: Mirror, camera_id: str) -> Iterator[None]:
    """Run a stranger's processes whose command lines are those of a recorder of this camera."""
    directory = mirror.home / "strangers"
    directory.mkdir(exist_ok=True)
    directory.chmod(0o777)
    started = []
    try:
        for script in (WAITS, RECORDS.format(home=mirror.home)):
            command = ["sh", "-c", script, str(RECORDER), str(mirror.state / f"specs/{camera_id}.spec"), "1"]
            fake = subprocess.Popen(
                command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, **identity(STRANGER_UID)
            )
            started.append(fake)
            assert fake.stdout
            assert fake.stdout.readline()
        yield
    finally:
        for fake in started:
            fake.communicate()  # its input ends, and so does all that reads it


@contextlib.contextmanager
def hung_supervisord(directory: Path) -> Iterator[None]:
    """Have the supervisord hang whose pid file is in this directory."""
    pid = int((directory / "supervisord.pid").read_text())
    os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(pid, signal.SIGCONT)


@pytest.fixture(scope="module")
def mirror() -> Iterator[MirrorForAll]:
    """A mirror that records `gate` as the user games. Its watcher does not run."""
    with new_mirror(MirrorForAll) as made:
        made.env |= FLOOR | {"HELDAR_MIRROR_USER": "games"}
        made.database.add("gate", storage_quota_bytes=500)
        with made.up():
            wait_until_recording(made, "gate")
            yield made


@pytest.fixture
def shelf(mirror: MirrorForAll) -> Iterator[tuple[Path, Path]]:
    with shelved(mirror) as paths:
        yield paths


@contextlib.contextmanager
def shelved(mirror: MirrorForAll) -> Iterator[tuple[Path, Path]]:
    """The open segment of `gate` and a closed one, which is the newest by its name. An old one is over the quota."""
    (opened,) = mirror.segments("gate")
    closed = [make_segment(camera_directory(mirror, "gate"), time.time() + at) for at in (-3600, 3600)]
    for path in closed:
        shutil.chown(path, "games", "games")
    yield opened, closed[1]
    for path in closed:
        path.unlink(missing_ok=True)


@pytest.mark.parametrize("supervisord", ["runs", "hangs"])
@pytest.mark.parametrize("who", ["root", "root as such", "games"])
def test_a_stranger_does_not_stop_pruning(
    mirror: MirrorForAll, shelf: tuple[Path, Path], who: str, supervisord: str
) -> None:
    """What is closed goes, and what a recorder of ours has open stays, though it is not the newest by its name."""
    uid = GAMES if who == "games" else 0
    with fakes(mirror, "gate"), hung_supervisord(mirror.state) if supervisord == "hangs" else contextlib.nullcontext():
        if who == "root as such":  # its memory would be root's
            assert "would delete 1 segments" in mirror.run("prune", "--dry-run", HELDAR_MIRROR_USER="").stdout
            return
        assert "deleted 1 segments" in mirror.run_as(uid, "prune", code=0).stdout
    assert mirror.segments("gate") == list(shelf)


@pytest.mark.slow
def test_a_joined_supervisord_says_itself_who_it_is() -> None:
    """Its recorders run as a user of their own. If it does not answer, nothing is deleted; if it is stopped, nothing is
    open."""
    with new_mirror(Joined) as mirror:
        mirror.env |= FLOOR
        mirror.join()
        mirror.database.add("gate", storage_quota_bytes=500)
        with mirror.supervisord():
            mirror.run("reconcile")
            wait_until_recording(mirror, "gate")
            with fakes(mirror, "gate"), shelved(mirror) as shelf:
                with hung_supervisord(mirror.home):
                    shown = " ".join(mirror.run("prune", code=1).stdout.split())
                    assert "nothing is pruned, since what is recorded now can't be found out: supervisord" in shown
                    assert len(mirror.segments("gate")) == 3
                assert "deleted 1 segments" in mirror.run("prune").stdout
                assert mirror.segments("gate") == list(shelf)
        for at in (-7200, 3600):
            make_segment(camera_directory(mirror, "gate"), time.time() + at)
        with fakes(mirror, "gate"):
            assert "deleted 1 segments" in mirror.run("prune").stdout


def test_status_tells_a_recorder_from_a_strangers(mirror: MirrorForAll) -> None:
    """A stranger's process makes no camera one that records, and hides none."""
    mirror.database.add("hall", enabled=0)
    with fakes(mirror, "hall"), fakes(mirror, "gate"):
        for uid in (0, GAMES):
            shown = mirror.run_as(uid, "status", code=1).stdout
            assert "1 of 1 mirrors record" in shown
            assert "20260101_000000.mp4" not in shown
            assert "can't be seen" not in shown
    mirror.database.execute("DELETE FROM cameras WHERE id = 'hall'")


@pytest.mark.slow
def test_status_by_hand_sees_the_recorders_of_a_supervisord_that_hangs(mirror: MirrorForAll) -> None:
    """It asks supervisord for a minute. Linux says meanwhile who it is."""
    (opened,) = mirror.segments("gate")
    with fakes(mirror, "gate"), hung_supervisord(mirror.state):
        shown = mirror.run_as(GAMES, "status", code=1).stdout
    assert opened.name in shown
    assert "supervisord does not answer" in " ".join(shown.split())


def test_without_supervisord_nothing_is_open() -> None:
    """A mirror that is stopped is pruned by hand, whatever a stranger runs."""
    with new_mirror(MirrorForAll) as mirror:
        mirror.env |= FLOOR
        mirror.database.add("gate", storage_quota_bytes=500)
        with mirror.up():
            wait_until_recording(mirror, "gate")
        _, newest = (make_segment(camera_directory(mirror, "gate"), time.time() + at) for at in (-7200, 3600))
        with fakes(mirror, "gate"):
            assert "deleted 1 segments" in mirror.run("prune").stdout
            assert mirror.segments("gate") == [newest]
            shown = mirror.run("status", code=1).stdout
        assert "20260101_000000.mp4" not in shown
        assert "can't be seen" not in shown


def test_a_watcher_of_roots_believes_no_stranger() -> None:
    """It looks at all recorders when one was killed. A camera that a stranger fakes is not recorded for that."""
    with new_mirror() as mirror:
        for camera_id in ("gate", "yard"):
            mirror.database.add(camera_id)
        with mirror.up(watched=True):
            running = wait_until_recording(mirror, "gate", "yard")
            mirror.supervisorctl("stop", "mirror-gate")
            with fakes(mirror, "gate"):
                for _ in range(3):
                    kill(running["yard"])
                    wait_until_published_again(mirror)
                    running = wait_until_recording(mirror, "yard")
                wait_for(lambda: cameras(mirror)["yard"]["segment"], seen=lambda: published(mirror))
                assert cameras(mirror)["gate"]["segment"] is None
                assert not [text for text in published(mirror)["problems"] if "can't be seen" in text]


def cameras(mirror: Mirror) -> dict[str, Any]:
    """Return what the watcher has published of each camera."""
    return {camera["camera_id"]: camera for camera in published(mirror)["cameras"]}
