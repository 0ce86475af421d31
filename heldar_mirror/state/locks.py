"""The locks of the state directory."""

import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from heldar_mirror.errors import StateError
from heldar_mirror.settings import Settings
from heldar_mirror.state.directory import state_errors

LOCK_SECONDS = 60


@contextmanager
def locked(settings: Settings, name: str = "lock") -> Iterator[None]:
    """Keep every other reconcile of this state waiting, or what else has a lock. Raises StateError when one does not
    end."""
    path = settings.state_dir / name
    with opened_lock_file(path, settings) as fd:
        deadline = time.monotonic() + LOCK_SECONDS
        while not try_lock(fd):
            if time.monotonic() > deadline:
                raise StateError(f"another one has been at work for {LOCK_SECONDS} s: see who holds {path}")
            time.sleep(0.1)
        yield


@contextmanager
def opened_lock_file(path: Path, settings: Settings) -> Iterator[int]:
    """Open a file of the state to lock it, and return its descriptor. Raises StateError."""
    with state_errors(settings):
        fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o600)
    try:
        yield fd
    finally:
        os.close(fd)


def try_lock(fd: int) -> bool:
    """Take the lock of a file, if it can be had at once."""
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
