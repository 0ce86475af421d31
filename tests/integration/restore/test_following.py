"""What Heldar's kernel does with restored files is followed, whether it runs, is stopped, is killed or does nothing."""

import os
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path

import pytest
from support.applying import BEGUN, CAMERA, QUICK, opened
from support.heldar_kernel import heldar_kernel
from support.heldar_stand_in import HeldarStandIn
from support.heldar_stand_in import Times as HeldarsTimes
from support.made_footage import adopt, settings_of
from support.mirror import Mirror
from support.two_sides import SEGMENT_SECONDS, index, primary_root, record
from support.waiting import wait_for

from heldar_mirror.footage.names import segment_name
from heldar_mirror.restore.following import (
    FRESH_SECONDS,
    ORPHAN_SECONDS,
    TOUCH_SECONDS,
    WAITING,
    File,
    Follower,
    Heldar,
    Key,
    Times,
    Wait,
)

RUNS = HeldarsTimes(scan=0.2, quiet=1.0)
HOUR = 3600


@pytest.fixture
def mirror(mirror: Mirror) -> Mirror:
    """A mirror that has a volume, and a camera without any recording."""
    mirror.database.add(CAMERA)
    adopt(mirror)
    return mirror


@pytest.fixture
def heldar(mirror: Mirror) -> Iterator[HeldarStandIn]:
    """A process that indexes, not started yet."""
    with HeldarStandIn(mirror.database.path, primary_root(mirror)) as made:
        yield made


@pytest.fixture
def told() -> list[str]:
    """What was told while it was waited."""
    return []


@pytest.fixture
def interrupted() -> threading.Event:
    return threading.Event()


@pytest.fixture
def follow(mirror: Mirror, told: list[str], interrupted: threading.Event) -> Iterator[Callable[[Times], Follower]]:
    """Make a follower, with the real writer."""
    with ExitStack() as stack:
        writer, _, _ = opened(settings_of(mirror), stack)

        def make(times: Times) -> Follower:
            return Follower(mirror.database.path, writer, told.append, interrupted, times)

        yield make


def restored(mirror: Mirror, count: int, modified: float | None = None, camera_id: str = CAMERA) -> dict[Key, File]:
    """Put recordings into the primary's directory, as a restore does. The last one was written at `modified`."""
    begun = range(BEGUN, BEGUN + count * SEGMENT_SECONDS, SEGMENT_SECONDS)
    made: dict[Key, File] = {}
    for path in record(primary_root(mirror) / camera_id, begun):
        last = path.name == segment_name(begun[-1])
        at = (modified or time.time()) + (0 if last else FRESH_SECONDS)
        os.utime(path, (at, at))
        made[Key(camera_id, begun[len(made)])] = File(path.stat().st_size, at)
    return made


def path_of(mirror: Mirror, key: Key) -> Path:
    return primary_root(mirror) / key.camera_id / segment_name(key.name)


def add(follower: Follower, files: dict[Key, File]) -> Follower:
    for key, file in files.items():
        follower.add(key, file)
    return follower


@contextmanager
def idle_kernel(mirror: Mirror) -> Iterator[None]:
    """Let a process have the database open that indexes nothing."""
    with heldar_kernel(mirror.database.path, os.geteuid()) as kernel:
        kernel.add("idle")
        yield


@contextmanager
def following(follower: Follower, wait: Wait) -> Iterator[threading.Thread]:
    """Follow in a thread until the block ends. Whatever ended it, it must end then."""
    thread = threading.Thread(target=follower.follow, args=[wait])
    thread.start()
    try:
        yield thread
    finally:
        follower._interrupted.set()
        thread.join()


def test_it_waits_until_all_are_indexed(
    mirror: Mirror, heldar: HeldarStandIn, follow: Callable[[Times], Follower], told: list[str]
) -> None:
    """That includes the last file of the directory, which Heldar takes for open for a while."""
    files = restored(mirror, 3)
    heldar.start(RUNS)
    follower = add(follow(QUICK), files)
    follower.follow(Wait.WHILE_RUNNING)
    assert (follower.indexed, follower.waiting, follower.slow) == (set(files), {}, {})
    assert (follower.heldar, follower.problem, follower.start_within()) == (Heldar.RUNNING, "", None)
    assert told[-1] == "files that Heldar has not indexed yet: 0"


def test_it_does_not_wait_unless_it_should(
    mirror: Mirror, heldar: HeldarStandIn, follow: Callable[[Times], Follower]
) -> None:
    """It still says what Heldar does."""
    files = restored(mirror, 1)
    heldar.start(RUNS._replace(quiet=1e6))
    follower = add(follow(QUICK), files)
    follower.follow(Wait.NOT)
    assert (follower.waiting.keys(), follower.heldar) == (files.keys(), Heldar.RUNNING)


def test_heldar_has_a_path_of_its_own(mirror: Mirror, follow: Callable[[Times], Follower]) -> None:
    """In a container, for example, the primary's directory has a different path for Heldar than for the mirror."""
    files = restored(mirror, 2)
    recordings = mirror.home / "as_heldar_calls_it"
    recordings.symlink_to(primary_root(mirror))
    with HeldarStandIn(mirror.database.path, recordings) as heldar:
        heldar.start(RUNS)
        follower = add(follow(QUICK), files)
        follower.follow(Wait.WHILE_RUNNING)
    assert follower.indexed == set(files)
    with closing(sqlite3.connect(mirror.database.path)) as connection:
        paths = {path for (path,) in connection.execute("SELECT path FROM segments")}
    assert paths == {f"{recordings}/{CAMERA}/{segment_name(key.name)}" for key in files}


@pytest.mark.parametrize("same_size", [True, False])
def test_a_lost_file_has_its_row(
    mirror: Mirror, heldar: HeldarStandIn, follow: Callable[[Times], Follower], *, same_size: bool
) -> None:
    """Heldar corrects the row of a restored file only if the size differs. Otherwise it is right at once."""
    files = restored(mirror, 2)
    index(mirror, [path_of(mirror, key) for key in files])
    if not same_size:
        mirror.database.execute("UPDATE segments SET size_bytes = 4711")
        assert not looked(add(follow(QUICK), files)).indexed
        heldar.start(RUNS)
    follower = add(follow(QUICK), files)
    follower.follow(Wait.WHILE_RUNNING)
    assert follower.indexed == set(files)
    assert len(heldar.indexed()) == (0 if same_size else 2)


def looked(follower: Follower) -> Follower:
    follower.look()
    return follower


def test_a_stopped_heldar_is_not_waited_for(mirror: Mirror, follow: Callable[[Times], Follower]) -> None:
    """It is said within what time it has to be started. All of the hour is left for the last file of a directory."""
    now = time.time()
    files = restored(mirror, 2, modified=now - 600)
    follower = add(follow(Times(look=0.1, now=lambda: now)), files)
    follower.follow(Wait.WHILE_RUNNING)
    assert (follower.waiting.keys(), follower.heldar) == (files.keys(), Heldar.STOPPED)
    assert follower.start_within() == ORPHAN_SECONDS
    last = max(files)
    assert path_of(mirror, last).stat().st_mtime == pytest.approx(now)
    assert path_of(mirror, min(files)).stat().st_mtime == pytest.approx(files[min(files)].modified)


def test_a_heldar_that_is_started_later_is_waited_for(
    mirror: Mirror, heldar: HeldarStandIn, follow: Callable[[Times], Follower], told: list[str]
) -> None:
    """With `--wait`, files are kept fresh for hours until then, so that it does not delete them when it starts."""
    files = restored(mirror, 3)
    (forgotten,) = record(primary_root(mirror) / "yard", [BEGUN])
    os.utime(forgotten)
    mirror.database.add("yard")
    last, ahead = path_of(mirror, max(files)), [0.0]
    follower = add(follow(Times(look=0.1, now=lambda: time.time() + ahead[-1])), files)
    with following(follower, Wait.ALWAYS) as thread:
        wait_for(lambda: told)
        for _ in range(3):
            ahead.append(ahead[-1] + HOUR)
            wait_for(lambda: last.stat().st_mtime > time.time() + ahead[-1] - TOUCH_SECONDS)
        assert told[-1].endswith("it is stopped")
        heldar.start(RUNS._replace(ahead=ahead[-1]))
        wait_for(lambda: not thread.is_alive())
    assert follower.indexed == set(files)
    assert heldar.swept() == [f"yard/{forgotten.name}"]


def test_a_heldar_that_is_killed_meanwhile_is_not_waited_for(
    mirror: Mirror, heldar: HeldarStandIn, follow: Callable[[Times], Follower], told: list[str]
) -> None:
    """What it had indexed before is known."""
    files = restored(mirror, 2)
    heldar.start(RUNS._replace(quiet=1e6))
    follower = add(follow(QUICK), files)
    with following(follower, Wait.WHILE_RUNNING) as thread:
        wait_for(lambda: follower.indexed)
        assert thread.is_alive()
        heldar.kill()
        wait_for(lambda: not thread.is_alive())
    assert (follower.indexed, list(follower.waiting)) == ({min(files)}, [max(files)])
    assert follower.heldar is Heldar.STOPPED


@pytest.mark.parametrize("wait", [Wait.WHILE_RUNNING, Wait.ALWAYS])
def test_a_heldar_that_indexes_nothing(
    mirror: Mirror, follow: Callable[[Times], Follower], told: list[str], wait: Wait
) -> None:
    """It is said what to look at. With `--wait`, it is waited on. A file that is gone by then is noticed."""
    files = restored(mirror, 3)
    follower = add(follow(Times(look=0.1, slow=0.5)), files)
    path_of(mirror, min(files)).unlink()
    with idle_kernel(mirror), following(follower, wait) as thread:
        wait_for(lambda: follower.slow)
        assert (follower.gone, set(follower.slow)) == ({min(files)}, files.keys() - {min(files)})
        wait_for(lambda: "see Heldar's log" in told[-1])
        if wait is Wait.WHILE_RUNNING:
            wait_for(lambda: not thread.is_alive())
        else:
            for key in files:
                path_of(mirror, key).unlink(missing_ok=True)
            wait_for(lambda: not thread.is_alive())
            assert follower.gone == files.keys()


def test_an_index_that_cannot_be_read_is_no_stopped_heldar(mirror: Mirror, follow: Callable[[Times], Follower]) -> None:
    """Nothing is known then, and the reason is said."""
    files = restored(mirror, WAITING + 1)
    mirror.database.path.rename(mirror.home / "gone.db")
    follower = add(follow(Times(look=0.1, slow=0.5)), files)
    follower.wait_for_room()
    assert follower.heldar is Heldar.UNKNOWN
    assert "Is HELDAR_DATABASE_URL the one that Heldar has?" in follower.problem
    follower.follow(Wait.WHILE_RUNNING)
    assert (follower.slow.keys(), follower.indexed) == (files.keys(), set())


def test_a_file_that_cannot_be_kept_fresh(mirror: Mirror, follow: Callable[[Times], Follower]) -> None:
    """It is said why, and the time that is left to start Heldar is the true one."""
    now = time.time()
    files = restored(mirror, 1, modified=now - 600)
    directory = primary_root(mirror) / CAMERA
    directory.rename(mirror.home / CAMERA)
    directory.symlink_to(mirror.home / CAMERA)
    follower = add(follow(Times(look=0.1, now=lambda: now)), files)
    follower.follow(Wait.WHILE_RUNNING)
    assert (follower.heldar, follower.start_within()) == (Heldar.STOPPED, ORPHAN_SECONDS - 600)
    assert "its directory is a file, or a link, which is not followed" in follower.problem


@pytest.mark.parametrize("running", [True, False])
def test_there_is_room_for_some_files_at_a_time(
    mirror: Mirror, heldar: HeldarStandIn, follow: Callable[[Times], Follower], *, running: bool
) -> None:
    """A running Heldar gets a further file when it has indexed one. A stopped one has nobody who would wait for it."""
    files = restored(mirror, WAITING)
    if running:
        heldar.start(RUNS)
    follower = add(follow(QUICK), files)
    follower.wait_for_room()
    assert (len(follower.waiting) < WAITING) == running


def test_whoever_waits_can_be_interrupted(
    mirror: Mirror, follow: Callable[[Times], Follower], interrupted: threading.Event
) -> None:
    """All that is awaited is left as it is."""
    files = restored(mirror, WAITING)
    follower = add(follow(QUICK), files)
    with idle_kernel(mirror):
        threading.Timer(0.3, interrupted.set).start()
        follower.wait_for_room()
        follower.follow(Wait.ALWAYS)
    assert follower.waiting.keys() == files.keys()
