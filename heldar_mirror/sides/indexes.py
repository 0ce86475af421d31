"""The indexes of the files that were read last, since the hashes of a file are asked for soon after its index."""

import os
from collections import OrderedDict

from heldar_mirror.packets.index import Index, read_packets
from heldar_mirror.sides.limits import limited_cpu

# So much is remembered. A packet takes 33 bytes.
KEPT_FILES, KEPT_PACKETS = 64, 1 << 19


class Indexes:
    """Reads the indexes of open files."""

    def __init__(self) -> None:
        self._kept: OrderedDict[tuple[int, ...], Index] = OrderedDict()

    def read(self, fd: int) -> Index:
        """Return the index of an open file, which is read if the file is new or changed.

        Raises OSError, TooCostlyError and MemoryError.
        """
        before = _state(fd)
        if before in self._kept:
            return self._kept[before]
        with limited_cpu():
            index = read_packets(fd)
        if _state(fd) == before:
            self._kept[before] = index
            while len(self._kept) > KEPT_FILES or self._packets() > KEPT_PACKETS:
                self._kept.popitem(last=False)
        return index

    def _packets(self) -> int:
        return sum(len(track) for index in self._kept.values() for track in index.tracks)


def _state(fd: int) -> tuple[int, ...]:
    """Return what tells an open file from others, and from what it was before a write."""
    about = os.fstat(fd)
    return about.st_dev, about.st_ino, about.st_size, about.st_mtime_ns
