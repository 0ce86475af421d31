"""Gathers the coverage of cameras from both sides and from Heldar's database. Nothing is written anywhere.

What can't be read is a problem in the report, and everything else is still answered for.
"""

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from itertools import repeat
from typing import NamedTuple

from heldar_mirror.coverage.ahead import ahead
from heldar_mirror.coverage.choice import choose
from heldar_mirror.coverage.findings import Compared, directory_of, findings
from heldar_mirror.coverage.heldars_rows import HeldarsRows, Indexed
from heldar_mirror.coverage.one_side import Found, known_of, notes_of, problems_of, read_cameras, with_advice
from heldar_mirror.coverage.report import CameraCoverage, CoverageReport, Finding
from heldar_mirror.coverage.timeline import Span, blips, timeline
from heldar_mirror.errors import MirrorError
from heldar_mirror.heldar.recordings import IndexedSegment
from heldar_mirror.settings import Settings
from heldar_mirror.sides.opening import mirror_sides
from heldar_mirror.sides.side import Side

# Called with what is being done, how much of it is done, and of how much.
Progress = Callable[[str, int, int], None]


class Opened(NamedTuple):
    """A side, the cameras that have a directory there, and the free space in bytes; None for each that is not known."""

    side: Side | None = None
    directories: Sequence[str] = ()
    free: int | None = None


class Read(NamedTuple):
    """All that was read of one camera."""

    camera_id: str
    indexed: Indexed
    primary: Found
    mirror: Found


def gather(settings: Settings, asked: Sequence[str], whole: Span, min_gap: float, progress: Progress) -> CoverageReport:
    """Return the coverage of the cameras that were `asked` for, or else of all mirrored ones, over a span.

    Both sides are read at the same time, and only a few cameras' segments are held at once. Raises UnknownCameraError.
    """
    report = CoverageReport(*whole, min_gap)
    progress("looking at both sides", 0, 1)
    with ExitStack() as stack:
        primary, mirror = (_opened(make, settings, stack, report.problems) for make in (_primary, _mirror))
        rows = HeldarsRows(settings, whole, time.time(), report.problems)
        directories = {*primary.directories, *mirror.directories}
        camera_ids = choose(asked, rows.mirrored if rows.is_read else directories, rows.in_table, directories)
        report.problems += rows.row_problems(camera_ids, all_mirrored=not asked)
        files = indexed = 0
        for done, read in enumerate(_read(camera_ids, rows, primary.side, mirror.side, whole)):
            progress(read.camera_id, done, len(camera_ids))
            report.cameras.append(_cover(read, rows, primary.free, report))
            if read.primary.recorded and read.indexed.index:
                files += len(read.primary.recorded.begun)
                indexed += len(read.indexed.index.segments)
    if indexed and not files:
        report.problems.append(
            f"the primary's {settings.recordings_dir} has no file of this time, though Heldar's index has {indexed:,}: "
            "is its volume mounted, and is HELDAR_RECORDINGS_DIR the one that Heldar has?"
        )
    return report


def _opened(make: Callable[[Settings], Side], settings: Settings, stack: ExitStack, problems: list[str]) -> Opened:
    """Return a side. If it can't be read, add why to `problems`."""
    try:
        side = stack.enter_context(make(settings))
        return Opened(side, side.cameras(), side.free_bytes())
    except MirrorError as error:
        problems.append(with_advice(str(error)))
        return Opened()


def _primary(settings: Settings) -> Side:
    return Side("primary", settings.recordings_dir)


def _mirror(settings: Settings) -> Side:
    return mirror_sides(settings)()


def _read(
    camera_ids: Sequence[str], rows: HeldarsRows, primary: Side | None, mirror: Side | None, whole: Span
) -> Iterator[Read]:
    """Yield what is read of each camera. Each side is read in a thread, a camera or two ahead."""
    seconds = {camera_id: rows.segment_seconds(camera_id) for camera_id in camera_ids}

    def read_side(side: Side | None) -> Iterator[Found]:
        return read_cameras(side, seconds, *whole) if side else repeat(Found())

    def read_primary() -> Iterator[tuple[Indexed, Found]]:
        # A camera's rows are read before its files, which the comparison of the two counts on.
        yield from zip(map(rows.indexed, camera_ids), read_side(primary), strict=False)

    for camera_id, (indexed, in_primary), in_mirror in zip(
        camera_ids, ahead(read_primary()), ahead(read_side(mirror)), strict=False
    ):
        yield Read(camera_id, indexed, in_primary, in_mirror)


def _cover(read: Read, rows: HeldarsRows, free: int | None, report: CoverageReport) -> CameraCoverage:
    """Return what follows for a camera from what was read. Problems of a whole side are added to the report."""
    whole = report.since, report.until
    seconds = rows.segment_seconds(read.camera_id)
    known = {"primary": known_of(read.primary, seconds), "mirror": known_of(read.mirror, seconds)}
    reasons = rows.reasons(read.camera_id, read.indexed.ends, free)
    covered = CameraCoverage(
        read.camera_id, timeline(whole, known["primary"], known["mirror"], reasons, report.min_gap)
    )
    covered.findings = _findings(read, rows, whole)
    for name, found in (("primary", read.primary), ("mirror", read.mirror)):
        covered.problems += problems_of(found, name)
        covered.notes += notes_of(found, name)
        covered.hidden[name] = sum(end - begin for begin, end in blips(whole, known[name], report.min_gap))
        if found.side_problem and found.side_problem not in report.problems:
            report.problems.append(found.side_problem)
    index, ends = read.indexed.index, read.indexed.ends
    unusable = "of its rows in Heldar's index can't be used"
    if index and index.unusable:
        covered.problems.append(f"{index.unusable:,} {unusable}: {index.reason}")
    if ends and ends.odd:
        covered.problems.append(f"{ends.odd:,} {unusable}: its start_time is no time")
    return covered


def _findings(read: Read, rows: HeldarsRows, whole: Span) -> list[Finding]:
    index, ends, disk = read.indexed.index, read.indexed.ends, read.primary.recorded
    if index is None or ends is None or disk is None:
        return []

    def read_again() -> list[IndexedSegment] | None:
        again = rows.indexed(read.camera_id).index
        return again.segments if again else None

    compared = Compared(whole, read.primary.read_at, directory_of(read.camera_id, ends.newest))
    return findings(compared, disk, index.segments, read_again)
