"""A run looks at what is due until all is done, or until something ends it. What was done by then is remembered."""

import threading
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from pathlib import Path

import pytest

from heldar_mirror.errors import HungError, UnreadableError
from heldar_mirror.verify.budget import Budget, Purse
from heldar_mirror.verify.memory import Look, Memory, Scope, Stocked, opened_memory
from heldar_mirror.verify.outcomes import Level, Outcome
from heldar_mirror.verify.run import Done, End, Looked, Looker, Workers, order

HOUR = 3600
ALL = Scope(Level.PACKETS, 0, 1 << 60, 1 << 60)
SEGMENTS = 6 * 4


@dataclass
class State:
    """The settings that a memory needs."""

    state_dir: Path
    user: str | None = None


@pytest.fixture
def memory(tmp_path: Path) -> Iterator[Memory]:
    """A memory of two cameras with three hours of four segments each."""
    with opened_memory(State(tmp_path)) as made:
        for camera_id in ("gate", "hall"):
            made.take_stock(Level.PACKETS, camera_id, (Stocked(each, 10, 1) for each in range(0, 3 * HOUR, 900)))
        yield made


class Fake:
    """A looker that finds all proven. Before the segment that is the `at`th of all, it calls `event`."""

    def __init__(self, at: int = 0, event: Callable[[], object] = lambda: None) -> None:
        self.seen: list[tuple[str, int]] = []
        self.interrupted = threading.Event()
        self._at, self.event = at, event

    def make(self) -> AbstractContextManager[Looker]:
        return nullcontext(self)

    def look(self, camera_id: str, segments: Sequence[Stocked]) -> Iterator[Looked]:
        for each in segments:
            self.seen.append((camera_id, each.begun))
            if len(self.seen) == self._at:
                self.event()
            yield Looked(Look(each.begun, 100, Outcome.PROVEN), each.size, 2 * each.size, Counter(identical=5))


UNLIMITED = Budget()


def make(memory: Memory, fake: Fake, budget: Budget = UNLIMITED) -> Workers:
    purse = Purse(budget)
    purse.plan(whole=10 * SEGMENTS, due=10 * SEGMENTS)
    return Workers(memory, ALL, purse, fake.make, fake.interrupted, lambda _: None)


def run(memory: Memory, fake: Fake, budget: Budget = UNLIMITED, jobs: int = 1) -> Done:
    return make(memory, fake, budget).run(order(memory.batches(ALL, memory.camera_ids())), jobs)


def proven(memory: Memory) -> int:
    return sum(standing.proven for standing in memory.standings(ALL).values())


@pytest.mark.parametrize("jobs", [1, 3])
def test_all_that_is_due_is_looked_at_once(memory: Memory, jobs: int) -> None:
    """Also by several threads."""
    fake = Fake()
    done = run(memory, fake, jobs=jobs)
    assert done.end is End.DONE
    assert len(fake.seen) == len(set(fake.seen)) == proven(memory) == SEGMENTS
    assert done.counts == {"gate": Counter(identical=5 * SEGMENTS // 2), "hall": Counter(identical=5 * SEGMENTS // 2)}
    assert done.problems == []


def test_a_spent_budget_ends_a_run_and_the_next_one_goes_on(memory: Memory) -> None:
    """Together they look at each segment once before they look at any again."""
    fake = Fake()
    for number in range(1, 5):
        done = run(memory, fake, Budget(share=0.25))
        assert done.end is End.BUDGET
        assert proven(memory) == number * SEGMENTS // 4
    assert len(set(fake.seen)) == len(fake.seen) == SEGMENTS
    assert run(memory, Fake(), Budget(bytes=1)).end is End.BUDGET


def test_what_can_t_be_read_ends_a_batch_and_no_more(memory: Memory) -> None:
    """It is a problem, once, and the rest is looked at."""

    def refuse() -> None:
        raise UnreadableError("cannot read the primary's gate")

    done = run(memory, Fake(3, refuse))
    assert done.end is End.DONE
    assert done.problems == ["cannot read the primary's gate"]
    assert proven(memory) == SEGMENTS - 2


def test_a_volume_that_hangs_ends_the_run(memory: Memory) -> None:
    """What was proven before stays proven."""

    def hang() -> None:
        raise HungError("the primary's volume does not answer")

    done = run(memory, Fake(7, hang))
    assert done.end is End.LOST
    assert done.problems == ["the primary's volume does not answer"]
    assert proven(memory) == 6


def test_an_interruption_ends_it_after_what_is_being_looked_at(memory: Memory) -> None:
    """That one is remembered as well."""
    fake = Fake(5)
    fake.event = fake.interrupted.set
    assert run(memory, fake).end is End.INTERRUPTED
    assert proven(memory) == 5


def test_what_nobody_expected_is_raised(memory: Memory) -> None:
    """It is not taken for a difference."""

    def fail() -> None:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        run(memory, Fake(2, fail))
    assert proven(memory) == 1
    with pytest.raises(ZeroDivisionError):
        run(memory, Fake(2, fail), jobs=3)
