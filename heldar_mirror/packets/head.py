"""What lies before the fragments of a file: whether parts of the file can do with it as it is, and how it is coded."""

import os
from typing import NamedTuple

from heldar_mirror.packets.boxes import Box, DamagedError
from heldar_mirror.packets.layout import Layout, UnknownLayoutError

# The moov of a file of fragments lists no packets, so it has a thousand bytes or two.
MAX_BYTES = 1 << 20


class Head(NamedTuple):
    """The boxes `ftyp` and `moov`. Recordings with equal `codings` have the same tracks, coded in the same way."""

    content: bytes
    codings: tuple[bytes, ...]


def read_head(fd: int, layout: Layout) -> Head:
    """Return the head of an open file. Raises UnknownLayoutError if it would not fit a part of it, and OSError.

    It may tell nothing of times: neither how long the recording is, nor an edit list, which says what is shown when.
    """
    places = (layout.ftyp, layout.moov)
    if sum(place.end - place.offset for place in places) > MAX_BYTES:
        raise UnknownLayoutError(f"its moov has more than {MAX_BYTES >> 10} KiB")
    ftyp, moov = (os.pread(fd, place.end - place.offset, place.offset) for place in places)
    begin = layout.moov.begin - layout.moov.offset
    try:
        codings = _codings(Box("moov", layout.moov.offset, memoryview(moov)[begin:], layout.moov.begin))
    except DamagedError as error:
        raise UnknownLayoutError(str(error)) from None
    return Head(ftyp + moov, codings)


def _codings(moov: Box) -> tuple[bytes, ...]:
    """Return the boxes that say how the tracks are coded. Raises UnknownLayoutError, and DamagedError."""
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
