"""What a `verify` says at its end: how far each camera is proven, and what is wrong."""

from collections import Counter
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from heldar_mirror.errors import INTERRUPTED, UnreadableError
from heldar_mirror.verify.findings import Finding, Kind, to_json
from heldar_mirror.verify.memory import Standing
from heldar_mirror.verify.outcomes import Level
from heldar_mirror.verify.run import End

# The version of the JSON. It rises if a field changes its meaning or goes; new fields may come without that.
VERSION = 1

# What it means for the exit code.
WELL, DIFFERENCES, UNREAD = 0, 1, UnreadableError.exit_code


@dataclass
class CameraReport:
    """How far a camera is proven, what this run counted, and all that is wrong, by the segment where it was found.

    `flaws` are what is wrong with its manifests.
    """

    camera_id: str
    standing: Standing
    counts: Counter[str] = field(default_factory=Counter)
    findings: dict[int, list[Finding]] = field(default_factory=dict)
    flaws: list[str] = field(default_factory=list)

    @property
    def well(self) -> bool:
        """Whether nothing is wrong."""
        return not self.findings and not self.flaws

    @property
    def differs(self) -> bool:
        """Whether anything is wrong but that files can't be read."""
        kinds = {finding.kind for each in self.findings.values() for finding in each}
        return bool(self.flaws or kinds - {Kind.UNREADABLE})

    def to_json(self) -> dict[str, Any]:
        """Return a camera for the report's JSON."""
        return {
            "camera_id": self.camera_id,
            "well": self.well,
            **self.standing._asdict(),
            "counts": dict(self.counts),
            "flaws": self.flaws,
            "findings": [
                {"segment": begun, **to_json(finding)} for begun, each in self.findings.items() for finding in each
            ],
        }


class Spent(NamedTuple):
    """What a run has spent: seconds, bytes that it read, and bytes of the mirror that it looked at."""

    seconds: float
    read: int
    looked: int


@dataclass
class Report:
    """The report. `problems` are what could not be read, other than single segments."""

    level: Level
    end: End
    spent: Spent
    cameras: list[CameraReport]
    problems: list[str]

    @property
    def bytes(self) -> int:
        """The bytes of the mirror that were asked for."""
        return sum(camera.standing.bytes for camera in self.cameras)

    @property
    def proven(self) -> float:
        """Which share of these bytes is proven, from 0 to 1."""
        return sum(camera.standing.proven_bytes for camera in self.cameras) / self.bytes if self.bytes else 1.0

    @property
    def oldest(self) -> int | None:
        """When the oldest proof was made (Unix seconds)."""
        return min((each.standing.oldest for each in self.cameras if each.standing.oldest is not None), default=None)

    @property
    def runs(self) -> float | None:
        """How many runs of this budget get round, if this one has spent its budget."""
        return self.bytes / self.spent.looked if self.end is End.BUDGET and self.spent.looked else None

    @property
    def exit_code(self) -> int:
        """Return 1 for differences, 8 if there is none but something was not read, 130 if it was interrupted, or 0."""
        if any(camera.differs for camera in self.cameras):
            return DIFFERENCES
        if self.problems or not all(camera.well for camera in self.cameras):
            return UNREAD
        return INTERRUPTED if self.end is End.INTERRUPTED else WELL

    def to_json(self) -> dict[str, Any]:
        """Return the report for JSON; docs/commands.md lists its fields."""
        return {
            "version": VERSION,
            "well": self.exit_code == WELL,
            "level": self.level.name.lower(),
            "end": self.end.name.lower(),
            **self.spent._asdict(),
            "bytes": self.bytes,
            "proven": self.proven,
            "oldest": self.oldest,
            "runs": self.runs,
            "problems": self.problems,
            "cameras": [camera.to_json() for camera in self.cameras],
        }
