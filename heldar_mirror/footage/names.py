"""A camera's segments as a directory holds them: files that are named by when they were begun."""

import functools
import re
import time
from array import array
from collections.abc import Collection
from dataclasses import dataclass, field
from datetime import datetime, timezone

# The recorder's SEGMENT_NAME, with all that strftime can make of it.
NAME = re.compile(r"([0-9]{8})_([01][0-9]|2[0-3])([0-5][0-9])([0-5][0-9])\.mp4")


def segment_name(begun: int) -> str:
    """Return the name of the segment that was begun at a Unix time."""
    minute, second = divmod(begun, 60)
    return f"{_minute(minute)}{second:02}.mp4"


def segment_begun(name: str) -> int | None:
    """Return when a segment was begun, from its name, in Unix seconds; None if the name is not a segment's."""
    match = NAME.fullmatch(name)
    midnight = _midnight(match[1]) if match else None
    if match is None or midnight is None or midnight < 0:
        return None
    return midnight + int(match[2]) * 3600 + int(match[3]) * 60 + int(match[4])


# A million names hold few days, and cameras the same minutes.
@functools.lru_cache(1 << 16)
def _minute(minutes: int) -> str:
    return time.strftime("%Y%m%d_%H%M", time.gmtime(minutes * 60))


@functools.lru_cache(1024)
def _midnight(day: str) -> int | None:
    try:
        return int(datetime.strptime(day, "%Y%m%d").replace(tzinfo=timezone.utc).timestamp())
    except ValueError:
        return None


# The size of a segment that was not looked at yet.
UNKNOWN = -1


@dataclass
class Footage:
    """One camera's segments, oldest first: when each was begun (Unix seconds), and its bytes, 0 where nothing was
    recorded in it, or UNKNOWN. 16 bytes a segment, however many there are."""

    begun: "array[int]" = field(default_factory=lambda: array("q"))
    sizes: "array[int]" = field(default_factory=lambda: array("q"))

    def drop(self, indexes: Collection[int]) -> None:
        """Forget segments; in runs, since those that go mostly lie side by side."""
        end = start = -1
        for index in [*sorted(indexes, reverse=True), -2]:
            if index != start - 1:
                if start >= 0:
                    del self.begun[start:end]
                    del self.sizes[start:end]
                end = index + 1
            start = index


def shown_size(size: float) -> str:
    """Return a size in bytes for people."""
    for unit in ("B", "KiB", "MiB"):
        if abs(size) < 1024:
            return f"{size:.0f} {unit}" if unit == "B" else f"{size:.1f} {unit}"
        size /= 1024
    return f"{size:.1f} GiB" if size < 1024 else f"{size / 1024:.1f} TiB"
