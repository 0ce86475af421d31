"""Noticing that the database may have changed, on real files; our own reading must not count."""

import contextlib
import os
import shutil
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from support.mirror import Database
from support.waiting import wait_for

from heldar_mirror.proc.mounts import find_mount
from heldar_mirror.watcher import changes
from heldar_mirror.watcher.changes import Changes

# Some mounts of a machine, in the order of mounting.
MOUNTINFO = r"""
21 1 8:1 / / rw,relatime shared:1 - ext4 /dev/sda1 rw
22 21 0:20 / /proc rw - proc proc rw
23 21 0:21 / /run rw shared:2 master:1 propagate_from:2 - tmpfs tmpfs rw
24 21 0:40 /exports /mnt/nas rw - nfs4 nas:/exports rw
25 24 8:2 / /mnt/nas/local rw - xfs /dev/sdb1 rw
26 21 0:41 / /mnt/nasty rw - btrfs /dev/sdc1 rw
27 21 0:42 / /mnt/two rw - nfs nas:/two rw
28 27 8:3 / /mnt/two rw - ext4 /dev/sdd1 rw
29 21 0:43 / /mnt/my\040disk rw - cifs //nas/disk rw
30 21 0:44 / /mnt/a\134b rw - fuse.sshfs nas: rw
""".strip()

# Leaves a -wal and a -shm.
CRASHING_KERNEL = """
import os, sqlite3, sys
connection = sqlite3.connect(sys.argv[1], isolation_level=None)
connection.execute("INSERT INTO cameras (id, name) VALUES ('hall', 'x')")
os._exit(0)
"""

READER = """
import pathlib, sys
from heldar_mirror.heldar.tables import read_cameras
for _ in range(3):
    print(*[row["id"] for row in read_cameras(pathlib.Path(sys.argv[1]))])
"""


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("/var/lib/heldar/heldar.db", "ext4"),
        ("/", "ext4"),
        ("/run/heldar.db", "tmpfs"),
        ("/running/heldar.db", "ext4"),
        ("/mnt/nas", "nfs4"),
        ("/mnt/nas/heldar.db", "nfs4"),
        ("/mnt/nas/local/heldar.db", "xfs"),
        ("/mnt/nasty/heldar.db", "btrfs"),
        ("/mnt/two/heldar.db", "ext4"),
        ("/mnt/my disk/heldar.db", "cifs"),
        (r"/mnt/a\b/heldar.db", "fuse.sshfs"),
    ],
)
def test_the_file_system_of_a_path(path: str, expected: str) -> None:
    """A path's file system is that of the deepest mount point, and the last of several on one point. The path need not
    exist."""
    assert find_mount(Path(path), MOUNTINFO).file_system == expected
    # In a mount namespace other than the first one the root may have no line.
    assert find_mount(Path("/mnt/nas/x"), MOUNTINFO.partition("\n")[2]).file_system == "nfs4"
    assert find_mount(Path("/x"), "").file_system == ""


@pytest.mark.parametrize(
    ("kind", "polls"),
    [*((kind, True) for kind in ("nfs", "nfs4", "cifs", "9p", "fuse", "fuse.sshfs", "fuseblk")), ("ext4", False)],
)
def test_a_network_file_system_is_polled(kind: str, polls: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where others write without an event on this machine, the files are polled. Elsewhere inotify reports changes."""
    line = f"21 1 8:1 / / rw - {kind} somewhere rw\n"
    monkeypatch.setattr(Path, "read_text", lambda _, **__: line)
    assert changes.needs_polling(Path("/heldar/heldar.db")) == polls


class Heard:
    """Counts the wake-ups."""

    def __init__(self) -> None:
        self.times = 0
        self._lock = threading.Lock()

    def __call__(self) -> None:
        with self._lock:
            self.times += 1

    def settle(self) -> None:
        """Wait until nothing more comes of what was done before, and set the count to 0."""
        before = -1
        while before != self.times:
            before = self.times
            time.sleep(0.3)
        self.times = 0


@contextlib.contextmanager
def armed(path: Path) -> Iterator[Heard]:
    """Watch a database. What was done to it before causes no wake-up any more."""
    heard = Heard()
    watching = Changes(path, heard)
    try:
        watching.arm()
        heard.settle()
        yield heard
    finally:
        watching.close()


@pytest.fixture(params=["inotify", "polling"])
def either(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Both ways of watching, whatever file system the test's own files are on."""
    monkeypatch.setattr(changes, "needs_polling", lambda _: request.param == "polling")
    monkeypatch.setattr(changes, "POLL_SECONDS", 0.1)


def commit(database: Database) -> None:
    database.add(f"camera_{time.monotonic_ns()}")


def replace(database: Database) -> None:
    copy = database.path.parents[1] / "copy.db"
    shutil.copyfile(database.path, copy)
    os.replace(copy, database.path)  # noqa: PTH105


def replace_from_beside(database: Database) -> None:
    copy = database.path.with_name("copy.db")
    shutil.copyfile(database.path, copy)
    os.replace(copy, database.path)  # noqa: PTH105


def delete(database: Database) -> None:
    database.path.unlink()


def truncate(database: Database) -> None:
    os.truncate(database.path, 100)


def remove_all(database: Database) -> None:
    shutil.rmtree(database.path.parent)


def journal(database: Database) -> None:
    Path(f"{database.path}-journal").touch()


@pytest.mark.usefixtures("either")
@pytest.mark.parametrize("change", [commit, replace, replace_from_beside, delete, truncate, remove_all, journal])
def test_what_changes_the_database_is_heard(database: Database, change: Callable[[Database], None]) -> None:
    """A commit, a file that replaces the database, and the loss of file or directory cause a wake-up."""
    with armed(database.path) as heard:
        change(database)
        wait_for(lambda: heard.times)


def test_a_commit_by_a_kernel_that_goes_on_is_heard(database: Database) -> None:
    """A commit that only touches the -wal causes a wake-up, and so does each further one."""
    with contextlib.closing(sqlite3.connect(database.path, isolation_level=None)) as kernel:
        kernel.execute("INSERT INTO cameras (id, name) VALUES ('gate', 'x')")
        with armed(database.path) as heard:
            for number in range(3):
                kernel.execute("UPDATE cameras SET name = ?", (str(number),))
                wait_for(lambda: heard.times)
                heard.settle()


def test_other_files_beside_the_database_are_not_heard(database: Database) -> None:
    """Other files in the directory cause no wake-up, nor does the -shm, which readers change, nor a mere touch."""
    with contextlib.closing(sqlite3.connect(database.path, isolation_level=None)) as kernel:
        kernel.execute("UPDATE cameras SET name = 'x'")
        with armed(database.path) as heard:
            for name in ("heldar.db2", "heldar.db.bak", "another.db-wal"):
                database.path.with_name(name).write_text("x")
            database.path.with_name("directory").mkdir()
            os.utime(f"{database.path}-shm")
            heard_by_now = heard.times
            time.sleep(1)
            assert heard.times == heard_by_now == 0


@pytest.mark.usefixtures("either")
@pytest.mark.parametrize("kernel", ["running", "in a transaction", "stopped", "crashed", "crashed, without -shm"])
def test_reading_is_not_heard(database: Database, kernel: str) -> None:
    """However the database has to be read, a read after a wake-up causes no further one."""
    database.add("gate")
    with contextlib.ExitStack() as stack:
        if kernel in {"running", "in a transaction"}:
            connection = stack.enter_context(contextlib.closing(sqlite3.connect(database.path, isolation_level=None)))
            connection.execute("INSERT INTO cameras (id, name) VALUES ('hall', 'x')")
        if kernel == "in a transaction":
            connection.execute("BEGIN IMMEDIATE")
        if kernel.startswith("crashed"):
            subprocess.run([sys.executable, "-c", CRASHING_KERNEL, str(database.path)], check=True)
        if kernel == "crashed, without -shm":
            Path(f"{database.path}-shm").unlink()
        heard = stack.enter_context(armed(database.path))
        # The reader is a process of its own: in the writer's, closing a file would drop the writer's locks.
        read = subprocess.run([sys.executable, "-c", READER, str(database.path)], capture_output=True, check=True)
        assert read.stdout.decode() == ("gate\n" if kernel == "stopped" else "gate hall\n") * 3
        time.sleep(0.7)
        assert heard.times == 0


def test_nothing_is_heard_before_and_after(database: Database) -> None:
    """From `disarm` to `arm` there is no wake-up. Both may be called any number of times."""
    heard = Heard()
    watching = Changes(database.path, heard)
    try:
        for _ in range(3):
            watching.disarm()
            heard.settle()
            commit(database)
            time.sleep(0.3)
            assert heard.times == 0
            watching.arm()
            watching.arm()
            commit(database)
            wait_for(lambda: heard.times)
            watching.disarm()
            heard.settle()
    finally:
        watching.close()


@pytest.mark.usefixtures("either")
def test_a_directory_that_is_not_there_can_be_watched_later(database: Database) -> None:
    """Without the directory `arm` raises an error. When the directory exists, it is watched."""
    place = database.path.parent.rename(database.path.parents[1] / "away")
    heard = Heard()
    watching = Changes(database.path, heard)
    try:
        for _ in range(2):
            with pytest.raises(FileNotFoundError):
                watching.arm()
            watching.disarm()
        place.rename(database.path.parent)
        watching.arm()
        heard.settle()
        commit(database)
        wait_for(lambda: heard.times)
    finally:
        watching.close()


@pytest.mark.usefixtures("either")
@pytest.mark.parametrize("moved", [True, False], ids=["moved away", "removed"])
def test_a_directory_that_is_replaced_is_watched_from_the_next_turn_on(database: Database, moved: bool) -> None:
    """After the next `arm` only changes in the directory that has the name now cause a wake-up."""
    here, away = database.path.parent, database.path.parents[1] / "away"
    heard = Heard()
    watching = Changes(database.path, heard)
    try:
        watching.arm()
        if moved:
            here.rename(away)
        else:
            shutil.copytree(here, away)
            shutil.rmtree(here)
        shutil.copytree(away, here)
        watching.disarm()
        watching.arm()
        heard.settle()
        Database(away / database.path.name).add("elsewhere")
        time.sleep(0.5)
        assert heard.times == 0
        commit(database)
        wait_for(lambda: heard.times)
    finally:
        watching.close()
