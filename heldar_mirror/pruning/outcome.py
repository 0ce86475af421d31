"""The outcome of a prune: what was removed, by camera and rule, and why something stayed. Pure."""

import math
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from heldar_mirror.errors import DatabaseError
from heldar_mirror.footage.names import segment_name
from heldar_mirror.units import shown_size

# A function that is called with what is being done, how much of it is done, and how much there is in total.
Progress = Callable[[str, int, int], None]


def no_progress(what: str, done: int, total: int) -> None:
    """Show no progress."""


@dataclass(frozen=True)
class Tally:
    """The segments of one camera that one rule removed: their number and bytes, and when the first and last began."""

    segments: int = 0
    bytes: int = 0
    oldest: float = math.inf
    newest: float = -math.inf

    def __add__(self, other: "Tally") -> "Tally":
        return Tally(
            self.segments + other.segments,
            self.bytes + other.bytes,
            min(self.oldest, other.oldest),
            max(self.newest, other.newest),
        )

    def names(self) -> tuple[str, str]:
        """Return the names of the first and the last segment."""
        return segment_name(int(self.oldest)), segment_name(int(self.newest))


@dataclass
class Pruned:
    """The outcome of one prune, to which every part of the pruner adds.

    `tallies` are by camera and rule. `directories` are the camera directories that were removed. For each camera that
    was deleted from the table, `waiting` gives when all its footage will be removed (Unix seconds).

    `problems` say why something stayed; `shortages` say why there is too little room, or how room was made. `free` and
    `floor` are bytes, after the prune. With a `database_error` nothing was removed by age, by quota, as a stub, or
    because its camera was deleted.
    """

    tallies: dict[tuple[str, str], Tally] = field(default_factory=dict)
    directories: list[str] = field(default_factory=list)
    waiting: dict[str, float] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)
    shortages: list[str] = field(default_factory=list)
    free: int = 0
    floor: int = 0
    database_error: DatabaseError | None = None

    def add(self, camera_id: str, rule: str, tally: Tally) -> None:
        """Add segments that a rule removed of a camera."""
        self.tallies[camera_id, rule] = self.tallies.get((camera_id, rule), Tally()) + tally

    def add_problem(self, *texts: str) -> None:
        """Add reasons why something stayed, each once."""
        self.problems += [text for text in dict.fromkeys(texts) if text not in self.problems]

    def add_shortage(self, text: str) -> None:
        """Add a reason why there is too little room, or how room was made, once."""
        if text not in self.shortages:
            self.shortages.append(text)

    @property
    def segments(self) -> int:
        """How many segments were removed."""
        return sum(tally.segments for tally in self.tallies.values())

    @property
    def bytes(self) -> int:
        """How many bytes the removed segments had."""
        return sum(tally.bytes for tally in self.tallies.values())

    def line(self) -> str:
        """Return a line on what was removed."""
        rules = Counter[str]()
        for (_, rule), tally in self.tallies.items():
            rules[rule] += tally.segments
        by_rule = ", ".join(f"{count} {rule}" for rule, count in sorted(rules.items()))
        directories = f"; the directories {', '.join(self.directories)}" if self.directories else ""
        return f"pruned {self.segments} segments, {shown_size(self.bytes)} ({by_rule or 'none'}){directories}"

    def to_json(self) -> dict[str, Any]:
        """Return the outcome as `prune --json` prints it."""
        return {
            "segments": self.segments,
            "bytes": self.bytes,
            "removed": [
                {
                    "camera_id": camera_id,
                    "rule": rule,
                    "segments": tally.segments,
                    "bytes": tally.bytes,
                    **dict(zip(("oldest", "newest"), tally.names(), strict=True)),
                }
                for (camera_id, rule), tally in sorted(self.tallies.items())
            ],
            "directories": self.directories,
            "waiting": self.waiting,
            "free_bytes": self.free,
            "floor_bytes": self.floor,
            "problems": self.problems + self.shortages,
        }
