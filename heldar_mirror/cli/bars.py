"""Coverage as a bar: each cell shows the worst that its share of the time holds, by a character and by a colour."""

import math
from collections.abc import Collection, Iterable, Iterator, Sequence
from enum import Enum
from itertools import groupby

from heldar_mirror.cli.lines import Styled, style
from heldar_mirror.cli.table import GUTTER
from heldar_mirror.coverage.timeline import State, Stretch

# A cell's number and a share may be wrong by this much, since floating point numbers are rounded.
ROUNDING = 1e-9


class Mark(Enum):
    """What a cell shows, from the best to the worst: its character, its colour, and what they mean.

    Each character is distinct, so that a bar is readable without its colours.
    """

    BOTH = "█", "green", "both"
    GONE = "·", None, "neither, no gap"
    MIRROR_AS_MEANT = "▂", "green", "only mirror, no gap"
    PRIMARY_AS_MEANT = "▔", "green", "only primary, no gap"
    AT_LEAST_MIRROR = "m", "magenta", "mirror; the primary could not be read"
    AT_LEAST_PRIMARY = "p", "magenta", "primary; the mirror could not be read"
    UNKNOWN = "?", "magenta", "could not be read"
    ONLY_PRIMARY = "▀", "yellow", "only primary"
    ONLY_MIRROR = "▄", "cyan", "only mirror"
    NEITHER = "X", "red", "neither"


ORDER = list(Mark)
GAPS = {State.ONLY_PRIMARY: Mark.ONLY_PRIMARY, State.ONLY_MIRROR: Mark.ONLY_MIRROR, State.NEITHER: Mark.NEITHER}
AS_MEANT = {
    State.ONLY_PRIMARY: Mark.PRIMARY_AS_MEANT,
    State.ONLY_MIRROR: Mark.MIRROR_AS_MEANT,
    State.NEITHER: Mark.GONE,
}
OTHERS = {
    State.BOTH: Mark.BOTH,
    State.AT_LEAST_PRIMARY: Mark.AT_LEAST_PRIMARY,
    State.AT_LEAST_MIRROR: Mark.AT_LEAST_MIRROR,
    State.UNKNOWN: Mark.UNKNOWN,
}


def mark_of(stretch: Stretch) -> Mark:
    """Return the mark for a stretch."""
    return OTHERS.get(stretch.state) or (GAPS if stretch.is_gap else AS_MEANT)[stretch.state]


def cells(stretches: Iterable[Stretch], since: float, until: float, width: int) -> list[Mark]:
    """Return the marks of a bar of `width` cells that shows the time from `since` to `until`.

    The worst of what lies in a cell is shown, however short it is.
    """
    worst = [0] * width
    scale = width / (until - since)
    for stretch in stretches:
        # The last moment of the span may be rounded to the end of the last cell, and is shown in it.
        first = min(math.floor((stretch.begin - since) * scale + ROUNDING), width - 1)
        last = max(first, math.ceil((stretch.end - since) * scale - ROUNDING) - 1)
        rank = ORDER.index(mark_of(stretch))
        for cell in range(first, last + 1):
            worst[cell] = max(worst[cell], rank)
    return [ORDER[rank] for rank in worst]


def bar(marks: Sequence[Mark]) -> Styled:
    """Return a bar as it is printed."""
    return Styled("".join(_painted(mark, len(list(run))) for mark, run in groupby(marks)))


def legend(marks: Collection[Mark], width: int) -> Iterator[str]:
    """Yield lines that are at most `width` wide and say what these marks mean, as far as the words allow."""
    line, columns = "", 0
    for mark in (mark for mark in ORDER if mark in marks):
        text = f"{_painted(mark, 1)} {mark.value[2]}"
        size = len(f"x {mark.value[2]}")
        if line and columns + len(GUTTER) + size > width:
            yield Styled(line)
            line, columns = "", 0
        line, columns = (f"{line}{GUTTER}{text}", columns + len(GUTTER) + size) if line else (text, size)
    if line:
        yield Styled(line)


def _painted(mark: Mark, times: int) -> str:
    character, color, _ = mark.value
    return style(character * times, color)
