"""When a file that does not grow is a stall."""

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from support.known_facts import BEGUN, SEGMENT

from heldar_mirror.status.stall_rule import is_overdue, stall_seconds


@given(st.integers(2, 86_400))
@example(2)
@example(60)
@example(3600)
def test_how_long_a_file_may_not_grow(segment_seconds: int) -> None:
    """Three times the segment's length, and neither less than 60 s nor more than 300 s."""
    assert stall_seconds(segment_seconds) == sorted([60.0, 3.0 * segment_seconds, 300.0])[1]


@pytest.mark.parametrize(("segment_seconds", "overdue"), [(4, 64), (20, 80), (60, 240), (100, 400), (3600, 3900)])
def test_one_look_at_a_segment(segment_seconds: int, overdue: int) -> None:
    """A segment is stalled if it is still open that long after it should have been closed, and not a second before."""
    assert not is_overdue(SEGMENT, segment_seconds, BEGUN)
    assert not is_overdue(SEGMENT, segment_seconds, BEGUN + overdue)
    assert is_overdue(SEGMENT, segment_seconds, BEGUN + overdue + 1)


def test_a_clock_that_was_set_back_makes_no_stall() -> None:
    """A segment that begins in the future is not overdue."""
    assert not is_overdue(SEGMENT, 60, BEGUN - 3600)
