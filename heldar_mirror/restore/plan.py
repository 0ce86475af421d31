"""What a restore is going to do: which files it writes, of what, and what it leaves out.

All times are Unix seconds of the primary's clock, that is by the names of its files, unless something else is said.
"""

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from heldar_mirror.footage.names import segment_name
from heldar_mirror.sides.recorded import Identity

# The version of the JSON. It rises if a field changes its meaning or goes; new fields may come without that.
VERSION = 1

# Names have whole seconds, so what is left out of files that follow each other may seem to be so far apart.
NAME_SECONDS = 1.0


class Piece(NamedTuple):
    """What is taken from one segment of the mirror.

    `begun` is the second in its name, by the mirror's clock. `chosen` has the first fragment, and the one behind the
    last, or is None for the whole file, byte for byte. `at` is when the segment's own time 0 was, by the primary's
    clock. `identity` is what the segment's file was when this was planned, or None if it need not be the same.
    """

    begun: int
    chosen: tuple[int, int] | None
    at: float
    identity: Identity | None = None


class NewFile(NamedTuple):
    """A file that is to be written into the primary's directory.

    `name` is the second in its name. Its packets are of the time from `begin` to `end`, and take some `size` bytes.
    With `has_row`, a row of Heldar's index names it already, and its file is lost.
    """

    camera_id: str
    name: int
    pieces: tuple[Piece, ...]
    begin: float
    end: float
    size: int
    has_row: bool = False


class LeftOut(NamedTuple):
    """Footage that only the mirror has and that is not restored, and the reason: a text that follows 'because'."""

    camera_id: str
    begin: float
    end: float
    reason: str


@dataclass
class CameraPlan:
    """What is restored of one camera: the newest file first. `problems` say what of it could not be read."""

    camera_id: str
    files: list[NewFile] = field(default_factory=list)
    left_out: list[LeftOut] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)

    def to_json(self) -> dict[str, Any]:
        """Return a camera for the plan's JSON.

        `camera_id`; `files`, each with `name`, `begin`, `end`, `bytes`, `has_row`, and `pieces`; `left_out`, each with
        `begin`, `end` and `reason`; `problems`. A piece has `segment`, the name of the mirror's file, and `fragments`,
        a list of the first one and the one behind the last, or null for the whole file.
        """
        return {
            "camera_id": self.camera_id,
            "files": [
                {
                    "name": segment_name(each.name),
                    "begin": each.begin,
                    "end": each.end,
                    "bytes": each.size,
                    "has_row": each.has_row,
                    "pieces": [
                        {
                            "segment": segment_name(piece.begun),
                            "fragments": list(piece.chosen) if piece.chosen else None,
                        }
                        for piece in each.pieces
                    ],
                }
                for each in self.files
            ],
            "left_out": [{"begin": each.begin, "end": each.end, "reason": each.reason} for each in self.left_out],
            "problems": self.problems,
        }


@dataclass
class RestorePlan:
    """What a restore of the time from `since` to `until` does.

    `free_before` is the free space of the primary's disk in bytes, or None if it could not be read. `problems` are
    those that concern more than one camera.
    """

    since: float
    until: float
    min_gap: float
    beyond_limits: bool = False
    free_before: int | None = None
    cameras: list[CameraPlan] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)

    @property
    def bytes(self) -> int:
        """How much the files take together."""
        return sum(each.size for camera in self.cameras for each in camera.files)

    @property
    def free_after(self) -> int | None:
        """How many bytes the primary's disk has free when all is restored, or None if that is not known."""
        return None if self.free_before is None else self.free_before - self.bytes

    def to_json(self) -> dict[str, Any]:
        """Return the plan for JSON.

        `version`; `since`, `until`, `min_gap` and `beyond_limits`, as they were in force; `totals`, with `files`,
        `bytes`, `seconds` and `seconds_left_out`; `free_before` and `free_after`, the free bytes of the primary's disk,
        or null; `problems`; `cameras`.
        """
        files = [each for camera in self.cameras for each in camera.files]
        left_out = [each for camera in self.cameras for each in camera.left_out]
        return {
            "version": VERSION,
            "since": self.since,
            "until": self.until,
            "min_gap": self.min_gap,
            "beyond_limits": self.beyond_limits,
            "totals": {
                "files": len(files),
                "bytes": self.bytes,
                "seconds": sum(each.end - each.begin for each in files),
                "seconds_left_out": sum(each.end - each.begin for each in left_out),
            },
            "free_before": self.free_before,
            "free_after": self.free_after,
            "problems": self.problems,
            "cameras": [camera.to_json() for camera in self.cameras],
        }


def newness(new: NewFile) -> tuple[float, str]:
    """Return the key by which files are sorted: the newest footage has the highest."""
    return new.begin, new.camera_id


def merged(left_out: Iterable[LeftOut]) -> list[LeftOut]:
    """Return what is left out, in order, with that in one which follows each other for the same reason."""
    found: defaultdict[tuple[str, str], list[tuple[float, float]]] = defaultdict(list)
    for camera_id, begin, end, reason in sorted(left_out):
        spans = found[camera_id, reason]
        if spans and begin <= spans[-1][1] + NAME_SECONDS:
            spans[-1] = spans[-1][0], max(spans[-1][1], end)
        else:
            spans.append((begin, end))
    return sorted(LeftOut(camera_id, *span, reason) for (camera_id, reason), spans in found.items() for span in spans)
