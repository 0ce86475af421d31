"""The report as a file: written by the watcher, read by anybody."""

import json
import math
import os
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
from support.examples import settings
from support.known_facts import AWAY, UNAUTHORIZED, facts

from heldar_mirror import __version__
from heldar_mirror.errors import StateError
from heldar_mirror.settings import Settings
from heldar_mirror.status.publishing import StatusFile, read_report
from heldar_mirror.status.report import Report, make_report

REPORTS = [
    make_report(facts("wanted", "RUNNING", "segment", error=UNAUTHORIZED), []),
    make_report(facts("wanted", "EXITED", "no files", error=AWAY), ["the disk hangs"]),
    make_report(facts("unusable"), []),
    make_report(facts("nothing"), []),
]


@pytest.fixture
def here(tmp_path: Path) -> Settings:
    return settings(MIRROR_STATE_DIR=str(tmp_path), MIRROR_STATUS_DIR=str(tmp_path))


def fresh(report: Report) -> Report:
    """Return a report as if it were made now."""
    return Report(time.time(), report.cameras, report.problems, report.known)


@pytest.mark.parametrize("report", REPORTS)
def test_it_is_read_as_it_was_published(here: Settings, report: Report) -> None:
    """All of it, for as long as its writer lives; each file replaces the last one, for anybody to read."""
    writer = StatusFile()
    for _ in range(3):
        now = fresh(report)
        writer.publish(now, here)
        assert read_report(here) == now
    assert here.status_file.stat().st_mode & 0o777 == 0o644
    assert os.listdir(here.status_file.parent) == ["status.json"]
    writer.close()
    with pytest.raises(StateError, match=r"the watcher is not running.*supervisorctl start watch"):
        read_report(here)


def test_without_a_file_there_is_no_watcher(here: Settings) -> None:
    """That is what is said, and how to start it."""
    with pytest.raises(StateError, match="the watcher is not running"):
        read_report(here)


def test_a_report_is_taken_back_when_a_newer_one_can_not_be_published(here: Settings) -> None:
    """Readers see at once that the watcher lives and has no valid report, each time until one can be published."""
    writer = StatusFile()
    obstacle = here.status_file.with_name(".status.json.new")
    for _ in range(2):
        writer.publish(fresh(REPORTS[0]), here)
        read_report(here)
        before = here.status_file.stat().st_mtime_ns
        (obstacle / "x").mkdir(parents=True)
        for _ in range(3):
            with pytest.raises(StateError, match=r"cannot publish the status: .*See HELDAR_MIRROR_STATUS_DIR"):
                writer.publish(fresh(REPORTS[0]), here)
            with pytest.raises(StateError, match=f"the watcher runs, but can't write its report to {obstacle.parent}"):
                read_report(here)
        assert here.status_file.stat().st_mtime_ns > before  # so `up` does not take the watcher for hung
        (obstacle / "x").rmdir()
        obstacle.rmdir()
    writer.publish(fresh(REPORTS[0]), here)
    read_report(here)
    writer.close()
    with pytest.raises(StateError, match="the watcher is not running"):
        read_report(here)


def test_a_watcher_that_could_not_publish_and_ended_is_not_running(here: Settings) -> None:
    """Its mark ends with it, also if there never was a report."""
    writer = StatusFile()
    (here.status_file.with_name(".status.json.new") / "x").mkdir(parents=True)
    with pytest.raises(StateError, match="cannot publish the status"):
        writer.publish(REPORTS[0], here)
    with pytest.raises(StateError, match="the watcher runs, but"):
        read_report(here)
    writer.close()
    with pytest.raises(StateError, match="the watcher is not running"):
        read_report(here)


def test_a_watcher_that_hangs_is_a_problem_of_the_report(here: Settings) -> None:
    """What it last published is shown, with how long ago that was."""
    report = Report(time.time() - 70, REPORTS[0].cameras, ("late",), known=True)
    writer = StatusFile()
    writer.publish(report, here)
    read = read_report(here)
    writer.close()
    assert read.cameras == report.cameras
    late, silent = read.problems
    assert late == "late"
    assert silent.startswith("the watcher has not reported for 70 s. If it hangs: supervisorctl restart watch")


def altered(here: Settings, change: Callable[[dict[str, Any]], None]) -> Report:
    """Publish a report, change the JSON in place, and read it."""
    writer = StatusFile()
    writer.publish(fresh(REPORTS[0]), here)
    try:
        published = json.loads(here.status_file.read_text())
        change(published)
        here.status_file.write_text(json.dumps(published))
        return read_report(here)
    finally:
        writer.close()


def test_the_version_is_that_of_the_watcher(here: Settings) -> None:
    """It may differ from that of the command that shows it, until the watcher is restarted."""
    assert altered(here, lambda _: None).version == __version__
    assert altered(here, lambda report: report.update(version="9.9.9")).version == "9.9.9"


def test_a_further_field_of_the_report_does_no_harm(here: Settings) -> None:
    """A later version may publish more about all cameras together."""
    assert altered(here, lambda report: report.update(mood="good")).cameras == REPORTS[0].cameras


@pytest.mark.parametrize(
    "change",
    [
        lambda report: report["cameras"][0].update(mood="good"),
        lambda report: report["cameras"][0].pop("activity"),
        lambda report: report["cameras"][0]["segment"].update(mood="good"),
        lambda report: report["cameras"].append("hall"),
        lambda report: report.pop("version"),
        lambda report: report.update(at="noon"),
        lambda report: report.clear(),
    ],
)
def test_a_report_of_another_version_is_named_as_such(here: Settings, change: Callable[[dict[str, Any]], None]) -> None:
    """A camera with a field that is unknown or missing can't be shown for certain: the watcher has to be restarted."""
    with pytest.raises(StateError, match=r"status.json is of a different version \(.*\): supervisorctl restart watch"):
        altered(here, change)


# What a field can't be, by the field's place.
WRONG_KINDS: Mapping[tuple[str | int, ...], Sequence[object]] = {
    ("at",): (None, True, math.nan, math.inf, 10**400, []),
    ("problems",): (None, "late", [5], {"late": 1}),
    ("known",): (None, 1, "yes"),
    ("version",): (None, 1, {}),
    ("cameras",): (None, 1, {}, "gate", [5], [[]], [None]),
    ("cameras", 0, "camera_id"): (None, 5, ["gate"]),
    ("cameras", 0, "wanted"): (0, "no", []),
    ("cameras", 0, "activity"): (None, 5),
    ("cameras", 0, "state"): (5, {}),
    ("cameras", 0, "since"): ("5", 1.5, 10**400, True),
    ("cameras", 0, "segment"): (5, "path", [], True),
    ("cameras", 0, "stalled"): (None, 1),
    ("cameras", 0, "last_error"): (5, []),
    ("cameras", 0, "last_error_at"): ("5", math.inf, 10**400, False),
    ("cameras", 0, "advice"): (5, []),
    ("cameras", 0, "segment", "path"): (None, 5),
    ("cameras", 0, "segment", "size_bytes"): ("5", None, 1.5),
    ("cameras", 0, "segment", "begun"): ("5", None, math.nan),
}


@pytest.mark.parametrize(
    ("place", "value"), [(place, value) for place, values in WRONG_KINDS.items() for value in values]
)
def test_a_value_of_the_wrong_kind_is_not_shown(here: Settings, place: Sequence[str | int], value: object) -> None:
    """Whoever shows the report can rely on the kinds."""

    def change(report: Any) -> None:
        for step in place[:-1]:
            report = report[step]
        report[place[-1]] = value

    with pytest.raises(StateError, match="is of a different version"):
        altered(here, change)


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"null", b'"status"', b"\xff", b"[" * 100_000, b"9" * 5000])
def test_a_file_that_is_no_report_is_named_as_such(here: Settings, content: bytes) -> None:
    """Reading it ends with a message, not with a traceback."""
    writer = StatusFile()
    writer.publish(REPORTS[0], here)
    here.status_file.write_bytes(content)
    with pytest.raises(StateError, match="is of a different version"):
        read_report(here)
    writer.close()
