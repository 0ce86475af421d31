"""Whether Heldar's kernel runs is seen by any user who may read its database, whatever end it came to."""

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from support.heldar_kernel import HeldarKernel, database_files, give_to_heldar, heldar_kernel
from support.mirror import Database
from support.users import HELDAR_UID, STRANGER_UID, as_root, python_for_all, run_as
from support.waiting import COMMAND_SECONDS, wait_for

from heldar_mirror.errors import DatabaseError
from heldar_mirror.heldar.running import is_running
from heldar_mirror.heldar.sqlite_files import connect

ASKING_PROGRAM = """
import pathlib, sys
from heldar_mirror.heldar.running import is_running
print(is_running(pathlib.Path(sys.argv[1])))
"""

# Has the database open for moments, and closes it each time, as our own readers do.
READING_PROGRAM = """
import sqlite3, sys, time
print("reads", flush=True)
while True:
    connection = sqlite3.connect(f"file:{sys.argv[1]}?mode=ro&readonly_shm=1", uri=True)
    connection.execute("SELECT count(*) FROM cameras").fetchall()
    time.sleep(0.02)
    connection.close()
    time.sleep(0.03)
"""


@pytest.fixture
def kernel(database: Database) -> Iterator[HeldarKernel]:
    """A process of our own user that has the database open, as Heldar's has, and has written to it."""
    with heldar_kernel(database.path, os.geteuid()) as running:
        running.add("gate")
        yield running


def end(kernel: HeldarKernel, path: Path, how: str) -> set[str]:
    """Have Heldar's kernel come to an end. Return which of the database's files are there then."""
    if how == "cleanly":
        kernel.end()
    elif how != "not at all":
        kernel.crash()
    if how == "killed, without -shm":
        Path(f"{path}-shm").unlink()
    return database_files(path)


@as_root
@pytest.mark.parametrize(
    ("how", "left"),
    [
        ("not at all", {"", "-wal", "-shm"}),
        ("cleanly", {""}),
        ("killed", {"", "-wal", "-shm"}),
        ("killed, without -shm", {"", "-wal"}),
    ],
)
@pytest.mark.parametrize("uid", [0, HELDAR_UID, STRANGER_UID], ids=["root", "kernel's user", "stranger"])
def test_it_runs_as_long_as_its_process(database: Database, how: str, left: set[str], uid: int) -> None:
    """Nothing beside the database tells a running kernel from a killed one, but its lock does. Asking changes nothing:
    it can be started again, and is seen again."""
    path = give_to_heldar(database, 0o755)
    with heldar_kernel(path) as kernel:
        kernel.add("gate")
        assert end(kernel, path, how) == left
        asked = run_as(uid, [python_for_all(), "-c", ASKING_PROGRAM, str(path)])
        assert (asked.stdout, asked.stderr) == (f"{how == 'not at all'}\n", "")
        assert database_files(path) == left
    with heldar_kernel(path) as again:
        again.add("yard")
        assert run_as(uid, [python_for_all(), "-c", ASKING_PROGRAM, str(path)]).stdout == "True\n"


def test_it_is_seen_as_it_comes_and_goes(database: Database) -> None:
    """One process asks all the time, and each start makes a new -shm."""
    assert not is_running(database.path)
    for number, how in enumerate(("cleanly", "killed", "cleanly")):
        with heldar_kernel(database.path, os.geteuid()) as kernel:
            kernel.add(f"c{number}")
            assert is_running(database.path)
            end(kernel, database.path, how)
            assert not is_running(database.path)


def test_it_is_seen_where_its_process_is_not(database: Database, kernel: HeldarKernel) -> None:
    """In a container, the lock is seen, though its process can't be."""
    command = ["unshare", "--user", "--map-root-user", "--pid", "--fork", sys.executable, "-c", ASKING_PROGRAM]
    command.append(str(database.path))

    def ask() -> str:
        return subprocess.run(command, capture_output=True, text=True, timeout=COMMAND_SECONDS, check=True).stdout

    assert ask() == "True\n"
    kernel.crash()
    assert ask() == "False\n"


def test_readers_are_not_taken_for_it(database: Database, kernel: HeldarKernel) -> None:
    """The mirror's watcher, for example, reads the database again and again."""
    kernel.crash()
    command = [sys.executable, "-c", READING_PROGRAM, str(database.path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as reading:
        assert reading.stdout
        reading.stdout.readline()
        try:
            wait_for(lambda: not is_running(database.path))
            assert reading.poll() is None
        finally:
            reading.kill()


def test_to_ask_drops_no_lock_of_ours(database: Database, kernel: HeldarKernel) -> None:
    """A connection of our own is not taken for Heldar's kernel, and keeps its lock, which others still see."""
    ask = [sys.executable, "-c", ASKING_PROGRAM, str(database.path)]
    with closing(connect(database.path, "mode=ro")) as connection:
        assert connection.execute("SELECT id FROM cameras").fetchall()
        kernel.crash()
        for _ in range(2):
            assert not is_running(database.path)
            assert subprocess.run(ask, capture_output=True, text=True, check=True).stdout == "True\n"
    assert subprocess.run(ask, capture_output=True, text=True, check=True).stdout == "False\n"


def test_a_database_that_is_not_there_is_no_stopped_kernel(home: Path) -> None:
    """Whether Heldar's kernel runs is not known then."""
    with pytest.raises(DatabaseError, match=r"cannot read the locks in .*Is HELDAR_DATABASE_URL the one that Heldar"):
        is_running(home / "none.db")


def test_a_database_that_is_seen_alone_is_no_stopped_kernel(
    database: Database, kernel: HeldarKernel, home: Path
) -> None:
    """A container may be given the file of the database alone. The -shm is elsewhere then."""
    (home / "alone.db").hardlink_to(database.path)
    with pytest.raises(DatabaseError, match="Mount the directory that it lies in"):
        is_running(home / "alone.db")


@as_root
def test_a_shm_that_this_user_may_not_read_is_told(database: Database) -> None:
    """Whether Heldar's kernel runs is not known then."""
    path = give_to_heldar(database, 0o755)
    with heldar_kernel(path) as kernel:
        kernel.add("gate")
        Path(f"{path}-shm").chmod(0o600)
        asked = run_as(STRANGER_UID, [python_for_all(), "-c", ASKING_PROGRAM, str(path)])
        assert "must be readable to this user" in asked.stderr
