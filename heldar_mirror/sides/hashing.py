"""Hashing open files at their packets or as a whole, without pushing anything out of the page cache for it."""

import errno
import hashlib
import os
from collections.abc import Callable, Sequence

from heldar_mirror.packets.index import hash_packets
from heldar_mirror.packets.tracks import Track

READ_BYTES = 1 << 18
# Each time that so much was read of a file, it is taken out of the page cache.
DROP_BYTES = 32 << 20
DROP_PACKETS = 1 << 8
# No recording has more: the recorder ends a segment of a day before it is as large. A sparse file may be larger
# than the volume, and its hash would take for ever.
MAX_BYTES = 2 << 40


def hash_file(fd: int, progress: Callable[[], None]) -> bytes:
    """Return the SHA-256 of an open file. Raises OSError."""
    _check_size(fd)
    made, buffer, read, dropped = hashlib.sha256(), memoryview(bytearray(READ_BYTES)), 0, 0
    while size := os.readv(fd, [buffer]):
        made.update(buffer[:size])
        read += size
        if read >= dropped + DROP_BYTES:
            dropped = read
            drop(fd, read)
        progress()
    drop(fd)
    return made.digest()


def hash_tracks(fd: int, tracks: Sequence[Track], progress: Callable[[], None]) -> list[bytes]:
    """Return the SHA-256 of each packet, by track, 32 bytes each. Raises OSError."""
    _check_size(fd)
    digests = [bytearray() for _ in tracks]
    # Single pages, such as those of the index, would keep Linux from reading ahead in large pieces, which cost less.
    drop(fd)
    for count, (number, digest) in enumerate(hash_packets(fd, tracks), 1):
        digests[number] += digest
        if count % DROP_PACKETS == 0:
            drop(fd, tracks[number].offsets[len(digests[number]) // 32 - 1])
            progress()
    drop(fd)
    return list(map(bytes, digests))


def _check_size(fd: int) -> None:
    if os.fstat(fd).st_size > MAX_BYTES:
        raise OSError(errno.EFBIG, f"it is larger than any recording: expected at most {MAX_BYTES >> 40} TiB")


def drop(fd: int, until: int = 0) -> None:
    """Take a file out of the page cache, so that what others need is not pushed out of it: up to a byte, or all of it.

    Behind that byte lies what Linux has read ahead. It would have to be read again.
    """
    os.posix_fadvise(fd, 0, until, os.POSIX_FADV_DONTNEED)
