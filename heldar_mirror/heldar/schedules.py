"""The times at which Heldar's primary records by the clock: its schedules. Pure; times are Unix seconds.

A schedule is a window of the wall clock on some days of the week. Heldar looks at the clock again and again and asks
whether a window is open, so on a day of 23 or 25 hours a window may be shorter, or open twice.
"""

import json
import math
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone, tzinfo

from heldar_mirror.footage.spans import Spans
from heldar_mirror.heldar.cameras import CameraError, Row, flag

CLOCK = re.compile(r"([01]?[0-9]|2[0-3]):([0-5]?[0-9])")

DAY, HOUR = 86_400, 3600


@dataclass(frozen=True)
class Schedule:
    """A window from `begin` to `end` minutes after midnight on each of `days` (0 is Monday).

    An end that is not after the beginning is on the next day.
    """

    days: frozenset[int]
    begin: int
    end: int


def parse_schedules(rows: Iterable[Row]) -> tuple[dict[str, list[Schedule]], dict[str, str]]:
    """Return the enabled schedules by camera, and for each camera with a row that can't be used, why."""
    schedules: dict[str, list[Schedule]] = {}
    problems: dict[str, str] = {}
    for row in rows:
        camera_id = str(row["camera_id"])
        try:
            if flag(row, "enabled"):
                schedules.setdefault(camera_id, []).append(_parse(row))
        except (CameraError, ValueError) as error:
            problems.setdefault(camera_id, f"a row of camera_schedules can't be used: {error}")
    return schedules, problems


def _parse(row: Row) -> Schedule:
    return Schedule(_days(row["days"]), _minutes(row, "time_start"), _minutes(row, "time_end"))


def _days(text: object) -> frozenset[int]:
    try:
        days = json.loads(text) if isinstance(text, str) else None
    except (ValueError, RecursionError):
        days = None
    if not isinstance(days, list) or not all(isinstance(day, int) and 0 <= day <= 6 for day in days):
        raise ValueError(f"days is {ascii(text)[:40]}, expected a JSON list of numbers from 0 to 6")
    return frozenset(days)


def _minutes(row: Row, column: str) -> int:
    text = row[column]
    match = CLOCK.fullmatch(text) if isinstance(text, str) else None
    if not match:
        raise ValueError(f"{column} is {ascii(text)[:40]}, expected a time such as 23:59")
    return 60 * int(match[1]) + int(match[2])


def windows(schedules: Iterable[Schedule], since: float, until: float, zone: tzinfo | None) -> Spans:
    """Return when the windows of the schedules are open, from `since` to `until`.

    The wall clock is that of `zone`, or of this machine if it is None.
    """
    schedules = list(schedules)
    found = []
    for begin, end, offset in _offsets(since, until, zone):
        # Within a piece the wall clock runs like any clock, so in its own seconds midnight is every DAY seconds.
        for midnight in range(int((begin + offset) // DAY - 1) * DAY, int(end + offset) + 1, DAY):
            weekday = (midnight // DAY + 3) % 7  # the first day of Unix time was a Thursday
            for schedule in schedules:
                if weekday in schedule.days:
                    length = schedule.end - schedule.begin
                    opened = midnight + 60 * schedule.begin - offset
                    closed = opened + 60 * (length if length > 0 else length + 24 * 60)
                    if opened < end and closed > begin:
                        found.append((max(opened, begin), min(closed, end)))
    return Spans(found)


def _offsets(since: float, until: float, zone: tzinfo | None) -> Iterator[tuple[float, float, int]]:
    """Yield the pieces of a time in which the wall clock has one offset from UTC, with that offset in seconds."""
    begin, offset = since, _offset(since, zone)
    at = since
    while at < until:
        after = min(at + HOUR, until)
        changed = _offset(after, zone)
        if changed != offset:
            low, high = math.floor(at), math.floor(after) + 1  # offsets change on whole seconds
            while high - low > 1:
                middle = (low + high) // 2
                low, high = (middle, high) if _offset(middle, zone) == offset else (low, middle)
            change = min(max(high, begin), until)
            yield begin, change, offset
            begin, offset = change, changed
        at = after
    if until > begin:
        yield begin, until, offset


def _offset(at: float, zone: tzinfo | None) -> int:
    local = datetime.fromtimestamp(at, timezone.utc).astimezone(zone)
    return (local.utcoffset() or timedelta()) // timedelta(seconds=1)
