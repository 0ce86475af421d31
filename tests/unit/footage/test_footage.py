"""One camera's footage in memory."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.examples import footage_of

from heldar_mirror.footage.footage import Footage

segments_lists = st.lists(st.tuples(st.integers(0, 1 << 40), st.integers(0, 1 << 40)), max_size=30)


@given(st.data(), segments_lists)
def test_dropping_leaves_the_rest_in_order(data: st.DataObject, segments: list[tuple[int, int]]) -> None:
    """Any indexes may be dropped, in any order. All other segments stay, in their order."""
    indexes = data.draw(st.lists(st.integers(0, len(segments) - 1), unique=True)) if segments else []
    footage = footage_of(*segments)
    footage.drop(indexes)
    left = [segment for index, segment in enumerate(segments) if index not in indexes]
    assert list(zip(footage.begun, footage.sizes, strict=True)) == left


@pytest.mark.parametrize(
    "indexes", [[], [0], [9], [0, 9], range(10), [1, 2, 3], [3, 2, 1], [0, 1, 8, 9], {2, 3, 7}, [0, 2, 4, 6, 8]]
)
def test_dropping_in_runs(indexes: list[int]) -> None:
    """Runs of any length are dropped, at both ends and in the middle."""
    footage = footage_of(*[(each, 10 * each) for each in range(10)])
    footage.drop(indexes)
    assert list(footage.begun) == [each for each in range(10) if each not in indexes]
    assert list(footage.sizes) == [10 * each for each in footage.begun]


def test_footage_takes_16_bytes_a_segment() -> None:
    """A million segments take 16 MB, and two footages share no array."""
    footage = footage_of(*[(each, each) for each in range(1000)])
    assert footage.begun.itemsize + footage.sizes.itemsize == 16
    one, other = Footage(), Footage()
    one.begun.append(1)
    assert not other.begun
