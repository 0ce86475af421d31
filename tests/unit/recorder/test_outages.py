"""How outages end, and what they cost, in simulated time."""

import statistics

import pytest
from support.outage_simulation import (
    REFUSED_SECONDS,
    SILENT_SECONDS,
    Outage,
    gap,
    ours,
    starts,
    the_old_loop,
)


@pytest.mark.parametrize("failing", [REFUSED_SECONDS, SILENT_SECONDS], ids=["refused", "silent"])
def test_a_camera_is_back_in_half_the_time_of_the_old_loop(failing: float) -> None:
    """After outages of 10 s to 10 min a camera is recorded again, on average, in at most half the old loop's time.

    ffmpeg ends at once if the camera refuses, and after its own 15 s if the camera is silent.
    """
    outages = [Outage(10 + tenths / 10, failing) for tenths in range(0, 5901, 7)]
    before = statistics.mean(gap(the_old_loop, outage) for outage in outages)
    now = statistics.mean(gap(ours, outage) for outage in outages)
    assert now <= before / 2, f"{now:.1f} s on average, {before:.1f} s before"


@pytest.mark.parametrize("failing", [REFUSED_SECONDS, SILENT_SECONDS], ids=["refused", "silent"])
def test_a_thousand_unreachable_cameras_cost_a_tenth_of_the_old_loop(failing: float) -> None:
    """In an hour at most a tenth as many processes are started as the old loop starts ffmpegs."""
    before, now = (1000 * starts(each, 3600, failing) for each in (the_old_loop, ours))
    assert before > 50_000
    assert now <= before / 10, f"{now} starts, {before} before"
