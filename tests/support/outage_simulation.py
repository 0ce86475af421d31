"""Simulate in which second our rules, and a loop as in Heldar's kernel, start processes during an outage."""

import itertools
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from heldar_mirror.recorder.camera import KNOCK_SECONDS
from heldar_mirror.recorder.tries import OTHER, PAUSES
from heldar_mirror.recorder.waiting import ANSWER_SECONDS, BLIND_SECONDS, CALM_SECONDS, EAGER_SECONDS

# How long ffmpeg runs if its camera refuses it, and if its camera is silent (the `-timeout` of its command).
REFUSED_SECONDS, SILENT_SECONDS = 0.1, 15.0


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
    """Yield when supervisord starts the recorder, and when that starts an ffmpeg: once the camera answers, and now and
    then all the same."""
    now = begun = 0.0
    yield now
    while True:
        asking = outage.failing + KNOCK_SECONDS if outage.failing < ANSWER_SECONDS else ANSWER_SECONDS
        while now - begun < BLIND_SECONDS and not outage.answers(now):
            now += asking + (CALM_SECONDS if now - begun > EAGER_SECONDS else 0)
        yield now
        now += outage.failing + PAUSES[OTHER][0]
        begun = now


def gap(schedule: Schedule, outage: Outage) -> float:
    """Return how many seconds after its return a camera is recorded again: at the first start that finds it there."""
    return next(start for start in schedule(outage) if outage.answers(start)) - outage.length


def starts(schedule: Schedule, seconds: float, failing: float) -> int:
    """Return how many recorders and ffmpegs are started in `seconds` for a camera that never comes back."""
    return sum(1 for _ in itertools.takewhile(lambda start: start < seconds, schedule(Outage(seconds, failing))))
