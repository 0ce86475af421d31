"""What outages cost, in simulated seconds: what is started, and when, by our rules and by the kernel's own loop."""

import itertools
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from heldar_mirror import recorder, watch
from heldar_mirror.health import Failures

# How long an ffmpeg lasts whose camera refuses it, and one whose camera is silent: the `-timeout` of its command.
REFUSED_SECONDS, SILENT_SECONDS = 0.1, 15.0


@dataclass(frozen=True)
class Outage:
    """A camera that is away from 0 on for `length` seconds; an ffmpeg that begins meanwhile ends after `failing`, and
    so does an attempt to connect, or after its own patience."""

    length: float
    failing: float

    def answers(self, now: float) -> bool:
        return now >= self.length


Schedule = Callable[[Outage], Iterator[float]]


def the_old_loop(outage: Outage) -> Iterator[float]:
    """When a loop that waits 1, 2, 4, 8, 16, 30, 30, … seconds starts an ffmpeg."""
    now = 0.0
    for wait in itertools.chain((1, 2, 4, 8, 16), itertools.repeat(30)):
        now += wait
        yield now
        now += outage.failing


def ours(outage: Outage) -> Iterator[float]:
    """When supervisord, by our stanza, and the watcher start a recorder, and when that starts its ffmpeg."""
    failures, now = Failures(), 0.0
    asking = min(outage.failing, recorder.ANSWER_SECONDS)
    while True:
        # What ended is started at once, since the watcher wakes supervisord, and so is what it asks for.
        failures.heard("gate", "STARTING", now)
        yield now
        until = now + recorder.START_SECONDS
        while now <= until:
            if outage.answers(now):
                yield now
                return
            now += asking + recorder.KNOCK_SECONDS
        failures.heard("gate", "RUNNING", now)
        failures.heard("gate", "EXITED", now)
        tried = False
        while not tried:
            now += watch.PROBE_SECONDS
            if failures.due(now):
                tried = outage.answers(now)
                now += 0 if tried else asking
        failures.tried(["gate"], now)


def gap(schedule: Schedule, outage: Outage) -> float:
    """How long after its return a camera is recorded again: at the first start that finds it there."""
    return next(start for start in schedule(outage) if outage.answers(start)) - outage.length


def starts(schedule: Schedule, seconds: float, failing: float) -> int:
    """How many recorders and ffmpegs are started for a camera that never comes back, in so many seconds."""
    return sum(1 for _ in itertools.takewhile(lambda start: start < seconds, schedule(Outage(seconds, failing))))
