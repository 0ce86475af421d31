"""The report: what each camera's mirror is doing, and what is wrong with it.

The watcher makes one about every second and publishes it as a small file. Without a watcher, `status` makes its own.
The volume is not looked at, since it may hang and is large.
"""

import time
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from heldar_mirror import __version__
from heldar_mirror.proc.open_segments import Segment
from heldar_mirror.status.activity import Activity, activity_of
from heldar_mirror.status.advice import advice
from heldar_mirror.status.facts import Facts


@dataclass(frozen=True)
class CameraStatus:
    """One camera's mirror. Times are Unix seconds.

    `wanted` is None if its row can't be used or the table can't be read. `state` is supervisord's name for the state of
    its program, and `since` is when the process began, or ended if it is down. `last_error` is why its row can't be
    used, without a time, or else the last error in its program's log.
    """

    camera_id: str
    wanted: bool | None
    activity: Activity
    state: str | None
    since: int | None
    segment: Segment | None
    stalled: bool
    last_error: str | None
    last_error_at: float | None
    advice: str | None

    @property
    def well(self) -> bool:
        """Whether the mirror does what its row asks for."""
        if self.wanted is None:
            return False
        return (self.segment is not None) == self.wanted


@dataclass(frozen=True)
class Report:
    """All cameras, and the problems that concern more than one. `at` is when it was made, in Unix seconds. `known` says
    whether every program and every open file could be seen. `version` is the version of heldar-mirror that made it."""

    at: float
    cameras: tuple[CameraStatus, ...]
    problems: tuple[str, ...]
    known: bool
    version: str = __version__

    @property
    def well(self) -> bool:
        """Whether every mirror does what its row asks for, and there is no other problem."""
        return not self.problems and all(camera.well for camera in self.cameras)

    def to_json(self) -> dict[str, Any]:
        """Return the report for JSON. `asdict` would take a tenth of a second for a thousand cameras."""
        cameras = [
            {**vars(camera), "segment": vars(camera.segment) if camera.segment else None, "well": camera.well}
            for camera in self.cameras
        ]
        return {"well": self.well, **vars(self), "cameras": cameras}


def make_report(facts: Facts, problems: Iterable[str]) -> Report:
    """Return the report that follows from the facts."""
    desired = facts.desired
    wanted: dict[str, bool | None] = dict.fromkeys(facts.unusable)
    wanted |= dict.fromkeys(desired.unwanted, False) | dict.fromkeys(desired.specs, True)
    cameras = tuple(
        _camera(camera_id, wanted.get(camera_id), facts) for camera_id in sorted(wanted.keys() | facts.programs.keys())
    )
    return Report(time.time(), cameras, tuple(problems), facts.programs_known and facts.files_known)


def _camera(camera_id: str, wanted: bool | None, facts: Facts) -> CameraStatus:
    process = facts.programs.get(camera_id)
    activity = activity_of(camera_id, facts)
    error_at, error = facts.errors.get(camera_id, (None, None))
    if camera_id in facts.unusable:
        error_at, error = None, facts.unusable[camera_id]
    return CameraStatus(
        camera_id=camera_id,
        wanted=wanted,
        activity=activity,
        state=process.state if process else None,
        since=process.since if process else None,
        segment=facts.segments.get(camera_id),
        stalled=activity == "stalled",
        last_error=error,
        last_error_at=error_at,
        advice=advice(camera_id, activity, error),
    )
