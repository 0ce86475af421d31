"""Listing the segments of an open directory, as fast as Python can: a camera may have millions."""

import os
from array import array
from bisect import bisect_left
from collections.abc import Callable, Iterable
from contextlib import suppress
from itertools import islice

from heldar_mirror.footage.names import segment_begun, segment_name

# A sign of life is given after each of these many entries.
ENTRIES = 1 << 14
# No directory holds more: these would be a segment a second for half a year.
MAX_ENTRIES = 1 << 24
# When more hours are remembered, all are forgotten. A year has half as many.
MAX_HOURS = 1 << 14

# The seconds within an hour, by the rest of a name after its first 11 characters. Two small tables are faster than a
# large one, which does not fit into the processor's cache.
_SECONDS = {f"{minute:02}{second:02}.mp4": minute * 60 + second for minute in range(60) for second in range(60)}


class _Hours(dict[str, "int | None"]):
    """When an hour begins (Unix seconds), by the first 11 characters of the names of its segments."""

    def __missing__(self, hour: str) -> int | None:
        if len(self) >= MAX_HOURS:
            self.clear()
        self[hour] = begun = segment_begun(f"{hour}0000.mp4")
        return begun


_hours = _Hours()


def begun_in(entries: "Iterable[os.DirEntry[str]]") -> list[int]:
    """Return when the segments among some entries begin (Unix seconds). Only regular files count.

    The names are read as `segment_begun` does it, several times as fast where many are of the same hours.
    """
    return [
        hour + seconds
        for entry in entries
        if (seconds := _SECONDS.get((name := entry.name)[11:])) is not None
        and (hour := _hours[name[:11]]) is not None
        and entry.is_file(follow_symlinks=False)
    ]


def list_segments(directory: int, progress: Callable[[], None]) -> "array[int]":
    """Return when the segments in an open directory begin, by their names (Unix seconds), in order.

    Raises OSError, also if the directory does not come to an end.
    """
    found: list[int] = []
    entries = 0
    with os.scandir(directory) as scan:
        while some := list(islice(scan, ENTRIES)):
            found += begun_in(some)
            entries += len(some)
            if entries > MAX_ENTRIES:
                raise OSError(f"it has more than {MAX_ENTRIES} entries")
            progress()
    # While a directory is changed, Linux may give an entry twice.
    return array("q", sorted(set(found)))


def list_files(directory: int, begun: "array[int]", progress: Callable[[], None]) -> "list[array[int]]":
    """Return three columns of the segments in an open directory that are still there, of those listed before: when each
    begins, its bytes, and when it was written last, in ns. Raises OSError."""
    columns = [array("q"), array("q"), array("q")]
    for count, each in enumerate(begun):
        with suppress(FileNotFoundError):
            about = os.stat(segment_name(each), dir_fd=directory, follow_symlinks=False)
            for column, value in zip(columns, (each, about.st_size, about.st_mtime_ns), strict=True):
                column.append(value)
        if count % ENTRIES == 0:
            progress()
    return columns


def span_of(begun: "array[int]", since: float, until: float) -> range:
    """Return the indexes of the segments that begin in a time, and of the last one before it, which may reach into it.

    The time includes `since`, but not `until`.
    """
    return range(max(0, bisect_left(begun, since) - 1), bisect_left(begun, until))
