"""Reading Heldar's database without a trace: nothing is written, created or left behind beside it.

SQLite's `mode=ro` alone is not harmless: without a `-wal` it may create one, owned by us, and the kernel can't open its
own database any more. So the database is looked at first, and opened in the one way that fits.
"""

import fcntl
import os
import shutil
import sqlite3
import stat
import tempfile
import time
import urllib.parse
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import NamedTuple, TypeVar

from heldar_mirror.errors import DatabaseError

# The bytes that every connection to a SQLite database keeps a shared lock on; whoever wants to delete the `-wal`
# needs them alone (SQLite's os.h: SHARED_FIRST, SHARED_SIZE).
SHARED_FIRST = 0x40000000 + 2


SHARED_SIZE = 510


BUSY_SECONDS = 2.0


ATTEMPTS = 5


STARTING_SECONDS = 0.2


CHANGING_SECONDS = 0.03


T = TypeVar("T")


Query = Callable[[sqlite3.Connection], T]


class _ChangedError(Exception):
    """What was looked at is no longer so; look again."""

    def __str__(self) -> str:
        return "it changes all the time"


def ask(path: Path, what: str, query: Query[T]) -> T:
    for attempt in range(ATTEMPTS):
        try:
            # Beside a link SQLite finds no `-wal`, and neither do we.
            return _read(Path(os.path.realpath(path)), query, attempt)
        except (_ChangedError, OSError, sqlite3.Error) as error:
            reason: Exception = error
            if not _passes(path, error):
                break
            time.sleep(attempt * CHANGING_SECONDS)
    raise DatabaseError(f"cannot read the {what} in {path}: {reason}. What runs goes on. {_next_step(path, reason)}")


def _passes(path: Path, error: Exception) -> bool:
    """Whether a kernel that is just starting or ending gives such an error: its `-wal` went, its `-shm` is empty."""
    return (
        isinstance(error, _ChangedError)
        or (isinstance(error, FileNotFoundError) and path.exists())
        or "readonly" in str(error)
    )


def _next_step(path: Path, error: Exception) -> str:
    if isinstance(error, FileNotFoundError):
        return "Is HELDAR_DATABASE_URL the kernel's own? A relative path in it is relative to where you are."
    if isinstance(error, PermissionError) or "unable to open" in str(error):
        return f"It must be readable to this user, with its -wal and -shm, and so must {path.parent} be."
    if "locked" in str(error) or isinstance(error, _ChangedError):
        return "Try again when its writer is done."
    return "Is HELDAR_DATABASE_URL the database of a Heldar kernel, and is it whole?"


def _read(path: Path, query: Query[T], attempt: int) -> T:
    with _held(path):
        before = _look(path)
        if Path(f"{path}-journal").exists():
            raise sqlite3.DatabaseError(f"a writer is at work, or crashed, by way of {path.name}-journal")
        try:
            if not before.wal:
                return _query(path, "immutable=1", query)
            if before.shm:
                # As a reader among others; readonly_shm, because what we may write is not ours to write.
                return _query(path, "mode=ro&readonly_shm=1", query)
            if attempt == 0:
                time.sleep(STARTING_SECONDS)  # a kernel that is just starting has one without the other, too
                raise _ChangedError
            return _query_copy(path, query)
        finally:
            if _look(path) != before:
                raise _ChangedError


class _Look(NamedTuple):
    """What lies beside a database; and what would show a change, where it is not a running kernel's to change."""

    wal: bool
    shm: bool
    versions: tuple[object, ...]


def _look(path: Path) -> _Look:
    wal, shm = Path(f"{path}-wal"), Path(f"{path}-shm")
    present = wal.exists(), shm.exists()
    files = () if all(present) else (path.stat(), wal.stat()) if present[0] else (path.stat(),)
    return _Look(*present, tuple((file.st_ino, file.st_size, file.st_mtime_ns) for file in files))


def _query_copy(path: Path, query: Query[T]) -> T:
    """Read a private copy: whoever opens a `-wal` without its index, and be it read-only, tidies up when done."""
    with tempfile.TemporaryDirectory(prefix="heldar-mirror-") as directory:
        copy = Path(directory, path.name)
        for suffix in ("", "-wal"):
            shutil.copyfile(f"{path}{suffix}", f"{copy}{suffix}")
        return _query(copy, "mode=rw", query)


@contextmanager
def _held(path: Path) -> Iterator[None]:
    """Take part in SQLite's locking as one more reader: a kernel that ends meanwhile leaves its `-wal` where it is."""
    fd = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    try:
        if not stat.S_ISREG(os.fstat(fd).st_mode):
            raise sqlite3.DatabaseError("it is not a file")
        deadline = time.monotonic() + BUSY_SECONDS
        while not _share(fd):
            if time.monotonic() > deadline:
                raise sqlite3.OperationalError("database is locked")
            time.sleep(0.02)
        yield
    finally:
        os.close(fd)


def _share(fd: int) -> bool:
    try:
        fcntl.lockf(fd, fcntl.LOCK_SH | fcntl.LOCK_NB, SHARED_SIZE, SHARED_FIRST)
    except (BlockingIOError, PermissionError):  # POSIX leaves it open which of the two a held lock gives
        return False
    return True


def _connect(path: Path, options: str) -> sqlite3.Connection:
    uri = f"file:{urllib.parse.quote(os.fsencode(path))}?{options}"
    connection = sqlite3.connect(uri, uri=True, timeout=BUSY_SECONDS, isolation_level=None)
    connection.text_factory = lambda data: data.decode(errors="surrogateescape")
    connection.row_factory = sqlite3.Row
    return connection


def _query(path: Path, options: str, query: Query[T]) -> T:
    with closing(_connect(path, options)) as connection:
        return query(connection)
