"""The reviver: which cameras it asks, which programs it starts, and what it does without a launch spec."""

import asyncio
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import cast

from support.examples import row, settings
from support.watcher_fakes import Clock, Supervisord

from heldar_mirror.programs.desired import desired_state
from heldar_mirror.programs.launch_spec import LaunchSpec
from heldar_mirror.watcher.async_gateway import AsyncGateway
from heldar_mirror.watcher.failures import RETRY_SECONDS, Failures
from heldar_mirror.watcher.probe import Address
from heldar_mirror.watcher.problems import Problems
from heldar_mirror.watcher.reviver import Reviver


def spec(camera_id: str, **columns: object) -> LaunchSpec:
    """Return the launch spec of a camera."""
    return desired_state([row(id=camera_id, **columns)], settings(), "volume").specs[camera_id]


@dataclass
class Bench:
    """Three cameras: `gate` answers at 127.0.0.1, `yard` does not at 127.0.0.2, `odd` has no address to ask."""

    supervisord: Supervisord = field(default_factory=Supervisord)
    clock: Clock = field(default_factory=Clock)
    failures: Failures = field(default_factory=Failures)
    log: list[str] = field(default_factory=list)
    specs: dict[str, LaunchSpec] = field(default_factory=dict)
    saved: dict[str, LaunchSpec] = field(default_factory=dict)
    active: set[str] = field(default_factory=lambda: {"gate", "yard", "odd"})
    asked: list[Address] = field(default_factory=list)
    usable: bool = True
    rewrites: int = 0
    reviver: Reviver = field(init=False)

    def __post_init__(self) -> None:
        self.specs = {
            "gate": spec("gate", address="127.0.0.1"),
            "yard": spec("yard", address="127.0.0.2"),
            "odd": spec("odd", main_stream_url="rtsp://127.0.0.1:port/x"),
        }
        self.reviver = Reviver(
            gateway=cast("AsyncGateway", self.supervisord),
            failures=self.failures,
            problems=Problems(self.log.append),
            active=lambda: self.active,
            volume_usable=lambda: self.usable,
            specs=lambda: self.specs,
            saved_spec=self.saved_spec,
            answering=self.answering,
            rewrite=self.rewrite,
            clock=self.clock,
        )

    async def saved_spec(self, camera_id: str) -> LaunchSpec | None:
        return self.saved.get(camera_id)

    async def answering(self, addresses: Iterable[Address]) -> set[Address]:
        asked = list(addresses)
        self.asked += asked
        return {address for address in asked if address[0] == "127.0.0.1"}

    def rewrite(self) -> None:
        self.rewrites += 1

    def fail(self, *camera_ids: str) -> None:
        for camera_id in camera_ids:
            self.failures.heard(camera_id, "FATAL", self.clock())

    def revive(self) -> list[str]:
        """Ask once, and return what was started."""
        self.supervisord.started.clear()
        asyncio.run(self.reviver.revive())
        return self.supervisord.started


def test_a_failed_program_is_started_when_its_camera_answers() -> None:
    """A camera that does not answer costs a connection and no process; ffmpeg itself has to try an odd URL."""
    bench = Bench()
    bench.fail("gate", "yard", "odd")
    assert sorted(bench.revive()) == ["gate", "odd"]
    assert sorted(bench.asked) == [("127.0.0.1", 554), ("127.0.0.2", 554)]


def test_nothing_is_asked_while_nothing_failed() -> None:
    """A camera that records is left alone."""
    bench = Bench()
    bench.failures.heard("gate", "RUNNING", bench.clock())
    assert not bench.revive()
    assert not bench.asked


def test_a_camera_that_answers_and_fails_waits() -> None:
    """After a try that was in vain the next one comes half a minute later; others are asked every time."""
    bench = Bench()
    bench.fail("gate", "yard")
    assert bench.revive() == ["gate"]
    bench.fail("gate")
    bench.clock.pass_by(RETRY_SECONDS - 1)
    assert not bench.revive()
    assert bench.asked.count(("127.0.0.2", 554)) == 2
    bench.clock.pass_by(1)
    assert bench.revive() == ["gate"]


def test_nothing_is_started_for_a_volume_that_cannot_be_used() -> None:
    """The recorder would refuse; no camera is asked either."""
    bench = Bench(usable=False)
    bench.fail("gate")
    assert not bench.revive()
    assert not bench.asked
    bench.usable = True
    assert bench.revive() == ["gate"]


def test_a_program_that_is_not_ours_is_not_started() -> None:
    """In a supervisord that was joined, somebody else's program may have failed too."""
    bench = Bench(active={"yard"})
    bench.fail("gate")
    assert not bench.revive()


def test_a_launch_spec_that_is_only_saved_serves() -> None:
    """While the database can't be read, the state knows where the camera is."""
    bench = Bench()
    bench.saved["gate"] = bench.specs.pop("gate")
    bench.fail("gate")
    assert bench.revive() == ["gate"]


def test_a_lost_launch_spec_is_written_anew() -> None:
    """Without one there is no address to ask; a reconcile is requested, once in half a minute."""
    bench = Bench()
    del bench.specs["gate"]
    bench.fail("gate")
    assert not bench.revive()
    assert not bench.revive()
    assert bench.rewrites == 1


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
