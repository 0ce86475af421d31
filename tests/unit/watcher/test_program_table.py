"""The table of programs: what events and listings say, and to which parts it passes changes."""

import asyncio
from dataclasses import dataclass, field
from typing import cast

import pytest
from support.examples import settings
from support.watcher_fakes import Clock, Supervisord, Waker, removed_event, state_event

from heldar_mirror.errors import MirrorError
from heldar_mirror.settings import Settings
from heldar_mirror.supervisord.events import Event
from heldar_mirror.supervisord.gateway import Process
from heldar_mirror.watcher.async_gateway import AsyncGateway
from heldar_mirror.watcher.failures import Failures
from heldar_mirror.watcher.program_table import LISTING_SECONDS, ProgramTable
from heldar_mirror.watcher.waker import Waker as RealWaker


@dataclass
class Bench:
    """A table with all parts to which it passes changes."""

    settings: Settings = field(default_factory=settings)
    supervisord: Supervisord = field(default_factory=Supervisord)
    clock: Clock = field(default_factory=Clock)
    failures: Failures = field(default_factory=Failures)
    waker: Waker = field(default_factory=Waker)
    table: ProgramTable = field(init=False)

    def __post_init__(self) -> None:
        self.table = ProgramTable(
            settings=lambda: self.settings,
            gateway=cast("AsyncGateway", self.supervisord),
            failures=self.failures,
            waker=cast("RealWaker", self.waker),
            clock=self.clock,
            wall_clock=self.clock,
        )

    def refresh(self) -> None:
        asyncio.run(self.table.refresh())


def test_an_event_sets_the_state() -> None:
    """The last event about a program says what it is doing, since when, and as which process.

    RUNNING is the process that STARTING was about, half a minute later.
    """
    bench = Bench()
    bench.table.heard(state_event("gate", "STARTING", pid=7))
    bench.clock.pass_by(30)
    bench.table.heard(state_event("gate", "RUNNING", pid=7))
    assert bench.table.active(()) == {"gate": Process("RUNNING", 1000, 7)}
    bench.clock.pass_by(30)
    bench.table.heard(state_event("gate", "EXITED"))
    assert bench.table.active(()) == {"gate": Process("EXITED", 1060, 0)}


def test_a_removed_program_is_gone() -> None:
    """A program that was taken out of supervisord is not active, and has not failed."""
    bench = Bench()
    bench.table.heard(state_event("gate", "FATAL"))
    bench.table.heard(removed_event("gate"))
    assert not bench.table.active(())
    assert not bench.failures.due(bench.clock() + 1e6)


def test_programs_of_others_are_not_ours() -> None:
    """An event about a program without our prefix changes nothing."""
    bench = Bench()
    bench.table.heard(Event("PROCESS_STATE_FATAL", "watch"))
    assert not bench.table.active(())


def test_what_failed_for_good_is_due() -> None:
    """A FATAL program may be revived, and one that has ended, unless supervisord has started it again already."""
    bench = Bench()
    bench.table.heard(state_event("fatal", "FATAL"))
    bench.table.heard(state_event("exited", "EXITED"))
    bench.table.heard(state_event("ended", "EXITED"))
    bench.table.heard(state_event("ended", "STARTING", pid=7))
    assert bench.failures.due(bench.clock()) == ["exited", "fatal"]


def test_the_end_of_every_running_process_is_awaited() -> None:
    """This holds whether the process was reported by an event or by a listing."""
    bench = Bench()
    bench.table.heard(state_event("gate", "STARTING", pid=7))
    bench.supervisord.listed = {"yard": Process("RUNNING", 1, 8)}
    bench.refresh()
    assert {process.pid for process in bench.waker.awaited} == {7, 8}


def test_a_listing_replaces_what_events_said() -> None:
    """Programs that supervisord does not list are gone, and those it lists are there."""
    bench = Bench()
    bench.table.heard(state_event("gone", "RUNNING", pid=7))
    bench.supervisord.listed = {"fatal": Process("FATAL", 5, 0), "gate": Process("RUNNING", 5, 8)}
    assert not bench.table.is_listed
    bench.refresh()
    assert bench.table.is_listed
    assert bench.table.active(()).keys() == {"fatal", "gate"}
    assert bench.failures.due(bench.clock()) == ["fatal"]


def test_an_event_during_a_listing_is_newer_than_it() -> None:
    """What supervisord reports while it answers is not overwritten by its answer."""
    bench = Bench()
    bench.supervisord.listed = {"gate": Process("RUNNING", 5, 8), "hall": Process("RUNNING", 5, 9)}

    def meanwhile() -> None:
        bench.table.heard(state_event("gate", "FATAL"))
        bench.table.heard(removed_event("hall"))

    bench.supervisord.meanwhile = meanwhile
    bench.refresh()
    assert {name: process.state for name, process in bench.table.active(()).items()} == {"gate": "FATAL"}


def test_a_listing_that_failed_is_due_still() -> None:
    """A supervisord that does not answer is asked again at the next tick; what is known stays."""
    bench = Bench()
    bench.table.heard(state_event("gate", "RUNNING", pid=7))
    bench.supervisord.is_gone = True
    with pytest.raises(MirrorError):
        bench.refresh()
    assert bench.table.is_listing_due
    assert bench.table.active(()).keys() == {"gate"}


def test_a_listing_is_due_every_five_minutes() -> None:
    """A listing makes up for a lost event."""
    bench = Bench()
    bench.refresh()
    bench.clock.pass_by(LISTING_SECONDS - 1)
    assert not bench.table.is_listing_due
    bench.clock.pass_by(1)
    assert bench.table.is_listing_due


def test_joined_only_mirrored_cameras_are_ours() -> None:
    """In a supervisord that was joined, somebody else's program may be named like one of ours."""
    bench = Bench(settings(MIRROR_PROGRAMS_FILE="/etc/supervisor/conf.d/mirror.conf"))
    bench.table.heard(state_event("gate", "RUNNING", pid=7))
    bench.table.heard(state_event("others", "RUNNING", pid=8))
    assert bench.table.active({"gate", "yard"}).keys() == {"gate"}
    assert bench.table.lacks({"gate", "yard"})
    assert not bench.table.lacks({"gate"})
