"""The tracks of an mp4 file, and their packets."""

from array import array
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import NamedTuple


class Packet(NamedTuple):
    """A packet. `offset` and `size` are bytes; the rest is in units of the track's timescale.

    It is shown at `time + shift`, where `time` is the decode time, and `shift` the composition offset.
    """

    offset: int
    size: int
    time: int
    duration: int
    shift: int
    keyframe: bool


@dataclass
class Track:
    """The packets of a track, in the order of the file. `handler` is `vide`, `soun` or the like.

    There are `timescale` units of time in a second. A packet takes 33 bytes of memory.
    """

    id: int
    handler: str
    timescale: int
    offsets: "array[int]" = field(default_factory=lambda: array("q"))
    sizes: "array[int]" = field(default_factory=lambda: array("I"))
    times: "array[int]" = field(default_factory=lambda: array("q"))
    durations: "array[int]" = field(default_factory=lambda: array("I"))
    shifts: "array[int]" = field(default_factory=lambda: array("q"))
    keyframes: bytearray = field(default_factory=bytearray)

    def __len__(self) -> int:
        return len(self.offsets)

    def __iter__(self) -> Iterator[Packet]:
        columns = (self.offsets, self.sizes, self.times, self.durations, self.shifts, map(bool, self.keyframes))
        return map(Packet, *columns)
