"""The names of camera directories and segments, and what they mean."""

import functools
import re
import time
from datetime import datetime, timezone

# A camera's id is used as the name of a directory, a file and a program. Heldar's own ids consist of a-z, 0-9 and '_'.
CAMERA_ID = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_-]{0,99}")

# The parts of a name that the recorder's SEGMENT_NAME makes, YYYYMMDD_HHMMSS.mp4, with their seconds. To look parts up
# takes half as long as to match the whole name.
DAY = re.compile(r"[0-9]{8}")
_HOURS = {f"_{hour:02}": hour * 3600 for hour in range(24)}
_MINUTES = {f"{minute:02}": minute * 60 for minute in range(60)}
_SECONDS = {f"{second:02}.mp4": second for second in range(60)}


def segment_name(begun: int) -> str:
    """Return the name of the segment that was begun at a Unix time."""
    minute, second = divmod(begun, 60)
    return f"{_minute(minute)}{second:02}.mp4"


def segment_begun(name: str) -> int | None:
    """Return the Unix time at which a segment was begun, by its name, or None if the name is not a segment's."""
    hour, minute, second = _HOURS.get(name[8:11]), _MINUTES.get(name[11:13]), _SECONDS.get(name[13:])
    if hour is None or minute is None or second is None:
        return None
    midnight = _midnight(name[:8])
    return None if midnight is None else midnight + hour + minute + second


# Both are cached: a million names fall on few days, and the segments of all cameras begin in the same minutes.
@functools.lru_cache(1 << 16)
def _minute(minutes: int) -> str:
    return time.strftime("%Y%m%d_%H%M", time.gmtime(minutes * 60))


@functools.lru_cache(1024)
def _midnight(day: str) -> int | None:
    if not DAY.fullmatch(day):
        return None
    try:
        midnight = int(datetime.strptime(day, "%Y%m%d").replace(tzinfo=timezone.utc).timestamp())
    except ValueError:
        return None
    return midnight if midnight >= 0 else None
