"""What is to be filled of a camera: times that only the mirror has, and rows of Heldar's index whose files are lost.

Pure; times are Unix seconds. Names have whole seconds, so there may seem to be gaps where there are none: the packets
of both sides tell. No gap of `min_gap` seconds or more is missed, unless it lies within a segment.
"""

from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Sequence
from math import floor
from typing import NamedTuple

from heldar_mirror.coverage.findings import Compared, lost_rows
from heldar_mirror.coverage.timeline import MIN_GAP_SECONDS, Known, Reasons, Span, State, sweep, timeline
from heldar_mirror.footage.spans import Spans
from heldar_mirror.heldar.recordings import IndexedSegment
from heldar_mirror.sides.recorded import Recorded

# By the names of the segments around it, a hole may seem to be so much shorter than it is.
NAME_SECONDS = 1.0
# For the same moment, the names of both sides may be so far apart.
APART_SECONDS = MIN_GAP_SECONDS
# Heldar has the ends of segments from ffprobe, so a gap that it has found may begin so long before or after ours.
NEAR_SECONDS = 2.0


class Gap(NamedTuple):
    """A time for which only the mirror may have footage, by the primary's names.

    `starts` are the seconds at which a gap of Heldar's `recording_gaps` begins in it or near it.
    """

    begin: float
    end: float
    starts: tuple[int, ...]


class LostRow(NamedTuple):
    """A row of Heldar's index whose file is not on the disk. `name` is the second in the file's name.

    `size` are its bytes, by the row. `locked` says that it is kept as evidence.
    """

    name: int
    begin: float
    end: float
    size: int
    locked: bool


class OnlyMirror(NamedTuple):
    """The times that only the mirror may have: those that are `wanted` back, and those that are `unknown`, since the
    primary could not be read."""

    wanted: Spans
    unknown: Spans


def only_mirror(whole: Span, primary: Known, mirror: Known, reasons: Reasons, min_gap: float) -> OnlyMirror:
    """Return the times of `whole` that only the mirror may have and Heldar would keep."""
    wide = Spans((begin - APART_SECONDS, end + APART_SECONDS) for begin, end in mirror.footage.spans)
    found = timeline(whole, primary, Known(wide, mirror.unread), reasons, max(min_gap - NAME_SECONDS, 0.0))
    unread = Spans(each[:2] for each in found if each.state is State.AT_LEAST_MIRROR)
    return OnlyMirror(
        Spans(each[:2] for each in found if each.state is State.ONLY_MIRROR and each.reason is None),
        # Where a side could not be read, the timeline gives no reason.
        Spans((begin, end) for begin, end, (here, *why) in sweep(whole, (unread, *reasons)) if here and not any(why)),
    )


def lost_in(  # noqa: PLR0913, PLR0917 - rows, both sides, and what is looked for
    whole: Span,
    compared: Compared,
    disk: Recorded,
    rows: Sequence[IndexedSegment],
    mirror: Known,
    reasons: Reasons,
) -> Iterator[LostRow]:
    """Yield the rows that overlap `whole`, whose files are lost, and for which the mirror has footage.

    Those that have expired are left out, but for evidence, which Heldar keeps whatever its age.
    """
    for name, row in lost_rows(compared, disk, rows):
        is_expired = any(begin <= row.begin and row.end <= end for begin, end in reasons.expired.spans)
        is_asked_for = row.begin < whole[1] and row.end > whole[0]
        if is_asked_for and (row.evidence or not is_expired) and mirror.footage.overlap(row.begin, row.end):
            yield LostRow(name, row.begin, row.end, row.size, row.evidence)


def gaps_beside(
    whole: Span, wanted: Spans, lost: Sequence[LostRow], starts: Sequence[float], min_gap: float
) -> Iterator[Gap]:
    """Yield the gaps that the lost rows leave of the wanted times. `starts` are the beginnings of Heldar's gaps.

    What is left beside a lost row is nothing if it is shorter than `min_gap`: rows too have names of whole seconds.
    """
    rows = Spans((row.begin, row.end) for row in lost)
    pieces = list(sweep(whole, (wanted, rows)))
    in_row = [False, *(inside for _, _, (_, inside) in pieces), False]
    for number, (begin, end, (is_wanted, is_in_row)) in enumerate(pieces, 1):
        is_rest = in_row[number - 1] or in_row[number + 1]
        if is_wanted and not is_in_row and not (is_rest and end - begin < min_gap):
            near = starts[bisect_left(starts, begin - NEAR_SECONDS) : bisect_right(starts, end)]
            yield Gap(begin, end, tuple(map(floor, near)))
