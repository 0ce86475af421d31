"""Spans: sets of closed intervals of time."""

import math

from hypothesis import example, given
from hypothesis import strategies as st

from heldar_mirror.footage.spans import Spans

spans_lists = st.lists(
    st.tuples(st.integers(-20, 20), st.integers(0, 10) | st.just(math.inf)).map(lambda span: (span[0], sum(span))),
    max_size=6,
)


@given(spans_lists, st.integers(-25, 35), st.integers(0, 10) | st.just(math.inf))
@example([(0, 10), (2, 3)], 5, 1)
def test_spans_overlap_what_any_of_them_touches(spans: list[tuple[float, float]], start: int, length: float) -> None:
    """Spans that overlap, contain or follow each other still touch what each of them touches."""
    locks = Spans(spans)
    assert bool(locks) == bool(spans)
    assert locks.overlap(start, start + length) == any(a <= start + length and b >= start for a, b in spans)
