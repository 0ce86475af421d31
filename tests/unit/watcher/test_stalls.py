"""Stalled recorders: ended, killed if that does not help, and reported."""

import asyncio
from dataclasses import dataclass, field
from typing import cast

import pytest
from support.watcher_fakes import Clock, Supervisord, state_event

from heldar_mirror.errors import MirrorError
from heldar_mirror.proc.open_segments import Segment
from heldar_mirror.watcher.async_gateway import AsyncGateway
from heldar_mirror.watcher.last_errors import LastErrors
from heldar_mirror.watcher.stalls import STALLED, Stalls

LENGTHS = {"gate": 10, "yard": 10}


@dataclass
class Bench:
    """Two cameras: the file of `gate` does not grow, that of `yard` does."""

    supervisord: Supervisord = field(default_factory=Supervisord)
    clock: Clock = field(default_factory=Clock)
    last_errors: LastErrors = field(default_factory=LastErrors)
    log: list[str] = field(default_factory=list)
    stalls: Stalls = field(init=False)

    def __post_init__(self) -> None:
        gateway = cast("AsyncGateway", self.supervisord)
        self.stalls = Stalls(gateway, self.last_errors, self.log.append, self.clock, lambda: 5.0)

    def watch(self, seconds: int) -> None:
        """Look every ten seconds."""
        for _ in range(0, seconds, 10):
            self.clock.pass_by(10)
            grown = Segment("/m/yard/20260101_000000.mp4", int(self.clock()), 0.0)
            self.stalls.seen({"gate": Segment("/m/gate/20260101_000000.mp4", 1, 0.0), "yard": grown})

    def restart(self) -> None:
        asyncio.run(self.stalls.restart(LENGTHS))


def test_a_stalled_recorder_is_ended_and_reported_once() -> None:
    """It gets one SIGTERM; the camera's last error says why, and the log says it once."""
    bench = Bench()
    bench.watch(60)
    bench.restart()
    assert not bench.supervisord.signals
    bench.watch(20)
    assert bench.stalls.stalled(LENGTHS) == ["gate"]
    bench.restart()
    assert bench.supervisord.signals == [("gate", "TERM")]
    assert bench.log == [f"camera gate: {STALLED}"]
    assert bench.last_errors.found == {"gate": (5.0, STALLED)}


def test_a_recorder_that_did_not_end_is_killed_at_the_next_tick() -> None:
    """A SIGTERM that changed nothing is followed by a SIGKILL."""
    bench = Bench()
    bench.watch(80)
    bench.restart()
    bench.restart()
    assert bench.supervisord.signals == [("gate", "TERM"), ("gate", "KILL")]


def test_a_recorder_that_ended_is_not_killed() -> None:
    """The new process that supervisord started meanwhile gets no signal."""
    bench = Bench()
    bench.watch(80)
    bench.restart()
    bench.stalls.heard("gate", state_event("gate", "EXITED", expected=False))
    bench.restart()
    assert bench.supervisord.signals == [("gate", "TERM")]


def test_a_supervisord_that_is_gone_is_asked_again() -> None:
    """The stall is found again at the next tick."""
    bench = Bench()
    bench.watch(80)
    bench.supervisord.is_gone = True
    with pytest.raises(MirrorError):
        bench.restart()
    bench.supervisord.is_gone = False
    bench.restart()
    assert bench.supervisord.signals == [("gate", "TERM")]
