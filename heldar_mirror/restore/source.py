"""Recordings that fragments are taken from, and how they must be made for that."""

import os
from typing import NamedTuple

from heldar_mirror.errors import MirrorError
from heldar_mirror.packets.boxes import Box, DamagedError
from heldar_mirror.packets.layout import Layout, UnknownLayoutError, read_layout

# The moov of a file of fragments lists no packets, so it has a thousand bytes or two.
MAX_HEAD = 1 << 20


class UncuttableError(MirrorError):
    """Fragments can't be taken from a recording. It can be copied as a whole all the same."""

    def __init__(self, path: str, reason: str) -> None:
        super().__init__(f"{path} can't be cut: {reason}. It can only be copied as a whole")


class Source(NamedTuple):
    """An open recording that fragments can be taken from. `head` are its boxes `ftyp` and `moov`.

    Recordings with equal `codings` have the same tracks, coded in the same way.
    """

    path: str
    fd: int
    layout: Layout
    head: bytes
    codings: tuple[bytes, ...]


def read_source(fd: int, path: str) -> Source:
    """Return the recording of an open file, named by `path` in errors. Raises UncuttableError, and OSError."""
    try:
        layout = read_layout(fd)
        places = (layout.ftyp, layout.moov)
        if sum(place.end - place.offset for place in places) > MAX_HEAD:
            raise UnknownLayoutError(f"its moov has more than {MAX_HEAD >> 10} KiB")
        ftyp, moov = (os.pread(fd, place.end - place.offset, place.offset) for place in places)
        begin = layout.moov.begin - layout.moov.offset
        codings = _codings(Box("moov", layout.moov.offset, memoryview(moov)[begin:], layout.moov.begin))
    except (UnknownLayoutError, DamagedError) as error:
        raise UncuttableError(path, str(error)) from None
    return Source(path, fd, layout, ftyp + moov, codings)


def _codings(moov: Box) -> tuple[bytes, ...]:
    """Return the boxes that say how the tracks are coded. Raises UnknownLayoutError if a moov would not fit a part.

    It may tell nothing of times: neither how long the recording is, nor an edit list, which says what is shown when.
    """
    parts = moov.children()
    _check_duration(parts.need("mvhd"), 1)
    if "mehd" in parts.need("mvex").children():
        raise UnknownLayoutError("its moov says how long it is, in a box mehd")
    codings = []
    for box in moov.boxes():
        if box.kind == "trak":
            trak = box.children()
            _check_duration(trak.need("tkhd"), 2)
            _check_duration(trak.need("mdia").child("mdhd"), 1)
            if "edts" in trak:
                raise UnknownLayoutError("it has an edit list")
        if box.kind in ("trak", "mvex"):
            codings.append(bytes(box.content))
    return tuple(codings)


def _check_duration(box: Box, fields: int) -> None:
    """Raise UnknownLayoutError if a box has a duration. It stands behind two times and so many fields of 32 bits."""
    wide = box.version() == 1
    (duration,) = box.unpack("Q" if wide else "I", 4 + 2 * (8 if wide else 4) + 4 * fields)
    if duration not in (0, (1 << 64) - 1 if wide else (1 << 32) - 1):  # the latter says that it is not known
        raise UnknownLayoutError(f"its moov says how long it is, in a box {box.kind}")
