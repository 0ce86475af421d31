"""Looking at what is due, by several threads, until all is done or the budget is spent.

Each look is noted as soon as it has ended. So whatever ends a run, only what was being looked at is lost.
"""

import threading
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from enum import Enum
from itertools import zip_longest
from typing import NamedTuple, Protocol

from heldar_mirror.errors import MirrorError, VolumeError
from heldar_mirror.verify.budget import Purse
from heldar_mirror.verify.memory import Batch, Look, Memory, Scope, Stocked


class Looked(NamedTuple):
    """A look, what was read for it (bytes, of both sides), and what was counted, such as identical packets.

    `matched` says whether anything of the segment was found on the other side, or need not be.
    """

    look: Look
    size: int
    read: int
    counts: Counter[str]
    matched: bool = True


class Looker(Protocol):
    """Looks at segments. Each thread has its own."""

    def look(self, camera_id: str, segments: Sequence[Stocked]) -> Iterator[Looked]:
        """Yield what came of looking at segments of a camera that follow each other.

        Raises MirrorError if nothing can be said of the rest of them, and VolumeError if nothing can be said of any
        camera's, since a volume hangs or is not there.
        """


class End(str, Enum):
    """Why a run ended."""

    DONE = "all that is due was looked at"
    BUDGET = "the budget is spent"
    INTERRUPTED = "it was interrupted"
    LOST = "a volume hangs, or is not there"


@dataclass
class Done:
    """What a run has done: by camera what it counted, and what could not be read, each once.

    `unmatched` has by camera a segment of which nothing was found on the other side, which should have it.
    """

    end: End = End.DONE
    counts: dict[str, Counter[str]] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)
    unmatched: dict[str, int] = field(default_factory=dict)


def order(batches: Sequence[Batch]) -> Iterator[Batch]:
    """Yield batches in the order in which they are looked at, given in the order of their turns.

    Findings come first. Where there are many of them, every other batch is one of the rest, so that these get round.
    """
    findings = [batch for batch in batches if batch.turn == 0]
    for two in zip_longest(findings, batches[len(findings) :]):
        yield from filter(None, two)


@dataclass(eq=False)
class Workers:
    """The threads that look at batches, in their order.

    `interrupted` ends it after what is being looked at. `progress` is called after each look, with the camera.
    """

    memory: Memory
    scope: Scope
    purse: Purse
    make_looker: Callable[[], AbstractContextManager[Looker]]
    interrupted: threading.Event
    progress: Callable[[str], None]

    done: Done = field(default_factory=Done, init=False)
    # Held by whoever uses what the threads share: the memory, the purse, the batches, and what was done.
    _lock: threading.Lock = field(default_factory=threading.Lock, init=False)
    _ended: bool = field(default=False, init=False)

    def run(self, batches: Iterator[Batch], jobs: int) -> Done:
        """Look at the segments of the batches, with so many threads."""
        with ThreadPoolExecutor(jobs) as threads:
            for future in [threads.submit(self._work, batches) for _ in range(jobs)]:
                future.result()
        return self.done

    def _work(self, batches: Iterator[Batch]) -> None:
        try:
            with self.make_looker() as looker:
                while batch := self._next(batches):
                    self._look(looker, batch)
        except BaseException:
            self._ended = True  # so that the other threads end as well
            raise

    def _look(self, looker: Looker, batch: Batch) -> None:
        try:
            for looked in looker.look(batch.camera_id, self._due(batch)):
                self._note(batch.camera_id, looked)
                if self._is_over():
                    break
        except VolumeError as error:
            self._add_problem(str(error))
            self._end(End.LOST)
        except MirrorError as error:
            self._add_problem(str(error))

    def _next(self, batches: Iterator[Batch]) -> Batch | None:
        if self._is_over():
            return None
        with self._lock:
            return next(batches, None)

    def _due(self, batch: Batch) -> list[Stocked]:
        with self._lock:
            return self.memory.due(self.scope, batch)

    def _note(self, camera_id: str, looked: Looked) -> None:
        with self._lock:
            self.memory.note(self.scope.level, camera_id, looked.look)
            self.done.counts.setdefault(camera_id, Counter()).update(looked.counts)
            self.purse.spend(looked.read, looked.size)
            if not looked.matched:
                self.done.unmatched[camera_id] = looked.look.begun
        self.progress(camera_id)

    def _is_over(self) -> bool:
        if self.interrupted.is_set():
            self._end(End.INTERRUPTED)
        elif self.purse.is_empty():
            self._end(End.BUDGET)
        return self._ended

    def _add_problem(self, problem: str) -> None:
        with self._lock:
            if problem not in self.done.problems:
                self.done.problems.append(problem)

    def _end(self, end: End) -> None:
        with self._lock:
            if not self._ended:
                self._ended, self.done.end = True, end
