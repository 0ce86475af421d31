"""The boxes of a fragment that must change when it is moved: `moof`, and `mfra`, the index at the end of the file."""

import struct
from collections import defaultdict
from collections.abc import Mapping
from typing import NamedTuple

from heldar_mirror.packets.boxes import Box
from heldar_mirror.packets.fragments import BASE_DATA_OFFSET, read_tfdt
from heldar_mirror.packets.layout import UnknownLayoutError
from heldar_mirror.packets.walk import Place

# What is known to be right in a different place and at a different time. `tfhd` and `tfdt` are where these stand.
KNOWN_IN_MOOF = {"mfhd", "traf"}
KNOWN_IN_TRAF = {"tfhd", "tfdt", "trun"}


class Moved(NamedTuple):
    """A `moof` for a different file, and by the id of a track the number of its first `traf` in it, counted from 1."""

    content: bytes
    trafs: dict[int, int]


def moved_moof(content: bytes, place: Place, at: int, number: int, shifts: Mapping[int, int]) -> Moved:
    """Return the `moof` that was read from a place as it has to be at the byte `at`, as a file's fragment of a number.

    `shifts` has by the id of each track what is added to its decode times, in units of the track's timescale. The
    `mdat` has to follow as before. Raises UnknownLayoutError and DamagedError.
    """
    made, trafs = bytearray(content), 0
    firsts: dict[int, int] = {}

    def put(form: str, begin: int, value: int) -> None:
        struct.pack_into(f">{form}", made, begin - place.offset, value)

    whole = memoryview(content)
    for box in Box("moof", place.offset, whole[place.begin - place.offset :], place.begin).boxes():
        _expect(box, KNOWN_IN_MOOF)
        if box.kind == "mfhd":
            box.unpack("I", 4)
            put("I", box.begin + 4, number)
            continue
        parts = box.children()
        for part in parts.values():
            _expect(part, KNOWN_IN_TRAF)
        tfhd, tfdt = parts.need("tfhd"), parts.need("tfdt")
        flags, track_id = tfhd.unpack("II")
        if track_id not in shifts:
            raise UnknownLayoutError(f"there is no track {track_id}")
        trafs += 1
        firsts.setdefault(track_id, trafs)
        if flags & BASE_DATA_OFFSET:
            put("Q", tfhd.begin + 8, tfhd.unpack("Q", 8)[0] + at - place.offset)
        form, limit = ("Q", 1 << 64) if tfdt.version() == 1 else ("I", 1 << 32)
        time = read_tfdt(tfdt) + shifts[track_id]
        if not 0 <= time < limit:
            raise UnknownLayoutError(f"the box tfdt at byte {tfdt.offset} has no room for the decode time {time}")
        put(form, tfdt.begin + 4, time)
    return Moved(bytes(made), firsts)


def _expect(box: Box, known: set[str]) -> None:
    if box.kind not in known:
        raise UnknownLayoutError(f"the fragment's box {box.kind} at byte {box.offset} is not known")


class AccessIndex:
    """The index at a file's end by which players jump to a time, and by which its length is told from one fragment."""

    def __init__(self) -> None:
        # By the id of each track: times, bytes, and the numbers of the traf, the trun and the packet.
        self._rows: dict[int, bytearray] = defaultdict(bytearray)

    def add(self, track_id: int, shown: int, moof: int, traf: int) -> None:
        """Note that a `traf` begins with a keyframe, shown at a time in units of its track's timescale."""
        self._rows[track_id] += struct.pack(">QQIII", max(shown, 0), moof, traf, 1, 1)

    def mfra(self) -> bytes:
        """Return the box `mfra`."""
        tables = [
            _box("tfra", struct.pack(">IIII", 1 << 24, track_id, 0x3F, len(rows) // 28), rows)
            for track_id, rows in self._rows.items()
        ]
        size = 8 + sum(map(len, tables)) + 16
        return _box("mfra", *tables, _box("mfro", struct.pack(">II", 0, size)))


def _box(kind: str, *content: bytes | bytearray) -> bytes:
    whole = b"".join(content)
    return struct.pack(">I4s", 8 + len(whole), kind.encode()) + whole
