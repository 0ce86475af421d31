"""Names of segments."""

from datetime import datetime, timezone

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from heldar_mirror.footage.names import segment_begun, segment_name

# From 1970 to 9999, because a year has four digits in a name.
seconds = st.integers(0, 253_402_300_799)


@given(seconds)
@example(0)
@example(253_402_300_799)
def test_a_name_says_when_its_segment_was_begun(begun: int) -> None:
    """Each second has one name, in UTC, and the name is parsed back to that second."""
    name = segment_name(begun)
    assert name == datetime.fromtimestamp(begun, timezone.utc).strftime("%Y%m%d_%H%M%S.mp4")
    assert segment_begun(name) == begun


@given(seconds, seconds)
def test_names_sort_as_their_times(one: int, other: int) -> None:
    """The order of names is the order of times."""
    assert (segment_name(one) < segment_name(other)) == (one < other)


@pytest.mark.parametrize(
    ("name", "begun"),
    [
        ("19700101_000000.mp4", 0),
        ("20240229_235959.mp4", 1_709_251_199),
        ("20260131_120000.mp4", 1_769_860_800),
    ],
)
def test_known_names(name: str, begun: int) -> None:
    """Names as ffmpeg writes them are parsed and written."""
    assert segment_begun(name) == begun
    assert segment_name(begun) == name


@pytest.mark.parametrize(
    "name",
    [
        "",
        ".mp4",
        "20260131_120000",
        "20260131_120000.MP4",
        "20260131_120000.mp4 ",
        "20260131_120000.mp4\n",
        "20260131_120000.mp4.part",
        " 20260131_120000.mp4",
        ".20260131_120000.mp4",
        "-20260131_120000.mp4",
        "./20260131_120000.mp4",
        "../20260131_120000.mp4",
        "20260131-120000.mp4",
        "20260131120000.mp4",
        "2026013_120000.mp4",
        "20260131_12000.mp4",
        "020260131_120000.mp4",
        "20260131_1200000.mp4",
        "20260131_240000.mp4",
        "20260131_126000.mp4",
        "20260131_120060.mp4",
        "20260229_120000.mp4",
        "20260431_120000.mp4",
        "20261301_120000.mp4",
        "20260100_120000.mp4",
        "00000101_000000.mp4",
        "2026 131_120000.mp4",
        "+2026131_120000.mp4",
        "\uff12\uff10\uff12\uff160131_120000.mp4",
        "20260131_\uff11\uff120000.mp4",
        "20260131_12000٣.mp4",
        "2026013²_120000.mp4",
        "20260131_120000,mp4",
        ".heldar-mirror",
        ".heldar-mirror.lock",
    ],
)
def test_a_name_that_is_almost_right_is_refused(name: str) -> None:
    """A name has no time if it has an impossible date, digits of another script, or any other character."""
    assert segment_begun(name) is None


@given(st.text(st.sampled_from("0123456789_.mp4 \n٣"), min_size=15, max_size=22) | st.text())
def test_a_name_with_a_time_is_the_name_of_that_time(name: str) -> None:
    """Each name that has a time is what ffmpeg would write for it. Years before 1000 are written differently."""
    begun = segment_begun(name)
    if begun is not None and begun >= -30_610_224_000:
        assert segment_name(begun) == name
