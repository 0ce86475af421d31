"""The publisher: what it reports of what the other parts know."""

from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import pytest
from support.examples import row, settings

from heldar_mirror.programs.desired import Desired, desired_state
from heldar_mirror.programs.stanzas import log_path
from heldar_mirror.status.publishing import read_report
from heldar_mirror.status.report import Report
from heldar_mirror.supervisord.gateway import Process
from heldar_mirror.watcher.follower import Follower
from heldar_mirror.watcher.last_errors import LastErrors
from heldar_mirror.watcher.problems import Problems
from heldar_mirror.watcher.program_table import ProgramTable
from heldar_mirror.watcher.publisher import Publisher


@dataclass
class Bench:
    """A publisher, with a follower and a table of programs that know what the test says."""

    home: Path
    desired: Desired = field(default_factory=lambda: Desired({}))
    has_read: bool = True
    programs: dict[str, Process] = field(default_factory=dict)
    programs_known: bool = True

    def __post_init__(self) -> None:
        self.settings = settings(
            MIRROR_STATE_DIR=str(self.home), MIRROR_STATUS_DIR=str(self.home), MIRROR_LOG_DIR=str(self.home)
        )
        self.problems = Problems(lambda _: None)
        self.last_errors = LastErrors()
        self.publisher = Publisher(
            settings=lambda: self.settings,
            follower=cast("Follower", self),
            programs=cast("ProgramTable", SimpleNamespace(active=self.active, is_listed=self.programs_known)),
            last_errors=self.last_errors,
            problems=self.problems,
        )

    @property
    def mirrored(self) -> frozenset[str]:
        return frozenset(self.desired.specs)

    def active(self, _mirrored: frozenset[str]) -> dict[str, Process]:
        return self.programs

    def log(self, camera_id: str, line: str) -> None:
        Path(log_path(camera_id, self.settings)).write_text(f"{line}\n")

    def published(self) -> Report:
        """Publish a report, and return it as anybody reads it."""
        self.publisher.publish()
        return read_report(self.settings)


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path)


def test_it_reports_every_camera_of_the_table(bench: Bench) -> None:
    """Each camera with what its row asks for; one that can't be used has the reason in its own row alone."""
    rows = [row(id="gate"), row(id="hall", mirror_enabled=0), row(id="attic", address=None)]
    bench.desired = desired_state(rows, bench.settings, "")
    bench.problems.note("cameras", "camera attic: no RTSP URL")
    report = bench.published()
    assert {camera.camera_id: camera.wanted for camera in report.cameras} == {
        "attic": None,
        "gate": True,
        "hall": False,
    }
    assert report.problems == ()


def test_it_reports_the_problems(bench: Bench) -> None:
    """What the other parts found wrong is in the report until it is over."""
    bench.problems.note("volume", "the volume is full")
    assert bench.published().problems == ("the volume is full",)
    bench.problems.clear("volume")
    assert bench.published().problems == ()


@pytest.mark.parametrize(("has_read", "programs_known"), [(False, True), (True, False)])
def test_it_says_so_while_little_is_known(tmp_path: Path, has_read: bool, programs_known: bool) -> None:
    """A watcher that has just begun has not found out that nothing is wrong."""
    made = Bench(tmp_path, has_read=has_read, programs_known=programs_known)
    assert made.published().problems == ("the watcher has only begun to look",)


def test_a_recorder_that_waits_says_so_in_its_log(bench: Bench) -> None:
    """What is logged by a recorder that lives is the camera's last error."""
    bench.desired = desired_state([row(id="gate")], bench.settings, "")
    bench.programs = {"gate": Process("STARTING", 1, 7)}
    bench.log("gate", "2026-01-01T00:00:00Z ERROR no connection to the camera at 10.0.0.1, port 554: timed out")
    (gate,) = bench.published().cameras
    assert gate.activity == "waiting"
    assert gate.last_error == "no connection to the camera at 10.0.0.1, port 554: timed out"


def test_logs_that_cannot_be_read_are_a_problem(bench: Bench) -> None:
    """The report is published all the same."""
    bench.programs = {"gate": Process("STARTING", 1, 7)}
    Path(log_path("gate", bench.settings)).mkdir()
    bench.publisher.publish()
    assert any("cannot read the programs' logs" in problem for problem in bench.published().problems)
