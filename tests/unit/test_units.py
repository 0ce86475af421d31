"""Sizes as people read them."""

import pytest

from heldar_mirror.units import shown_size


@pytest.mark.parametrize(
    ("size", "shown"),
    [
        (0, "0 B"),
        (1023, "1023 B"),
        (1024, "1.0 KiB"),
        (256 << 10, "256.0 KiB"),
        (5 << 20, "5.0 MiB"),
        (5 << 30, "5.0 GiB"),
        (3 << 40, "3.0 TiB"),
        (-2 << 20, "-2.0 MiB"),
    ],
)
def test_sizes_are_shown_for_people(size: int, shown: str) -> None:
    """A size is shown in one unit, with one digit after the point above bytes."""
    assert shown_size(size) == shown
