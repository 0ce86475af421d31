"""The state directory: private, repaired if it is damaged, and never mistaken for an empty one."""

import fcntl
import os
import pwd
import re
from collections.abc import Iterator

import pytest
from support.mirror import PASSWORD, Mirror
from support.running import plan_counts, recorders, wait_until_recording
from support.users import STRANGER_UID, MirrorForAll, as_root, new_mirror


@pytest.fixture(scope="module")
def running() -> Iterator[MirrorForAll]:
    """A mirror that runs, with the cameras `gate` and `hall`. Other users can run its commands."""
    with new_mirror(MirrorForAll) as mirror:
        mirror.database.add("gate")
        mirror.database.add("hall")
        with mirror.up():
            wait_until_recording(mirror, "gate", "hall")
            yield mirror


@as_root
@pytest.mark.parametrize("command", [["reconcile"], ["reconcile", "--dry-run"], ["reconcile", "--json"], ["up"]])
def test_who_may_not_use_the_state_is_told_so(running: MirrorForAll, command: list[str]) -> None:
    """A user who may not use the state is told that, and never that all cameras would be added."""
    before = recorders(running)
    result = running.run_as(STRANGER_UID, *command, code=7)
    assert f"cannot use the state in {running.state}: [Errno 13] Permission denied" in result.stderr or (
        f"cannot use {running.state}: [Errno 1] Operation not permitted" in result.stderr
    )
    assert "added" not in result.stdout
    assert recorders(running) == before


@as_root
def test_status_says_what_it_may_not_see(running: MirrorForAll) -> None:
    """A different user's `status` names what it could not ask, and does not say that nothing is recorded."""
    result = running.run_as(STRANGER_UID, "status", code=1)
    assert "Run as root" in result.stdout
    assert "0 of 2 mirrors record" not in result.stdout


def test_a_damaged_launch_spec_is_healed(running: Mirror) -> None:
    """A damaged spec is written again, with a new generation. The other camera is left alone."""
    before = recorders(running)
    spec = running.state / "specs/gate.spec"
    for damage in ("", "generation=x\n", "garbage\n", spec.read_text()[:100]):
        spec.write_text(damage)
        plan = running.run("reconcile", "--dry-run")
        assert plan_counts(plan) == {"changed": 1, "unchanged": 1}
        assert plan_counts(running.run("reconcile")) == {"changed": 1, "unchanged": 1}
        assert spec.read_text().endswith("arg=-reset_timestamps\narg=1\n")
    after = wait_until_recording(running, "gate")
    assert after["gate"] != before["gate"]
    assert after["hall"] == before["hall"]


def test_a_launch_spec_that_is_not_text_is_healed(running: Mirror) -> None:
    """A spec of bytes that are no UTF-8 is written again as well."""
    (running.state / "specs/gate.spec").write_bytes(b"\xff\xfe\0")
    assert plan_counts(running.run("reconcile")) == {"changed": 1, "unchanged": 1}
    wait_until_recording(running, "gate")


def test_a_damaged_launch_spec_of_a_camera_that_can_not_be_used_keeps_its_generation(running: Mirror) -> None:
    """If the camera's row is unusable too, its recorder and its stanza stay as they are, until the row can be used and
    the spec is written again."""
    running.run("reconcile")
    before = wait_until_recording(running, "gate", "hall")
    programs = running.state / "programs.conf"
    text = programs.read_text()
    (running.state / "specs/gate.spec").write_text("garbage\n")
    running.database.update("gate", address=None)
    assert plan_counts(running.run("reconcile", code=1)) == {"unchanged": 1, "unusable": 1}
    assert programs.read_text() == text
    assert recorders(running) == before

    running.database.update("gate", address="127.0.0.1")
    assert plan_counts(running.run("reconcile")) == {"changed": 1, "unchanged": 1}
    old, new = (
        int(re.findall(r"/gate\.spec (\d+)$", found, re.MULTILINE)[0]) for found in (text, programs.read_text())
    )
    assert new > old
    wait_until_recording(running, "gate", "hall")


def test_a_launch_spec_that_can_not_be_written_holds_back_no_other_camera(running: Mirror) -> None:
    """Only the camera waits whose spec can't be written, and what runs for it goes on. Exit code 7 names the file, and
    the next reconcile that can write it does."""
    before = wait_until_recording(running, "gate", "hall")
    obstacle = running.state / "specs/.gate.spec.new"
    (obstacle / "x").mkdir(parents=True)
    running.database.update("gate", segment_seconds=30)
    running.database.execute("DELETE FROM cameras WHERE id = 'hall'")
    running.database.add("yard")
    shown = running.run("reconcile", code=7).stderr
    assert f"cannot use the state in {running.state}: " in shown
    assert str(obstacle) in shown
    assert "What is to be stopped does not wait for that" in shown
    during = wait_until_recording(running, "gate", "yard")
    assert during.keys() == {"gate", "yard"}
    assert during["gate"] == before["gate"]
    (obstacle / "x").rmdir()
    obstacle.rmdir()
    assert plan_counts(running.run("reconcile")) == {"changed": 1, "unchanged": 1}
    running.database.execute("DELETE FROM cameras WHERE id = 'yard'")
    running.database.update("gate", segment_seconds=60)
    running.database.add("hall")
    running.run("reconcile")
    wait_until_recording(running, "gate", "hall")


def test_a_half_written_spec_is_swept_away(running: Mirror) -> None:
    """The next reconcile removes what a killed reconcile left of a spec, since that may hold a credential."""
    left = running.state / "specs/.gone.spec.new"
    left.write_text("generation=1\nsecret=x\n")
    running.run("reconcile")
    assert not left.exists()


def test_lost_specs_are_written_anew(running: Mirror) -> None:
    """If the specs are deleted they are written again, and every camera is recorded after a restart."""
    for path in (running.state / "specs").iterdir():
        path.unlink()
    assert plan_counts(running.run("reconcile")) == {"added": 2}
    wait_until_recording(running, "gate", "hall")


def test_a_programs_file_that_somebody_edited_is_written_anew(running: Mirror) -> None:
    """A stanza that was added to our programs file by hand is gone after the next reconcile, and was never run."""
    before = recorders(running)
    programs = running.state / "programs.conf"
    text = programs.read_text()
    programs.write_text(f"{text}\n[program:mine]\ncommand=/bin/false\n")
    assert plan_counts(running.run("reconcile")) == {"unchanged": 2}
    assert programs.read_text() == text
    assert recorders(running) == before
    assert "mine" not in running.supervisorctl("status")


def test_a_dry_run_needs_no_lock(running: Mirror) -> None:
    """The plan can be shown while a reconcile is at work."""
    with (running.state / "lock").open("a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        assert plan_counts(running.run("reconcile", "--dry-run")) == {"unchanged": 2}


def test_a_state_directory_too_long_for_a_socket_is_named(mirror: Mirror) -> None:
    """A state directory whose path is too long for a Unix socket is refused by the setting's name, and nothing is
    made."""
    state = mirror.home / ("x" * 90)
    result = mirror.run("up", code=3, HELDAR_MIRROR_STATE_DIR=str(state))
    assert f"HELDAR_MIRROR_STATE_DIR={state}: expected a path short enough for a socket in it" in result.stderr
    assert not state.exists()


def test_a_state_directory_of_the_greatest_length_works(mirror: Mirror) -> None:
    """supervisord can bind its socket in the longest directory that the setting allows."""
    room = 107 - len(".4194304") - len("/supervisor.sock") - len(str(mirror.home)) - 1
    mirror.env["HELDAR_MIRROR_STATE_DIR"] = str(mirror.home / ("x" * room))
    mirror.database.add("gate")
    mirror.state.symlink_to("x" * room)
    with mirror.up():
        mirror.run("reconcile")
    mirror.run("up", code=3, HELDAR_MIRROR_STATE_DIR=str(mirror.home / ("x" * (room + 1))))


def test_a_file_in_the_state_directorys_place_is_told(mirror: Mirror) -> None:
    """A file at the state directory's path is exit code 7, with the variable to set."""
    mirror.state.write_text("mine")
    result = mirror.run("reconcile", code=7)
    assert f"cannot use {mirror.state}: " in result.stderr
    assert "HELDAR_MIRROR_STATE_DIR" in result.stderr


@pytest.mark.parametrize(("command", "name"), [("reconcile", "lock"), ("adopt-volume", "lock"), ("up", "up.lock")])
def test_a_link_in_a_locks_place_is_refused(mirror: Mirror, command: str, name: str) -> None:
    """A link in a lock's place is exit code 7, since it could lead to a file of somebody's choice. Nothing is made
    there."""
    mirror.state.mkdir(mode=0o700)
    target = mirror.home / "target"
    (mirror.state / name).symlink_to(target)
    assert str(mirror.state / name) in mirror.run(command, code=7).stderr
    assert not target.exists()


@as_root
@pytest.mark.parametrize("name", ["specs", "log"])
def test_a_link_that_the_mirrors_user_planted_gives_away_nothing(name: str) -> None:
    """If a link of HELDAR_MIRROR_USER leads to a directory, root neither gives that directory to the user nor changes
    its mode."""
    with new_mirror(MirrorForAll) as mirror:
        mirror.state.mkdir(mode=0o700)
        (mirror.state / name).symlink_to(mirror.home / "victim")
        victim = mirror.home / "victim"
        victim.mkdir()
        victim.chmod(0o751)
        os.chown(victim, STRANGER_UID, STRANGER_UID)
        games = pwd.getpwnam("games")
        for path in (mirror.state, mirror.state / name):
            os.chown(path, games.pw_uid, games.pw_gid, follow_symlinks=False)
        mirror.run("reconcile", code=7, HELDAR_MIRROR_USER="games")
        found = victim.stat()
        assert (found.st_uid, found.st_gid, found.st_mode & 0o777) == (STRANGER_UID, STRANGER_UID, 0o751)
        assert list(victim.iterdir()) == []


@as_root
@pytest.mark.parametrize("command", ["up", "reconcile", "adopt-volume"])
def test_root_does_not_work_in_another_users_state(mirror: Mirror, command: str) -> None:
    """The owner of a state directory could have root run anything: exit code 7, with the setting that is missing."""
    mirror.state.mkdir(mode=0o700)
    os.chown(mirror.state, STRANGER_UID, STRANGER_UID)
    result = mirror.run(command, code=7)
    assert f"{mirror.state} belongs to user {STRANGER_UID}" in result.stderr
    assert "HELDAR_MIRROR_USER" in result.stderr
    assert list(mirror.state.iterdir()) == []


def test_without_a_supervisord_what_was_written_waits_for_one(mirror: Mirror) -> None:
    """Without a supervisord `reconcile` ends with exit code 5, says what happens to what it wrote, and shows no
    secret."""
    mirror.database.add("gate")
    result = mirror.run("reconcile", code=5)
    assert "supervisord does not answer at unix://" in result.stderr
    assert "What was written is applied when it starts" in result.stderr
    assert PASSWORD not in result.stderr
    with mirror.up():
        wait_until_recording(mirror, "gate")
