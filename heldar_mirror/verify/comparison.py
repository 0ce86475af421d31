"""What the comparison of one file of the mirror with the primary says."""

import statistics
from dataclasses import dataclass, field
from enum import Enum
from typing import NamedTuple


class Verdict(str, Enum):
    """What can be said of a track of a file of the mirror as a whole.

    Only of a COMPARED one are single packets told to be identical, different, or missing on a side.
    """

    COMPARED = "compared"
    # The primary has nothing at that time.
    NO_COUNTERPART = "no counterpart"
    # The primary has footage at that time, and it is different, while other files nearby match: the file was swapped.
    MATCHES_NOTHING = "matches nothing"
    # The primary has footage at that time, and no file nearby matches either: the camera encodes for each reader.
    NOT_COMPARABLE = "not comparable"
    # All runs of packets look alike, as in silence or in sound of a constant size, so they can't be told apart.
    ALIKE = "alike"
    # Only one side records such a track at all, as when `record_audio` was changed.
    NOT_IN_PRIMARY = "not in the primary"
    NOT_IN_MIRROR = "not in the mirror"


class Run(NamedTuple):
    """Packets that follow each other: when the first and the last one begin, and their number.

    The times are Unix seconds by the names of the files of that side.
    """

    begin: float
    end: float
    packets: int


class Jump(NamedTuple):
    """A jump of the time in the files of one side alone: when it is in the mirror, and by how much.

    From there on the primary's time is so many seconds further ahead of the mirror's.
    """

    at: float
    seconds: float


class Held(NamedTuple):
    """What of a track of a file of the mirror a file of the primary holds, which begins at a Unix time, `primary`.

    `first` and `last` are the numbers of the first and the last such packet. `offset` says by how many seconds the
    times of the primary's file are ahead, by the names.
    """

    primary: int
    first: int
    last: int
    offset: float


@dataclass
class TrackComparison:
    """What was found in one track of a file of the mirror, and in the primary's packets that belong to it.

    Each packet is counted once. An identical or differing one is one packet of each side. `differ` and `only_mirror`
    have times of the mirror, and `only_primary` has times of the primary. `offset` says by how many seconds the
    primary's names are ahead of the mirror's, or is None if nothing matches.
    """

    handler: str
    verdict: Verdict
    identical: int = 0
    differ: list[Run] = field(default_factory=list)
    only_primary: list[Run] = field(default_factory=list)
    only_mirror: list[Run] = field(default_factory=list)
    # Packets of either side of which nothing can be said, because of the verdict, or since a file can't be read.
    unknown_primary: int = 0
    unknown_mirror: int = 0
    jumps: list[Jump] = field(default_factory=list)
    offset: float | None = None
    # What the files of the primary hold, in their order.
    held: list[Held] = field(default_factory=list)

    def proven(self) -> bool:
        """Return whether each packet of both sides is identical with one of the other."""
        found = self.differ or self.only_primary or self.only_mirror or self.jumps
        return not found and not self.unknown_primary and not self.unknown_mirror


@dataclass
class Comparison:
    """What was found in one file of the mirror, and in the primary's packets that belong to it.

    `begun` is the file's beginning by its name (Unix seconds). `primary` has the beginnings of the primary's files of
    which packets belong to it. `damaged` and `unreadable` say what is wrong with a file, by its side (`primary` or
    `mirror`) and its beginning.
    """

    begun: int
    tracks: list[TrackComparison]
    primary: list[int] = field(default_factory=list)
    damaged: dict[tuple[str, int], str] = field(default_factory=dict)
    unreadable: dict[tuple[str, int], str] = field(default_factory=dict)

    def proven(self) -> bool:
        """Return whether each packet of both sides is identical with one of the other, and every file is whole."""
        return not self.damaged and not self.unreadable and all(track.proven() for track in self.tracks)

    def offset(self) -> float | None:
        """Return by how many seconds the primary's names are ahead of the mirror's: the median of the tracks."""
        known = [track.offset for track in self.tracks if track.offset is not None]
        return statistics.median(known) if known else None
