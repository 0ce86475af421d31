"""What a side holds: a camera's segments with their ends, and the packets of one segment."""

from array import array
from dataclasses import dataclass, field
from typing import NamedTuple

# This is said to be wrong with a stub.
NOTHING_RECORDED = "nothing was recorded in it"


@dataclass
class Recorded:
    """A camera's segments on one side, in the order of their names: when each begins and ends (Unix seconds).

    A segment takes 16 bytes of memory. An end may lie after the next beginning. By beginning, `damaged` says what is
    wrong with a file; its end is that of what can be read of it, and its beginning if that is nothing. `unread` says
    why a file can't be read, so that its end is not known; its beginning is given instead. `missing` says that the
    camera has no directory.
    """

    begun: "array[int]" = field(default_factory=lambda: array("q"))
    ends: "array[float]" = field(default_factory=lambda: array("d"))
    damaged: dict[int, str] = field(default_factory=dict)
    unread: dict[int, str] = field(default_factory=dict)
    missing: bool = False


@dataclass
class Files:
    """All segments of a camera on one side, in the order of their names.

    Each has its beginning (Unix seconds), its bytes, and its last write (ns), which are 24 bytes of memory. `missing`
    says that the camera has no directory.
    """

    begun: "array[int]"
    sizes: "array[int]"
    modified: "array[int]"
    missing: bool


class Identity(NamedTuple):
    """What tells a file from a different or changed one without reading it."""

    size: int
    mtime_ns: int
    inode: int


@dataclass
class PacketTrack:
    """The packets of a track, in the order of the file. `handler` is `vide`, `soun` or the like.

    `times` (decode times) and `durations` are in units, of which a second has `timescale`. `keyframes` has 1 for each
    keyframe and 0 for others. `digests` has the SHA-256 of each packet, 32 bytes each, or is empty if none was asked
    for.
    """

    id: int
    handler: str
    timescale: int
    sizes: "array[int]"
    times: "array[int]"
    durations: "array[int]"
    keyframes: bytes
    digests: bytes = b""

    def __len__(self) -> int:
        return len(self.sizes)


@dataclass
class Packets:
    """The packets of one file.

    `damage` says what is wrong with it, or is None; whole packets are given all the same. `cut` says that it ends too
    early, as one does that is still being written.
    """

    tracks: list[PacketTrack]
    damage: str | None
    cut: bool
    identity: Identity


class Fragment(NamedTuple):
    """A fragment of a segment: its bytes, and from when to when it lasts, in seconds of the segment's own decode times.

    `alone` says whether it can be decoded without the one before it. `packets` has for each track the numbers of those
    that it holds.
    """

    size: int
    begin: float
    end: float
    alone: bool
    packets: tuple[range, ...]


class Fragments(NamedTuple):
    """The fragments of a segment up to the first damage, which `damage` tells, or None.

    Segments of equal `coding` can be joined. `unknown` says why fragments can't be taken from the segment, so that none
    is given, or it is None.
    """

    fragments: list[Fragment]
    coding: str
    damage: str | None
    unknown: str | None
