"""Each moment of a span is counted once, and what could not be read is neither there nor missing."""

import itertools
import math
from array import array

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from heldar_mirror.coverage.timeline import (
    UNREADABLE,
    Known,
    Reason,
    Reasons,
    State,
    Stretch,
    blips,
    known,
    timeline,
)
from heldar_mirror.footage.spans import Spans
from heldar_mirror.sides.ends import CUT_SECONDS, Written, end_of
from heldar_mirror.sides.recorded import Recorded

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
reasons = st.builds(Reasons, random_spans, random_spans, random_spans, random_spans)


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
        if at(second, why.not_yet) and False in {in_primary, in_mirror}:
            reason = Reason.NOT_YET
        elif at(second, why.expired) and False in {in_primary, in_mirror}:
            reason = Reason.EXPIRED
        elif at(second, why.off) and False in {in_primary, in_mirror}:
            reason = Reason.OFF
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


def recorded_by(times: list[tuple[float, float]], offset: float, cuts: st.DataObject) -> Recorded:
    """Return what a recorder makes of the times at which a camera sends, with a clock that is `offset` seconds ahead.

    It cuts where it likes. A name has whole seconds, and a length is exact.
    """
    segments: list[tuple[float, float]] = []
    for begin, end in times:
        at = begin
        while at < end:
            after = min(at + cuts.draw(st.floats(5, 70)), end)
            segments.append((at + offset, after + offset))
            at = after
    begun = [math.floor(begin) for begin, _ in segments]
    ends = [
        end_of(begun[number], following, end - begin, Written(10_000, end), 60)
        for number, ((begin, end), following) in enumerate(zip(segments, [*begun[1:], None], strict=True))
    ]
    return Recorded(array("q", begun), array("d", ends))


@given(
    st.lists(st.tuples(st.floats(20, 200), st.floats(20, 200)), min_size=1, max_size=4),
    st.floats(-1.5, 1.5),
    st.data(),
)
def test_an_outage_is_found_wherever_the_sides_cut(
    lengths: list[tuple[float, float]], offset: float, cuts: st.DataObject
) -> None:
    """Two recorders of one camera, each with its own clock and its own cuts, miss only what the camera did not send."""
    times, at = [], 1000.0
    for seconds, outage in lengths:
        times.append((at, at + seconds))
        at += seconds + outage
    whole = times[0][0], times[-1][1]
    primary, mirror = (known(recorded_by(times, ahead, cuts), 60) for ahead in (0.0, offset))
    found = timeline(whole, primary, mirror, NONE, 5)
    outages = [(end, begin) for (_, end), (begin, _) in itertools.pairwise(times)]
    missing = [each for each in found if each.state is State.NEITHER]
    assert len(missing) == len(outages)
    for stretch, (begin, end) in zip(missing, outages, strict=True):
        assert abs(stretch.begin - begin) <= abs(offset) + 2
        assert abs(stretch.end - end) <= abs(offset) + 2
    # The sides differ by their clocks, and only where an outage begins and ends.
    for one in found:
        if one.state in {State.ONLY_PRIMARY, State.ONLY_MIRROR}:
            assert one.end - one.begin <= abs(offset) + 2
            assert any(min(abs(one.begin - edge), abs(one.end - edge)) <= 4 for outage in outages for edge in outage)


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
        (State.NEITHER, Reason.OFF, False),
        (State.ONLY_PRIMARY, Reason.OFF, False),
        (State.NEITHER, Reason.NOT_YET, False),
        (State.ONLY_PRIMARY, Reason.NOT_YET, False),  # a recording begins some seconds later
        (State.ONLY_MIRROR, Reason.NOT_YET, False),
        (State.UNKNOWN, None, False),
        (State.AT_LEAST_MIRROR, None, False),
        (State.AT_LEAST_PRIMARY, None, False),
    ],
)
def test_a_gap_is_what_nothing_explains(state: State, reason: Reason | None, is_gap: bool) -> None:
    assert Stretch(0, 1, state, reason).is_gap is is_gap


def test_a_side_is_known_by_its_segments() -> None:
    """Stubs and damaged files without packets hold nothing. If the clock was set back, a segment may hold others."""
    recorded = Recorded(array("q", [0, 60, 120, 180, 190, 300]), array("d", [60, 119.5, 120, 250, 200, 360]))
    recorded.damaged = {120: "no moov"}
    assert known(recorded, 60) == Known(spans((0, 60), (60, 119.5), (180, 250), (300, 360)), Spans())


def test_a_side_may_have_begun_with_what_could_not_be_read() -> None:
    assert Known(spans((20, 30))).begun == 20
    assert Known(spans((20, 30)), spans((10, 15))).begun == 10
    assert Known(Spans()).begun == math.inf
    assert UNREADABLE.begun == -math.inf


@pytest.mark.parametrize(
    ("following", "end"), [([], 60 + CUT_SECONDS), ([59], 59), ([64], 64), ([3600], 60 + CUT_SECONDS)]
)
def test_a_file_that_can_not_be_read_may_hold_what_it_should(following: list[int], end: float) -> None:
    """It is neither there nor missing up to the next segment, or up to its usual length."""
    recorded = Recorded(array("q", [0, *following]), array("d", [0, *(each + 60 for each in following)]))
    recorded.unread = {0: "Permission denied"}
    assert known(recorded, 60).unread.spans == [(0, end)]
