"""The script of the Ansible role that turns the published status into metrics."""

import json
import os
import re
import runpy
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from support.known_facts import AWAY, facts

from heldar_mirror import __version__
from heldar_mirror.status.report import make_report

ROOT = Path(__file__).parents[3]
SCRIPT = ROOT / "deploy/ansible/roles/heldar_mirror/files/textfile.py"

# A comment, or a sample as the exposition format has it: a label's value knows three escapes, and all else is UTF-8.
LINE = re.compile(r'# (HELP|TYPE) .+|heldar_mirror_\w+(\{\w+="([^"\\\n]|\\[\\"n])*"\})? (\d+(\.\d+)?|nan)')

SILENT = {"heldar_mirror_status_timestamp_seconds": "0", "heldar_mirror_problems": "0"}


@pytest.fixture
def published() -> dict[str, Any]:
    """A report of a camera that waits, as it is published."""
    return make_report(facts("wanted", "EXITED", error=AWAY), ["the disk hangs"]).to_json() | {"at": 7}


def metrics(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str | None) -> dict[str, str]:
    """Return the values that the script writes for a status file, by name and labels."""
    if text is not None:
        (tmp_path / "status.json").write_text(text)
    return published_metrics(tmp_path, monkeypatch)


def published_metrics(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """Return the values that the script writes for what is at `status.json`, by name and labels."""
    status, written = tmp_path / "status.json", tmp_path / "heldar_mirror.prom"
    monkeypatch.setattr(sys, "argv", [str(SCRIPT), str(status), str(written)])
    runpy.run_path(str(SCRIPT), run_name="__main__")
    lines = written.read_text(encoding="utf-8").split("\n")
    assert lines.pop() == ""
    assert not written.is_symlink()
    for line in lines:
        assert LINE.fullmatch(line), line
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


@pytest.mark.parametrize(
    "text",
    [
        *(None, "", "{", "[]", "7", '"text"', "null", "{}", '{"at": 7}', "[" * 100_000),
        '{"at": "7\\nheldar_mirror_problems 0", "problems": [], "cameras": []}',
        '{"at": 7, "problems": [], "cameras": [{"camera_id": "gate", "wanted": true}]}',
        '{"at": 7, "problems": [], "cameras": {"gate": 1}}',
    ],
)
def test_without_a_report_its_time_is_zero(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str | None) -> None:
    """So the alert rule about a silent watcher fires."""
    assert metrics(tmp_path, monkeypatch, text) == SILENT


@pytest.mark.parametrize(
    "make",
    [
        lambda status: status.symlink_to(status.with_name("linked.json")),
        os.mkfifo,
        Path.mkdir,
        lambda status: status.symlink_to("/dev/zero"),
        lambda status: status.write_text((status.parent / "linked.json").read_text() + " " * (32 << 20)),
        lambda status: status.write_bytes(b'{"at": "\xff"}'),
    ],
    ids=["link", "FIFO", "directory", "endless", "too large", "not UTF-8"],
)
def test_a_report_that_is_no_file_of_the_watchers_is_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, published: dict[str, Any], make: Callable[[Path], object]
) -> None:
    """The script follows no link, waits for nothing and reads no more than a report can have."""
    (tmp_path / "linked.json").write_text(json.dumps(published))
    make(tmp_path / "status.json")
    assert published_metrics(tmp_path, monkeypatch) == SILENT


@pytest.mark.parametrize("name", ["heldar_mirror.prom", "heldar_mirror.prom.new", ".heldar_mirror.prom.new"])
def test_nothing_is_written_through_a_link(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, published: dict[str, Any], name: str
) -> None:
    """A link in the place of what the script writes is replaced, and what it leads to stays as it is."""
    victim = tmp_path / "victim"
    victim.write_text("keep")
    victim.chmod(0o600)
    (tmp_path / name).symlink_to(victim)
    assert "heldar_mirror_problems" in metrics(tmp_path, monkeypatch, json.dumps(published))
    assert (victim.read_text(), victim.stat().st_mode & 0o777) == ("keep", 0o600)


@pytest.mark.parametrize(
    ("camera_id", "label"),
    [
        ("tür", "tür"),
        ("門", "門"),
        ("\U0001f6aa", "\U0001f6aa"),
        ('a"b', r"a\"b"),
        ("a\\b", r"a\\b"),
        ("a\nb", r"a\\nb"),
        ("a\0\x1b[31m\r\x7f", r"a\\x00\\x1b[31m\\r\\x7f"),
        ("a\u2028\x85\u202eb", r"a\\u2028\\x85\\u202eb"),
        ("\ud800", r"\\ud800"),
        ('"} 1\nheldar_mirror_well{camera="gate', r"\"} 1\\nheldar_mirror_well{camera=\"gate"),
        ("", ""),
    ],
)
def test_any_id_is_one_label(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, published: dict[str, Any], camera_id: str, label: str
) -> None:
    """node_exporter leaves out the whole file if it does not understand one line of it."""
    (camera,) = published["cameras"]
    published["cameras"].append(camera | {"camera_id": camera_id})
    values = metrics(tmp_path, monkeypatch, json.dumps(published))
    assert values[f'heldar_mirror_well{{camera="{label}"}}'] == "0"
    assert sum(name.startswith("heldar_mirror_well") for name in values) == 2
