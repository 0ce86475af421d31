"""The mirror's volume: proven before anything is written to it, and never the primary's."""

import contextlib
import os
import shutil
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.mirror import Mirror
from support.mounts import tmpfs, unmount
from support.running import counts, recorders, wait_until_recording
from support.users import STRANGER, MirrorForAll, as_root, new_mirror
from support.waiting import wait_for

from heldar_mirror.recorder.recorder import FAILED_SOON

MARKER = ".heldar-mirror"


@contextlib.contextmanager
def bound(directory: Path, place: Path) -> Iterator[None]:
    """A directory that can be seen in another place as well."""
    subprocess.run(["mount", "--bind", str(directory), str(place)], check=True)
    try:
        yield
    finally:
        unmount(place)


@pytest.fixture
def used(mirror: Mirror) -> Mirror:
    """A mirror whose root is in use, with the camera `gate`; nothing runs."""
    mirror.database.add("gate")
    mirror.run("reconcile", code=5)
    return mirror


def log_of(mirror: Mirror, camera_id: str) -> str:
    path = mirror.logs / f"mirror-{camera_id}.log"
    return path.read_text() if path.exists() else ""


def restart(mirror: Mirror, camera_id: str) -> None:
    """Have supervisord start a recorder anew, as it does by itself when an ffmpeg ends."""
    pid = recorders(mirror)[camera_id]
    os.kill(pid, signal.SIGTERM)
    wait_for(lambda: recorders(mirror).get(camera_id) != pid)


def test_the_marker_is_made_at_first_use(used: Mirror) -> None:
    """The first use makes the root and its marker; the state remembers the volume."""
    volume = (used.root / MARKER).read_text().strip()
    assert (used.state / "volumes").read_text() == f"{volume} {used.root}\n"
    used.run("reconcile", code=5)
    assert (used.root / MARKER).read_text().strip() == volume


@pytest.mark.parametrize("command", [["reconcile"], ["reconcile", "--dry-run"]])
def test_a_lost_marker_is_told(used: Mirror, command: list[str]) -> None:
    """A root that has lost its marker is a lost mount: exit code 6, the next step, and nothing is made there."""
    (used.root / MARKER).unlink()
    result = used.run(*command, code=6)
    assert f"mirror root {used.root} has lost its marker {MARKER}: is the volume mounted?" in result.stderr
    assert "heldar-mirror adopt-volume" in result.stderr
    assert list(used.root.iterdir()) == []


def test_a_root_that_is_gone_altogether_is_a_lost_one(used: Mirror) -> None:
    """A mount point that vanished is not made anew."""
    shutil.rmtree(used.root)
    assert "is the volume mounted?" in used.run("reconcile", code=6).stderr
    assert not used.root.exists()


def test_another_volume_is_told_and_can_be_adopted(used: Mirror) -> None:
    """The marker of another volume is exit code 6; `adopt-volume` makes it ours, and every camera is changed."""
    (used.root / MARKER).write_text("another\n")
    assert f"mirror root {used.root} holds the marker of another volume" in used.run("reconcile", code=6).stderr
    assert (used.root / MARKER).read_text() == "another\n"
    assert "is ours now" in used.run("adopt-volume").stdout
    plan = used.run("reconcile", "--dry-run")
    assert counts(plan) == {"changed": 1}
    assert "    the volume was adopted anew" in plan.stdout


def test_another_root_is_a_first_use(used: Mirror) -> None:
    """A mirror root that was never used before is made ours without asking."""
    other = used.home / "other"
    used.run("reconcile", code=5, HELDAR_MIRROR_RECORDINGS_DIR=str(other))
    assert (other / MARKER).exists()


def test_an_earlier_root_is_still_known(used: Mirror) -> None:
    """Back from another root, the first one is ours as it is; without its marker it is a lost mount, not a new root."""
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
    """Its marker is told at the first use, whether or not recorders are at work there; `adopt-volume` makes it ours."""
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
    """A file in the root's place can't be used; it stays as it is."""
    mirror.root.write_text("mine")
    result = mirror.run("reconcile", code=6)
    assert f"cannot use mirror root {mirror.root}: " in result.stderr
    assert "HELDAR_MIRROR_RECORDINGS_DIR" in result.stderr
    assert mirror.root.read_text() == "mine"


@as_root
def test_a_root_that_can_not_be_written_is_told() -> None:
    """A root that belongs to somebody else is exit code 6, with who must be able to write it."""
    with new_mirror(MirrorForAll) as mirror:
        mirror.root.mkdir(mode=0o755)
        mirror.state.mkdir()
        os.chown(mirror.state, STRANGER, STRANGER)
        result = mirror.run_as(STRANGER, "reconcile", code=6)
        assert f"cannot use mirror root {mirror.root}: [Errno 13] Permission denied" in result.stderr
        assert list(mirror.root.iterdir()) == []


@pytest.mark.parametrize("where", ["", "/..", "/deep/er"])
@pytest.mark.parametrize("linked", [False, True], ids=["plainly", "by way of a link"])
@pytest.mark.parametrize("command", ["up", "reconcile", "adopt-volume"])
def test_the_primarys_own_directory_is_refused(mirror: Mirror, where: str, linked: bool, command: str) -> None:
    """A root that equals, contains or lies in the primary's recordings is refused, and nothing is made in it."""
    primary = mirror.home / "recordings"
    (primary / "deep/er").mkdir(parents=True)
    root = Path(f"{primary}{where}")
    if linked:
        link = mirror.home / "heldar/link"
        link.symlink_to(root.resolve())
        root = link
    result = mirror.run(command, code=6, HELDAR_MIRROR_RECORDINGS_DIR=str(root))
    assert f"HELDAR_MIRROR_RECORDINGS_DIR={os.path.abspath(root)} is, holds or lies in" in result.stderr  # noqa: PTH100
    assert (f"(by way of {root.resolve()})" in result.stderr) == linked
    assert [path.name for path in primary.rglob("*")] == ["deep", "er"]
    assert not (root / MARKER).exists()


@pytest.mark.parametrize("command", ["up", "reconcile", "adopt-volume"])
@pytest.mark.parametrize("where", ["", "/sub/m"])
def test_the_primarys_empty_directory_is_left_as_it_is(mirror: Mirror, where: str, command: str) -> None:
    """A root in the primary's recordings that is not there yet is refused before anything is made."""
    primary = mirror.home / "recordings"
    mirror.run(command, code=6, HELDAR_MIRROR_RECORDINGS_DIR=f"{primary}{where}")
    assert list(primary.iterdir()) == []


@as_root
@pytest.mark.parametrize("command", ["up", "reconcile", "adopt-volume"])
def test_the_primarys_empty_directory_is_given_to_nobody(command: str) -> None:
    """Refused as the mirror root, it has the owner and the mode that it had, whoever the recorders run as."""
    with new_mirror(MirrorForAll) as mirror:
        primary = mirror.home / "recordings"
        primary.chmod(0o751)
        os.chown(primary, STRANGER, STRANGER)
        mirror.run(command, code=6, HELDAR_MIRROR_RECORDINGS_DIR=str(primary), HELDAR_MIRROR_USER="games")
        found = primary.stat()
        assert (found.st_uid, found.st_gid, found.st_mode & 0o777) == (STRANGER, STRANGER, 0o751)
        assert list(primary.iterdir()) == []


@as_root
@pytest.mark.parametrize("command", [["up"], ["reconcile"], ["reconcile", "--dry-run"], ["adopt-volume"]])
@pytest.mark.parametrize("where", ["", "deep"])
def test_the_primarys_directory_by_way_of_a_bind_mount_is_refused(
    mirror: Mirror, where: str, command: list[str]
) -> None:
    """Mounted in a second place, all of it or a part, it is the primary's still."""
    primary = mirror.home / "recordings"
    (primary / "deep").mkdir()
    mirror.root.mkdir()
    with bound(primary / where, mirror.root):
        result = mirror.run(*command, code=6)
        assert f"HELDAR_MIRROR_RECORDINGS_DIR={mirror.root} is, holds or lies in" in result.stderr
    assert [path.name for path in primary.rglob("*")] == ["deep"]


@pytest.mark.parametrize("command", [["up"], ["reconcile"], ["reconcile", "--dry-run"], ["adopt-volume"]])
@pytest.mark.parametrize("name", ["mirror", "recordings"])
def test_a_link_to_itself_is_told(mirror: Mirror, name: str, command: list[str]) -> None:
    """A loop in the mirror root's place or the primary's is exit code 6, with the path, and no traceback."""
    loop = mirror.home / name
    if name == "recordings":
        loop.rmdir()
    loop.symlink_to(loop)
    result = mirror.run(*command, code=6)
    assert result.stderr.startswith("heldar-mirror: ")
    assert str(loop) in result.stderr
    assert "Traceback" not in result.stderr


def test_the_primarys_directory_by_way_of_a_link_that_came_later_is_refused(used: Mirror) -> None:
    """A root that was fine once is looked at again each time."""
    moved = used.home / "recordings/moved"
    used.root.rename(moved)
    used.root.symlink_to(moved)
    assert f"(by way of {moved})" in used.run("reconcile", code=6).stderr


@pytest.mark.parametrize("made", [True, False], ids=["there", "not there yet"])
def test_the_primarys_file_system_is_warned_about(mirror: Mirror, made: bool) -> None:
    """On one disk with the primary the mirror runs, and `up` says what that is worth."""
    if made:
        mirror.root.mkdir()
    with mirror.up():
        assert f"the mirror root {mirror.root} is on the primary's file system" in mirror.up_log()


@as_root
def test_a_volume_of_its_own_is_not_warned_about(mirror: Mirror) -> None:
    """On another file system there is nothing to say."""
    mirror.root.mkdir()
    with tmpfs(mirror.root, 200), mirror.up():
        assert "file system" not in mirror.up_log()


def test_a_recorder_refuses_a_volume_that_lost_its_marker(used: Mirror) -> None:
    """A recorder that is started when the marker is gone, or another's, says so in its log, and makes nothing."""
    with used.up():
        wait_until_recording(used, "gate")
        marker = (used.root / MARKER).read_text()
        (used.root / MARKER).unlink()
        shutil.rmtree(used.root / "gate")
        restart(used, "gate")
        wait_for(lambda: f"ERROR cannot record: mirror root {used.root} has lost its marker" in log_of(used, "gate"))
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
    """A link would lead out of the proven volume; the other cameras are recorded."""
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


def test_two_instances_do_not_share_a_root(used: Mirror) -> None:
    """While recorders of the one are at work, another one can't take their root over, nor adopt it."""
    with used.up():
        before = wait_until_recording(used, "gate")
        marker = (used.root / MARKER).read_text()
        other = {"HELDAR_MIRROR_STATE_DIR": str(used.home / "other-state")}
        for command in ("reconcile", "adopt-volume"):
            result = used.run(command, code=6, **other)
            assert f"mirror root {used.root} is in use by recorders" in result.stderr
        assert (used.root / MARKER).read_text() == marker
        assert recorders(used) == before


def test_a_root_is_not_adopted_from_under_our_own_recorders(used: Mirror) -> None:
    """While they run `adopt-volume` is refused as what it is, not as another instance's doing; nothing changes."""
    with used.up():
        before = wait_until_recording(used, "gate")
        marker = (used.root / MARKER).read_text()
        result = used.run("adopt-volume", code=6)
        assert f"mirror root {used.root} is in use by recorders" in result.stderr
        assert "recorders of another instance" not in result.stderr
        assert (used.root / MARKER).read_text() == marker
        assert counts(used.run("reconcile")) == {"unchanged": 1}
        assert recorders(used) == before
    used.run("adopt-volume")
    assert (used.root / MARKER).read_text() != marker


def test_recording_is_switched_off_on_a_lost_volume_too(used: Mirror) -> None:
    """What is to stop needs no volume; the plan says the same."""
    with used.up():
        wait_until_recording(used, "gate")
        (used.root / MARKER).unlink()
        used.env["HELDAR_RECORDER_ENABLED"] = "false"
        assert counts(used.run("reconcile", "--dry-run")) == {"removed": 1}
        assert counts(used.run("reconcile")) == {"removed": 1}
        assert recorders(used) == {}


@pytest.mark.parametrize("obstacle", ["a file", "another instance"])
def test_up_on_a_root_that_can_not_be_used_the_first_time_is_refused(used: Mirror, obstacle: str) -> None:
    """With nothing known yet there is nothing to go on with: `up` ends with exit code 6."""
    with used.up() if obstacle == "another instance" else contextlib.nullcontext():
        if obstacle == "another instance":
            wait_until_recording(used, "gate")
        root = used.root if obstacle == "another instance" else used.database.path
        other = {"HELDAR_MIRROR_STATE_DIR": str(used.home / "state2"), "HELDAR_MIRROR_RECORDINGS_DIR": str(root)}
        process = subprocess.Popen(used.command("up"), env=used.env | other, stderr=subprocess.PIPE, text=True)
        try:
            _, errors = process.communicate(timeout=20)
        finally:
            process.terminate()
            process.wait(60)
        assert process.returncode == 6
        assert f"mirror root {root}" in errors


def test_a_second_recorder_of_a_camera_is_refused(used: Mirror) -> None:
    """One writer a directory, ever: a recorder started beside supervisord's ends with an error that says why."""
    with used.up():
        before = wait_until_recording(used, "gate")
        command = Path(f"/proc/{before['gate']}/cmdline").read_text().split("\0")[:-1]
        second = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
        assert second.returncode == FAILED_SOON
        assert f"another recorder is writing to {used.root}/gate" in second.stdout
        assert recorders(used) == before


@as_root
def test_a_volume_that_is_gone_is_not_recorded_beside(mirror: Mirror) -> None:
    """With the volume unmounted nothing is written to the disk below it; mounted again, recording goes on."""
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
    """After a boot without the mirror's volume `up` runs, records nothing, and tells why; a reconcile after it is
    mounted starts everything."""
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
    """After a disk was replaced `adopt-volume` is all that a person does: the watcher has every camera begin anew."""
    with used.up(watched=True):
        before = wait_until_recording(used, "gate")["gate"]
        (used.root / MARKER).unlink()
        used.run("adopt-volume")
        wait_for(lambda: recorders(used).get("gate") not in (None, before), seconds=60)
        wait_for(lambda: used.run("status", code=None).returncode == 0)
