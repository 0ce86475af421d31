"""A volume that is lost while it is in use, and one that is adopted."""

import os
import shutil
import signal

import pytest
from support.mirror import Mirror
from support.mounts import tmpfs, unmount
from support.running import plan_counts, recorders, wait_until_recording
from support.users import as_root
from support.waiting import wait_for

from heldar_mirror.manifests.form import DIRECTORY

MARKER = ".heldar-mirror"


def log_of(mirror: Mirror, camera_id: str) -> str:
    path = mirror.logs / f"mirror-{camera_id}.log"
    return path.read_text() if path.exists() else ""


def restart(mirror: Mirror, camera_id: str) -> None:
    """Have supervisord start a recorder again, as it does by itself when an ffmpeg ends."""
    pid = recorders(mirror)[camera_id]
    os.kill(pid, signal.SIGTERM)
    wait_for(lambda: recorders(mirror).get(camera_id) != pid, seen=lambda: mirror.supervisorctl("status"))


def test_a_recorder_refuses_a_volume_that_lost_its_marker(used: Mirror) -> None:
    """A recorder that finds no marker, or a foreign one, says so in its log, and nothing is made."""
    with used.up():
        wait_until_recording(used, "gate")
        marker = (used.root / MARKER).read_text()
        (used.root / MARKER).unlink()
        shutil.rmtree(used.root / "gate")
        restart(used, "gate")
        wait_for(lambda: f"ERROR cannot record: mirror root {used.root} has lost its marker" in log_of(used, "gate"))
        shutil.rmtree(used.root / DIRECTORY, ignore_errors=True)  # a segment may have been listed before
        (used.root / MARKER).write_text("another\n")
        wait_for(lambda: "holds the marker of another volume or instance" in log_of(used, "gate"))
        assert [path.name for path in used.root.iterdir()] == [MARKER]
        shown = used.run("status", code=1).stdout
        assert "gate: " in shown
        assert "marker" in shown

        (used.root / MARKER).write_text(marker)
        used.run("reconcile")
        wait_until_recording(used, "gate")


def test_a_cameras_directory_that_is_a_link_is_refused(mirror: Mirror) -> None:
    """A camera directory that is a link is refused, since it would lead out of the volume. The other cameras are
    recorded."""
    elsewhere = mirror.home / "elsewhere"
    elsewhere.mkdir()
    mirror.root.mkdir()
    (mirror.root / "gate").symlink_to(elsewhere)
    mirror.database.add("gate")
    mirror.database.add("hall")
    with mirror.up():
        wait_until_recording(mirror, "hall")
        wait_for(lambda: "ERROR cannot record: " in log_of(mirror, "gate"))
        assert str(mirror.root / "gate") in log_of(mirror, "gate")
        assert list(elsewhere.iterdir()) == []


def test_recording_is_switched_off_on_a_lost_volume_too(used: Mirror) -> None:
    """To stop recording needs no volume, and the plan shows that."""
    with used.up():
        wait_until_recording(used, "gate")
        (used.root / MARKER).unlink()
        used.env["HELDAR_RECORDER_ENABLED"] = "false"
        assert plan_counts(used.run("reconcile", "--dry-run")) == {"removed": 1}
        assert plan_counts(used.run("reconcile")) == {"removed": 1}
        assert recorders(used) == {}


@as_root
def test_a_volume_that_is_gone_is_not_recorded_beside(mirror: Mirror) -> None:
    """With the volume unmounted nothing is written to the disk below it. When it is mounted again, recording goes
    on."""
    mirror.database.add("gate")
    mirror.root.mkdir()
    with tmpfs(mirror.root, 200):
        with mirror.up():
            wait_until_recording(mirror, "gate")
            marker = (mirror.root / MARKER).read_text()
            unmount(mirror.root)
            restart(mirror, "gate")
            wait_for(lambda: "has lost its marker" in log_of(mirror, "gate"))
            assert "is the volume mounted?" in mirror.run("reconcile", code=6).stderr
            assert list(mirror.root.iterdir()) == []
            with tmpfs(mirror.root, 200):
                (mirror.root / MARKER).write_text(marker)
                mirror.run("reconcile")
                wait_until_recording(mirror, "gate")
        assert list(mirror.root.iterdir()) == []


@as_root
def test_up_with_the_volume_gone_says_so_and_writes_nothing(used: Mirror) -> None:
    """After a boot without the mirror's volume `up` runs, records nothing, and says why. A reconcile after the mount
    starts everything."""
    held = used.home / "held"
    used.root.rename(held)
    used.root.mkdir()
    with used.up():
        assert "is the volume mounted?" in used.up_log()
        wait_for(lambda: "has lost its marker" in log_of(used, "gate"))
        assert list(used.root.iterdir()) == []
        used.root.rmdir()
        held.rename(used.root)
        used.run("reconcile", "gate")
        wait_until_recording(used, "gate")


@pytest.mark.slow
def test_an_adopted_volume_is_recorded_to_by_itself(used: Mirror) -> None:
    """After a disk was replaced a person only has to run `adopt-volume`: the watcher restarts every camera."""
    with used.up(watched=True):
        before = wait_until_recording(used, "gate")["gate"]
        (used.root / MARKER).unlink()
        used.run("adopt-volume")
        wait_for(lambda: recorders(used).get("gate") not in (None, before))
        wait_for(lambda: used.run("status", code=None).returncode == 0)
