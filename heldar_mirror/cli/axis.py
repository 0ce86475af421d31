"""The axis above bars: ticks at round local times, with their labels."""

import math
from collections.abc import Iterator
from datetime import date, datetime, time, timedelta
from typing import NamedTuple

from heldar_mirror.footage.times import DAY_SECONDS, Zone, moments_of

# Two ticks are one of these apart: a part of a day in seconds, or else days.
CLOCK_STEPS = (1, 5, 10, 30, 60, 300, 600, 1800, 3600, 7200, 10_800, 14_400, 21_600, 43_200)
DAY_STEPS = (1, 2, 7, 14, 30, 90, 365, 1825)

# A label and the next tick are at least this many columns apart.
BLANKS = 2


class Scale(NamedTuple):
    """The time that an axis shows, by the span, the zone, and the number of columns."""

    since: float
    until: float
    zone: Zone
    width: int

    def column(self, at: float) -> int:
        """Return the column of a moment."""
        return int((at - self.since) * self.width / (self.until - self.since) + 1e-9)


def axis(scale: Scale) -> str:
    """Return an axis that is at most as wide as its scale. A tick `|` stands in the column of the time beside it."""
    line = ""
    for at, label in _ticks(scale):
        column = scale.column(at)
        if column >= len(line) + (BLANKS if line else 0) and column + 1 + len(label) <= scale.width:
            line = f"{line:{column}}|{label}"
    return line


def _ticks(scale: Scale) -> Iterator[tuple[float, str]]:
    """Yield the ticks, as far apart as their labels need, with the labels."""
    column_seconds = (scale.until - scale.since) / scale.width

    def is_enough(step: float, label: str) -> bool:
        return step >= column_seconds * (len(f"|{label}") + BLANKS)

    for step in CLOCK_STEPS:
        if is_enough(step, "12:00" if step >= 60 else "12:00:00"):
            yield from _clock_ticks(scale, step)
            return
    for days in DAY_STEPS:
        if is_enough(days * DAY_SECONDS, "12-31" if days < 30 else "2026-12-31") or days == DAY_STEPS[-1]:
            for day in _days(scale, days):
                yield moments_of(day, time(), scale.zone)[0], f"{day:%m-%d}" if days < 30 else str(day)
            return


def _clock_ticks(scale: Scale, step: int) -> Iterator[tuple[float, str]]:
    """Yield the moments at which a local clock shows a multiple of `step` seconds. One at midnight has the day."""
    at = math.ceil(scale.since)
    while at < scale.until:
        local = datetime.fromtimestamp(at, scale.zone)
        past = local.hour * 3600 + local.minute * 60 + local.second
        if past % step == 0:
            form = "%H:%M:%S" if step < 60 else "%H:%M" if past else "%m-%d"
            yield at, f"{local:{form}}"
        # If the clock jumps meanwhile this is too far or not far enough, and the next one is right.
        at += step - past % step


def _days(scale: Scale, step: int) -> Iterator[date]:
    """Yield every `step`th day, counted from a fixed one, so that the ticks stay where they are from day to day."""
    first = datetime.fromtimestamp(scale.since, scale.zone).date()
    last = datetime.fromtimestamp(scale.until, scale.zone).date()
    day = first - timedelta(first.toordinal() % step)
    while day <= last:
        if day >= first:
            yield day
        day += timedelta(step)
