"""Trying whether writes find room. It is imported only when one has found none."""

import posix

from .files import open_plain
from .volume import TRIAL, TRIAL_BYTES, RefusedError


def try_writing(root: str, directory: str) -> None:
    """Raise RefusedError if a file of TRIAL_BYTES can't be written: a quota or a full branch is not seen otherwise.

    The caller holds the directory's lock.
    """
    path = f"{directory}/{TRIAL}"
    try:
        posix.unlink(path)  # one that a killed process left
    except FileNotFoundError:
        pass
    fd = open_plain(path, posix.O_WRONLY | posix.O_CREAT | posix.O_EXCL)
    try:
        left = TRIAL_BYTES
        while left > 0:
            left -= posix.write(fd, posix.urandom(1 << 16))  # a file system may compress what is less random
        posix.fsync(fd)
    except OSError as error:
        raise RefusedError(
            f"mirror root {root} is full: expected to write {TRIAL_BYTES >> 20} MiB in {directory}: {error.strerror}. "
            "Make room there, or raise the quota; recording begins by itself then"
        ) from None
    finally:
        posix.close(fd)
        posix.unlink(path)
