"""Each moment of a span is counted once, and what could not be read is neither there nor missing."""

import itertools
import math

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from heldar_mirror.coverage.timeline import (
    SEAM_SECONDS,
    UNREADABLE,
    Known,
    Reason,
    Reasons,
    State,
    Stretch,
    blips,
    joined,
    timeline,
)
from heldar_mirror.footage.spans import Spans

WHOLE = (0.0, 40.0)
NONE = Reasons()


def spans(*pairs: tuple[float, float]) -> Spans:
    return Spans(pairs)


pairs = st.lists(
    st.tuples(st.integers(-10, 50), st.integers(0, 20) | st.just(math.inf)).map(lambda pair: (pair[0], sum(pair))),
    max_size=5,
)
random_spans = pairs.map(Spans)
sides = st.builds(Known, random_spans, random_spans) | st.just(UNREADABLE)
reasons = st.builds(Reasons, random_spans, random_spans)


def at(moment: float, within: Spans) -> bool:
    return any(begin <= moment < end for begin, end in within.spans)


def naive_side(side: Known, min_gap: float) -> list[bool | None]:
    """Whether a side has footage, second by second, None where it is not known; its short holes are filled."""
    seconds = range(int(WHOLE[0]), int(WHOLE[1]))
    found = [True if at(each, side.footage) else None if at(each, side.unread) else False for each in seconds]
    filled = list(found)
    begin = 0
    while begin < len(found):
        end = begin
        while end < len(found) and found[end] is False:
            end += 1
        beside = True in (found[end : end + 1] + found[max(begin - 1, 0) : begin])
        if 0 < end - begin < min_gap and beside:
            filled[begin:end] = [True] * (end - begin)
        begin = end + 1
    return filled


def naive_state(primary: bool | None, mirror: bool | None) -> State:
    if primary is None or mirror is None:
        return State.AT_LEAST_PRIMARY if primary else State.AT_LEAST_MIRROR if mirror else State.UNKNOWN
    if primary:
        return State.BOTH if mirror else State.ONLY_PRIMARY
    return State.ONLY_MIRROR if mirror else State.NEITHER


@given(sides, sides, reasons, st.integers(0, 12))
@example(Known(spans((0, 10), (12, 40))), Known(spans((0, 9), (13, 40))), NONE, 3)
@example(Known(spans((0, 10), (15, 15), (18, 40))), UNREADABLE, NONE, 6)
def test_every_second_is_what_a_naive_model_says(primary: Known, mirror: Known, why: Reasons, min_gap: int) -> None:
    """The stretches follow each other without a hole or an overlap, add up to the whole, and no two neighbours could
    be one."""
    found = timeline(WHOLE, primary, mirror, why, min_gap)
    assert [each.begin for each in found] == [WHOLE[0], *(each.end for each in found[:-1])]
    assert found[-1].end == WHOLE[1]
    assert all(each.begin < each.end for each in found)
    assert all(one[2:] != other[2:] for one, other in itertools.pairwise(found))
    assert sum(each.end - each.begin for each in found) == WHOLE[1] - WHOLE[0]

    pairs = zip(naive_side(primary, min_gap), naive_side(mirror, min_gap), strict=True)
    for second, (in_primary, in_mirror) in enumerate(pairs):
        (stretch,) = (each for each in found if each.begin <= second < each.end)
        assert stretch.state is naive_state(in_primary, in_mirror)
        reason = None
        if at(second, why.expired) and False in {in_primary, in_mirror}:
            reason = Reason.EXPIRED
        elif at(second, why.not_wanted) and in_primary is False:
            reason = Reason.NOT_WANTED
        assert stretch.reason is reason


@given(sides, sides, reasons, st.floats(0, 12), st.lists(st.tuples(st.floats(0, 40), st.floats(0, 40)), max_size=4))
def test_times_may_have_any_fraction(
    primary: Known, mirror: Known, why: Reasons, min_gap: float, more: list[tuple[float, float]]
) -> None:
    """The stretches cover the whole once, wherever footage and clocks begin."""
    moved = Spans([*mirror.footage.spans, *((min(pair), max(pair)) for pair in more)])
    found = timeline(WHOLE, primary, Known(moved, mirror.unread), why, min_gap)
    edges = [found[0].begin, *(each.end for each in found)]
    assert edges == sorted(set(edges))
    assert (edges[0], edges[-1]) == WHOLE
    assert [each.begin for each in found] == edges[:-1]


@given(st.floats(0, 1e9), st.lists(st.floats(2, 100), min_size=1, max_size=20), st.data())
def test_a_recording_is_one_span_wherever_it_is_cut(begin: float, lengths: list[float], data: st.DataObject) -> None:
    """Names have whole seconds, and packets arrive up to half a second early or late."""
    cuts = list(itertools.accumulate(lengths, initial=begin))
    named = [math.floor(cut + data.draw(st.floats(0, 0.5))) for cut in cuts]
    ends = [name + length for name, length in zip(named, lengths, strict=False)]
    (span,) = joined(named[:-1], ends).spans
    assert span[0] == named[0]
    assert cuts[-1] - 1.5 <= span[1] <= cuts[-1] + 1.5


def test_a_side_that_could_not_be_read_is_neither_there_nor_missing() -> None:
    """The other side is still answered for."""
    assert timeline(WHOLE, UNREADABLE, Known(spans((10, 20))), NONE, 5) == [
        Stretch(0, 10, State.UNKNOWN),
        Stretch(10, 20, State.AT_LEAST_MIRROR),
        Stretch(20, 40, State.UNKNOWN),
    ]
    assert timeline(WHOLE, Known(spans((10, 20))), UNREADABLE, NONE, 5) == [
        Stretch(0, 10, State.UNKNOWN),
        Stretch(10, 20, State.AT_LEAST_PRIMARY),
        Stretch(20, 40, State.UNKNOWN),
    ]
    assert timeline(WHOLE, UNREADABLE, UNREADABLE, Reasons(spans((0, 40))), 5) == [Stretch(0, 40, State.UNKNOWN)]


def test_a_hole_beside_a_file_that_could_not_be_read_is_still_a_hole() -> None:
    primary = Known(spans((0, 10)), spans((10, 20)))
    assert timeline(WHOLE, primary, Known(spans((0, 40))), NONE, 5) == [
        Stretch(0, 10, State.BOTH),
        Stretch(10, 20, State.AT_LEAST_MIRROR),
        Stretch(20, 40, State.ONLY_MIRROR),
    ]


def test_a_span_without_footage_that_is_shorter_than_a_blip_is_not_hidden() -> None:
    """Only a hole beside footage is a blip."""
    nothing = Known(Spans())
    assert timeline((0, 3), nothing, nothing, NONE, 5) == [Stretch(0, 3, State.NEITHER)]
    assert blips((0, 3), nothing, 5) == []
    assert blips((0, 3), Known(spans((0, 1))), 5) == [(1, 3)]


def test_no_time_has_no_stretches() -> None:
    assert timeline((5, 5), UNREADABLE, Known(spans((0, 10))), NONE, 5) == []


@pytest.mark.parametrize(
    ("state", "reason", "is_gap"),
    [
        (State.BOTH, None, False),
        (State.ONLY_PRIMARY, None, True),
        (State.ONLY_PRIMARY, Reason.EXPIRED, False),
        (State.ONLY_MIRROR, None, True),
        (State.ONLY_MIRROR, Reason.EXPIRED, False),
        (State.ONLY_MIRROR, Reason.NOT_WANTED, False),
        (State.NEITHER, None, True),
        (State.NEITHER, Reason.EXPIRED, False),
        (State.NEITHER, Reason.NOT_WANTED, True),  # the mirror records all the time
        (State.UNKNOWN, None, False),
        (State.AT_LEAST_MIRROR, None, False),
        (State.AT_LEAST_PRIMARY, None, False),
    ],
)
def test_a_gap_is_what_nothing_explains(state: State, reason: Reason | None, is_gap: bool) -> None:
    assert Stretch(0, 1, state, reason).is_gap is is_gap


def test_segments_that_follow_each_other_are_one_span() -> None:
    """A seam is as long as rounding makes it; a longer one is a hole. Stubs hold nothing."""
    begun = [0, 60, 121, 180, 240, 300]
    ends = [60.04, 119.0, 180.5, 180.0, 300 - SEAM_SECONDS - 0.1, 360.0]
    assert joined(begun, ends).spans == [(0, 180.5), (240, 300 - SEAM_SECONDS - 0.1), (300, 360)]
    assert joined([], []).spans == []


def test_a_segment_may_hold_others() -> None:
    """If the clock was set back, a segment may begin before the one before it ends."""
    assert joined([0, 10, 30], [100.0, 20.0, 40.0]).spans == [(0, 100)]
