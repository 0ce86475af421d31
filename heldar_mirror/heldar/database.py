"""Read Heldar's database without writing, creating or leaving behind any file beside it.

SQLite's `mode=ro` alone may create a `-wal` that we own, and then Heldar can't open its own database. So `_read` looks
at the files first, and opens the database in the one of three ways that suits them: see "The database is read in one of
three ways" in `docs/decisions.md`.
"""

import os
import sqlite3
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import closing
from pathlib import Path
from typing import TypeVar

from heldar_mirror.errors import DatabaseError
from heldar_mirror.heldar.read_in_place import read_in_place
from heldar_mirror.heldar.sqlite_files import AloneError, check_alone, connect, look, read_lock

# The caller of a read gives up on it after this long.
READ_TIMEOUT_SECONDS = 20.0
# A read is repeated if Heldar is starting or ending. The pauses grow.
ATTEMPTS = 5
CHANGING_SECONDS = 0.03

T = TypeVar("T")
# It is given the connection, and what the caller of the read gives it: texts and numbers.
Query = Callable[..., T]

# This has for each database the last read that its caller gave up on.
_stuck: dict[Path, threading.Thread] = {}


class _ChangedError(Exception):
    """The files beside the database changed during the read, so it must be repeated."""

    def __str__(self) -> str:
        return "it changes all the time"


def ask(path: Path, what: str, query: Query[T], *given: object, seconds: float = READ_TIMEOUT_SECONDS) -> T:
    """Return what `query` finds in the database at `path`, with what it is `given`. `what` is its name in an error.

    Raises DatabaseError, with the reason and the next step. Any other error of `query` is raised as it is.
    """
    return in_time(path, what, lambda real: _read(real, query, given), seconds)


def in_time(path: Path, what: str, read: Callable[[Path], T], seconds: float = READ_TIMEOUT_SECONDS) -> T:
    """Return what `read` finds in the files of a database. It is given the path that links lead to.

    It runs in a thread, and the caller waits at most `seconds` for it: see "A read of the database runs in a daemon
    thread" in `docs/decisions.md`. While a thread is stuck, further reads of `path` fail at once. Errors as in `ask`.
    """
    hung = DatabaseError(
        f"cannot read the {what} in {path}: it does not answer within {seconds:g} s: does its disk hang? "
        "What runs goes on."
    )
    stuck = _stuck.get(path)
    if stuck and stuck.is_alive():
        raise hung
    answers: list[T] = []
    errors: list[BaseException] = []

    def run() -> None:
        try:
            answers.append(_read_repeatedly(path, what, read))
        except BaseException as error:  # the caller raises it again
            errors.append(error)

    thread = threading.Thread(target=run, name=f"read {path}", daemon=True)
    try:
        thread.start()
    except RuntimeError as error:  # the limit of processes is reached
        reason = f"{error}. What runs goes on. Raise the limit of processes: TasksMax, or ulimit -u."
        raise DatabaseError(f"cannot read the {what} in {path}: {reason}") from None
    thread.join(seconds)
    if thread.is_alive():
        _stuck[path] = thread
        raise hung
    if errors:
        raise errors[0]
    return answers[0]


def _read_repeatedly(path: Path, what: str, read: Callable[[Path], T]) -> T:
    for attempt in range(ATTEMPTS):
        try:
            # SQLite looks for the `-wal` beside the file that a link leads to, so we do as well.
            return read(Path(os.path.realpath(path)))
        except (_ChangedError, AloneError, OSError, sqlite3.Error) as error:
            reason: Exception = error
            if not _may_pass(path, error):
                break
            time.sleep(attempt * CHANGING_SECONDS)
    raise DatabaseError(f"cannot read the {what} in {path}: {reason}. What runs goes on. {_next_step(path, reason)}")


def _may_pass(path: Path, error: Exception) -> bool:
    """Return whether the error may come from Heldar starting or ending, so that a later attempt may succeed.

    Then the `-wal` has just been deleted or is about to be made, or the `-shm` is still empty.
    """
    return (
        isinstance(error, (_ChangedError, AloneError))
        or (isinstance(error, FileNotFoundError) and path.exists())
        or "readonly" in str(error)
    )


def _next_step(path: Path, error: Exception) -> str:
    if isinstance(error, FileNotFoundError):
        return "Is HELDAR_DATABASE_URL the one that Heldar has? A relative path begins at the working directory."
    if isinstance(error, AloneError):
        return "Mount the directory that it lies in, not the file alone, so that its -wal and -shm are seen as well."
    if isinstance(error, PermissionError) or "unable to open" in str(error):
        return f"It must be readable to this user, with its -wal and -shm, and so must {path.parent} be."
    if "locked" in str(error) or isinstance(error, _ChangedError):
        return "Try again when its writer is done."
    if "interrupted" in str(error):
        return "Its query takes too long: is HELDAR_DATABASE_URL Heldar's database, or is the machine overloaded?"
    return "Is HELDAR_DATABASE_URL Heldar's database, and is it whole?"


def _read(path: Path, query: Query[T], given: Sequence[object]) -> T:
    with read_lock(path) as fd:
        before = look(path)
        if Path(f"{path}-journal").exists():
            raise sqlite3.DatabaseError(f"{path.name}-journal exists: a writer is at work or has crashed")
        try:
            if not before.wal:
                check_alone(fd)
            if not before.wal or os.fstat(fd).st_size == 0:  # SQLite deletes the `-wal` of an empty database
                return _query(path, "mode=ro&immutable=1", query, given)
            if before.shm:
                # readonly_shm, since SQLite would write the `-shm` otherwise, which belongs to Heldar.
                return _query(path, "mode=ro&readonly_shm=1", query, given)
            return read_in_place(path, query, given)
        finally:
            if look(path) != before:
                raise _ChangedError
            if not before.wal:
                check_alone(fd)


def _query(path: Path, options: str, query: Query[T], given: Sequence[object]) -> T:
    with closing(connect(path, options)) as connection:
        return query(connection, *given)
