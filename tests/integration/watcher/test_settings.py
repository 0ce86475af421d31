"""SIGHUP has the watcher read its settings again."""

import contextlib
import fcntl
import stat
import time
from pathlib import Path

import pytest
from support.following import published, read_anew, wait_until_recorded, watcher
from support.mirror import Mirror
from support.running import recorders, wait_until_recording
from support.waiting import wait_for

from heldar_mirror.heldar.sqlite_files import SHARED_FIRST, SHARED_SIZE

pytestmark = pytest.mark.slow


def modes(mirror: Mirror, camera_id: str) -> set[int]:
    """Return the modes of a camera's segments. A recorder that stops may remove its stub meanwhile."""
    found = set()
    for segment in mirror.segments(camera_id):
        with contextlib.suppress(FileNotFoundError):
            found.add(stat.S_IMODE(segment.stat().st_mode))
    return found


def test_sighup_reads_the_settings_again(watched: Mirror) -> None:
    """After a SIGHUP a changed env file is in force: a new umask, or nothing recorded if recording is off."""
    watched.database.add("gate")
    wait_until_recording(watched, "gate")
    pid = watcher(watched)
    with read_anew(watched, "HELDAR_MIRROR_UMASK=022\n"):
        wait_for(lambda: modes(watched, "gate") == {0o644})
        wait_until_recorded(watched, {"gate": 60})
    with read_anew(watched, "HELDAR_RECORDER_ENABLED=false\n"):
        wait_until_recorded(watched, {})
    wait_until_recorded(watched, {"gate": 60})
    wait_for(lambda: modes(watched, "gate") == {0o640})
    assert watcher(watched) == pid


def test_bad_settings_are_told_and_those_of_before_stay(watched: Mirror) -> None:
    """A SIGHUP with settings that can't be used is reported and changes nothing else, until they are mended."""
    watched.database.add("gate")
    before = wait_until_recording(watched, "gate")
    with read_anew(watched, "HELDAR_MIRROR_UMASK=999\n"):
        said = wait_for(
            lambda: (
                "HELDAR_MIRROR_UMASK='999': expected" in (problems := " ".join(published(watched)["problems"]))
                and problems
            ),
        )
        assert "The previous settings stay in force" in said
        watched.database.add("hall")
        wait_until_recorded(watched, {"gate": 60, "hall": 60})
        assert recorders(watched)["gate"] == before["gate"]
    wait_for(lambda: watched.json("status")["well"])


def test_directories_of_new_settings_are_made(watched: Mirror) -> None:
    """After a SIGHUP that moves logs and status, their directories are made, and recording goes on."""
    watched.database.add("gate")
    wait_until_recording(watched, "gate")
    logs, status = watched.home / "logs", watched.home / "published"
    with read_anew(watched, f"HELDAR_MIRROR_LOG_DIR={logs}\nHELDAR_MIRROR_STATUS_DIR={status}\n"):
        wait_for((logs / "mirror-gate.log").exists, seen=watched.watch_log)
        wait_until_recorded(watched, {"gate": 60})
        wait_for((status / "status.json").exists, seen=watched.watch_log)
        wait_for(lambda: watched.json("status")["well"])
    wait_until_recorded(watched, {"gate": 60})
    wait_for(lambda: watched.json("status")["well"])


def test_sighup_is_heard_while_the_table_is_being_read(watched: Mirror) -> None:
    """Settings that are read while the watcher waits for the database are applied afterwards."""
    watched.database.add("gate")
    wait_until_recording(watched, "gate")
    with contextlib.ExitStack() as stack:
        with watched.database.path.open("r+b") as kernel:
            fcntl.lockf(kernel, fcntl.LOCK_EX, SHARED_SIZE, SHARED_FIRST)
            # The watcher begins to read within a second, and then tries for two seconds in vain.
            Path(f"{watched.database.path}-wal").touch()
            Path(f"{watched.database.path}-wal").unlink()
            time.sleep(1.1)
            stack.enter_context(read_anew(watched, "HELDAR_MIRROR_UMASK=022\n"))
        wait_for(lambda: modes(watched, "gate") == {0o644})
