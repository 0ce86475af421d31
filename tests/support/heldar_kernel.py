"""A process that uses Heldar's database as Heldar's kernel does."""

import contextlib
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

from support.mirror import Database
from support.users import HELDAR_UID, identity, python_for_all

PROGRAM = """
import sqlite3, sys
connection = sqlite3.connect(sys.argv[1], isolation_level=None)
connection.execute("PRAGMA journal_mode=WAL")
connection.execute("PRAGMA synchronous=NORMAL")
connection.execute("PRAGMA wal_autocheckpoint=0")
for line in sys.stdin:
    if line == "close\\n":
        connection.close()
    else:
        connection.execute(line)
    print("done", flush=True)
"""


class HeldarKernel:
    """A process of Heldar's user that holds a connection to the database."""

    def __init__(self, path: Path, uid: int) -> None:
        self.process = subprocess.Popen(
            [python_for_all() if os.geteuid() == 0 else "python3", "-c", PROGRAM, str(path)],
            **identity(uid),
            cwd="/",
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def tell(self, line: str) -> None:
        assert self.process.stdin
        assert self.process.stdout
        self.process.stdin.write(f"{line}\n")
        self.process.stdin.flush()
        assert self.process.stdout.readline() == "done\n"

    def add(self, camera_id: str) -> None:
        self.tell(f"INSERT INTO cameras (id, name) VALUES ('{camera_id}', 'x')")  # noqa: S608

    def end(self) -> None:
        if self.process.poll() is None:
            self.tell("close")
            self.crash()

    def crash(self) -> None:
        self.process.kill()
        self.process.communicate()


@contextlib.contextmanager
def heldar_kernel(path: Path, uid: int = HELDAR_UID) -> Iterator[HeldarKernel]:
    made = HeldarKernel(path, uid)
    try:
        yield made
    finally:
        made.crash()


def give_to_heldar(database: Database, mode: int) -> Path:
    """Give the database and its directory to Heldar's user. Everybody may read the database; `mode` is the mode of the
    directory."""
    for path in (database.path, database.path.parent):
        os.chown(path, HELDAR_UID, HELDAR_UID)
    database.path.chmod(0o644)
    database.path.parent.chmod(mode)
    return database.path


def database_files(path: Path) -> set[str]:
    """Return which files of a database exist, by their suffix: an empty text, `-wal`, `-shm`."""
    return {entry.name.removeprefix(path.name) for entry in path.parent.iterdir()}
