"""At which level segments are looked at, and what came of it. The numbers are those of the database `proofs.db`."""

from enum import IntEnum


class Level(IntEnum):
    """How closely a segment is looked at."""

    NAMES = 0
    INDEX = 1
    PACKETS = 2
    FILES = 3


class Outcome(IntEnum):
    """What came of looking at a segment. Those from UNREADABLE on are findings, which are looked at first again."""

    PROVEN = 0
    # The primary has no footage of that time any more.
    NOTHING_THERE = 1
    # No packet of it is the primary's: the camera encodes for each reader, or the file is not this camera's.
    UNRELATED = 2
    UNREADABLE = 3
    DIFFERENT = 4
