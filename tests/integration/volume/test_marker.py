"""The mirror root's marker: made at first use, and checked before each use."""

import contextlib
import os
import shutil
import subprocess

import pytest
from support.mirror import Mirror
from support.running import plan_counts, wait_until_recording
from support.users import STRANGER_UID, MirrorForAll, as_root, new_mirror

MARKER = ".heldar-mirror"


def test_the_marker_is_made_at_first_use(used: Mirror) -> None:
    """The first use makes the root and its marker, and the state remembers the volume."""
    volume = (used.root / MARKER).read_text().strip()
    assert (used.state / "volumes").read_text() == f"{volume} {used.root}\n"
    used.run("reconcile", code=5)
    assert (used.root / MARKER).read_text().strip() == volume


@pytest.mark.parametrize("command", [["reconcile"], ["reconcile", "--dry-run"]])
def test_a_lost_marker_is_told(used: Mirror, command: list[str]) -> None:
    """A root without its marker is a lost mount: exit code 6 with the next step, and nothing is made there."""
    (used.root / MARKER).unlink()
    result = used.run(*command, code=6)
    assert f"mirror root {used.root} has lost its marker {MARKER}: is the volume mounted?" in result.stderr
    assert "heldar-mirror adopt-volume" in result.stderr
    assert list(used.root.iterdir()) == []


def test_a_root_that_is_gone_altogether_is_a_lost_one(used: Mirror) -> None:
    """A mount point that vanished is not made again."""
    shutil.rmtree(used.root)
    assert "is the volume mounted?" in used.run("reconcile", code=6).stderr
    assert not used.root.exists()


def test_another_volume_is_told_and_can_be_adopted(used: Mirror) -> None:
    """The marker of a different volume is exit code 6. `adopt-volume` makes the volume ours, and every camera is
    changed."""
    (used.root / MARKER).write_text("another\n")
    assert f"mirror root {used.root} holds the marker of another volume" in used.run("reconcile", code=6).stderr
    assert (used.root / MARKER).read_text() == "another\n"
    assert "is ours now" in used.run("adopt-volume").stdout
    plan = used.run("reconcile", "--dry-run")
    assert plan_counts(plan) == {"changed": 1}
    assert "    the volume was adopted anew" in plan.stdout


def test_another_root_is_a_first_use(used: Mirror) -> None:
    """A mirror root that was never used before gets its marker without a question."""
    other = used.home / "other"
    used.run("reconcile", code=5, HELDAR_MIRROR_RECORDINGS_DIR=str(other))
    assert (other / MARKER).exists()


def test_an_earlier_root_is_still_known(used: Mirror) -> None:
    """If the setting goes back to an earlier root, that root is ours as it is. Without its marker it is a lost mount,
    not a new root."""
    other = {"HELDAR_MIRROR_RECORDINGS_DIR": str(used.home / "other")}
    marker = (used.root / MARKER).read_text()
    used.run("reconcile", code=5, **other)
    used.run("reconcile", code=5)
    assert (used.root / MARKER).read_text() == marker
    used.run("reconcile", code=5, **other)
    (used.root / MARKER).unlink()
    assert f"mirror root {used.root} has lost its marker" in used.run("reconcile", code=6).stderr
    assert list(used.root.iterdir()) == []


@pytest.mark.parametrize("command", ["reconcile", "up"])
def test_a_root_of_another_instance_is_not_taken_over_unasked(mirror: Mirror, command: str) -> None:
    """At the first use a foreign marker is reported, whether or not recorders use the root. `adopt-volume` makes the
    root ours."""
    mirror.root.mkdir()
    (mirror.root / MARKER).write_text("another\n")
    result = mirror.run(command, code=6)
    assert f"mirror root {mirror.root} holds the marker of another" in result.stderr
    assert "heldar-mirror adopt-volume" in result.stderr
    assert (mirror.root / MARKER).read_text() == "another\n"
    mirror.run("adopt-volume")
    mirror.run("reconcile", code=5)
    assert (mirror.root / MARKER).read_text() != "another\n"


def test_a_root_whose_place_holds_a_file_is_told(mirror: Mirror) -> None:
    """A file at the root's path is reported, and stays as it is."""
    mirror.root.write_text("mine")
    result = mirror.run("reconcile", code=6)
    assert f"cannot use mirror root {mirror.root}: " in result.stderr
    assert "HELDAR_MIRROR_RECORDINGS_DIR" in result.stderr
    assert mirror.root.read_text() == "mine"


@as_root
def test_a_root_that_can_not_be_written_is_told() -> None:
    """A root that belongs to a different user is exit code 6, with the reason."""
    with new_mirror(MirrorForAll) as mirror:
        mirror.root.mkdir(mode=0o755)
        mirror.state.mkdir()
        os.chown(mirror.state, STRANGER_UID, STRANGER_UID)
        result = mirror.run_as(STRANGER_UID, "reconcile", code=6)
        assert f"cannot use mirror root {mirror.root}: [Errno 13] Permission denied" in result.stderr
        assert list(mirror.root.iterdir()) == []


@pytest.mark.parametrize("obstacle", ["a file", "another instance"])
def test_up_on_a_root_that_can_not_be_used_the_first_time_is_refused(used: Mirror, obstacle: str) -> None:
    """If the root can't be used the first time, `up` ends with exit code 6, since nothing is known that could go on."""
    with used.up() if obstacle == "another instance" else contextlib.nullcontext():
        if obstacle == "another instance":
            wait_until_recording(used, "gate")
        root = used.root if obstacle == "another instance" else used.database.path
        other = {"HELDAR_MIRROR_STATE_DIR": str(used.home / "state2"), "HELDAR_MIRROR_RECORDINGS_DIR": str(root)}
        process = subprocess.Popen(used.command("up"), env=used.env | other, stderr=subprocess.PIPE, text=True)
        try:
            _, errors = process.communicate(timeout=180)
        finally:
            process.terminate()
            process.wait(180)
        assert process.returncode == 6
        assert f"mirror root {root}" in errors
