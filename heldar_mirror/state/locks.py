"""The locks of the state directory."""

import errno
import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from heldar_mirror.errors import StateError
from heldar_mirror.recorder.files import open_plain
from heldar_mirror.state.directory import StateSettings, state_errors

LOCK_SECONDS = 60


@contextmanager
def locked(settings: StateSettings, name: str = "lock") -> Iterator[None]:
    """Hold a lock of the state directory. Every reconcile holds the default one, so they run one at a time.

    Raises StateError if a different process holds it for LOCK_SECONDS.
    """
    path = settings.state_dir / name
    with opened_lock_file(path, settings) as fd:
        deadline = time.monotonic() + LOCK_SECONDS
        while not try_lock(fd):
            if time.monotonic() > deadline:
                raise StateError(f"another process has held the lock {path} for {LOCK_SECONDS} s: find it with fuser")
            time.sleep(0.1)
        yield


@contextmanager
def opened_lock_file(path: Path, settings: StateSettings) -> Iterator[int]:
    """Open a lock file, made if it is missing, and yield its descriptor. Raises StateError."""
    with state_errors(settings):
        fd = _open(path)
    try:
        yield fd
    finally:
        os.close(fd)


def _open(path: Path) -> int:
    try:
        return open_plain(str(path), os.O_RDWR | os.O_CREAT)
    except OSError as error:
        if error.errno != errno.EROFS:
            raise
        return open_plain(str(path))  # a file of a read-only file system can still be locked


def try_lock(fd: int) -> bool:
    """Take the lock of an open file if it is free, and return whether it was. Closing the file gives it back."""
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
