"""The packets of an mp4 file: where each lies, when it is shown, and its hash.

A file consists of fragments (`moof`), as our recorder and Heldar's write it, or has sample tables (`stbl`).
A sample of the standard is called a packet here, as in ffmpeg. Edit lists are not applied; unknown boxes are skipped.

Nothing in a file is trusted: whatever it says costs bounded memory and time, and ends in a `Damage`.
"""

import errno
import hashlib
import heapq
import os
from collections.abc import Iterator, Sequence
from itertools import repeat
from operator import add
from typing import NamedTuple

from heldar_mirror.packets.boxes import Damage
from heldar_mirror.packets.tracks import Track
from heldar_mirror.packets.walk import Walk

READ_BYTES = 1 << 20


class Index(NamedTuple):
    """The tracks of a file, and the first damage in it. Damaged packets are left out; whole ones after it are given."""

    tracks: list[Track]
    damage: Damage | None


class Length(NamedTuple):
    """When a file's first packet begins and its last one ends, in seconds of its own decode times; both 0 for none."""

    begin: float
    end: float
    damage: Damage | None


def read_packets(fd: int) -> Index:
    """Return the index of an open mp4 file. Only its boxes are read, not the data of the packets. Raises OSError."""
    walk = Walk(fd)
    walk.walk()
    return _found(walk)


def hash_packets(fd: int, tracks: Sequence[Track]) -> Iterator[tuple[int, bytes]]:
    """Yield the SHA-256 of each packet, and which of `tracks` it belongs to.

    Those of one track come in its order, and those of all tracks as they lie in the file, so that it is read once.
    Raises OSError, also if the file has become shorter since its index was read.
    """
    places = (zip(track.offsets, repeat(number), track.sizes, strict=False) for number, track in enumerate(tracks))
    # Most packets lie in what was read for the one before. What is read so only moves on, wherever packets lie.
    buffer, begin, end = memoryview(bytearray(READ_BYTES)), 0, 0
    for offset, number, size in heapq.merge(*places):
        if offset > begin and offset + size > end and size <= READ_BYTES // 2:
            begin, end = offset, offset + os.preadv(fd, [buffer], offset)
        if begin <= offset and offset + size <= end:
            yield number, hashlib.sha256(buffer[offset - begin : offset - begin + size]).digest()
        else:
            yield number, _hash(fd, offset, size)


def _hash(fd: int, offset: int, size: int) -> bytes:
    made, end = hashlib.sha256(), offset + size
    while offset < end:
        piece = os.pread(fd, min(end - offset, READ_BYTES), offset)
        if not piece:
            raise OSError(errno.ENODATA, f"the file has become shorter: expected {end - offset} more bytes at {offset}")
        made.update(piece)
        offset += len(piece)
    return made.digest()


def read_length(fd: int) -> Length:
    """Return the length of an open mp4 file: by its first and last fragment if it has an `mfra`, else by all packets.

    Raises OSError.
    """
    walk = Walk(fd)
    last = walk.last_moof()
    if last is not None:
        walk.walk(until_packets=True)
        walk.walk(last)
    if last is None or walk.damage:
        walk = Walk(fd)
        walk.walk()
    tracks, damage = _found(walk)
    spans = [
        # In a damaged file a fragment may say a time before that of the one before it.
        (min(track.times) / track.timescale, max(map(add, track.times, track.durations)) / track.timescale)
        for track in tracks
        if track
    ]
    return Length(min((begin for begin, _ in spans), default=0.0), max((end for _, end in spans), default=0.0), damage)


def _found(walk: Walk) -> Index:
    walk.check_moov()
    return Index(list(walk.tracks.values()), walk.damage)
