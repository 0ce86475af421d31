"""The primary's index: what Heldar's table `segments` says.

It may have millions of rows, and while a transaction reads, Heldar's `-wal` can't be started anew and grows. So it is
read in slices, each in a transaction of its own. Between two slices Heldar may change the table.
"""

import time
from collections.abc import Sequence
from contextlib import suppress
from datetime import datetime
from pathlib import Path
from typing import NamedTuple

from heldar_mirror.heldar import queries
from heldar_mirror.heldar.database import ask
from heldar_mirror.heldar.retention import parse_time

# A slice has at most as many rows. They take about a twentieth of a second, in which even a busy Heldar writes little.
SLICE_ROWS = 10_000
SLICE_PATHS = 500

# Segments are looked for from so long before a time on: none is longer than a day, nor is a zone further from UTC.
# Heldar writes its times in UTC, so that the order of the texts is that of the times.
MARGIN_SECONDS = 86_400

WHAT = "recordings"


class IndexedSegment(NamedTuple):
    """A row of `segments`: the path as Heldar has it, and when the segment begins and ends (Unix seconds).

    `size` has its bytes, 0 if the row does not say. `evidence` says that a person has locked it as evidence.
    """

    path: str
    begin: float
    end: float
    size: int = 0
    evidence: bool = False


class Index(NamedTuple):
    """A camera's rows of `segments` in a span, and how many more can't be used, with the reason for the first."""

    segments: list[IndexedSegment]
    unusable: int
    reason: str


class Ends(NamedTuple):
    """When the oldest segment of a camera that is not locked begins (Unix seconds), and the path of its newest one.

    Each is None if there is none. `odd` is how many of the camera's rows have a `start_time` that is no time at all, so
    that they are in no span.
    """

    oldest: float | None
    newest: str | None
    odd: int


class Size(NamedTuple):
    """How many segments a camera has in the index, and their bytes."""

    segments: int
    bytes: float


def read_index(path: Path, camera_id: str, since: float, until: float) -> Index:
    """Return the rows of a camera that overlap a span, in the order of their beginnings. Raises DatabaseError."""
    found: list[IndexedSegment] = []
    unusable, reason = 0, ""
    times = _days_around(since, until)
    after = times[0], 0
    while rows := ask(path, WHAT, queries.segments, camera_id, times, after, SLICE_ROWS):
        for _, name, start, end, size, evidence in rows:
            try:
                segment = IndexedSegment(_text(name), *_span(start, end), _bytes(size), evidence not in {0, None})
            except ValueError as error:
                unusable, reason = unusable + 1, reason or f"its {error}"
                continue
            if segment.begin < until and segment.end > since:
                found.append(segment)
        after = rows[-1][2], rows[-1][0]
        if len(rows) < SLICE_ROWS:
            break
    found.sort(key=lambda segment: segment.begin)
    return Index(found, unusable, reason)


def read_gap_starts(path: Path, camera_id: str, since: float, until: float) -> list[float]:
    """Return when the gaps of a camera begin that Heldar has found in a span (Unix seconds). Raises DatabaseError.

    What can't be a time is left out.
    """
    found = []
    for (start,) in ask(path, "gaps", queries.gap_starts, camera_id, *_days_around(since, until)):
        with suppress(ValueError):
            found.append(_time(start))
    return sorted(begin for begin in found if since <= begin < until)


def read_ends(path: Path, camera_id: str) -> Ends:
    """Return the ends of a camera's index. Raises DatabaseError."""
    ((begun, newest, odd),) = ask(path, WHAT, queries.segment_ends, camera_id)
    oldest = None
    with suppress(ValueError):
        oldest = _time(begun)
    return Ends(oldest, newest if isinstance(newest, str) else None, odd)


def read_sizes(path: Path) -> dict[str, Size]:
    """Return the sizes of all cameras in the index. Raises DatabaseError."""
    sizes: dict[str, Size] = {}
    after = 0
    while rows := ask(path, WHAT, queries.segment_sizes, after, SLICE_ROWS):
        for camera_id, count, total, last in rows:
            segments, size = sizes.get(str(camera_id), (0, 0.0))
            sizes[str(camera_id)] = Size(segments + count, size + total)
            after = max(after, last)
    return sizes


def _days_around(since: float, until: float) -> tuple[str, str]:
    """Return two days as texts: what Heldar has of a span lies from the first one to before the second."""
    return _day(since - MARGIN_SECONDS), _day(until + 2 * MARGIN_SECONDS)


def read_sizes_by_path(path: Path, paths: Sequence[str]) -> dict[str, object]:
    """Return what the index says of the sizes of files, by their paths as Heldar calls them, or nothing of those that
    it does not have. Raises DatabaseError."""
    found: dict[str, object] = {}
    for begin in range(0, len(paths), SLICE_PATHS):
        found |= dict(ask(path, WHAT, queries.sizes_by_path, paths[begin : begin + SLICE_PATHS]))
    return found


def _day(at: float) -> str:
    """Return the day of a time, which is less than all times of that day as texts."""
    return time.strftime("%Y-%m-%d", time.gmtime(max(at, 0)))


def _text(path: object) -> str:
    if not isinstance(path, str):
        raise ValueError(f"path is {ascii(path)[:40]}, expected a text")
    return path


def _bytes(size: object) -> int:
    return size if isinstance(size, int) else 0


def _span(start: object, end: object) -> tuple[float, float]:
    begin, until = _time(start), _time(end)
    if until < begin:
        raise ValueError(f"end_time, {ascii(end)[:40]}, is before its start_time, {ascii(start)[:40]}")
    return begin, until


def _time(text: object) -> float:
    """Return a time in Unix seconds. Raises ValueError."""
    if isinstance(text, str) and text.endswith("+00:00"):
        # Heldar writes it so. This is four times as fast, which is some seconds for millions of rows.
        try:
            return datetime.fromisoformat(text).timestamp()
        except ValueError:
            pass
    return parse_time(text)
