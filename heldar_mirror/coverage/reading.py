"""Reads what both sides and Heldar's database have of cameras, one after the other. Nothing is written anywhere.

What can't be read is a problem, and everything else is still read.
"""

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from itertools import repeat
from typing import NamedTuple

from heldar_mirror.coverage.ahead import ahead
from heldar_mirror.coverage.choice import choose
from heldar_mirror.coverage.heldars_rows import HeldarsRows, Indexed
from heldar_mirror.coverage.one_side import Found, Question, problems_of, read_cameras, with_advice
from heldar_mirror.coverage.timeline import Span
from heldar_mirror.errors import MirrorError
from heldar_mirror.settings import Settings
from heldar_mirror.sides.ends import CUT_SECONDS, JOIN_SECONDS
from heldar_mirror.sides.opening import mirror_side, primary_side
from heldar_mirror.sides.side import Side

# Called with what is being done, how much of it is done, and of how much.
Progress = Callable[[str, int, int], None]


class Wanted(NamedTuple):
    """What is read of each camera: the time from `whole[0]` to `whole[1]`, and so many segments more on both sides.

    Ends of segments that lie within `join_seconds` of the next beginning are that beginning.
    """

    whole: Span
    segments_around: int = 0
    join_seconds: float = JOIN_SECONDS

    def question(self, segment_seconds: int) -> Question:
        """Return what a side is asked of a camera whose segments usually are so long."""
        around = self.segments_around * (segment_seconds + CUT_SECONDS)
        return Question(self.whole[0] - around, self.whole[1] + around, segment_seconds, self.join_seconds)


class Read(NamedTuple):
    """All that was read of one camera."""

    camera_id: str
    indexed: Indexed
    primary: Found
    mirror: Found

    def problems(self) -> Iterator[str]:
        """Yield what of this camera alone could not be read."""
        yield from problems_of(self.primary, "primary")
        yield from problems_of(self.mirror, "mirror")
        index, ends = self.indexed.index, self.indexed.ends
        unusable = "of its rows in Heldar's index can't be used"
        if index and index.unusable:
            yield f"{index.unusable:,} {unusable}: {index.reason}"
        if ends and ends.odd:
            yield f"{ends.odd:,} {unusable}: its start_time is no time"


class _Opened(NamedTuple):
    """A side, the cameras that have a directory there, and the free space in bytes; None for each that is not known."""

    side: Side | None = None
    directories: Sequence[str] = ()
    free: int | None = None


@dataclass(frozen=True)
class Reading:
    """Both sides and Heldar's rows, ready to be read.

    `camera_ids` are the cameras that are looked at, and `free` the free space of the primary's disk in bytes, or None
    if that is not known. What concerns more than one camera is added to `problems`.
    """

    wanted: Wanted
    rows: HeldarsRows
    camera_ids: Sequence[str]
    free: int | None
    problems: list[str]
    primary: Side | None
    mirror: Side | None
    progress: Progress

    def each(self) -> Iterator[Read]:
        """Yield what is read of each camera.

        Both sides are read at the same time, each in a thread and a camera or two ahead, and no more is held at once.
        """
        files = indexed = 0
        for done, read in enumerate(self._read()):
            self.progress(read.camera_id, done, len(self.camera_ids))
            yield read
            for found in (read.primary, read.mirror):
                if found.side_problem and found.side_problem not in self.problems:
                    self.problems.append(found.side_problem)
            if read.primary.recorded and read.indexed.index:
                files += len(read.primary.recorded.begun)
                indexed += len(read.indexed.index.segments)
        if self.primary and indexed and not files:
            self.problems.append(
                f"the primary's {self.primary.root} has no file of this time, though Heldar's index has {indexed:,}: "
                "is its volume mounted, and is HELDAR_RECORDINGS_DIR the one that Heldar has?"
            )

    def _read(self) -> Iterator[Read]:
        questions = {
            camera_id: self.wanted.question(self.rows.segment_seconds(camera_id)) for camera_id in self.camera_ids
        }

        def read_side(side: Side | None) -> Iterator[Found]:
            return read_cameras(side, questions) if side else repeat(Found())

        def read_primary() -> Iterator[tuple[Indexed, Found]]:
            # A camera's rows are read before its files, which the comparison of the two counts on.
            rows = (self.indexed(camera_id) for camera_id in self.camera_ids)
            yield from zip(rows, read_side(self.primary), strict=False)

        for camera_id, (indexed, in_primary), in_mirror in zip(
            self.camera_ids, ahead(read_primary()), ahead(read_side(self.mirror)), strict=False
        ):
            yield Read(camera_id, indexed, in_primary, in_mirror)

    def indexed(self, camera_id: str) -> Indexed:
        """Return what Heldar's index says of a camera now."""
        question = self.wanted.question(self.rows.segment_seconds(camera_id))
        return self.rows.indexed(camera_id, (question.since, question.until))


@contextmanager
def opened(
    settings: Settings, asked: Sequence[str], wanted: Wanted, problems: list[str], progress: Progress
) -> Iterator[Reading]:
    """Open both sides and Heldar's rows, to read the cameras that were `asked` for, or else all mirrored ones.

    Raises UnknownCameraError.
    """
    progress("looking at both sides", 0, 1)
    with ExitStack() as stack:
        primary, mirror = (_opened(make, settings, stack, problems) for make in (primary_side, mirror_side))
        rows = HeldarsRows(settings, wanted.whole, time.time(), problems)
        directories = {*primary.directories, *mirror.directories}
        camera_ids = choose(asked, rows.mirrored if rows.is_read else directories, rows.in_table, directories)
        problems += rows.row_problems(camera_ids, all_mirrored=not asked)
        yield Reading(wanted, rows, camera_ids, primary.free, problems, primary.side, mirror.side, progress)


def _opened(make: Callable[[Settings], Side], settings: Settings, stack: ExitStack, problems: list[str]) -> _Opened:
    """Return a side. If it can't be read, add why to `problems`."""
    try:
        side = stack.enter_context(make(settings))
        return _Opened(side, side.cameras(), side.free_bytes())
    except MirrorError as error:
        problems.append(with_advice(str(error)))
        return _Opened()
