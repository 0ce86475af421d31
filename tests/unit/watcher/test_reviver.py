"""The reviver: which programs it starts, and what it does without a launch spec."""

import asyncio
from dataclasses import dataclass, field
from typing import cast

from support.examples import row, settings
from support.watcher_fakes import Clock, Supervisord

from heldar_mirror.errors import StateError
from heldar_mirror.programs.desired import desired_state
from heldar_mirror.programs.launch_spec import LaunchSpec
from heldar_mirror.watcher.async_gateway import AsyncGateway
from heldar_mirror.watcher.failures import RETRY_SECONDS, Failures
from heldar_mirror.watcher.problems import Problems
from heldar_mirror.watcher.reviver import STARTS_PER_TURN, TURN_SECONDS, Reviver

CAMERAS = ("gate", "hall", "yard")


@dataclass
class Bench:
    """Three cameras, with launch specs unless the test takes one away."""

    supervisord: Supervisord = field(default_factory=Supervisord)
    clock: Clock = field(default_factory=Clock)
    failures: Failures = field(default_factory=Failures)
    log: list[str] = field(default_factory=list)
    active: set[str] = field(default_factory=lambda: set(CAMERAS))
    without_spec: set[str] = field(default_factory=set)
    unreadable: set[str] = field(default_factory=set)
    rewrites: int = 0
    reviver: Reviver = field(init=False)

    def __post_init__(self) -> None:
        self.reviver = Reviver(
            gateway=cast("AsyncGateway", self.supervisord),
            failures=self.failures,
            problems=Problems(self.log.append),
            active=lambda: self.active,
            saved_spec=self.saved_spec,
            rewrite=self.rewrite,
            clock=self.clock,
        )

    async def saved_spec(self, camera_id: str) -> LaunchSpec | None:
        if camera_id in self.unreadable:
            raise StateError("cannot use the state")
        if camera_id in self.without_spec:
            return None
        return desired_state([row(id=camera_id)], settings(), "volume").specs[camera_id]

    def rewrite(self) -> None:
        self.rewrites += 1

    def fail(self, *camera_ids: str) -> None:
        for camera_id in camera_ids:
            self.failures.heard(camera_id, "FATAL", self.clock())

    def revive(self) -> list[str]:
        """Take a turn, and return what was started."""
        self.supervisord.started.clear()
        asyncio.run(self.reviver.revive())
        return list(self.supervisord.started)


def test_a_failed_program_is_started_again_and_again() -> None:
    """After a start in vain the next one comes half a minute later."""
    bench = Bench()
    bench.fail("gate")
    assert bench.revive() == ["gate"]
    bench.fail("gate")
    bench.clock.pass_by(RETRY_SECONDS - 1)
    assert not bench.revive()
    bench.clock.pass_by(1)
    assert bench.revive() == ["gate"]
    assert not bench.rewrites


def test_what_did_not_fail_is_left_alone() -> None:
    """A program that runs, and one that a person stopped, are none of ours to start."""
    bench = Bench()
    for camera_id, state in (("gate", "RUNNING"), ("hall", "STOPPED"), ("yard", "BACKOFF")):
        bench.failures.heard(camera_id, state, bench.clock())
    assert not bench.revive()


def test_a_program_that_is_not_ours_is_not_started() -> None:
    """In a supervisord that was joined, somebody else's program may have failed too."""
    bench = Bench(active={"yard"})
    bench.fail("gate")
    assert not bench.revive()


def test_of_very_many_some_are_started_in_a_turn_and_each_gets_its_turn() -> None:
    """Those that have waited longest come first, however soon they fail again."""
    cameras = [f"camera_{number:03}" for number in range(5 * int(RETRY_SECONDS / TURN_SECONDS) * STARTS_PER_TURN)]
    bench = Bench(active=set(cameras))
    bench.fail(*cameras)
    for _ in range(3):
        started = []
        for _ in range(len(cameras) // STARTS_PER_TURN):
            turn = bench.revive()
            assert len(turn) == STARTS_PER_TURN
            started += turn
            bench.fail(*turn)
            bench.clock.pass_by(TURN_SECONDS)
        assert started == cameras


def test_a_lost_launch_spec_is_written_anew() -> None:
    """A reconcile is requested, once in half a minute."""
    bench = Bench(without_spec={"gate"})
    bench.fail("gate", "hall")
    assert bench.revive() == ["gate", "hall"]
    bench.revive()
    assert bench.rewrites == 1


def test_a_launch_spec_that_cannot_be_read_holds_no_other_program_up() -> None:
    """The problem lasts until all can be read."""
    bench = Bench(unreadable={"gate"})
    bench.fail("gate", "hall")
    assert bench.revive() == ["gate", "hall"]
    bench.unreadable.clear()
    bench.clock.pass_by(RETRY_SECONDS)
    assert bench.revive() == ["gate", "hall"]
    assert bench.log == ["cannot use the state", "starting: all well again"]


def test_a_supervisord_that_is_gone_is_reported() -> None:
    """The problem lasts until a start succeeds."""
    bench = Bench()
    bench.fail("gate")
    bench.supervisord.is_gone = True
    bench.revive()
    bench.supervisord.is_gone = False
    bench.clock.pass_by(RETRY_SECONDS)
    assert bench.revive() == ["gate"]
    assert bench.log == ["supervisord does not answer", "starting: all well again"]
