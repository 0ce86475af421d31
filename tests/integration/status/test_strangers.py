"""Other users of the machine may read the report. They can't make it look valid, or look as if its writer lived."""

import json
import os
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from support.examples import settings
from support.mounts import mounted
from support.users import STRANGER_UID, as_root, identity, locking_all, python_for_all

from heldar_mirror.errors import StateError
from heldar_mirror.settings import Settings
from heldar_mirror.status.publishing import StatusFile, read_report
from heldar_mirror.status.report import Report

pytestmark = as_root

# Put a report into a directory, and hold each lock on it that a watcher would hold.
FORGE = """
import fcntl, os, sys
fd = os.open(sys.argv[1], os.O_RDWR | os.O_CREAT, 0o644)
os.write(fd, sys.argv[2].encode())
fcntl.flock(fd, fcntl.LOCK_EX)
fcntl.lockf(fd, fcntl.LOCK_EX)
print(flush=True)
sys.stdin.read()
"""


@pytest.fixture
def here(home: Path) -> Settings:
    return settings(MIRROR_STATE_DIR=str(home), MIRROR_STATUS_DIR=str(home))


@pytest.fixture
def writer() -> Iterator[StatusFile]:
    made = StatusFile()
    yield made
    made.close()


def fresh() -> Report:
    return Report(time.time(), (), (), known=True)


@contextmanager
def unwritable(status: Path) -> Iterator[None]:
    """No report can be published."""
    obstacle = status.with_name(f".{status.name}.new")
    (obstacle / "x").mkdir(parents=True)
    yield
    (obstacle / "x").rmdir()
    obstacle.rmdir()


def told(here: Settings) -> set[str]:
    """Return the beginnings of what a reader is told in a second, in which a lock may get a new holder."""
    found = set()
    for _ in range(20):
        try:
            read_report(here)
            found.add("valid")
        except StateError as error:
            found.add(str(error).partition(",")[0])
        time.sleep(0.05)
    return found


def test_the_report_of_a_watcher_that_ended_is_invalid_whoever_locks_it(here: Settings, writer: StatusFile) -> None:
    """Strangers who waited for the locks get them when the watcher ends."""
    writer.publish(fresh(), here)
    with locking_all(STRANGER_UID, here.status_file.parent) as opened:
        assert str(here.status_file) in opened
        assert told(here) == {"valid"}
        writer.close()
        assert told(here) == {"the watcher is not running"}


def test_a_watcher_that_can_not_publish_is_seen_whoever_locks_its_files(here: Settings, writer: StatusFile) -> None:
    """Its last report is invalid all the same. That holds for a new watcher too, which finds the locks taken."""
    writer.publish(fresh(), here)
    with locking_all(STRANGER_UID, here.status_file.parent), unwritable(here.status_file):
        for watcher in (writer, StatusFile()):
            for _ in range(2):
                with pytest.raises(StateError, match="cannot publish the status"):
                    watcher.publish(fresh(), here)
                assert told(here) == {"the watcher runs"}
            watcher.close()
            assert told(here) == {"the watcher is not running"}


def test_a_strangers_file_is_no_report(here: Settings) -> None:
    """A directory of the watcher's may let others put files there."""
    here.status_file.parent.chmod(0o1777)
    forged = [python_for_all(), "-IS", "-c", FORGE, str(here.status_file), json.dumps(fresh().to_json())]
    with subprocess.Popen(forged, **identity(STRANGER_UID), stdin=subprocess.PIPE, stdout=subprocess.PIPE) as stranger:
        assert stranger.stdout
        assert stranger.stdout.readline()
        with pytest.raises(StateError, match=r"cannot read the watcher's status: .*status.json is no file of user 0"):
            read_report(here)
        stranger.communicate()


@pytest.mark.parametrize("kind", ["link", "fifo"])
def test_what_is_no_file_is_not_waited_for(here: Settings, kind: str) -> None:
    """A link would lead elsewhere, and a FIFO would hold up whoever reads it."""
    if kind == "link":
        here.status_file.symlink_to("elsewhere")
    else:
        os.mkfifo(here.status_file)
    with pytest.raises(StateError, match=r"cannot read the watcher's status: .*status.json"):
        read_report(here)


def test_in_a_read_only_directory_it_is_not_known_whether_a_watcher_runs(here: Settings) -> None:
    """A new watcher can't show there that it lives. Not to see one is not to know that there is none."""
    directory = here.status_file.parent / "status"
    with mounted(directory, "-t", "tmpfs", "-o", "ro", "tmpfs"):
        inside = settings(MIRROR_STATE_DIR=str(directory), MIRROR_STATUS_DIR=str(directory))
        watcher = StatusFile()
        with pytest.raises(StateError, match="cannot publish the status"):
            watcher.publish(fresh(), inside)
        with pytest.raises(StateError, match=f"no watcher can write its report to {directory}, which is read-only"):
            read_report(inside)
