"""Running ahead in a thread."""

import threading
from collections.abc import Iterator
from itertools import count

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.waiting import wait_for

from heldar_mirror.coverage.ahead import ahead


@given(st.lists(st.integers() | st.none()))
def test_the_items_in_their_order(items: list[int | None]) -> None:
    """Nothing is lost, added or moved."""
    assert list(ahead(iter(items))) == items


def test_how_far_ahead() -> None:
    """No more items are held than one that is taken, one that waits and one in the making."""
    made: list[int] = []

    def make() -> Iterator[int]:
        for number in count():
            made.append(number)
            yield number

    items = ahead(make())
    assert next(items) == 0
    wait_for(lambda: len(made) >= 3)
    assert next(items) == 1
    wait_for(lambda: len(made) >= 4)
    assert len(made) == 4


def test_an_error_is_raised_where_the_items_are_taken() -> None:
    """After those that were made before it."""

    def make() -> Iterator[int]:
        yield 1
        raise OSError("lost")

    items = ahead(make())
    assert next(items) == 1
    with pytest.raises(OSError, match="lost"):
        next(items)


def test_the_items_are_made_in_a_thread_that_keeps_no_process_alive() -> None:
    """So one that hangs does not keep the command from ending."""
    (thread,) = ahead(iter([threading.current_thread]))
    assert thread() is threading.main_thread()
    (made_in,) = ahead(map(lambda _: threading.current_thread(), [0]))  # noqa: C417 - it is called in the thread
    assert made_in is not threading.main_thread()
    assert made_in.daemon
