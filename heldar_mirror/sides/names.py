"""Listing the segments of an open directory, as fast as Python can: a camera may have millions."""

import os
from array import array
from bisect import bisect_left
from collections.abc import Callable
from contextlib import suppress
from itertools import islice

from heldar_mirror.footage.names import segment_begun, segment_name

# So many entries are read between two signs of life.
ENTRIES = 1 << 14
# More than any directory holds: a segment a second for half a year.
MAX_ENTRIES = 1 << 24
# The minutes of a month, twice. When more are remembered, all are forgotten.
MAX_MINUTES = 1 << 17

_SECONDS = {f"{second:02}.mp4": second for second in range(60)}


class _Minutes(dict[str, "int | None"]):
    """When a minute begins (Unix seconds), by the first 13 characters of the names of its segments."""

    def __missing__(self, minute: str) -> int | None:
        if len(self) >= MAX_MINUTES:
            self.clear()
        self[minute] = begun = segment_begun(f"{minute}00.mp4")
        return begun


_minutes = _Minutes()


def begun_of(name: str) -> int | None:
    """Return the same as `segment_begun`, several times as fast where many names are of the same minutes."""
    second = _SECONDS.get(name[13:])
    minute = None if second is None else _minutes[name[:13]]
    return None if second is None or minute is None else minute + second


def list_segments(directory: int, progress: Callable[[], None]) -> "array[int]":
    """Return when the segments in an open directory begin, by their names (Unix seconds), in order.

    Only regular files count. Raises OSError, also if the directory does not come to an end.
    """
    found: list[int] = []
    entries = 0
    with os.scandir(directory) as scan:
        while some := list(islice(scan, ENTRIES)):
            # This is `begun_of` without its call.
            found += [
                minute + second
                for entry in some
                if (second := _SECONDS.get((name := entry.name)[13:])) is not None
                and (minute := _minutes[name[:13]]) is not None
                and entry.is_file(follow_symlinks=False)
            ]
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
