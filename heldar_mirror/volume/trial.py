"""Trying whether a directory can be written to.

A volume's free space does not say so: a quota, or a full branch of a union of file systems, does not show there.
"""

import ctypes
import errno
import os
from contextlib import suppress
from functools import cache

from heldar_mirror.recorder.volume import TRIAL, TRIAL_BYTES
from heldar_mirror.writing import write_all

NO_ROOM = {errno.ENOSPC, errno.EDQUOT}
# Where O_TMPFILE is unknown it gives one of these, by file system and age of Linux.
NO_TMPFILE = {errno.EOPNOTSUPP, errno.EISDIR, errno.ENOENT, errno.EINVAL, errno.ENOSYS}
NO_FALLOCATE = {errno.EOPNOTSUPP, errno.ENOSYS}


def refusal(directory: int, size: int = TRIAL_BYTES) -> str:
    """Return why `size` bytes find no room in a directory, in Linux's words, or no text if they do.

    `directory` is a descriptor. TRIAL_BYTES are really written, and the rest is only reserved. They are removed at
    once, and random, so that no compression hides their size. Raises OSError if the write fails for any other reason.
    """
    try:
        _write(directory, size)
    except OSError as error:
        if error.errno in NO_ROOM:
            return str(error.strerror)
        raise
    return ""


def _write(directory: int, size: int) -> None:
    name = ""
    try:
        fd = os.open(".", os.O_WRONLY | os.O_TMPFILE, 0o600, dir_fd=directory)
    except OSError as error:
        if error.errno not in NO_TMPFILE:
            raise
        name = TRIAL  # one that was left by a killed process is replaced
        with suppress(FileNotFoundError):
            os.unlink(name, dir_fd=directory)
        fd = os.open(name, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600, dir_fd=directory)
    try:
        try:
            write_all(fd, memoryview(_random())[:size])
            _reserve(fd, size)
        finally:
            if not name:
                os.ftruncate(fd, 0)  # XFS gives its room back at once only for this, and late for a file that is gone
            os.close(fd)  # NFS reports only now that there is no room
    finally:
        if name:
            os.unlink(name, dir_fd=directory)


@cache
def _random() -> bytes:
    return os.urandom(TRIAL_BYTES)


def _reserve(fd: int, size: int) -> None:
    """Have the file system reserve `size` bytes, if it can; `os.posix_fallocate` would write them where it can't."""
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.fallocate64(fd, 0, ctypes.c_int64(0), ctypes.c_int64(size)):
        code = ctypes.get_errno()
        if code not in NO_FALLOCATE:
            raise OSError(code, os.strerror(code))
