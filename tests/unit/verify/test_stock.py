"""Which segments may be looked at, and which must be again."""

from array import array

import pytest

from heldar_mirror.sides.recorded import Files
from heldar_mirror.verify.memory import Stocked
from heldar_mirror.verify.stock import Doubt, asked, comparable, doubts

NOW = 100_000.0


def files(*begun: int, modified: dict[int, float] | None = None) -> Files:
    """Segments of a minute, which were written last when they ended, or at some other time."""
    times = {each: each + 60.0 for each in begun} | (modified or {})
    return Files(
        array("q", begun), array("q", [7] * len(begun)), array("q", [int(times[each] * 1e9) for each in begun]), False
    )


def begun_of(mirror: Files, primary: Files | None) -> list[int]:
    return [each.begun for each in comparable(mirror, primary, NOW)]


def test_what_has_ended_may_be_looked_at() -> None:
    """With its size and its last write. The newest one is being recorded unless it was not written to for long."""
    assert list(comparable(files(60, 120), None, NOW)) == [Stocked(60, 7, 120 * 10**9), Stocked(120, 7, 180 * 10**9)]
    assert begun_of(files(60, 120, modified={120: NOW - 300}), None) == [60]
    assert begun_of(files(60, modified={60: NOW}), None) == []
    assert begun_of(files(), None) == []


def test_what_reaches_into_the_open_segment_of_the_primary_may_not() -> None:
    """Nor what the primary has not begun to record. If it records no more, all may."""
    mirror = files(*range(0, 600, 60))
    assert begun_of(mirror, files(0, 300, modified={300: NOW})) == [0, 60, 120, 180]
    assert begun_of(mirror, files(0, 300)) == list(range(0, 600, 60))
    assert begun_of(mirror, files(0, modified={0: NOW})) == []
    assert begun_of(mirror, files()) == list(range(0, 600, 60))


def test_a_file_of_the_primary_that_was_written_late_raises_a_doubt() -> None:
    """About all segments of the mirror that may hold some of its time, and none about others."""
    mirror = array("q", range(0, 600, 60))
    primary = files(*range(30, 600, 60), modified={210: 50_000})
    assert list(doubts(mirror, primary)) == [Doubt(180, 300, 50_000)]
    assert list(doubts(array("q"), primary)) == []
    assert list(doubts(mirror, files(30))) == []


def test_the_cameras_that_are_named_have_to_be_there() -> None:
    """None means all. A name may be given twice."""
    assert asked([], ["b", "a"]) == ["a", "b"]
    assert asked(["b", "b"], ["a", "b"]) == ["b"]
    with pytest.raises(LookupError, match="c"):
        asked(["c"], ["a"])
