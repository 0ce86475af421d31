"""The loop: when it makes room and when it sweeps, and which problems it publishes."""

import json

import pytest

from heldar_mirror.errors import DatabaseError, StateError, VolumeError
from heldar_mirror.keeping.protocol import MAX_LINE
from heldar_mirror.pruning.loop import MAX_PROBLEMS, PruningLoop
from heldar_mirror.pruning.outcome import Pruned, Tally


class FakePruner:
    """A pruner whose outcomes a test gives; the last one is repeated."""

    def __init__(self, *outcomes: Pruned | Exception) -> None:
        self.outcomes = list(outcomes) or [Pruned()]
        self.sweeps: list[bool] = []
        self.tick = 10.0

    def prune(self, *, sweep: bool) -> Pruned:
        self.sweeps.append(sweep)
        outcome = self.outcomes.pop(0) if len(self.outcomes) > 1 else self.outcomes[0]
        if isinstance(outcome, Exception):
            raise outcome
        return outcome


def run(pruner: FakePruner, times: int, interval: float = 25.0) -> tuple[list[list[str]], list[str], list[float]]:
    """Prune so many times. Return what was published and logged, and how long it was waited."""
    published, logged, waits = list[list[str]](), list[str](), list[float]()

    def wait(seconds: float) -> bool:
        waits.append(seconds)
        return len(waits) == times

    PruningLoop(pruner, interval, logged.append, published.append, wait, lambda: sum(waits)).run()
    return published, logged, waits


def test_room_is_made_at_every_tick_and_all_is_swept_at_every_interval() -> None:
    pruner = FakePruner()
    _, _, waits = run(pruner, times=8)
    assert waits == [10.0] * 8
    assert pruner.sweeps == [False, False, False, True, False, False, True, False]


def test_an_interval_shorter_than_a_tick_is_kept() -> None:
    pruner = FakePruner()
    _, _, waits = run(pruner, times=3, interval=1)
    assert waits == [1] * 3
    assert pruner.sweeps == [False, True, True]


def test_problems_are_published_when_they_change() -> None:
    """Once at the beginning, so that those of a process before are over; and never twice the same."""
    pruner = FakePruner(Pruned(), Pruned(), Pruned(problems=["a"]), Pruned(problems=["a"]), Pruned())
    assert run(pruner, times=6, interval=100)[0] == [[], ["a"], []]


def test_problems_of_a_sweep_last_until_the_next_one() -> None:
    """A tick does not look for them."""
    pruner = FakePruner(Pruned(), Pruned(problems=["swept"]), Pruned(shortages=["short"]), Pruned(), Pruned())
    published, _, _ = run(pruner, times=5, interval=10)
    assert published[:3] == [[], ["swept"], ["short"]]
    pruner = FakePruner(Pruned(), Pruned(), Pruned(), Pruned(problems=["swept"]), Pruned(shortages=["short"]), Pruned())
    assert run(pruner, times=8)[0] == [[], ["swept"], ["swept", "short"], ["swept"], []]


def test_what_was_removed_is_logged() -> None:
    pruned = Pruned()
    pruned.add("gate", "age", Tally(2, 2048, 60, 120))
    assert run(FakePruner(pruned, Pruned()), times=3)[1] == ["pruned 2 segments, 2.0 KiB (2 age)"]


@pytest.mark.parametrize(
    ("outcome", "published"),
    [
        (StateError("no state"), ["no state"]),
        (VolumeError("lost"), []),
        (Pruned(database_error=DatabaseError("no table")), ["no table"]),
    ],
)
def test_what_prevents_pruning_is_a_problem_unless_the_watcher_sees_it_itself(
    outcome: Pruned | Exception, published: list[str]
) -> None:
    assert run(FakePruner(outcome), times=2)[0] == [published]


def test_many_and_long_problems_are_shortened() -> None:
    """However strange they are, they fit into a line of the protocol."""
    texts = [f"{number} {chr(0x1F600) * 100_000}" for number in range(MAX_PROBLEMS + 5)]
    ((*shown, last),) = run(FakePruner(Pruned(problems=texts)), times=1)[0]
    assert len(shown) == MAX_PROBLEMS
    assert last == "… and 5 more: heldar-mirror prune --dry-run"
    assert len(json.dumps([*shown, last])) < MAX_LINE
