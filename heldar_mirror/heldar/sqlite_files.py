"""The files of a SQLite database: how they are opened and locked, and what lies beside the database."""

import fcntl
import os
import sqlite3
import stat
import struct
import time
import urllib.parse
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

# The bytes of a SQLite database on which every connection holds a shared lock; to delete the `-wal`, a process needs
# an exclusive lock on them (SQLite's os.h: SHARED_FIRST, SHARED_SIZE).
SHARED_FIRST = 0x40000000 + 2
SHARED_SIZE = 510

# Linux's `struct flock`: type, whence, start, length, process id.
FLOCK = "hhqqi"

# A read waits this long for a lock that a writer has.
BUSY_SECONDS = 2.0

# A connection ends its query after this long, a little before the caller of the read gives up on it. A schema can make
# SQLite compute for ever, and a thread that does can't be ended from outside.
QUERY_SECONDS = 15.0
# SQLite looks at the clock after this many of its steps, which take some milliseconds.
STEPS = 100_000

# The bytes 18 and 19 of a database: the versions of its format for a writer and a reader. 2 stands for WAL.
VERSIONS, WAL = slice(18, 20), b"\2\2"


class AloneError(Exception):
    """The file of the database can be seen alone, and the newest rows are in a `-wal` that is elsewhere."""


def connect(path: Path, options: str) -> sqlite3.Connection:
    """Return a connection whose rows have names. Bytes that are not UTF-8 become surrogates.

    What it computes is interrupted QUERY_SECONDS from now.
    """
    uri = f"file:{urllib.parse.quote(os.fsencode(path))}?{options}"
    connection = sqlite3.connect(uri, uri=True, timeout=BUSY_SECONDS, isolation_level=None)
    connection.text_factory = lambda data: data.decode(errors="surrogateescape")
    connection.row_factory = sqlite3.Row
    deadline = time.monotonic() + QUERY_SECONDS
    connection.set_progress_handler(lambda: time.monotonic() > deadline, STEPS)
    return connection


class Look(NamedTuple):
    """Which files are beside a database, and the versions of the files that must not change during a read.

    With `-wal` and `-shm` no version matters: Heldar runs and may write, and SQLite's locking handles that.
    """

    wal: bool
    shm: bool
    versions: tuple[object, ...]


def look(path: Path) -> Look:
    """Return what lies beside the database now. Raises OSError."""
    wal, shm = Path(f"{path}-wal"), Path(f"{path}-shm")
    present = _is_there(wal), _is_there(shm)
    files = () if all(present) else (path.stat(), wal.stat()) if present[0] else (path.stat(),)
    return Look(*present, tuple((file.st_ino, file.st_size, file.st_mtime_ns) for file in files))


def _is_there(path: Path) -> bool:
    """A file that is mounted by itself can still be seen when Heldar has deleted it. Nothing in it counts then."""
    try:
        return path.stat().st_nlink > 0
    except FileNotFoundError:
        return False


@contextmanager
def opened(path: Path) -> Iterator[int]:
    """Open the file of a database and yield its descriptor. Raises OSError, and sqlite3.DatabaseError for no file."""
    _expect_file(path.stat())  # to open a device, such as a watchdog, may already do harm
    fd = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    try:
        _expect_file(os.fstat(fd))
        yield fd
    finally:
        os.close(fd)


@contextmanager
def read_lock(path: Path) -> Iterator[int]:
    """Hold a lock that keeps Heldar from deleting its `-wal` if it ends meanwhile, and yield the open database.

    It leaves out the first byte of those that SQLite's readers lock, so that it differs from a lock of theirs.
    """
    with opened(path) as fd:
        deadline = time.monotonic() + BUSY_SECONDS
        while not _try_read_lock(fd):
            if time.monotonic() > deadline:
                raise sqlite3.OperationalError("database is locked")
            time.sleep(0.02)
        yield fd


def _expect_file(found: os.stat_result) -> None:
    if not stat.S_ISREG(found.st_mode):
        raise sqlite3.DatabaseError("it is not a file")


def _try_read_lock(fd: int) -> bool:
    try:
        fcntl.lockf(fd, fcntl.LOCK_SH | fcntl.LOCK_NB, SHARED_SIZE - 1, SHARED_FIRST + 1)
    except (BlockingIOError, PermissionError):  # POSIX allows either error for a lock that a different process has
        return False
    return True


def check_alone(fd: int) -> None:
    """Raise AloneError if a database without a `-wal` beside it is not whole: see "A database without its `-wal` is
    whole only if nobody has it open" in `docs/decisions.md`."""
    if os.fstat(fd).st_nlink == 0:
        raise AloneError("the file was deleted or replaced where it came from, and only this mount still has it")
    if os.pread(fd, VERSIONS.stop, 0)[VERSIONS] == WAL and is_locked(fd, SHARED_FIRST):
        raise AloneError("a process has it open in WAL mode, and its -wal is not beside it")


def is_locked(fd: int, byte: int) -> bool:
    """Return whether a different process holds a lock on a byte of a file. Linux sees it across mounts and containers.

    No lock is taken.
    """
    wanted = struct.pack(FLOCK, fcntl.F_WRLCK, os.SEEK_SET, byte, 1, 0)
    found = fcntl.fcntl(fd, fcntl.F_GETLK, wanted)
    return bool(struct.unpack_from(FLOCK, found)[0] != fcntl.F_UNLCK)
