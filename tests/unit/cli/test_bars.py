"""Bars, and the axis above them."""

import re
from datetime import datetime
from zoneinfo import ZoneInfo

import pytest
from click import unstyle
from hypothesis import example, given
from hypothesis import strategies as st

from heldar_mirror.cli.axis import Scale, axis
from heldar_mirror.cli.bars import ORDER, Mark, bar, cells, legend, mark_of
from heldar_mirror.coverage.timeline import Reason, State, Stretch
from heldar_mirror.footage.times import UTC, parse_span

ZURICH = ZoneInfo("Europe/Zurich")
DAY = 86_400

widths = st.integers(1, 300)
kinds = st.tuples(st.sampled_from(State), st.sampled_from([None, *Reason]))


@st.composite
def timelines(draw: st.DrawFn) -> list[Stretch]:
    """Stretches in order, each of which begins where the one before it ends."""
    since = draw(st.floats(0, 2e9))
    lengths = draw(st.lists(st.floats(1e-3, 1e7), min_size=1, max_size=20))
    stretches = []
    for length in lengths:
        stretches.append(Stretch(since, since + length, *draw(kinds)))
        since += length
    return stretches


@given(timelines(), widths)
def test_a_bar_has_its_width_and_shows_the_worst_of_each_cell(stretches: list[Stretch], width: int) -> None:
    """A cell shows a mark of something that it touches, and nothing that lies within it is worse."""
    since, until = stretches[0].begin, stretches[-1].end
    marks = cells(stretches, since, until, width)
    assert len(marks) == len(unstyle(bar(marks))) == width
    cell_seconds = (until - since) / width
    for number, mark in enumerate(marks):
        begin, end = since + number * cell_seconds, since + (number + 1) * cell_seconds
        slack = 1e-6 * cell_seconds + 1e-6
        touched = [each for each in stretches if each.begin < end + slack and each.end > begin - slack]
        inside = [each for each in stretches if each.begin < end - slack and each.end > begin + slack]
        assert mark in {mark_of(each) for each in touched}
        assert all(ORDER.index(mark_of(each)) <= ORDER.index(mark) for each in inside)


@given(timelines(), widths)
@example([Stretch(0, 7_812_501, State.BOTH), Stretch(7_812_501, 7_812_501 + 2**-7, State.ONLY_PRIMARY)], 1)
def test_every_gap_is_seen(stretches: list[Stretch], width: int) -> None:
    """However short the worst of all is, one cell at least shows it."""
    marks = cells(stretches, stretches[0].begin, stretches[-1].end, width)
    assert max(map(mark_of, stretches), key=ORDER.index) in marks


def test_cells_that_fit_exactly() -> None:
    """A stretch that ends where a cell does leaves the next one alone."""
    stretches = [Stretch(hour * 3600, (hour + 1) * 3600, State.BOTH) for hour in range(24)]
    stretches[7] = Stretch(7 * 3600, 8 * 3600, State.NEITHER)
    shown = unstyle(bar(cells(stretches, 0, DAY, 24)))
    assert shown == "█" * 7 + "X" + "█" * 16


def test_marks_are_told_apart_without_colours() -> None:
    """Each has a character of its own, one column wide."""
    characters = [mark.value[0] for mark in Mark]
    assert len(set(characters)) == len(characters)
    assert {len(character) for character in characters} == {1}


@pytest.mark.parametrize(
    ("state", "reason", "mark"),
    [
        (State.BOTH, None, Mark.BOTH),
        (State.ONLY_PRIMARY, None, Mark.ONLY_PRIMARY),
        (State.ONLY_PRIMARY, Reason.EXPIRED, Mark.PRIMARY_AS_MEANT),
        (State.ONLY_MIRROR, None, Mark.ONLY_MIRROR),
        (State.ONLY_MIRROR, Reason.EXPIRED, Mark.MIRROR_AS_MEANT),
        (State.ONLY_MIRROR, Reason.NOT_WANTED, Mark.MIRROR_AS_MEANT),
        (State.NEITHER, None, Mark.NEITHER),
        (State.NEITHER, Reason.NOT_WANTED, Mark.NEITHER),
        (State.NEITHER, Reason.EXPIRED, Mark.GONE),
        (State.AT_LEAST_PRIMARY, None, Mark.AT_LEAST_PRIMARY),
        (State.AT_LEAST_MIRROR, None, Mark.AT_LEAST_MIRROR),
        (State.UNKNOWN, None, Mark.UNKNOWN),
    ],
)
def test_what_is_meant_looks_different_from_what_is_lost(state: State, reason: Reason | None, mark: Mark) -> None:
    """Only a gap has the mark of a gap."""
    assert mark_of(Stretch(0, 1, state, reason)) is mark


@pytest.mark.parametrize("width", [20, 60, 80, 200])
def test_the_legend_fits_the_width(width: int) -> None:
    """It has what occurs, in as many lines as that takes."""
    lines = [unstyle(line) for line in legend(list(Mark), width)]
    assert all(len(line) <= max(width, 54) for line in lines)
    assert [text for line in lines for text in line.split("  ")] == [
        f"{mark.value[0]} {mark.value[2]}" for mark in Mark
    ]
    assert [unstyle(line) for line in legend({Mark.NEITHER, Mark.BOTH}, 80)] == ["█ both  X neither"]


def scale(since: str, until: str, width: int) -> Scale:
    now = datetime(2026, 12, 1, tzinfo=ZURICH).timestamp()
    return Scale(*parse_span(since, until, now, ZURICH), ZURICH, width)


@pytest.mark.parametrize(
    ("since", "until", "shown"),
    [
        ("2026-11-24 16:00", "2026-11-25 16:00", "|16:00   |20:00   |11-25    |04:00   |08:00   |12:00"),
        ("2026-11-24 12:00:00", "2026-11-24 12:00:20", "|12:00:00     |12:00:05     |12:00:10     |12:00:15"),
        ("2026-11-24 12:00", "2026-11-24 13:00", "|12:00   |12:10   |12:20    |12:30   |12:40   |12:50"),
        ("2026-11-01", "2026-11-24", "|11-01          |11-08          |11-15           |11-22"),
        # The hour from 2 to 3 came twice, and did not come.
        ("2026-10-25", "2026-10-25 09:00", "|10-25     |02:00           |04:00     |06:00     |08:00"),
        ("2026-03-29", "2026-03-29 10:00", "|03-29            |04:00       |06:00      |08:00"),
    ],
)
def test_the_axis(since: str, until: str, shown: str) -> None:
    """Ticks are at round local times, and each stands in its column."""
    assert axis(scale(since, until, 56)) == shown


@given(st.floats(0, 1.9e9), st.floats(1, 1e9), widths, st.sampled_from([ZURICH, UTC, ZoneInfo("Australia/Lord_Howe")]))
def test_an_axis_fits(since: float, seconds: float, width: int, zone: ZoneInfo) -> None:
    """It is never wider than the bar, and no label runs into the next tick."""
    line = axis(Scale(since, since + seconds, zone, width))
    assert len(line) <= width
    assert re.fullmatch(r"( *\|[0-9:-]+(?=  |$))*", line)
