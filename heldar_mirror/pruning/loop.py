"""Pruning again and again: room is made at every tick, and a sweep is made at every interval."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from heldar_mirror.errors import MirrorError, VolumeError
from heldar_mirror.pruning.outcome import Pruned

# At most this many problems are published; the others are only counted.
MAX_PROBLEMS = 20

# A problem names at most one path, so this is enough, unless the database has a strange text.
MAX_PROBLEM_LENGTH = 5000


class Prunes(Protocol):
    """A `Pruner`, or a fake one in a test."""

    @property
    def tick(self) -> float:
        """The time until the next prune, in seconds."""

    def prune(self, *, sweep: bool) -> Pruned:
        """Prune once. Raises MirrorError."""


@dataclass
class PruningLoop:
    """Prunes again and again.

    `interval` is in seconds. `publish` is called with all problems whenever they change, and `log` with what was
    removed. `wait` is called with the seconds until the next tick, and returns whether to end.
    """

    pruner: Prunes
    interval: float
    log: Callable[[str], None]
    publish: Callable[[list[str]], None]
    wait: Callable[[float], bool]
    monotonic: Callable[[], float] = time.monotonic

    def run(self) -> None:
        """Make room at every tick of the pruner, and sweep every `interval` seconds, until `wait` returns true."""
        published: list[str] | None = None
        of_last_sweep: list[str] = []
        sweep_at = self.monotonic() + self.interval
        while True:
            sweep = self.monotonic() >= sweep_at
            pruned = _prune(self.pruner, sweep=sweep)
            if sweep:
                sweep_at, of_last_sweep = self.monotonic() + self.interval, pruned.problems
            if pruned.segments or pruned.directories:
                self.log(pruned.line())
            problems = _shortened(list(dict.fromkeys([*of_last_sweep, *pruned.problems, *pruned.shortages])))
            if problems != published:
                self.publish(problems)
                published = problems
            if self.wait(min(self.pruner.tick, self.interval)):
                return


def _prune(pruner: Prunes, *, sweep: bool) -> Pruned:
    """Prune once. An error that prevents it becomes a problem."""
    try:
        pruned = pruner.prune(sweep=sweep)
    except VolumeError:
        return Pruned()  # the watcher checks the volume itself, and reports it
    except MirrorError as error:
        return Pruned(problems=[str(error)])
    if pruned.database_error:
        pruned.add_problem(str(pruned.database_error))
    return pruned


def _shortened(problems: list[str]) -> list[str]:
    shown = [text[:MAX_PROBLEM_LENGTH] for text in problems[:MAX_PROBLEMS]]
    left = len(problems) - len(shown)
    return [*shown, f"… and {left} more: heldar-mirror prune --dry-run"] if left else shown
