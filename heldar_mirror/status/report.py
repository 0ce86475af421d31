"""What each camera's mirror is doing, from what supervisord, /proc and the programs' logs say.

The watcher makes a report of it and publishes that as a small file, for anybody to read. Without a watcher a report is
made by whoever asks. Nothing on the mirror's volume is looked at: it may be hung, and it is large.
"""

import time
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from heldar_mirror.proc.open_segments import Segment
from heldar_mirror.programs.desired import Desired
from heldar_mirror.supervisord.gateway import Process


@dataclass(frozen=True)
class CameraStatus:
    """One camera's mirror. `wanted` is None where its row can't be used or the table can't be read; times are Unix
    seconds."""

    camera_id: str
    wanted: bool | None
    state: str | None
    since: int | None
    segment: Segment | None
    stalled: bool
    last_error: str | None
    last_error_at: float | None

    @property
    def well(self) -> bool:
        """Whether the mirror does what its row asks for."""
        if self.wanted is None:
            return False
        return (self.segment is not None) == self.wanted and not self.stalled


@dataclass(frozen=True)
class Report:
    """All cameras, and what could not be learnt; `known` is whether it could be seen what is recorded. `at` is when
    that was so, in Unix seconds."""

    at: float
    cameras: tuple[CameraStatus, ...]
    problems: tuple[str, ...]
    known: bool

    @property
    def well(self) -> bool:
        return not self.problems and all(camera.well for camera in self.cameras)

    def to_json(self) -> dict[str, Any]:
        """Return what a machine reads. `asdict` would take a tenth of a second for a thousand cameras."""
        cameras = [
            {**vars(camera), "segment": vars(camera.segment) if camera.segment else None, "well": camera.well}
            for camera in self.cameras
        ]
        return {"well": self.well, **vars(self), "cameras": cameras}


@dataclass(frozen=True)
class Facts:
    """What is known, by camera: what the table asks for, programs, open segments, last errors (when, in Unix seconds,
    and which), and whose file does not grow."""

    desired: Desired
    programs: Mapping[str, Process]
    segments: Mapping[str, Segment]
    errors: Mapping[str, tuple[float, str]]
    stalled: Collection[str]


def make_report(facts: Facts, problems: Iterable[str], *, known: bool) -> Report:
    """Return the report that follows from the facts."""
    desired = facts.desired
    wanted: dict[str, bool | None] = {bad.camera_id: None for bad in desired.unusable}
    wanted |= dict.fromkeys(desired.unwanted, False) | dict.fromkeys(desired.specs, True)
    reasons = {bad.camera_id: bad.reason for bad in desired.unusable}
    cameras = []
    for camera_id in sorted(wanted.keys() | facts.programs.keys()):
        process = facts.programs.get(camera_id)
        error_at, error_text = facts.errors.get(camera_id, (None, None))
        cameras.append(
            CameraStatus(
                camera_id=camera_id,
                wanted=wanted.get(camera_id),
                state=process.state if process else None,
                since=process.since if process else None,
                segment=facts.segments.get(camera_id),
                stalled=camera_id in facts.stalled,
                last_error=reasons.get(camera_id, error_text),
                last_error_at=error_at,
            )
        )
    return Report(time.time(), tuple(cameras), tuple(problems), known)


# A file that has not grown for three times its segment's length, within these bounds, is a stall that ffmpeg's own
# timeout did not catch.
MIN_STALL_SECONDS = 60.0


MAX_STALL_SECONDS = 300.0


def stall_seconds(segment_seconds: float) -> float:
    """Return how long a file may not grow, given the length of its segments."""
    return min(max(3.0 * segment_seconds, MIN_STALL_SECONDS), MAX_STALL_SECONDS)
