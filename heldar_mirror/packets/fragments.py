"""The boxes of a fragment (`moof`) that say where its packets lie, and when they are shown."""

from array import array
from collections.abc import Mapping
from itertools import accumulate
from typing import NamedTuple

from heldar_mirror.packets.boxes import Box, DamagedError
from heldar_mirror.packets.tables import Run

# tfhd's flags
BASE_DATA_OFFSET, SAMPLE_DESCRIPTION_INDEX, DEFAULT_DURATION, DEFAULT_SIZE, DEFAULT_FLAGS = 0x1, 0x2, 0x8, 0x10, 0x20
DEFAULT_BASE_IS_MOOF = 0x20000
# trun's flags
DATA_OFFSET, FIRST_SAMPLE_FLAGS, DURATION, SIZE, FLAGS, COMPOSITION_OFFSET = 0x1, 0x4, 0x100, 0x200, 0x400, 0x800
# A sample's flags
IS_NON_SYNC = 0x10000

# Far beyond any decode time or byte. The sum of the durations or sizes of all packets can still be added in 64 bits.
FAR = 1 << 62


class Defaults(NamedTuple):
    """The values that packets have if their `trun` does not give them: those of `trex` or `tfhd`."""

    duration: int = 0
    size: int = 0
    flags: int = 0


def read_trex(mvex: Box) -> dict[int, Defaults]:
    """Return the defaults of each track of a file. Raises DamagedError."""
    found = {}
    for box in mvex.boxes():
        if box.kind == "trex":
            _, track_id, _, *defaults = box.unpack("IIIIII")
            found[track_id] = Defaults(*defaults)
    return found


def read_tfhd(tfhd: Box, moof: int, base: int, of_tracks: Mapping[int, Defaults]) -> tuple[int, int, Defaults]:
    """Return the id of the track, the byte from which data is counted, and the defaults of the packets.

    `moof` is where the fragment begins, and `base` where the data begins if the box does not say. Raises DamagedError.
    """
    flags, track_id = tfhd.unpack("II")
    at = 8
    if flags & BASE_DATA_OFFSET:
        (base,) = tfhd.unpack("Q", at)
        at += 8
    elif flags & DEFAULT_BASE_IS_MOOF:
        base = moof
    at += 4 if flags & SAMPLE_DESCRIPTION_INDEX else 0
    defaults = list(of_tracks.get(track_id, Defaults()))
    for number, flag in enumerate((DEFAULT_DURATION, DEFAULT_SIZE, DEFAULT_FLAGS)):
        if flags & flag:
            (defaults[number],) = tfhd.unpack("I", at)
            at += 4
    return track_id, base, Defaults(*defaults)


def read_tfdt(tfdt: Box) -> int:
    """Return the decode time of the first packet. Raises DamagedError."""
    time: int = tfdt.unpack("Q" if tfdt.version() == 1 else "I", 4)[0]
    return time


def read_trun(trun: Box, defaults: Defaults, base: int, start: int, limit: int) -> tuple[Run, int, int]:
    """Return the packets of a `trun`, where their data ends, and how many there should be.

    Their data begins at `start` if the box doesn't say where from `base` on. They are at most `limit` if they all have
    one size, so that a count costs no memory. Raises DamagedError.
    """
    flags, count = trun.unpack("II")
    at = 8
    if flags & DATA_OFFSET:
        start = base + trun.unpack("i", at)[0]
        at += 4
    first_flags = trun.unpack("I", at) if flags & FIRST_SAMPLE_FLAGS else ()
    at += 4 * len(first_flags)
    fields = [each for each in (DURATION, SIZE, FLAGS, COMPOSITION_OFFSET) if flags & each]
    table = trun.table(at, count * len(fields))
    columns = {each: table[number :: len(fields)] for number, each in enumerate(fields)}
    if SIZE not in fields and count and not defaults.size:
        raise DamagedError(trun.offset, "the sizes of the packets are not known")
    sizes = columns.get(SIZE) or array("I", [defaults.size]) * min(count, limit)
    shifts = columns.get(COMPOSITION_OFFSET) or array("I", bytes(4 * len(sizes)))
    if trun.version() == 1:
        shifts = array("i", shifts.tobytes())
    sample_flags = columns.get(FLAGS) or array("I", [defaults.flags]) * len(sizes)
    sample_flags[: len(first_flags)] = array("I", first_flags[: len(sizes)])
    keyframes = bytearray(not each & IS_NON_SYNC for each in sample_flags)
    durations = columns.get(DURATION) or array("I", [defaults.duration]) * len(sizes)
    if abs(start) > FAR:
        raise DamagedError(trun.offset, "the place of the data is too far away")
    offsets = array("q", accumulate(sizes, initial=start))
    end: int = offsets.pop()
    return Run(offsets, sizes, durations, shifts, keyframes), end, count
