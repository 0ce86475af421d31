"""What a wait that fails shows."""

from collections.abc import Callable
from functools import partial

import pytest
from support.waiting import wait_for


class Described:
    """Something with a state to describe."""

    def describe_state(self) -> str:
        return "the state of it"

    def nothing(self, *_: object) -> list[str]:
        return []


described = Described()


def conditions() -> list[Callable[[], object]]:
    """Return conditions that are never true, and refer to the same object in different ways."""
    local = described

    def nested() -> list[str]:
        return local.nothing()

    def with_default(each: Described = described) -> list[str]:
        return each.nothing()

    return [
        nested,
        with_default,
        lambda: nested() or None,
        local.nothing,
        partial(local.nothing, 1),
        partial(Described.nothing, local),
    ]


@pytest.mark.parametrize("number", range(6))
def test_a_failed_wait_shows_what_it_saw(number: int) -> None:
    """The failure shows the condition's last value, what `seen` returns, and the state of what the condition uses."""
    with pytest.raises(pytest.fail.Exception) as failure:
        wait_for(conditions()[number], seconds=0, every=0, seen=lambda: "what was seen")
    for text in ("not true within 0 s: ", "its last value: ", "seen: what was seen", "the state of it"):
        assert str(failure.value).count(text) == 1


def test_a_failed_wait_shows_the_source_of_its_condition() -> None:
    """The failure shows the file and the source of a condition that a test defines."""
    with pytest.raises(pytest.fail.Exception, match=r"test_waiting\.py: .*lambda: described\.nothing\(1\)"):
        wait_for(lambda: described.nothing(1), seconds=0)


def test_a_wait_returns_the_first_true_value() -> None:
    """The condition is asked until it returns something true, which is the result."""
    answers = iter([0, None, "", "yes", "no"])
    assert wait_for(lambda: next(answers), every=0) == "yes"
