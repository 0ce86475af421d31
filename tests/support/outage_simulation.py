"""Simulate in which second our rules, and a loop as in Heldar's kernel, start processes during an outage."""

import itertools
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from heldar_mirror.programs.stanzas import render_programs
from heldar_mirror.recorder.camera import KNOCK_SECONDS, LAST_ANSWER_SECONDS, START_SECONDS
from heldar_mirror.watcher.failures import Failures
from heldar_mirror.watcher.probe import ANSWER_SECONDS
from heldar_mirror.watcher.reviver import PROBE_SECONDS
from support.examples import settings

# How long ffmpeg runs if its camera refuses it, and if its camera is silent (the `-timeout` of its command).
REFUSED_SECONDS, SILENT_SECONDS = 0.1, 15.0

STANZA = {
    name: int(value)
    for name, value in re.findall(r"^(\w+)=(\d+)$", render_programs({"gate": 1}, settings()), re.MULTILINE)
}


@dataclass(frozen=True)
class Outage:
    """A camera that is away from second 0 for `length` seconds.

    An ffmpeg that starts meanwhile ends after `failing` seconds. An attempt to connect does so too, unless its own
    timeout is shorter.
    """

    length: float
    failing: float

    def answers(self, now: float) -> bool:
        return now >= self.length


Schedule = Callable[[Outage], Iterator[float]]


def the_old_loop(outage: Outage) -> Iterator[float]:
    """Yield when a loop that waits 1, 2, 4, 8, 16, 30, 30, … seconds starts an ffmpeg."""
    now = 0.0
    for wait in itertools.chain((1, 2, 4, 8, 16), itertools.repeat(30)):
        now += wait
        yield now
        now += outage.failing


def ours(outage: Outage) -> Iterator[float]:
    """Yield when supervisord or the watcher starts a recorder, and when the recorder starts its ffmpeg."""
    asking = min(outage.failing, ANSWER_SECONDS)
    failures, now = Failures(), 0.0
    while True:
        # supervisord starts the recorder at once: the watcher wakes it when a recorder ends or must be revived.
        failures.heard("gate", "STARTING", now)
        yield now
        until = now + START_SECONDS
        while now <= until and not outage.answers(now):
            now += asking + KNOCK_SECONDS
        if not outage.answers(now):
            now += min(outage.failing, LAST_ANSWER_SECONDS)
        if outage.answers(now):
            yield now
        failures.heard("gate", "RUNNING", now)
        failures.heard("gate", "EXITED", now)
        now = _probed(failures, outage, now)


def ours_by_name(outage: Outage) -> Iterator[float]:
    """Yield the same for a camera whose address is a name, so that only ffmpeg tries to connect."""
    failures, now = Failures(), 0.0
    while True:
        for wait in (*range(1, STANZA["startretries"] + 1), None):
            failures.heard("gate", "STARTING", now)
            yield now
            now += outage.failing
            failures.heard("gate", "BACKOFF", now)
            if wait:
                now += wait + 1  # supervisord's loop runs once a second
        failures.heard("gate", "FATAL", now)
        now = _probed(failures, outage, now)


def _probed(failures: Failures, outage: Outage, now: float) -> float:
    """Return when the watcher revives a program that has failed for good."""
    tried = False
    while not tried:
        now += PROBE_SECONDS
        if failures.due(now):
            tried = outage.answers(now)
            now += 0 if tried else min(outage.failing, ANSWER_SECONDS)
    failures.tried(["gate"], now)
    return now


def gap(schedule: Schedule, outage: Outage) -> float:
    """Return how many seconds after its return a camera is recorded again: at the first start that finds it there."""
    return next(start for start in schedule(outage) if outage.answers(start)) - outage.length


def starts(schedule: Schedule, seconds: float, failing: float) -> int:
    """Return how many recorders and ffmpegs are started in `seconds` for a camera that never comes back."""
    return sum(1 for _ in itertools.takewhile(lambda start: start < seconds, schedule(Outage(seconds, failing))))
