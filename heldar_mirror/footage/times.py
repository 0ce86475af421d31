"""Times as people write them, such as `yesterday`, `2h` or `2026-11-28 02:10`, and as they are shown to people.

A zone is None for local time, which is that of TZ or of the machine, or it is UTC.

A local time that the clock shows twice means the first as a beginning and the second as an end, so that nothing is left
out that may be meant. A local time that the clock skips means the moment of the jump. So a day begins and ends where a
person would say, also if it has 23 or 25 hours, or no midnight.
"""

import math
import re
from bisect import bisect_left
from contextlib import suppress
from datetime import date, datetime, time, timedelta, timezone, tzinfo

Zone = tzinfo | None
UTC = timezone.utc

DAY_SECONDS = 86_400
UNIT_SECONDS = {"w": 7 * DAY_SECONDS, "d": DAY_SECONDS, "h": 3600, "m": 60, "s": 1}
WEEKDAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")

NUMBER = r"[0-9]{1,9}(?:\.[0-9]{1,9})?"
LENGTH = re.compile(rf"(?:{NUMBER}[wdhms])+")
AGO = re.compile(rf"({LENGTH.pattern})(?: ago)?")
DAY = rf"[0-9]{{4}}-[0-9]{{2}}-[0-9]{{2}}|today|yesterday|{'|'.join(f'{day[:3]}(?:{day[3:]})?' for day in WEEKDAYS)}"
CLOCK = (
    r"(?P<hour>[0-9]{1,2}):(?P<minute>[0-9]{2})(?::(?P<second>[0-9]{2})(?P<fraction>\.[0-9]+)?)?"
    r" ?(?P<offset>z|[+-][0-9]{2}:?[0-9]{2})?"
)
MOMENT = re.compile(rf"(?:(?P<day>{DAY})(?:$|[t ](?=.)))?(?:{CLOCK})?")

EXPECTED = (
    "expected a time such as 2026-11-28, '2026-11-28 02:10', 2026-11-28T02:10:00+01:00, 2h, 1d12h, 02:10, now, today, "
    "yesterday, monday or 'yesterday 02:10'"
)


class TimeError(Exception):
    """A text that is no time, or two times that make no span. It says what was expected."""


def parse_span(since: str | None, until: str | None, now: float, zone: Zone = None) -> tuple[float, float]:
    """Return the beginning and the end, in Unix seconds, of the span that two texts mean at the time `now`.

    Without `until` it ends now; without `since` it lasts 24 hours. A day means its beginning as `since` and its end as
    `until`. A time of day is the last one before now as `until`, and the last one before the end as `since`.

    Raises TimeError, also if the span would be empty or begin or end in the future.
    """
    end = now if until is None else _until(until, now, zone)
    begin = end - DAY_SECONDS if since is None else _meaning(since, end, now, zone)[0]
    _refuse_future("--since", begin, now, zone)
    begin = max(begin, 0.0)
    if begin >= end:
        raise TimeError(
            f"--since, {shown_time(begin, zone)}, is not before --until, {shown_time(end, zone)}: "
            "expected the earlier time as --since"
        )
    return begin, end


def _until(text: str, now: float, zone: Zone) -> float:
    begin, end = _meaning(text, now, now, zone)
    _refuse_future("--until", begin, now, zone)
    return min(end, now)  # today is not over yet


def _refuse_future(option: str, at: float, now: float, zone: Zone) -> None:
    if at > now:
        raise TimeError(
            f"{option}, {shown_time(at, zone)}, is in the future: expected a time before now, {shown_time(now, zone)}"
        )


def parse_length(text: str) -> float:
    """Return a length of time in seconds: `5` and `5s` are seconds, and there are `1m30s`, `2h`, `1d`.

    Raises TimeError.
    """
    lowered = text.strip().lower()
    if re.fullmatch(NUMBER, lowered):
        return float(lowered)
    if not LENGTH.fullmatch(lowered):
        raise TimeError(f"{text[:60]!r} is no length of time: expected one such as 5s, 1m30s, 2h or 1d")
    parts = re.findall(rf"({NUMBER})([wdhms])", lowered)
    return sum(float(number) * UNIT_SECONDS[unit] for number, unit in parts)


def shown_time(at: float, zone: Zone = None) -> str:
    """Return a Unix time as people read it, such as 2026-11-28 02:10:00+01:00, and with Z for UTC."""
    if zone is UTC:
        return f"{datetime.fromtimestamp(at, UTC):%Y-%m-%d %H:%M:%S}Z"
    return datetime.fromtimestamp(at, zone).astimezone(zone).isoformat(" ", "seconds")


def _meaning(text: str, before: float, now: float, zone: Zone) -> tuple[float, float]:
    """Return the beginning and the end of what a text means. Both are the same for most moments.

    A time of day is the last one before the time `before`.
    """
    words = " ".join(text.lower().split())
    if words == "now":
        return now, now
    if ago := AGO.fullmatch(words):
        return (now - parse_length(ago[1]),) * 2
    moment = MOMENT.fullmatch(words)
    if words and moment:
        # A ValueError is one of a 13th month or a 61st minute, an OverflowError one of a day that no clock reaches.
        with suppress(ValueError, OverflowError, OSError):
            return _moment(moment, before, now, zone)
    raise TimeError(f"{text[:60]!r} is no time: {EXPECTED}")


def _moment(words: "re.Match[str]", before: float, now: float, zone: Zone) -> tuple[float, float]:
    """Return the beginning and the end of what the words that MOMENT has matched mean."""
    if offset := words["offset"]:
        zone = UTC if offset == "z" else datetime.strptime(offset, "%z").tzinfo
    today = datetime.fromtimestamp(now, zone).date()
    day = _day(words["day"], today) if words["day"] else None
    if day and not words["hour"]:
        end, again = moments_of(day + timedelta(1), time(), zone)
        # A clock that is put back over midnight shows the day once more. If it goes back to midnight, the day is over.
        is_back = datetime.fromtimestamp(again - 1, zone).date() == day
        return moments_of(day, time(), zone)[0], again if is_back else end
    microsecond = int(float(words["fraction"] or 0) * 1e6)
    clock = time(int(words["hour"]), int(words["minute"]), int(words["second"] or 0), microsecond)
    if day:
        return moments_of(day, clock, zone)
    last = datetime.fromtimestamp(before, zone).date()
    found = moments_of(last, clock, zone)
    return found if found[0] < before else moments_of(last - timedelta(1), clock, zone)


def _day(text: str, today: date) -> date:
    """Return the day that a text means. A day of the week is the last one that has begun."""
    if text[0].isdigit():
        return date.fromisoformat(text)
    if text in {"today", "yesterday"}:
        return today - timedelta(text == "yesterday")
    weekday = [name[:3] for name in WEEKDAYS].index(text[:3])
    return today - timedelta((today.weekday() - weekday) % 7)


def moments_of(day: date, of_day: time, zone: Zone) -> tuple[float, float]:
    """Return the first and the last moment at which the clock shows a local time. If it skips it, both are the moment
    of the jump."""
    local = datetime.combine(day, of_day, zone)
    # Python's `fold` tells the two apart. For a time that is skipped it counts on from before and back from after.
    first, last = local.timestamp(), local.replace(fold=1).timestamp()
    if first <= last:
        return first, last
    seconds = range(math.floor(last), math.ceil(first))
    jump = bisect_left(seconds, True, key=lambda at: _offset(at, zone) != _offset(seconds[0], zone))
    return (float(seconds[0] + jump),) * 2


def _offset(at: float, zone: Zone) -> timedelta | None:
    return datetime.fromtimestamp(at, zone).astimezone(zone).utcoffset()
