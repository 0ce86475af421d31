"""Faults of Heldar's database while the watcher follows it: what runs goes on, and the first good read is applied."""

import contextlib
import os
import re
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from support.heldar_kernel import database_files, give_to_heldar, heldar_kernel
from support.mirror import GROWING_FFMPEG, SCHEMA, Database, Mirror
from support.mounts import tmpfs, unmount
from support.running import kill, recorders
from support.users import HELDAR_UID, as_root, identity, new_mirror, python_for_all
from support.waiting import wait_for
from support.watched import is_recorded_in, published, times_logged, wait_until_shown, watcher_pid

UNREADABLE = "cannot read the cameras in"

# Locks a database with a rollback journal exclusively, and changes a row before it unlocks it.
WRITER_PROGRAM = """
import sqlite3, sys
connection = sqlite3.connect(sys.argv[1], isolation_level=None)
connection.execute("BEGIN EXCLUSIVE")
print("locked", flush=True)
sys.stdin.readline()
connection.execute(sys.argv[2])
connection.execute("COMMIT")
"""

# Heldar's kernel: it makes many commits that concern no camera, then one that does. It never waits for a lock.
BUSY_KERNEL_PROGRAM = """
import sqlite3, sys, time
connection = sqlite3.connect(sys.argv[1], isolation_level=None, timeout=0)
for number in range(500):
    connection.execute("INSERT INTO segments (id, camera_id, path, start_time) VALUES (?, 'gate', ?, '')", [number] * 2)
    time.sleep(0.005)
connection.execute(sys.argv[2])
"""


def lengthen(seconds: int) -> str:
    return f"UPDATE cameras SET segment_seconds = {seconds} WHERE id = 'gate'"  # noqa: S608


class Followed(Mirror):
    """A mirror that follows its table. The table holds `gate`, whose segment length shows which version of the table
    was applied, `hall`, which nobody changes, and many cameras that want no mirror."""

    seconds = 60

    def put(self, place: Path, journal: str = "WAL") -> None:
        """Put a good database with one changed row into a directory, by rename."""
        self.seconds += 1
        good = Database(self.home / "good.db")
        good.execute(f"PRAGMA journal_mode={journal}; {lengthen(self.seconds)}")
        place.mkdir(exist_ok=True)
        shutil.copy(good.path, place / "restored")
        (place / "restored").rename(place / self.database.path.name)

    def wait_until_applied(self) -> None:
        wait_for(lambda: is_recorded_in(self, "gate", self.seconds) and published(self)["well"])


@pytest.fixture(scope="module")
def followed() -> Iterator[Followed]:
    """A mirror that runs and follows its table. The table lies on a file system of its own if the tests run as root."""
    with new_mirror(Followed) as mirror, contextlib.ExitStack() as stack:
        mirror.env["HELDAR_FFMPEG_BIN"] = str(GROWING_FFMPEG)
        mirror.database.add("gate")
        mirror.database.add("hall")
        rows = "".join(f"INSERT INTO cameras (id, name) VALUES ('c{n}', '{'x' * 100}');" for n in range(200))  # noqa: S608
        mirror.database.execute(f"BEGIN; {rows} COMMIT;")
        mirror.database.path.rename(mirror.home / "good.db")
        disk = mirror.home / "disk"
        disk.mkdir()
        if os.geteuid() == 0:
            stack.enter_context(tmpfs(disk, 200))
        mirror.database = Database(disk / "heldar/heldar.db")
        mirror.env["HELDAR_DATABASE_URL"] = f"sqlite://{mirror.database.path}"
        mirror.put(mirror.database.path.parent)
        with mirror.up(watched=True):
            mirror.wait_until_applied()
            mirror.run("status")
            yield mirror


def nudge(mirror: Mirror) -> None:
    """Have the watcher read the database again, by writing what is in the file already."""
    path = mirror.database.path
    if path.exists():
        with path.open("r+b") as file:
            start = file.read(16)
            file.seek(0)
            file.write(start)
            file.truncate(path.stat().st_size)
    elif path.parent.exists():
        Path(f"{path}-wal").touch()
        Path(f"{path}-wal").unlink()
    else:
        os.kill(watcher_pid(mirror), signal.SIGHUP)


def contents(directory: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in directory.iterdir()} if directory.exists() else {}


# Breaks the database, yields the directory in which to restore it, and at the end moves that directory to its place.
Fault = Callable[[Path], contextlib.AbstractContextManager[Path]]


def in_place(damage: Callable[[Path], None]) -> Fault:
    @contextlib.contextmanager
    def fault(path: Path) -> Iterator[Path]:
        damage(path)
        yield path.parent

    return fault


def cut_off(path: Path) -> None:
    os.truncate(path, path.stat().st_size // 2)


def empty(path: Path) -> None:
    os.truncate(path, 0)


def overwrite(path: Path) -> None:
    third = path.stat().st_size // 3
    with path.open("r+b") as file:
        file.seek(third)
        file.write(b"\xff" * third)


def misdirect(path: Path) -> None:
    """Overwrite the page of the cameras' index with that of another table's index, which is empty, as a faulty disk
    may."""
    with contextlib.closing(sqlite3.connect(f"file:{path}?immutable=1", uri=True)) as connection:
        (page_size,) = connection.execute("PRAGMA page_size").fetchone()
        root = dict(connection.execute("SELECT name, rootpage FROM sqlite_master WHERE type = 'index'").fetchall())
    with path.open("r+b") as file:
        file.seek((root["sqlite_autoindex_segments_1"] - 1) * page_size)
        page = file.read(page_size)
        file.seek((root["sqlite_autoindex_cameras_1"] - 1) * page_size)
        file.write(page)


def replaced_by(schema: str) -> Fault:
    def replace(path: Path) -> None:
        other = Database(path.with_name("other"))
        other.execute(schema)
        other.path.rename(path)

    return in_place(replace)


@contextlib.contextmanager
def directory_gone(path: Path) -> Iterator[Path]:
    away = path.parent.with_name("away")
    path.parent.rename(away)
    try:
        yield away
    finally:
        away.rename(path.parent)


@contextlib.contextmanager
def disk_gone(path: Path) -> Iterator[Path]:
    """Unmount the disk; at the end a new disk is mounted in its place."""
    disk, spare = path.parents[1], path.parents[2] / "spare"
    unmount(disk)
    try:
        yield spare
    finally:
        subprocess.run(["mount", "-t", "tmpfs", "-o", "size=20m", "tmpfs", str(disk)], check=True)
        shutil.copytree(spare, disk / "copied")
        (disk / "copied").rename(path.parent)


FAULTS: dict[str, tuple[Fault, str]] = {
    "deleted": (in_place(Path.unlink), "No such file"),
    "an empty file": (in_place(empty), "no table cameras"),
    "truncated": (in_place(cut_off), "malformed"),
    "corrupt in the middle": (in_place(overwrite), "malformed"),
    "a page of another table": (in_place(misdirect), "damaged"),
    "another schema": (
        replaced_by(re.sub(r"\bmirror_enabled\b", "renamed", SCHEMA)),
        "lacks the column mirror_enabled",
    ),
    "no such table": (replaced_by("CREATE TABLE other (id TEXT)"), "no table cameras"),
    "disk gone": (disk_gone if os.geteuid() == 0 else directory_gone, "No such file"),
}


def assert_told_once(mirror: Followed, reason: str, path: Path, said: int) -> None:
    """The log gives the reason once, however often the database is read again. `status` gives it with exit code 1."""
    nudge(mirror)
    wait_for(lambda: times_logged(mirror, UNREADABLE) > said)
    left = contents(path.parent)
    nudge(mirror)
    time.sleep(1)
    (line,) = [line for line in mirror.watch_log().splitlines() if UNREADABLE in line][said:]
    assert f"{UNREADABLE} {path}: " in line
    assert reason in line
    assert "What runs goes on." in line
    wait_until_shown(mirror, reason, "2 of 2 mirrors record")
    assert contents(path.parent) == left


@pytest.mark.slow
@pytest.mark.parametrize("name", FAULTS)
def test_a_database_that_breaks_stops_nothing_and_is_followed_again(followed: Followed, name: str) -> None:
    """A database that can't be read is reported once, with the reason. Recorders go on, and no file is left beside the
    database. When it is restored, its changed row is applied."""
    fault, reason = FAULTS[name]
    path, before, pid = followed.database.path, recorders(followed), watcher_pid(followed)
    said = times_logged(followed, UNREADABLE)
    with fault(path) as place:
        try:
            assert_told_once(followed, reason, path, said)
            assert recorders(followed) == before
        finally:
            followed.put(place)
    followed.wait_until_applied()
    assert times_logged(followed, UNREADABLE) == said + 1
    assert recorders(followed)["hall"] == before["hall"]
    assert watcher_pid(followed) == pid
    assert "Traceback" not in followed.watch_log()
    assert database_files(path) == {""}


@pytest.mark.slow
def test_a_database_that_is_locked_stops_nothing_and_is_followed_again(followed: Followed) -> None:
    """A database that is locked for longer than a read waits is reported once. The writer's change is applied when the
    writer is done."""
    path = followed.database.path
    followed.put(path.parent, "DELETE")
    followed.wait_until_applied()
    before, said = recorders(followed), times_logged(followed, UNREADABLE)
    command = [sys.executable, "-c", WRITER_PROGRAM, str(path), lengthen(followed.seconds + 1)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as writer:
        try:
            assert writer.stdout
            assert writer.stdout.readline() == "locked\n"
            assert_told_once(followed, "database is locked", path, said)
            assert recorders(followed) == before
            writer.communicate("commit\n", timeout=180)
        finally:
            writer.kill()
    assert writer.returncode == 0
    followed.seconds += 1
    followed.wait_until_applied()
    assert recorders(followed)["hall"] == before["hall"]
    assert database_files(path) == {""}
    followed.put(path.parent)
    followed.wait_until_applied()


@as_root
def test_a_kernel_that_writes_all_the_while_is_never_kept_waiting(followed: Followed) -> None:
    """Heldar's kernel never meets a lock of ours, no file of ours lies beside its own, and its last change is
    applied."""
    path, before = give_to_heldar(followed.database, 0o755), recorders(followed)
    followed.seconds += 1
    busy = subprocess.run(
        [python_for_all(), "-c", BUSY_KERNEL_PROGRAM, str(path), lengthen(followed.seconds)],
        **identity(HELDAR_UID),
        cwd="/",
        stderr=subprocess.PIPE,
        text=True,
        check=False,
        timeout=120,
    )
    assert busy.returncode == 0, busy.stderr
    followed.wait_until_applied()
    assert recorders(followed)["hall"] == before["hall"]
    # If Heldar's kernel ends while we read, it leaves its -wal behind. All files must be its own.
    assert database_files(path) <= {"", "-wal", "-shm"}
    assert {file.stat().st_uid for file in path.parent.iterdir()} == {HELDAR_UID}


def test_a_watcher_that_is_killed_while_the_database_can_not_be_read_begins_anew(followed: Followed) -> None:
    """The next watcher reports the database again, once. It knows what is recorded, and it applies what is restored."""
    path, before, said = followed.database.path, recorders(followed), times_logged(followed, UNREADABLE)
    path.unlink()
    try:
        wait_for(lambda: times_logged(followed, UNREADABLE) > said)
        pid = watcher_pid(followed)
        kill(pid)
        wait_for(lambda: watcher_pid(followed) not in (0, pid), seen=lambda: followed.supervisorctl("status"))
        assert_told_once(followed, "No such file", path, said + 1)
        assert recorders(followed) == before
    finally:
        followed.put(path.parent)
    followed.wait_until_applied()
    assert recorders(followed)["hall"] == before["hall"]


@pytest.mark.slow
def test_behind_a_link_the_last_commit_is_seen(followed: Followed) -> None:
    """If the path is a link into another directory, where Heldar's -wal is, a commit that is only in that -wal is
    applied."""
    path, real = followed.database.path, followed.home / "real"
    real.mkdir()
    followed.put(real)
    link = path.with_name("link")
    link.symlink_to(real / path.name)
    try:
        with heldar_kernel(real / path.name, os.geteuid()) as running:
            link.rename(path)
            followed.wait_until_applied()
            for _ in range(2):
                followed.seconds += 1
                running.tell(lengthen(followed.seconds))
                followed.wait_until_applied()
            assert database_files(real / path.name) == {"", "-wal", "-shm"}
            assert database_files(path) == {""}
            running.end()
    finally:
        followed.put(path.parent)
    followed.wait_until_applied()


@as_root
@pytest.mark.slow
def test_a_file_that_is_mounted_without_its_wal_stops_nothing_and_is_followed_again(followed: Followed) -> None:
    """If the database's file is mounted alone, as into a container, and Heldar's kernel has it open, the file is stale:
    this is reported, and no mirror is changed by it. When the kernel has ended the file is whole, and is applied."""
    path, before, said = followed.database.path, recorders(followed), times_logged(followed, UNREADABLE)
    real = followed.home / "mounted_alone"
    followed.put(real)
    path.with_name("nobodys").touch()
    path.with_name("nobodys").rename(path)
    with heldar_kernel(real / path.name, os.geteuid()) as running:
        # Only the kernel's -wal says so.
        followed.seconds += 1
        running.tell(lengthen(followed.seconds))
        try:
            subprocess.run(["mount", "--bind", str(real / path.name), str(path)], check=True)
            nudge(followed)
            wait_until_shown(followed, "its -wal is not beside it", "2 of 2 mirrors record")
            assert "its -wal is not beside it" in followed.run("reconcile", code=4).stderr
            assert recorders(followed) == before
            running.end()
            nudge(followed)
            followed.wait_until_applied()
            assert times_logged(followed, "its -wal is not beside it") == 1
        finally:
            unmount(path)
    followed.put(path.parent)
    followed.wait_until_applied()
    assert recorders(followed)["hall"] == before["hall"]
    assert times_logged(followed, UNREADABLE) > said
