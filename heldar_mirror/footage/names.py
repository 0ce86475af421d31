"""The names of camera directories and segments, and what they mean."""

import functools
import re
import time
from datetime import datetime, timezone

# A camera's id is used as the name of a directory, a file and a program. Heldar's own ids consist of a-z, 0-9 and '_'.
CAMERA_ID = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_-]{0,99}")

# A name that the recorder's SEGMENT_NAME makes: YYYYMMDD_HHMMSS.mp4.
NAME = re.compile(r"([0-9]{8})_([01][0-9]|2[0-3])([0-5][0-9])([0-5][0-9])\.mp4")


def segment_name(begun: int) -> str:
    """Return the name of the segment that was begun at a Unix time."""
    minute, second = divmod(begun, 60)
    return f"{_minute(minute)}{second:02}.mp4"


def segment_begun(name: str) -> int | None:
    """Return the Unix time at which a segment was begun, by its name, or None if the name is not a segment's."""
    match = NAME.fullmatch(name)
    midnight = _midnight(match[1]) if match else None
    if match is None or midnight is None or midnight < 0:
        return None
    return midnight + int(match[2]) * 3600 + int(match[3]) * 60 + int(match[4])


# Both are cached: a million names fall on few days, and the segments of all cameras begin in the same minutes.
@functools.lru_cache(1 << 16)
def _minute(minutes: int) -> str:
    return time.strftime("%Y%m%d_%H%M", time.gmtime(minutes * 60))


@functools.lru_cache(1024)
def _midnight(day: str) -> int | None:
    try:
        return int(datetime.strptime(day, "%Y%m%d").replace(tzinfo=timezone.utc).timestamp())
    except ValueError:
        return None
