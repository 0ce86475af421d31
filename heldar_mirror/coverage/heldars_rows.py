"""What Heldar's rows say of the cameras whose coverage is asked for.

What can't be read is a problem, once, and the rows that would come after it are not asked for any more: each question
to a database that hangs takes long.
"""

import math
from collections.abc import Callable, Container, Iterator
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple, TypeVar

from heldar_mirror.coverage.reasons import SCHEDULED_MODES, is_full, may_be_gone, outside_schedules, reasons
from heldar_mirror.coverage.timeline import Reasons, Span
from heldar_mirror.errors import DatabaseError
from heldar_mirror.footage.spans import Spans
from heldar_mirror.heldar import tables
from heldar_mirror.heldar.cameras import CameraError, Row, camera_id, should_mirror, shown_id
from heldar_mirror.heldar.primary import Limits, PrimaryCamera, parse_limits, parse_primary_camera, parse_zone
from heldar_mirror.heldar.recordings import Ends, Index, Size, read_ends, read_gap_starts, read_index, read_sizes
from heldar_mirror.heldar.schedules import parse_schedules
from heldar_mirror.settings import Settings

# The usual length of a segment where the camera's row does not say it.
SEGMENT_SECONDS = 60

T = TypeVar("T")


@dataclass(frozen=True)
class Indexed:
    """A camera's rows of `segments`. Either is None if it could not be read."""

    index: Index | None = None
    ends: Ends | None = None


class _OddRow(NamedTuple):
    """What is wrong with a row of `cameras`."""

    problem: str
    may_be_mirrored: bool


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
        # This has what is wrong with rows, by what they call their camera.
        self._odd: dict[str, _OddRow] = {}
        self.mirrored: set[str] = set()
        self.in_table: set[str] = set()
        rows = self._ask(tables.read_recorded_cameras)
        self.is_read = rows is not None
        for row in rows or []:
            self._add(row)
        self._runtime_settings = self._ask(tables.read_runtime_settings) or []
        rows_of_schedules = self._ask(tables.read_schedules)
        self._schedules, self._odd_schedules = parse_schedules(rows_of_schedules or [])
        self._has_schedules = rows_of_schedules is not None

    def _add(self, row: Row) -> None:
        try:
            camera = parse_primary_camera(row)
            self._cameras[camera.id] = camera
            self.in_table.add(camera.id)
            if camera.is_mirrored:
                self.mirrored.add(camera.id)
        except CameraError as error:
            self._odd[shown_id(row)] = _OddRow(str(error), may_be_mirrored=_may_be_mirrored(row))
            with suppress(CameraError):
                self.in_table.add(camera_id(row))
                if should_mirror(row):
                    self.mirrored.add(camera_id(row))

    def row_problems(self, camera_ids: Container[str], *, all_mirrored: bool) -> Iterator[str]:
        """Yield what is wrong with the rows of cameras, and with `all_mirrored` also with others that may be mirrored:
        those without a usable id, or with flags that say neither yes nor no."""
        for name, row in self._odd.items():
            if name in camera_ids or (all_mirrored and row.may_be_mirrored):
                yield f"camera {name}: {row.problem}"

    def camera(self, name: str) -> PrimaryCamera | None:
        """Return what a camera's row says, or None if there is none or it can't be used."""
        return self._cameras.get(name)

    def segment_seconds(self, name: str) -> int:
        """Return how long a camera's segments usually are."""
        camera = self._cameras.get(name)
        return camera.policy.segment_seconds if camera else SEGMENT_SECONDS

    def indexed(self, name: str, span: Span) -> Indexed:
        """Return what the primary's index says of a camera in a span."""
        return Indexed(self._ask(read_index, name, *span), self._ask(read_ends, name))

    def gap_starts(self, name: str, span: Span) -> list[float]:
        """Return when the gaps of a camera begin that Heldar has found in a span; none if that could not be read."""
        return self._ask(read_gap_starts, name, *span) or []

    def reasons(self, name: str, ends: Ends | None, free: int | None, begun: float = -math.inf) -> Reasons:
        """Return why a side may have no footage of a camera. `free` is the free space of the primary's disk in bytes,
        or None if that is not known. `begun` is as in `coverage.reasons.reasons`."""
        camera = self._cameras.get(name)
        if camera is None:
            return Reasons()
        gone_before = None
        if ends and may_be_gone(camera, ends.oldest, self._whole, self._now):
            limits, sizes = self.limits, self.sizes
            if sizes is not None and is_full(camera, sizes, limits, free):
                gone_before = ends.oldest
        return reasons(camera, self._now, gone_before, self._outside_schedules(camera), begun)

    def _outside_schedules(self, camera: PrimaryCamera) -> Spans:
        """Return for which times the primary does not record a camera, or none if its schedules are not known."""
        zone = None
        if camera.mode in SCHEDULED_MODES:
            try:
                zone = parse_zone(self._runtime_settings, self._settings.primary_timezone)
            except ValueError as error:
                return self._unknown_schedules(f"{error}, so its schedules can't be told")
            if problem := self._odd_schedules.get(camera.id):
                return self._unknown_schedules(f"camera {camera.id}: {problem}")
            if not self._has_schedules:
                return Spans()
        return outside_schedules(camera, self._schedules.get(camera.id, ()), self._whole, zone)

    def _unknown_schedules(self, problem: str) -> Spans:
        self._tell(problem)
        return Spans()

    @cached_property
    def limits(self) -> Limits:
        """The sizes that bind all recordings of the primary."""
        settings = self._settings
        return parse_limits(self._runtime_settings, Limits(settings.primary_max_bytes, settings.primary_min_free_bytes))

    @cached_property
    def sizes(self) -> dict[str, Size] | None:
        """What each camera has in the primary's index, or None if that could not be read."""
        return self._ask(read_sizes)

    def _ask(self, read: Callable[..., T], *args: object) -> T | None:
        """Return what is read of the database, or None if it can't be read."""
        if not self._is_lost:
            try:
                return read(self._database, *args)
            except DatabaseError as error:
                self._is_lost = True
                self._tell(str(error))
        return None

    def _tell(self, problem: str) -> None:
        """Report a problem once, of whichever camera it is found, and in whichever thread."""
        if problem not in self._problems:
            self._problems.append(problem)


def _may_be_mirrored(row: Row) -> bool:
    try:
        return should_mirror(row)
    except CameraError:
        return True
