"""Hashing a closed segment without disturbing others."""

import hashlib
import os
import time
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field

from heldar_mirror.footage.names import segment_name
from heldar_mirror.proc.writers import has_writer
from heldar_mirror.recorder.files import NotPlainError, open_plain
from heldar_mirror.volume.listing import STUB_BYTES, camera_directory, has_recorder, is_stub

# It fits into a processor's cache.
PIECE_BYTES = 1 << 18

# A file's pages are dropped this long after it was hashed. By then Linux has written them, which it does after 30 s. To
# drop a page that is not written yet would have it written at once.
DROP_SECONDS = 60.0

# The pages of so many files are dropped at most; those of others stay as long as Linux likes.
MAX_CACHED = 5_000


class OpenError(Exception):
    """A segment is still open, or was when it was hashed."""


@dataclass
class Hasher:
    """Hashes segments."""

    monotonic: Callable[[], float] = time.monotonic
    _read: "deque[tuple[float, str, int]]" = field(default_factory=lambda: deque(maxlen=MAX_CACHED), init=False)

    def hash(self, root: int, camera_id: str, begun: int, *, has_later: bool, asks_writers: bool) -> bytes | None:
        """Return the SHA-256 of a segment, or None if there is none any more, or if it is a stub or no plain file.

        `has_later` says whether there is a later segment of its camera, and `asks_writers` whether Linux knows who
        writes to a file of this volume. Raises OpenError, and OSError if it can't be read.
        """
        try:
            fd = _open(root, camera_id, begun)
        except (FileNotFoundError, NotPlainError):
            return None
        try:
            before = os.fstat(fd)
            is_written = has_writer(fd) if asks_writers else None
            if is_written is None:
                # A recorder writes one segment after the other.
                is_written = not has_later and has_recorder(root, camera_id)
            if is_written:
                raise OpenError
            if before.st_size <= STUB_BYTES and is_stub(root, camera_id, begun):
                return None  # its recorder or the pruner removes it, and its name may be given again
            digest, after = sha256_of(fd, before.st_size), os.fstat(fd)
            if (before.st_size, before.st_mtime_ns) != (after.st_size, after.st_mtime_ns):
                raise OpenError
        finally:
            os.close(fd)
        self._read.append((self.monotonic(), camera_id, begun))
        return digest

    def drop_pages(self, root: int) -> None:
        """Drop from the page cache the segments that were hashed some time ago.

        Linux keeps pages longer that are read after they were written, and a mirror writes so much that the files of
        others would lose their place for it.
        """
        while self._read and self._read[0][0] <= self.monotonic() - DROP_SECONDS:
            _, camera_id, begun = self._read.popleft()
            with suppress(OSError):  # such as one that was pruned meanwhile
                fd = _open(root, camera_id, begun)
                try:
                    os.posix_fadvise(fd, 0, 0, os.POSIX_FADV_DONTNEED)
                finally:
                    os.close(fd)


def _open(root: int, camera_id: str, begun: int) -> int:
    with camera_directory(root, camera_id) as directory:
        return open_plain(segment_name(begun), within=directory)


def sha256_of(fd: int, size: int) -> bytes:
    """Return the SHA-256 of the first `size` bytes of a file. Raises OSError."""
    found, piece = hashlib.sha256(), memoryview(bytearray(min(PIECE_BYTES, max(size, 1))))
    while size > 0 and (count := os.readv(fd, [piece[:size]])):
        found.update(piece[:count])
        size -= count
    return found.digest()
