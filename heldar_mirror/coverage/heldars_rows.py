"""What Heldar's rows say of the cameras whose coverage is asked for.

What can't be read is a problem, once, and the rows that would come after it are not asked for any more: each question
to a database that hangs takes long.
"""

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property
from typing import TypeVar

from heldar_mirror.coverage.reasons import is_full, may_be_gone, outside_schedules, reasons
from heldar_mirror.coverage.timeline import Reasons, Span
from heldar_mirror.errors import DatabaseError
from heldar_mirror.footage.spans import Spans
from heldar_mirror.heldar import tables
from heldar_mirror.heldar.cameras import CameraError, Row, camera_id, should_mirror, shown_id
from heldar_mirror.heldar.primary import Limits, PrimaryCamera, parse_limits, parse_primary_camera, parse_zone
from heldar_mirror.heldar.recordings import Ends, Index, Size, read_ends, read_index, read_sizes
from heldar_mirror.heldar.schedules import Schedule, parse_schedules
from heldar_mirror.settings import Settings

# The usual length of a segment where the camera's row does not say it.
SEGMENT_SECONDS = 60

T = TypeVar("T")


@dataclass(frozen=True)
class Indexed:
    """A camera's rows of `segments`. Either is None if it could not be read."""

    index: Index | None = None
    ends: Ends | None = None


class HeldarsRows:
    """What Heldar's database says. `is_read` is whether the table of cameras could be read."""

    def __init__(self, settings: Settings, whole: Span, now: float, problems: list[str]) -> None:
        self._settings = settings
        self._database = settings.database
        self._whole = whole
        self._now = now
        self._problems = problems
        self._is_lost = False
        self._cameras: dict[str, PrimaryCamera] = {}
        self.mirrored: set[str] = set()
        self.in_table: set[str] = set()
        rows = self._ask(tables.read_recorded_cameras)
        self.is_read = rows is not None
        for row in rows or []:
            self._add(row)
        self._runtime_settings = self._ask(tables.read_runtime_settings) or []
        schedules, odd = parse_schedules(self._ask(tables.read_schedules) or [])
        self._schedules: dict[str, list[Schedule]] = schedules
        self._problems += (f"camera {name}: {problem}" for name, problem in odd.items())

    def _add(self, row: Row) -> None:
        try:
            camera = parse_primary_camera(row)
            self._cameras[camera.id] = camera
            self.in_table.add(camera.id)
            if camera.is_mirrored:
                self.mirrored.add(camera.id)
        except CameraError as error:
            self._problems.append(f"camera {shown_id(row)}: {error}")
            with suppress(CameraError):
                self.in_table.add(camera_id(row))
                if should_mirror(row):
                    self.mirrored.add(camera_id(row))

    def segment_seconds(self, name: str) -> int:
        """Return how long a camera's segments usually are."""
        camera = self._cameras.get(name)
        return camera.policy.segment_seconds if camera else SEGMENT_SECONDS

    def indexed(self, name: str) -> Indexed:
        """Return what the primary's index says of a camera."""
        return Indexed(self._ask(read_index, name, *self._whole), self._ask(read_ends, name))

    def reasons(self, name: str, ends: Ends | None, free: int | None) -> Reasons:
        """Return why the primary may have no footage of a camera. `free` is the free space of its disk in bytes, or
        None if that is not known."""
        camera = self._cameras.get(name)
        if camera is None:
            return Reasons()
        gone_before = None
        if ends and may_be_gone(camera, ends.oldest, self._whole, self._now):
            limits, sizes = self._limits, self._sizes
            if sizes is not None and is_full(camera, sizes, limits, free):
                gone_before = ends.oldest
        return reasons(camera, self._now, gone_before, self._outside_schedules(camera))

    def _outside_schedules(self, camera: PrimaryCamera) -> Spans:
        try:
            zone = parse_zone(self._runtime_settings, self._settings.primary_timezone)
        except ValueError as error:
            if camera.mode != "continuous" and (problem := f"{error}, so its schedules can't be told"):
                self._problems.append(problem)
            return Spans()
        return outside_schedules(camera, self._schedules.get(camera.id, ()), self._whole, zone)

    @cached_property
    def _limits(self) -> Limits:
        settings = self._settings
        return parse_limits(self._runtime_settings, Limits(settings.primary_max_bytes, settings.primary_min_free_bytes))

    @cached_property
    def _sizes(self) -> dict[str, Size] | None:
        return self._ask(read_sizes, lambda _rows: None)

    def _ask(self, read: Callable[..., T], *args: object) -> T | None:
        """Return what is read of the database, or None if it can't be read."""
        if not self._is_lost:
            try:
                return read(self._database, *args)
            except DatabaseError as error:
                self._is_lost = True
                self._problems.append(str(error))
        return None
