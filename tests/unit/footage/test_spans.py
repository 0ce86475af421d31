"""Spans of time: merged and searched."""

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
def test_a_time_overlaps_where_any_span_touches_it(spans: list[tuple[float, float]], start: int, length: float) -> None:
    """Spans may overlap, contain or follow each other."""
    made = Spans(spans)
    assert bool(made) == bool(spans)
    assert made.overlap(start, start + length) == any(a <= start + length and b >= start for a, b in spans)
