"""What a prune did, or would do: what went by camera and rule, and why something did not. All pure."""

import math
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

from heldar_mirror.errors import DatabaseError
from heldar_mirror.footage.names import segment_name
from heldar_mirror.units import shown_size


@dataclass(frozen=True)
class Tally:
    """How many segments of one camera went by one rule, their bytes, and when the first and the last were begun."""

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
        """Return the names of the first and the last."""
        return segment_name(int(self.oldest)), segment_name(int(self.newest))


@dataclass
class Pruned:
    """What went, by camera and rule; the directories that went; `waiting`: cameras that were deleted from the table,
    and when (Unix seconds) all of theirs goes.

    `problems`: why something did not go; `shortages`: why there is no more room, or how it was made. `free` and `floor`
    are bytes, after it was done. `database_error`: nothing could go by age or quota.
    """

    tallies: dict[tuple[str, str], Tally] = field(default_factory=dict)
    directories: list[str] = field(default_factory=list)
    waiting: dict[str, float] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)
    shortages: list[str] = field(default_factory=list)
    free: int = 0
    floor: int = 0
    database_error: DatabaseError | None = None

    @property
    def segments(self) -> int:
        """How many segments went."""
        return sum(tally.segments for tally in self.tallies.values())

    @property
    def bytes(self) -> int:
        """How large they were."""
        return sum(tally.bytes for tally in self.tallies.values())

    def line(self) -> str:
        """Return in a line what went."""
        rules = Counter[str]()
        for (_, rule), tally in self.tallies.items():
            rules[rule] += tally.segments
        by_rule = ", ".join(f"{count} {rule}" for rule, count in sorted(rules.items()))
        directories = f"; the directories {', '.join(self.directories)}" if self.directories else ""
        return f"pruned {self.segments} segments, {shown_size(self.bytes)} ({by_rule or 'none'}){directories}"

    def to_json(self) -> dict[str, Any]:
        """Return what a machine reads."""
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
