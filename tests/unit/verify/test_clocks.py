"""A clock that differs is told by a file that is found at a different time. It is a hint, so it may miss some."""

import functools
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.made_packets import BEGUN, CAMERA, Made, MadeSide, aac, cut, late, made_packets, pcm, video

from heldar_mirror.verify.clocks import MOST_FILES, clock_difference
from heldar_mirror.verify.files import Contents

EVERY = range(0, 180, 30)


@functools.cache
def packets() -> list[Made]:
    return made_packets(1, 180, {"vide": video, "soun": aac})


def difference(primary: MadeSide, mirror: MadeSide, begun: int) -> float | None:
    theirs = Contents(CAMERA, "primary", primary, primary.begun())
    return clock_difference(theirs, Contents(CAMERA, "mirror", mirror, mirror.begun()), begun)


@settings(max_examples=8)
@given(st.integers(0, 1000), st.sampled_from([-3600, -123, -40, 40, 123, 3600]), st.sampled_from([7, 25, 60]))
def test_a_difference_of_minutes_is_found(seed: int, offset: int, every: int) -> None:
    """Wherever both sides were cut. By names that are cut to a second it is off by a second or two."""
    primary = cut(packets(), EVERY, lambda time: late(seed)(time + offset))
    mirror = cut(packets(), range(3, 180, every), late(seed + 1))
    begun = Random(seed).choice(mirror.begun()[:-1])
    assert difference(primary, mirror, begun) == pytest.approx(offset, abs=2)


@pytest.mark.parametrize("offset", [-123, 123])
def test_a_mirror_of_one_file_needs_no_other(offset: int) -> None:
    primary = cut(packets(), EVERY, lambda time: time + offset)
    mirror = cut(packets(), [0])
    assert difference(primary, mirror, BEGUN) == pytest.approx(offset, abs=1)


def test_a_file_that_was_swapped_says_nothing_of_the_clocks() -> None:
    """Its neighbours lie where they should."""
    primary, mirror = cut(packets(), EVERY), cut(packets(), EVERY)
    files = mirror.begun()
    mirror.files[files[1]], mirror.begin_times[files[1]] = mirror.files[files[5]], mirror.begin_times[files[5]]
    assert difference(primary, mirror, files[1]) is None


@pytest.mark.parametrize("offset", [-20, 0, 20])
def test_clocks_that_agree_are_no_difference(offset: int) -> None:
    """Also if they differ by no more than a comparison allows for."""
    primary, mirror = cut(packets(), EVERY, lambda time: time + offset), cut(packets(), EVERY)
    assert difference(primary, mirror, mirror.begun()[3]) is None


def test_what_is_nowhere_is_looked_for_in_the_nearest_files() -> None:
    """Each is read once, and not all if there are many."""
    primary = cut(made_packets(2, 2 * MOST_FILES, {"vide": video}), range(2 * MOST_FILES))
    mirror = cut(made_packets(1, 2 * MOST_FILES, {"vide": video}), range(0, 2 * MOST_FILES, 30))
    assert difference(primary, mirror, BEGUN + MOST_FILES) is None
    assert len(primary.read) == len(set(primary.read)) == MOST_FILES
    assert all(abs(begun - BEGUN - MOST_FILES) <= MOST_FILES / 2 for begun in primary.read)


def test_files_that_can_t_be_read_or_told_apart_say_nothing() -> None:
    """The others are looked at."""
    primary, mirror = cut(packets(), EVERY, lambda time: time + 123), cut(packets(), EVERY)
    primary.unreadable = set(primary.begun()[::2])
    assert difference(primary, mirror, mirror.begun()[1]) is None  # its neighbours are not found
    mirror.unreadable = {mirror.begun()[3]}
    assert difference(primary, mirror, mirror.begun()[3]) is None
    sound = made_packets(1, 180, {"soun": pcm})
    mirror = cut(sound, EVERY)
    assert difference(cut(sound, EVERY, lambda time: time + 123), mirror, mirror.begun()[1]) is None
