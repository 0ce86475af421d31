"""Copying bytes from one file to another within Linux, in pieces."""

import errno
import os
from collections.abc import Callable

# Bytes between two reports of progress.
PIECE = 8 << 20

# It is told how many bytes more were copied.
Progress = Callable[[int], None]


def no_progress(_: int) -> None:
    """Report nothing."""


def copy_bytes(source: int, begin: int, end: int, out: int, progress: Progress = no_progress) -> None:
    """Append the bytes of `source` from `begin` to `end` to `out`, at the position at which it is.

    Raises OSError, also if the source has become shorter.
    """
    copy = _copy_file_range
    while begin < end:
        try:
            done = copy(source, begin, min(end - begin, PIECE), out)
        except OSError:
            if copy is _send:
                raise
            done = 0
        if done:
            begin += done
            progress(done)
        elif copy is _send:
            raise _shorter(begin, end)
        else:
            # Not every file system can, or it says so by copying nothing. If it is a fault, the other way meets it too.
            copy = _send


def _copy_file_range(source: int, begin: int, count: int, out: int) -> int:
    return os.copy_file_range(source, out, count, begin)


def _send(source: int, begin: int, count: int, out: int) -> int:
    return os.sendfile(out, source, begin, count)


def read_bytes(source: int, begin: int, end: int) -> bytes:
    """Return the bytes of a file from `begin` to `end`. Raises OSError, also if the file has become shorter."""
    content = os.pread(source, end - begin, begin)
    if len(content) < end - begin:
        raise _shorter(begin + len(content), end)
    return content


def _shorter(begin: int, end: int) -> OSError:
    return OSError(errno.ENODATA, f"the file has become shorter: expected {end - begin} more bytes at {begin}")
