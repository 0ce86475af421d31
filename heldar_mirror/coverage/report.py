"""The outcome of `coverage`: what was found for each camera, in total and one by one. Pure; times are Unix seconds."""

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from enum import Enum
from typing import Any

from heldar_mirror.coverage.timeline import Reason, State, Stretch
from heldar_mirror.errors import UnreadableError

# The version of the JSON. It rises if a field changes its meaning or goes; new fields may come without that.
VERSION = 1

# The exit codes of the command.
WELL, GAPS, UNREAD = 0, 1, UnreadableError.exit_code

UNSURE = (State.AT_LEAST_PRIMARY, State.AT_LEAST_MIRROR, State.UNKNOWN)


class FindingKind(str, Enum):
    """How Heldar's index and the primary's disk differ."""

    NOT_ON_DISK = "indexed, and not on the disk"
    NOT_INDEXED = "on the disk, and not indexed"
    LENGTH_DIFFERS = "length differs"
    ELSEWHERE = "indexed elsewhere"  # the row's path is not in the camera's directory


@dataclass(frozen=True)
class Finding:
    """All of one camera's segments that have one finding.

    `spans` are their times, merged where they touch. `count` is their number; `first` and `last` are the paths of the
    earliest and the latest.
    """

    kind: FindingKind
    spans: tuple[tuple[float, float], ...]
    count: int
    first: str
    last: str

    def to_json(self) -> dict[str, Any]:
        """Return `kind`, `count`, `first`, `last`, and `spans`, a list of pairs of times."""
        return {**vars(self), "kind": self.kind.value, "spans": [list(span) for span in self.spans]}


@dataclass
class CameraCoverage:
    """One camera's coverage. The stretches are in order and add up to the whole span.

    `hidden` has by side, `primary` and `mirror`, how many seconds of its footage are in fact holes shorter than the
    report's `min_gap`. `problems` say what of this camera could not be read, and `notes` what was found on the way and
    is in the stretches already, such as damaged files.
    """

    camera_id: str
    stretches: list[Stretch]
    findings: list[Finding] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    hidden: dict[str, float] = field(default_factory=dict)

    @property
    def totals(self) -> dict[State, float]:
        """How many seconds are of each state. States that don't occur are left out."""
        return _totals(self.stretches)

    @property
    def explained(self) -> dict[State, dict[Reason, float]]:
        """How many seconds of a state have each reason. States and reasons that don't occur are left out."""
        found: dict[State, dict[Reason, float]] = {}
        for begin, end, state, reason in self.stretches:
            if reason:
                reasons = found.setdefault(state, {})
                reasons[reason] = reasons.get(reason, 0.0) + end - begin
        return found

    @property
    def exit_code(self) -> int:
        """What this camera means for the exit code of the command."""
        if self.findings or any(stretch.is_gap for stretch in self.stretches):
            return GAPS
        return UNREAD if self.problems or any(stretch.state in UNSURE for stretch in self.stretches) else WELL

    def to_json(self) -> dict[str, Any]:
        """Return a camera for the report's JSON.

        `camera_id`; `well`; `totals`, seconds by state; `explained`, seconds by state and reason; `hidden`, seconds by
        side; `stretches`, each with `begin`, `end`, `state`, `reason` (or null) and `is_gap`; `findings`; `problems`;
        `notes`.
        """
        return {
            "camera_id": self.camera_id,
            "well": self.exit_code == WELL,
            "totals": {state.value: seconds for state, seconds in self.totals.items()},
            "explained": {
                state.value: {reason.value: seconds for reason, seconds in reasons.items()}
                for state, reasons in self.explained.items()
            },
            "hidden": self.hidden,
            "stretches": [
                {
                    "begin": each.begin,
                    "end": each.end,
                    "state": each.state.value,
                    "reason": each.reason.value if each.reason else None,
                    "is_gap": each.is_gap,
                }
                for each in self.stretches
            ],
            "findings": [finding.to_json() for finding in self.findings],
            "problems": self.problems,
            "notes": self.notes,
        }


@dataclass
class CoverageReport:
    """The coverage of all cameras that were asked for. `problems` are those that concern more than one camera."""

    since: float
    until: float
    min_gap: float
    cameras: list[CameraCoverage] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)

    @property
    def totals(self) -> dict[State, float]:
        """How many seconds of all cameras are of each state."""
        return _totals(stretch for camera in self.cameras for stretch in camera.stretches)

    def gaps(self) -> list[tuple[str, Stretch]]:
        """Return all gaps with their camera, the longest first, and of the same length the earliest first."""
        found = [(camera.camera_id, each) for camera in self.cameras for each in camera.stretches if each.is_gap]
        return sorted(found, key=lambda gap: (gap[1].begin - gap[1].end, gap[1].begin, gap[0]))

    @property
    def exit_code(self) -> int:
        """Return 0 if all is well, 1 for gaps or findings, and 8 if there is neither, but something was not read."""
        codes = {camera.exit_code for camera in self.cameras}
        return GAPS if GAPS in codes else UNREAD if UNREAD in codes or self.problems else WELL

    def to_json(self) -> dict[str, Any]:
        """Return the report for JSON.

        `version`; `well`; `since`, `until` and `min_gap`, as they were in force; `totals`, seconds of all cameras by
        state; `problems`; `cameras`.
        """
        return {
            "version": VERSION,
            "well": self.exit_code == WELL,
            "since": self.since,
            "until": self.until,
            "min_gap": self.min_gap,
            "totals": {state.value: seconds for state, seconds in self.totals.items()},
            "problems": self.problems,
            "cameras": [camera.to_json() for camera in self.cameras],
        }


def _totals(stretches: Iterable[Stretch]) -> dict[State, float]:
    totals: defaultdict[State, float] = defaultdict(float)
    for begin, end, state, _ in stretches:
        totals[state] += end - begin
    return dict(totals)
