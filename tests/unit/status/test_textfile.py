"""The script of the Ansible role that turns the published status into metrics."""

import json
import re
import runpy
import sys
from pathlib import Path
from typing import Any

import pytest
from support.known_facts import AWAY, facts

from heldar_mirror import __version__
from heldar_mirror.status.report import make_report

ROOT = Path(__file__).parents[3]
SCRIPT = ROOT / "deploy/ansible/roles/heldar_mirror/files/textfile.py"


@pytest.fixture
def published() -> dict[str, Any]:
    """A report of a camera that waits, as it is published."""
    return make_report(facts("wanted", "EXITED", error=AWAY), ["the disk hangs"]).to_json() | {"at": 7}


def metrics(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str | None) -> dict[str, str]:
    """Return the values that the script writes for a status file, by name and labels."""
    status, written = tmp_path / "status.json", tmp_path / "heldar_mirror.prom"
    if text is not None:
        status.write_text(text)
    monkeypatch.setattr(sys, "argv", [str(SCRIPT), str(status), str(written)])
    runpy.run_path(str(SCRIPT), run_name="__main__")
    lines = written.read_text().splitlines()
    types = {line.split()[2] for line in lines if line.startswith("# TYPE ")}
    values = dict(line.rsplit(" ", 1) for line in lines if not line.startswith("#"))
    assert {re.split(r"[{ ]", name)[0] for name in values} <= types
    assert written.stat().st_mode & 0o777 == 0o644
    return values


def test_each_camera_and_the_watcher_have_metrics(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, published: dict[str, Any]
) -> None:
    """What the report says of them, and the version of the watcher."""
    assert metrics(tmp_path, monkeypatch, json.dumps(published)) == {
        f'heldar_mirror_info{{version="{__version__}"}}': "1",
        "heldar_mirror_status_timestamp_seconds": "7",
        "heldar_mirror_problems": "1",
        'heldar_mirror_wanted{camera="gate"}': "1",
        'heldar_mirror_recording{camera="gate"}': "0",
        'heldar_mirror_well{camera="gate"}': "0",
    }


def test_a_watcher_of_before_has_no_version(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, published: dict[str, Any]
) -> None:
    """All else is there, as long as the watcher was not restarted after an upgrade."""
    before = {name: value for name, value in published.items() if name != "version"}
    values = metrics(tmp_path, monkeypatch, json.dumps(before))
    assert "heldar_mirror_problems" in values
    assert not any(name.startswith("heldar_mirror_info") for name in values)


@pytest.mark.parametrize("text", [None, "", "{"])
def test_without_a_report_its_time_is_zero(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str | None) -> None:
    """So the alert rule about a silent watcher fires."""
    assert metrics(tmp_path, monkeypatch, text) == {
        "heldar_mirror_status_timestamp_seconds": "0",
        "heldar_mirror_problems": "0",
    }
