"""Taking stock: what lies on both sides, which of it may be looked at, and what changed since it was."""

from array import array
from bisect import bisect_right
from collections.abc import Collection, Iterator
from contextlib import suppress
from typing import NamedTuple

from heldar_mirror.errors import DatabaseError
from heldar_mirror.heldar.cameras import CameraError, camera_id, should_mirror
from heldar_mirror.heldar.tables import read_recorded_cameras
from heldar_mirror.settings import Settings
from heldar_mirror.sides.recorded import Files
from heldar_mirror.verify.memory import Stocked
from heldar_mirror.verify.windows import SKEW_SECONDS

# The newest segment of a side is being recorded, unless nobody has written to it for so long. The primary's
# ffmpeg writes 256 KiB at a time, which takes so long at 3.5 kbit/s. Nothing is lost by waiting.
OPEN_SECONDS = 600
# A file of the primary that was written so long after its end was changed, or came late.
WRITTEN_LATE_SECONDS = 60


class Doubt(NamedTuple):
    """Segments of the mirror, from the first to the last, whose primary was changed at a time (Unix seconds)."""

    first: int
    last: int
    changed: int


def closed(files: Files, now: float) -> "array[int]":
    """Return when the segments of a side begin that are not being recorded."""
    if files.begun and now - files.modified[-1] / 1e9 < OPEN_SECONDS:
        return files.begun[:-1]
    return files.begun


def comparable(mirror: Files, primary: Files | None, now: float) -> Iterator[Stocked]:
    """Yield the segments of the mirror that may be looked at: no longer recorded, on neither side."""
    count = len(closed(mirror, now))
    if primary is not None and len(closed(primary, now)) < len(primary.begun):
        # Those that end before the primary's open segment begins.
        until = primary.begun[-1] - SKEW_SECONDS
        count = min(count, max(0, bisect_right(mirror.begun, until) - 1))
    columns = (mirror.begun[:count], mirror.sizes[:count], mirror.modified[:count])
    return (Stocked(*row) for row in zip(*columns, strict=True))


def doubts(mirror: "array[int]", primary: Files) -> Iterator[Doubt]:
    """Yield which segments of the mirror to look at again, since a file of the primary was written after its time."""
    for number in range(len(primary.begun) - 1):
        begin, end, changed = primary.begun[number], primary.begun[number + 1], primary.modified[number] // 10**9
        if changed > end + WRITTEN_LATE_SECONDS:
            first = max(0, bisect_right(mirror, begin - SKEW_SECONDS) - 1)
            last = bisect_right(mirror, end + SKEW_SECONDS) - 1
            if last >= first:
                yield Doubt(mirror[first], mirror[last], changed)


def asked(camera_ids: Collection[str], present: Collection[str]) -> list[str]:
    """Return the cameras to look at: those that are named, or all. Raises LookupError for one that is not there."""
    for each in camera_ids:
        if each not in present:
            raise LookupError(each)
    return sorted(set(camera_ids)) or sorted(present)


def absent(settings: Settings, present: Collection[str]) -> Iterator[str]:
    """Yield what is wrong with cameras that are to be mirrored and have no directory in the mirror."""
    with suppress(DatabaseError):  # it is asked for more than this, and what keeps it from answering is told then
        for row in read_recorded_cameras(settings.database):
            with suppress(CameraError):  # the watcher tells of it
                if should_mirror(row) and camera_id(row) not in present:
                    yield (
                        f"{camera_id(row)}: {settings.mirror_root}/{camera_id(row)} is not there, though this camera "
                        "is to be mirrored: see heldar-mirror status"
                    )
