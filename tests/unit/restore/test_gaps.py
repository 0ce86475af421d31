"""No hole that the mirror can fill is missed, and nothing is to be filled that Heldar would not keep."""

import math
from array import array
from dataclasses import dataclass
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from heldar_mirror.coverage.findings import INDEXING_SECONDS, Compared
from heldar_mirror.coverage.timeline import UNREADABLE, Known, Reasons, known
from heldar_mirror.footage.names import segment_name
from heldar_mirror.footage.spans import Spans
from heldar_mirror.heldar.recordings import IndexedSegment
from heldar_mirror.restore.gaps import APART_SECONDS, NEAR_SECONDS, Gap, LostRow, gaps_beside, lost_in, only_mirror
from heldar_mirror.sides.ends import Written, end_of
from heldar_mirror.sides.recorded import Recorded

WHOLE = (0.0, 400.0)
NONE = Reasons()
DIRECTORY = "/data/recordings/gate"

# Of such times, sums and differences are exact.
TICKS = 1024


def spans(*pairs: tuple[float, float]) -> Spans:
    return Spans(pairs)


def footage(*pairs: tuple[float, float]) -> Known:
    return Known(spans(*pairs))


@dataclass
class Recorder:
    """Makes a side of what a camera sends. It cuts where it likes; a name has whole seconds, and a length is exact."""

    offset: float
    cuts: st.DataObject

    def side(self, times: list[tuple[float, float]]) -> Known:
        segments: list[tuple[float, float]] = []
        for begin, end in times:
            at = begin
            while at < end:
                after = min(at + self.cuts.draw(st.integers(5 * TICKS, 70 * TICKS)) / TICKS, end)
                segments.append((at + self.offset, after + self.offset))
                at = after
        begun = [math.floor(begin) for begin, _ in segments]
        ends = [
            end_of(name, following, end - begin, Written(10_000, end), 60, join_seconds=0)
            for name, (begin, end), following in zip(begun, segments, [*begun[1:], None], strict=True)
        ]
        return known(Recorded(array("q", begun), array("d", ends)), 60)


@given(
    st.lists(st.tuples(st.integers(20 * TICKS, 90 * TICKS), st.integers(TICKS, 80 * TICKS)), min_size=1, max_size=4),
    st.integers(-2 * TICKS, 2 * TICKS),
    st.data(),
)
@settings(max_examples=60)
def test_no_hole_of_a_second_is_missed(lengths: list[tuple[int, int]], offset: int, cuts: st.DataObject) -> None:
    """Wherever the sides cut, and whatever the cutting of names makes of it."""
    holes, at = [], 100.0
    for length, hole in lengths:
        at += length / TICKS
        holes.append((at, at + hole / TICKS))
        at += hole / TICKS
    end = at + 60
    edges = [100.0, *(edge for hole in holes for edge in hole), end]
    primary = Recorder(0, cuts).side(list(zip(edges[::2], edges[1::2], strict=True)))
    mirror = Recorder(offset / TICKS, cuts).side([(100.0, end)])
    found = only_mirror((100.0, end), primary, mirror, NONE, 1.0).wanted.spans
    for begin, until in holes:
        assert any(gap[0] <= begin and gap[1] > until - 1 for gap in found)


SHORT = (0.0, 60.0)
SECONDS = range(int(SHORT[0]), int(SHORT[1]))
random_spans = st.lists(
    st.tuples(st.integers(-10, 70), st.integers(0, 30)).map(lambda pair: (float(pair[0]), float(sum(pair)))),
    max_size=5,
).map(Spans)
sides = st.builds(Known, random_spans, random_spans) | st.just(UNREADABLE)


def at(moment: float, within: Spans) -> bool:
    return any(begin <= moment < end for begin, end in within.spans)


@given(sides, sides, st.builds(Reasons, *[random_spans] * len(Reasons._fields)))
@settings(max_examples=60)
def test_only_what_the_primary_surely_lacks_is_wanted(primary: Known, mirror: Known, why: Reasons) -> None:
    """Each second that only the mirror has is wanted, unless it has expired or the like, and none that the primary has.
    Where the primary could not be read, nothing is wanted, and what the mirror has is not known."""
    wanted, unknown = only_mirror(SHORT, primary, mirror, why, 1.0)
    for second in SECONDS:
        in_mirror = at(second, mirror.footage)
        is_near = any(begin - APART_SECONDS <= second < end + APART_SECONDS for begin, end in mirror.footage.spans)
        is_lacking = not at(second, primary.footage)
        is_unread = at(second, primary.unread)
        is_kept = not any(at(second, reason) for reason in why)
        assert at(second, wanted) in {
            is_lacking and not is_unread and is_kept and near for near in (in_mirror, is_near)
        }
        assert at(second, unknown) in {is_lacking and is_unread and is_kept and near for near in (in_mirror, is_near)}


def test_names_of_both_sides_may_be_some_seconds_apart() -> None:
    """A primary that is back before the mirror may be so by its name alone."""
    primary, mirror = footage((0, 100), (203, 400)), footage((0, 100), (204, 400))
    assert only_mirror(WHOLE, primary, mirror, NONE, 1.0).wanted.spans == [(100, 105), (199, 203)]


@pytest.mark.parametrize(("min_gap", "found"), [(1, True), (10, True), (10.75, True), (11, False), (0, True)])
def test_holes_that_are_too_short_are_none(min_gap: float, found: bool) -> None:
    """One that seems to last 9.75 s may last nearly a second more."""
    primary = footage((0, 100), (109.75, 400))
    assert bool(only_mirror(WHOLE, primary, footage(WHOLE), NONE, min_gap).wanted) is found


COMPARED = Compared((0, 400), 400 + INDEXING_SECONDS, DIRECTORY)


def row(begun: int, seconds: float = 60.0, **more: Any) -> IndexedSegment:
    return IndexedSegment(f"{DIRECTORY}/{segment_name(begun)}", begun, begun + seconds)._replace(**more)


def lost(*rows: IndexedSegment, why: Reasons = NONE, mirror: Known = UNREADABLE) -> list[int]:
    """Return the names of those rows of the time from 100 to 200 that are lost, with two files on the disk."""
    on_disk = Recorded(array("q", [60, 180]), array("d", [120, 240]))
    mirror = footage(WHOLE) if mirror is UNREADABLE else mirror
    return [each.name for each in lost_in((100, 200), COMPARED, on_disk, rows, mirror, why)]


def test_lost_rows_are_those_without_a_file() -> None:
    """They count if they reach into the time, by their names in the camera's own directory."""
    elsewhere = row(120)._replace(path=f"/old/gate/{segment_name(120)}")
    assert lost(row(0, 100), row(60), row(90), row(120), row(180), row(200), elsewhere) == [90, 120]
    (found,) = lost_in(WHOLE, COMPARED, Recorded(), [row(120, 59.5, size=7, evidence=True)], footage(WHOLE), NONE)
    assert found == LostRow(120, 120, 179.5, 7, locked=True)


def test_evidence_is_restored_whatever_its_age() -> None:
    why = Reasons(expired=spans((-math.inf, 170)))
    assert lost(row(100), row(110), row(120), why=why) == [120]
    assert lost(row(100), row(110, evidence=True), why=why) == [110]


def test_a_lost_row_of_which_the_mirror_has_nothing_stays_lost() -> None:
    assert lost(row(90), row(130), mirror=footage((0, 110))) == [90]


def test_a_row_whose_file_heldar_may_be_deleting_is_not_lost_yet() -> None:
    late = Compared((0, 400), 150 + INDEXING_SECONDS, DIRECTORY)
    assert not list(lost_in(WHOLE, late, Recorded(), [row(100)], footage(WHOLE), NONE))
    assert list(lost_in(WHOLE, late, Recorded(), [row(90)], footage(WHOLE), NONE))


def rows_at(*pairs: tuple[float, float]) -> list[LostRow]:
    return [LostRow(int(begin), begin, end, 0, locked=False) for begin, end in pairs]


@given(random_spans, random_spans, st.integers(0, 10))
def test_gaps_and_lost_rows_add_up_to_what_is_wanted(wanted: Spans, in_rows: Spans, min_gap: int) -> None:
    """But for rests that are shorter than `min_gap`, and have a row beside them."""
    found = list(gaps_beside(SHORT, wanted, rows_at(*in_rows.spans), [], min_gap))
    gaps = Spans((gap.begin, gap.end) for gap in found)
    for second in SECONDS:
        is_left = at(second, wanted) and not at(second, in_rows)
        if at(second, gaps):
            assert is_left
        elif is_left:
            begin, end = second, second
            while begin > SHORT[0] and at(begin - 1, wanted) and not at(begin - 1, in_rows):
                begin -= 1
            while end + 1 < SHORT[1] and at(end + 1, wanted) and not at(end + 1, in_rows):
                end += 1
            assert end + 1 - begin < min_gap
            assert at(begin - 1, in_rows) or at(end + 1, in_rows)


def test_a_gap_is_what_lost_rows_leave_of_it() -> None:
    """That rows follow each other not quite to the second is no gap."""
    rows = rows_at((100, 159.4), (160, 220))
    assert list(gaps_beside(WHOLE, spans((99.5, 250)), rows, [], 1.0)) == [Gap(220, 250, ())]
    assert list(gaps_beside(WHOLE, spans((99.5, 100)), [], [], 1.0)) == [Gap(99.5, 100, ())]


def test_gaps_that_heldar_has_found() -> None:
    """They belong to ours if they begin in it, or so little before that it is the same."""
    starts = [50, 100 - NEAR_SECONDS - 0.1, 100 - NEAR_SECONDS, 149.7, 150, 150.1]
    assert list(gaps_beside(WHOLE, spans((100, 150)), [], starts, 1.0)) == [Gap(100, 150, (98, 149, 150))]


def test_an_empty_time_has_no_gaps() -> None:
    """As if all of it were still being recorded."""
    assert not list(gaps_beside((100, 50), spans((0, 400)), [], [], 1.0))
