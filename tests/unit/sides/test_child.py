"""When a side's child process is taken to hang."""

import itertools
import os
from collections.abc import Iterator

import pytest

from heldar_mirror.sides.child import LOOKS, wait_for_output

PATIENCE_SECONDS = 0.2


@pytest.fixture
def pipe() -> Iterator[tuple[int, int]]:
    """A pipe, of which the reading end comes first."""
    ends = os.pipe()
    yield ends
    for end in ends:
        os.close(end)


@pytest.mark.parametrize("busy", [0, 1, LOOKS - 1, LOOKS, 5 * LOOKS])
def test_the_time_counts_from_the_last_sign_of_life(pipe: tuple[int, int], busy: int) -> None:
    """So the start of a child that hangs then does not double the time."""
    looks = 0

    def spent() -> int:
        nonlocal looks
        looks += 1
        return min(looks, 1 + busy)

    with pytest.raises(TimeoutError):
        wait_for_output(pipe[0], PATIENCE_SECONDS, spent)
    assert looks == 1 + busy + LOOKS


def test_output_ends_the_wait(pipe: tuple[int, int]) -> None:
    looks = itertools.count()

    def spent() -> int:
        if (look := next(looks)) == 2 * LOOKS:
            os.write(pipe[1], b"x")
        return look

    wait_for_output(pipe[0], PATIENCE_SECONDS, spent)


def test_an_ended_child_ends_the_wait() -> None:
    reading, writing = os.pipe()
    os.close(writing)
    wait_for_output(reading, PATIENCE_SECONDS, lambda: 0)
    os.close(reading)
