"""The sample tables (`stbl`) of a plain mp4 file: where its packets lie, and when they are shown."""

from array import array
from collections.abc import Sequence
from itertools import accumulate
from typing import NamedTuple

from heldar_mirror.packets.boxes import Box, DamagedError


class Run(NamedTuple):
    """Packets that follow each other in a track, by column."""

    offsets: Sequence[int]
    sizes: Sequence[int]
    durations: Sequence[int]
    shifts: Sequence[int]
    keyframes: bytearray

    def known(self) -> int:
        """Return of how many packets everything is known."""
        return min(map(len, self))


def read_tables(stbl: Box, limit: int) -> tuple[Run, int]:
    """Return the packets of a `stbl`, at most `limit`, and how many there should be. It is empty in a fragmented file.

    Raises DamagedError if a table is missing or broken.
    """
    tables = stbl.children()
    sizes, count = _sizes(tables.need("stsz", "stz2"), limit)
    durations = _expanded(tables.need("stts"), len(sizes), "I")
    shifts: Sequence[int] = bytes(len(sizes))
    if "ctts" in tables:
        shifts = _expanded(tables["ctts"], len(sizes), "i" if tables["ctts"].version() == 1 else "I")
    keyframes = bytearray(b"\0" if "stss" in tables else b"\1") * len(sizes)
    if "stss" in tables:
        for number in tables["stss"].table(8, tables["stss"].unpack("I", 4)[0]):
            if 1 <= number <= len(sizes):
                keyframes[number - 1] = 1
    offsets = _offsets(tables.need("stsc"), tables.need("stco", "co64"), sizes)
    return Run(offsets, sizes, durations, shifts, keyframes), count


def _sizes(box: Box, limit: int) -> "tuple[array[int], int]":
    """Return the sizes by `stsz` or `stz2`, and how many there should be."""
    _, size, count = box.unpack("III")
    if box.kind == "stsz" and size:
        return array("I", [size]) * min(count, limit), count
    bits = 32 if box.kind == "stsz" else size & 0xFF
    if bits == 4:
        halves = [half for byte in box.table(12, (count + 1) // 2, "B") for half in (byte >> 4, byte & 15)]
        return array("I", halves[: min(count, limit)]), count
    code = {8: "B", 16: "H", 32: "I"}.get(bits)
    if code is None:
        raise DamagedError(box.offset, f"expected a field size of 4, 8 or 16, and found {bits}")
    return array("I", box.table(12, count, code)[:limit].tolist()), count


def _expanded(box: Box, limit: int, code: str) -> "array[int]":
    """Return what `stts` or `ctts` says of each packet, of at most `limit`: pairs of a count and a value."""
    (entries,) = box.unpack("I", 4)
    made = array(code)
    for count, value in zip(box.table(8, entries * 2)[::2], box.table(8, entries * 2, code)[1::2], strict=True):
        made.extend(array(code, [value]) * min(count, limit - len(made)))
        if len(made) == limit:
            break
    return made


def _offsets(stsc: Box, stco: Box, sizes: "array[int]") -> list[int]:
    """Return where packets begin, by the chunks that hold them: `stsc` says how many each chunk holds."""
    runs = stsc.table(8, stsc.unpack("I", 4)[0] * 3)
    per_chunk = dict(zip(runs[::3], runs[1::3], strict=True))
    made: list[int] = []
    count = 0
    for number, chunk in enumerate(stco.table(8, stco.unpack("I", 4)[0], "Q" if stco.kind == "co64" else "I"), 1):
        count = per_chunk.get(number, count)
        if count:
            made.extend(accumulate(sizes[len(made) : len(made) + count - 1], initial=chunk))
        if len(made) >= len(sizes):
            break
    return made[: len(sizes)]
