"""The volume guard: what it reports of the volume, and what happens to recorders when that is lost."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

import pytest
from support.examples import settings
from support.watcher_fakes import Supervisord

from heldar_mirror.errors import MirrorError, VolumeError
from heldar_mirror.proc.mounts import Mount
from heldar_mirror.state.volumes import remember_volume, remembered_volume
from heldar_mirror.watcher.async_gateway import AsyncGateway
from heldar_mirror.watcher.problems import Problems
from heldar_mirror.watcher.volume_guard import VolumeGuard


@dataclass
class Bench:
    """A guard of a mirror root; whether the volume is the right one is for the test to say."""

    home: Path
    supervisord: Supervisord = field(default_factory=Supervisord)
    log: list[str] = field(default_factory=list)
    fault: MirrorError | None = None
    device: str = "8:1"
    adoptions: int = 0
    guard: VolumeGuard = field(init=False)

    def __post_init__(self) -> None:
        self.settings = settings(MIRROR_STATE_DIR=str(self.home), MIRROR_RECORDINGS_DIR=str(self.home / "mirror"))
        remember_volume("first", self.settings)
        self.problems = Problems(self.log.append)
        self.guard = VolumeGuard(
            settings=lambda: self.settings,
            call=self.call,
            gateway=cast("AsyncGateway", self.supervisord),
            problems=self.problems,
            log=self.log.append,
            recording=lambda: {"gate", "yard"},
            adopted=self.adopted,
            mount_of=lambda root: Mount(self.device, root, "ext4"),
        )

    async def call(self, function: Callable[..., Any], *args: Any) -> Any:
        if function is remembered_volume:
            return function(*args)
        if self.fault:
            raise self.fault
        return self.home

    def adopted(self) -> None:
        self.adoptions += 1

    def check(self) -> bool:
        """Check once, and return whether no problem is reported."""
        asyncio.run(self.guard.check())
        return not self.problems.texts()


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path)


def test_a_volume_that_is_well_is_left_alone(bench: Bench) -> None:
    """Nothing is reported, and no recorder is ended."""
    assert bench.check()
    assert not bench.log
    assert not bench.supervisord.signals
    assert not bench.adoptions


def test_a_volume_with_a_fault_is_reported_until_it_is_over(bench: Bench) -> None:
    """A full or hung volume is still the same one, so its recorders go on."""
    bench.check()
    bench.fault = VolumeError("mirror root is full")
    assert not bench.check()
    bench.fault = None
    assert bench.check()
    assert bench.log == ["mirror root is full", "volume: all well again"]
    assert not bench.supervisord.signals


def test_recorders_end_if_something_else_is_mounted(bench: Bench) -> None:
    """ffmpeg would open its next segment in the wrong place."""
    bench.check()
    bench.fault = VolumeError("mirror root has lost its marker")
    assert not bench.check()
    assert not bench.supervisord.signals  # the same volume may still be there, without its marker
    bench.device = "0:21"
    assert not bench.check()
    assert bench.supervisord.signals == [("gate", "TERM"), ("yard", "TERM")]
    assert any(line.startswith("ending 2 recorders") for line in bench.log)


def test_an_adopted_volume_has_the_launch_specs_written_anew(bench: Bench) -> None:
    """They name the old volume; once is enough."""
    bench.check()
    remember_volume("second", bench.settings)
    assert bench.check()
    assert bench.check()
    assert bench.adoptions == 1


def test_a_root_that_was_never_used_is_not_checked(tmp_path: Path) -> None:
    """The first reconcile adopts it."""
    bench = Bench(tmp_path, fault=VolumeError("not asked for"))
    (tmp_path / "volumes").unlink()
    assert bench.check()
