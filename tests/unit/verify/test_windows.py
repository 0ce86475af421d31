"""Which files of the two sides are compared with each other."""

from hypothesis import given
from hypothesis import strategies as st

from heldar_mirror.verify.windows import SKEW_SECONDS, Windows

beginnings = st.lists(st.integers(0, 3000), unique=True, max_size=30).map(sorted)


@given(beginnings, beginnings, st.lists(st.floats(0, 5000), min_size=30, max_size=30))
def test_windows_and_what_is_around_agree(primary: list[int], mirror: list[int], lengths: list[float]) -> None:
    """A file of the primary is in the windows of those that are around it; what is around none is alone."""
    ends = [begun + length for begun, length in zip(mirror, lengths, strict=False)]
    windows = Windows(primary, mirror, ends)
    for file in range(len(primary)):
        around = [number for number in range(len(mirror)) if file in windows.of(number)]
        assert around == list(windows.around(file))
        assert (file in windows.alone()) == (not around)


@given(beginnings, beginnings)
def test_what_overlaps_is_in_the_window(primary: list[int], mirror: list[int]) -> None:
    """All files are in a window that begin while the file lasts, give or take what names are off by."""
    ends = [float(after) for after in [*mirror[1:], 4000]] if mirror else []
    windows = Windows(primary, mirror, ends)
    for number, (begun, end) in enumerate(zip(mirror, ends, strict=True)):
        near = [file for file, other in enumerate(primary) if begun - SKEW_SECONDS <= other <= end + SKEW_SECONDS]
        assert set(near) <= set(windows.of(number))


def test_a_file_further_on_both_sides() -> None:
    """If the clock was stepped forward by ten minutes, the next file is in the window all the same."""
    windows = Windows([0, 60, 120, 800], [10, 70, 130, 810], [70, 130, 190, 870])
    assert list(windows.of(2)) == [1, 2, 3]
    assert list(windows.of(3)) == [2, 3]
