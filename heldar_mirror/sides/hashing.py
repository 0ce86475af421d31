"""Hashing open files at their packets or as a whole, without pushing anything out of the page cache for it."""

import errno
import hashlib
import os
from collections.abc import Callable, Sequence

from heldar_mirror.packets.index import hash_packets
from heldar_mirror.packets.tracks import Track

READ_BYTES = 1 << 18
# What was read of a file is taken out of the page cache each time that so much was read.
DROP_BYTES = 32 << 20
# More than any recording has: the recorder ends a segment of a day before it is as large. A sparse file may be larger
# than the volume, and its hash would take for ever.
MAX_BYTES = 2 << 40

DIGEST_BYTES = 32


def hash_file(fd: int, progress: Callable[[], None]) -> bytes:
    """Return the SHA-256 of an open file. Raises OSError."""
    _check_size(fd)
    made, buffer, unread = hashlib.sha256(), memoryview(bytearray(READ_BYTES)), DROP_BYTES
    while size := os.readv(fd, [buffer]):
        made.update(buffer[:size])
        unread = _drop_at_times(fd, unread - size)
        progress()
    _drop(fd)
    return made.digest()


def hash_tracks(fd: int, tracks: Sequence[Track], progress: Callable[[], None]) -> list[bytes]:
    """Return the SHA-256 of each packet, by track, 32 bytes each. Raises OSError."""
    _check_size(fd)
    digests, unread = [bytearray() for _ in tracks], DROP_BYTES
    for number, digest in hash_packets(fd, tracks):
        unread = _drop_at_times(fd, unread - tracks[number].sizes[len(digests[number]) // DIGEST_BYTES])
        digests[number] += digest
        progress()
    _drop(fd)
    return list(map(bytes, digests))


def _check_size(fd: int) -> None:
    if os.fstat(fd).st_size > MAX_BYTES:
        raise OSError(errno.EFBIG, f"it is larger than any recording: expected at most {MAX_BYTES >> 40} TiB")


def _drop_at_times(fd: int, unread: int) -> int:
    """Drop what was read if that is much. Return how much may be read until then."""
    if unread > 0:
        return unread
    _drop(fd)
    return DROP_BYTES


def _drop(fd: int) -> None:
    """Take what was read of a file out of the page cache, so that what others need is not pushed out of it."""
    os.posix_fadvise(fd, 0, 0, os.POSIX_FADV_DONTNEED)
