"""Whether the wall clock is believed."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.pruning_fakes import NOW, FakeTime

from heldar_mirror.pruning.clock import DOUBT_SECONDS, STEP_SECONDS, Clocks, WallClock


@pytest.mark.parametrize(
    ("step", "doubted"),
    [
        (-1e9, False),
        (-STEP_SECONDS, False),
        (0, False),
        (STEP_SECONDS - 1, False),
        (STEP_SECONDS + 1, True),
        (1e9, True),
    ],
)
def test_a_clock_that_was_set(step: float, doubted: bool) -> None:
    """Set forward by more than it can drift, it is doubted for an hour of uptime; set back, nothing is lost."""
    clock = WallClock("boot", 1e9, 1e9).read("boot", 1e9 + 500 + step, 500)
    assert clock == WallClock("boot", 1e9 + step, 1e9 + 500 + step, 500 + DOUBT_SECONDS if doubted else 0)


@pytest.mark.parametrize(("off", "doubted"), [(-1e9, False), (3600, False), (86_400 + 599, False), (1e8, True)])
def test_a_clock_after_a_boot(off: float, doubted: bool) -> None:
    """It is doubted if it is more than a day ahead of when it was read last. A doubt of the boot before is over."""
    clock = WallClock("one", 1e9, 1e9, 1e6).read("another", 1e9 + off, 5)
    assert clock == WallClock("another", 1e9 + off - 5, 1e9 + off, 5 + DOUBT_SECONDS if doubted else 0)


@given(
    st.lists(st.tuples(st.floats(0, 7200), st.sampled_from([0, 0, 1, -1, 599, 700, 86_400, -86_400, 1e8])), max_size=12)
)
def test_a_clock_is_doubted_for_an_hour_after_each_step_forward(reads: list[tuple[float, float]]) -> None:
    """Nothing that is done to the clock shortens the hour that begins when a step is found."""
    clock, uptime, now, stepped_at = WallClock("boot", 1e9, 1e9), 0.0, 1e9, -math.inf
    for passed, step in reads:
        uptime, now = uptime + passed, now + passed + step
        clock = clock.read("boot", now, uptime)
        stepped_at = uptime if step > STEP_SECONDS else stepped_at
        assert (uptime < clock.doubted_until) == (uptime < stepped_at + DOUBT_SECONDS)


def test_a_clock_that_was_never_read_is_believed() -> None:
    time = FakeTime()
    assert time.clocks.read(None) == WallClock("one boot", NOW - 1000, NOW)


def test_the_machines_own_clocks() -> None:
    """Two reads in a row find no step."""
    clocks = Clocks()
    first = clocks.read(None)
    assert first.boot
    assert clocks.read(first).doubted_until == 0
