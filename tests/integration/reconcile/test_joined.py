"""Joined: the machine's own supervisord runs the mirror beside its other programs."""

import contextlib
import itertools
import os
import re
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from support.joined import ADMIN_PASSWORD, Joined
from support.running import ffmpegs, plan_counts, recorders, wait_until_recording
from support.users import HELDAR_UID, as_root, new_mirror
from support.waiting import wait_for

pytestmark = as_root


@pytest.fixture(scope="module")
def joined() -> Iterator[Joined]:
    """A supervisord with programs of its own, joined by a mirror that records the camera `gate` as user games."""
    with new_mirror(Joined) as mirror:
        mirror.join()
        mirror.database.add("gate")
        with mirror.supervisord():
            mirror.run("reconcile")
            wait_until_recording(mirror, "gate")
            yield mirror


def test_the_recorders_run_as_the_mirrors_user(joined: Joined) -> None:
    """With HELDAR_MIRROR_USER each stanza has a `user=`, and recorder, ffmpeg and footage belong to that user."""
    stanzas = (joined.home / "programs.conf").read_text()
    assert re.findall(r"^\[program:(.*)\]$", stanzas, re.MULTILINE) == ["heldar_gate"]
    assert "\nuser=games\n" in stanzas
    assert ADMIN_PASSWORD not in stanzas
    for pid in (recorders(joined)["gate"], *ffmpegs(joined, "gate")):
        assert Path(f"/proc/{pid}").owner() == "games"
    assert joined.segments("gate")[0].owner() == "games"
    spec = joined.state / "specs/gate.spec"
    assert (spec.owner(), spec.stat().st_mode & 0o777) == ("games", 0o600)
    wait_for(lambda: joined.status()["gate"]["well"])


def test_other_programs_are_left_alone(joined: Joined) -> None:
    """While cameras come, change and go, no other program is restarted, stopped or started, whatever its name."""
    before = joined.pids("other", "mirror-foreign", "heldar_gate")
    joined.configure(f"[program:pending]\ncommand={joined.home}/sleep infinity\n")
    joined.database.add("hall")
    joined.run("reconcile")
    wait_until_recording(joined, "hall")
    joined.database.update("hall", segment_seconds=30)
    joined.run("reconcile")
    wait_until_recording(joined, "hall")
    joined.database.execute("DELETE FROM cameras WHERE id = 'hall'")
    assert plan_counts(joined.run("reconcile")) == {"removed": 1, "unchanged": 1}
    assert recorders(joined).keys() == {"gate"}
    assert joined.pids("other", "mirror-foreign", "heldar_gate") == before
    assert "pending" not in joined.supervisorctl("status")
    joined.configure()


def test_a_second_instance_with_a_prefix_of_its_own_joins_too(joined: Joined) -> None:
    """Two mirrors of one camera, in one supervisord and on two roots, do not touch each other's programs."""
    before = joined.pids("heldar_gate")
    second = {
        "HELDAR_MIRROR_PROGRAMS_FILE": str(joined.home / "programs2.conf"),
        "HELDAR_MIRROR_PREFIX": "second_",
        "HELDAR_MIRROR_STATE_DIR": str(joined.home / "state2"),
        "HELDAR_MIRROR_RECORDINGS_DIR": str(joined.home / "mirror2"),
    }
    assert plan_counts(joined.run("reconcile", code=0, **second)) == {"added": 1}
    wait_for(lambda: list((joined.home / "mirror2/gate").glob("*.mp4")), seen=lambda: joined.supervisorctl("status"))
    assert joined.pids("heldar_gate") == before
    assert plan_counts(joined.run("reconcile")) == {"unchanged": 1}
    assert plan_counts(joined.run("reconcile", code=0, HELDAR_RECORDER_ENABLED="false", **second)) == {"removed": 1}
    assert "second_" not in joined.supervisorctl("status")
    assert joined.pids("heldar_gate") == before


def test_a_changed_prefix_renames_our_programs_alone(joined: Joined) -> None:
    """After a change of the prefix the old names are gone. A foreign program that has the new prefix is left alone."""
    before = joined.pids("other", "mirror-foreign")
    joined.run("reconcile", HELDAR_MIRROR_PREFIX="mirror-")
    wait_until_recording(joined, "gate")
    shown = joined.supervisorctl("status")
    assert re.findall(r"^\S+", shown, re.MULTILINE) == ["mirror-foreign", "mirror-gate", "other"]
    assert joined.pids("other", "mirror-foreign") == before
    joined.run("reconcile")
    wait_until_recording(joined, "gate")
    assert "mirror-gate" not in joined.supervisorctl("status")


@pytest.mark.parametrize("command", [["reconcile"], ["status"]])
@pytest.mark.parametrize(
    "wrong",
    [{"HELDAR_MIRROR_SUPERVISOR_PASSWORD": "guess"}, {"HELDAR_MIRROR_SUPERVISOR_USERNAME": " "}],
    ids=["password", "no user"],
)
def test_a_wrong_password_is_told(joined: Joined, command: list[str], wrong: dict[str, str]) -> None:
    """supervisord's refusal names the two settings, shows no password, and stops nothing."""
    before = recorders(joined)
    result = joined.run(*command, code=5 if command == ["reconcile"] else 1, **wrong)
    shown = result.stdout + result.stderr
    assert f"supervisord at http://127.0.0.1:{joined.port} answers: wrong user or password" in shown
    assert "See HELDAR_MIRROR_SUPERVISOR_USERNAME and _PASSWORD" in shown
    assert "guess" not in shown
    assert ADMIN_PASSWORD not in shown
    assert recorders(joined) == before


def test_a_programs_file_that_is_not_included_is_told(joined: Joined) -> None:
    """If supervisord's configuration does not include our file, the message says to include it."""
    result = joined.run(
        "reconcile",
        code=5,
        HELDAR_MIRROR_PROGRAMS_FILE=str(joined.home / "elsewhere.conf"),
        HELDAR_MIRROR_PREFIX="third_",
        HELDAR_MIRROR_STATE_DIR=str(joined.home / "state3"),
        HELDAR_MIRROR_RECORDINGS_DIR=str(joined.home / "mirror3"),
    )
    assert f"does its [include] name {joined.home}/elsewhere.conf?" in result.stderr
    assert "third_gate" in result.stderr
    assert "and 0 more" not in result.stderr
    assert recorders(joined).keys() == {"gate"}


@pytest.mark.parametrize(
    "bad", ["[program:bad]\nautostart=true\n", "[program:bad]\ncommand=/bin/true\nuser=nobody-of-this-name\n"]
)
def test_somebody_elses_bad_stanza_is_told_and_what_runs_goes_on(joined: Joined, bad: str) -> None:
    """With a file that supervisord can't read nothing is applied. When it is mended, the next reconcile applies what
    waited."""
    before = joined.pids("other", "heldar_gate")
    joined.configure(bad)
    joined.database.update("gate", segment_seconds=30)
    result = joined.run("reconcile", code=5)
    assert "can't read its files, and nothing was applied: CANT_REREAD" in result.stderr
    assert "program:bad" in result.stderr
    assert "what runs goes on" in result.stderr
    assert joined.pids("other", "heldar_gate") == before

    joined.configure()
    joined.run("reconcile")
    wait_until_recording(joined, "gate")
    after = joined.pids("other", "heldar_gate")
    assert after[0] == before[0]
    assert after[1] != before[1]
    joined.database.update("gate", segment_seconds=60)
    joined.run("reconcile")
    wait_until_recording(joined, "gate")


def test_up_is_not_for_a_mirror_that_joined(joined: Joined) -> None:
    """`up` would start a second supervisord: it is wrong usage, and names the command to run instead."""
    result = joined.run("up", code=2)
    assert "HELDAR_MIRROR_PROGRAMS_FILE is set" in result.stderr
    assert "heldar-mirror reconcile" in result.stderr


def test_what_a_person_stopped_stays_stopped(joined: Joined) -> None:
    """In a shared supervisord too, a mirror that was stopped stays so until it is named."""
    joined.supervisorctl("stop", "heldar_gate")
    assert joined.json("reconcile")["stopped_by_hand"] == ["gate"]
    assert not ffmpegs(joined, "gate")
    joined.run("reconcile", "gate")
    wait_until_recording(joined, "gate")


TAKEN = "supervisord has a program heldar_nightly that is not this mirror's"
# Programs of somebody else's, in each form that uses the name of the program of a camera `nightly`.
STRANGERS = {
    "program": "[program:heldar_nightly]\ncommand={sleep} infinity\n",
    "group": "[group:heldar_nightly]\nprograms=first\n[program:first]\ncommand={sleep} infinity\n",
    "in a group": "[group:backup]\nprograms=heldar_nightly\n[program:heldar_nightly]\ncommand={sleep} infinity\n",
    "event listener": "[eventlistener:heldar_nightly]\ncommand={sleep} infinity\nevents=TICK_3600\n",
    "fcgi": "[fcgi-program:heldar_nightly]\ncommand={sleep} infinity\nsocket=unix://{home}/fcgi.sock\n",
}


@contextlib.contextmanager
def stranger(joined: Joined, stanza: str, *, where: str, runs: bool) -> Iterator[None]:
    """A program of somebody else's in a file of supervisord's, and the camera `nightly`."""
    file = joined.home / where
    file.write_text(stanza.format(sleep=joined.home / "sleep", home=joined.home))
    if runs:
        joined.supervisorctl("update")
    joined.database.add("nightly")
    try:
        yield
    finally:
        file.unlink(missing_ok=True)
        joined.supervisorctl("update")
        joined.database.execute("DELETE FROM cameras WHERE id = 'nightly'")
        joined.run("reconcile")


@pytest.mark.parametrize(
    ("kind", "where", "runs"),
    [
        *itertools.product(["program"], ["programs-a.conf", "programs_z.conf"], [True, False]),
        ("group", "programs_z.conf", True),
        ("in a group", "programs-a.conf", False),
        ("event listener", "programs-a.conf", True),
        ("fcgi", "programs_z.conf", False),
    ],
)
def test_a_name_that_is_taken_is_reported_and_left_alone(joined: Joined, kind: str, where: str, *, runs: bool) -> None:
    """A camera whose program would have the name of somebody else's waits, and is reported; that program goes on, and
    so does the rest of the mirror. When the name is free, the camera is recorded."""
    before, gate = joined.supervisorctl("status"), joined.pids("heldar_gate")
    assert "nightly" not in before
    with stranger(joined, STRANGERS[kind], where=where, runs=runs):
        running = joined.supervisorctl("pid", "all")
        planned = joined.run("reconcile", "--dry-run", code=1 if runs else 0)
        assert (f"! nightly: {TAKEN}" in planned.stdout) == runs
        for _ in range(2):
            result = joined.run("reconcile", code=1)
            assert f"! nightly: {TAKEN}" in result.stdout
            assert plan_counts(result) == {"unchanged": 1, "unusable": 1}
        assert TAKEN in joined.run("reconcile", "nightly", code=1).stderr
        assert TAKEN in joined.run("status", code=1).stdout
        assert joined.status()["nightly"]["activity"] == "unusable"
        assert "nightly" not in (joined.home / "programs.conf").read_text()
        assert not (joined.state / "specs/nightly.spec").exists()
        assert joined.supervisorctl("pid", "all") == running
        assert bool(joined.supervisorctl("update")) != runs  # nothing of it was changed in the files

        (joined.home / where).unlink()
        joined.supervisorctl("update")
        assert plan_counts(joined.run("reconcile")) == {"added": 1, "unchanged": 1}
        wait_until_recording(joined, "nightly")
    assert joined.pids("heldar_gate") == gate


def test_a_taken_name_outlives_the_camera(joined: Joined) -> None:
    """A launch spec that an interrupted reconcile left gives no right to a program of that name. It goes with its
    camera, and the program stays."""
    with stranger(joined, STRANGERS["program"], where="programs-a.conf", runs=True):
        running = joined.supervisorctl("pid", "all")
        left = joined.state / "specs/nightly.spec"
        left.write_text((joined.state / "specs/gate.spec").read_text().replace("camera=gate", "camera=nightly"))
        assert f"! nightly: {TAKEN}" in joined.run("reconcile", code=1).stdout
        assert "nightly" not in (joined.home / "programs.conf").read_text()
        joined.database.update("nightly", mirror_enabled=0)
        assert plan_counts(joined.run("reconcile")) == {"removed": 1, "unchanged": 1}
        assert not left.exists()
        assert joined.supervisorctl("pid", "all") == running


def test_a_stanza_that_was_not_updated_is_left_alone(joined: Joined) -> None:
    """A program that runs though its stanza is gone is still somebody else's."""
    with stranger(joined, STRANGERS["program"], where="programs-a.conf", runs=True):
        (joined.home / "programs-a.conf").unlink()
        running = joined.supervisorctl("pid", "all")
        assert f"! nightly: {TAKEN}" in joined.run("reconcile", code=1).stdout
        assert joined.supervisorctl("pid", "all") == running


@pytest.mark.parametrize("stopped", [False, True], ids=["running", "stopped"])
@pytest.mark.parametrize("lost", [["programs.conf"], ["programs.conf", "state/applied"]], ids=["file", "file and mark"])
def test_our_programs_are_known_without_their_file(joined: Joined, lost: list[str], *, stopped: bool) -> None:
    """A programs file that was deleted is written anew, and what runs goes on."""
    if stopped:
        joined.supervisorctl("stop", "heldar_gate")
    before = joined.supervisorctl("pid", "heldar_gate")
    for name in lost:
        (joined.home / name).unlink()
    try:
        assert plan_counts(joined.run("reconcile")) == {"unchanged": 1}
        assert "[program:heldar_gate]" in (joined.home / "programs.conf").read_text()
        assert joined.supervisorctl("pid", "heldar_gate") == before
    finally:
        joined.supervisorctl("start", "heldar_gate")
        wait_until_recording(joined, "gate")


def test_our_programs_are_known_without_any_state(joined: Joined) -> None:
    """If the launch specs were deleted too, the recorders that run are still ours: they are given new specs."""
    (joined.home / "programs.conf").unlink()
    shutil.rmtree(joined.state / "specs")
    assert plan_counts(joined.run("reconcile")) == {"added": 1}
    wait_until_recording(joined, "gate")


def test_our_programs_are_known_in_an_older_file(joined: Joined) -> None:
    """After a change of HELDAR_MIRROR_PROGRAMS_FILE, the older file's programs are ours as well."""
    before = joined.pids("heldar_gate")
    try:
        (joined.home / "programs.conf").rename(joined.home / "programs_older.conf")
        assert plan_counts(joined.run("reconcile")) == {"unchanged": 1}
        assert joined.pids("heldar_gate") == before
    finally:
        (joined.home / "programs_older.conf").unlink(missing_ok=True)


def test_names_that_cant_be_asked_for_wait(joined: Joined) -> None:
    """While supervisord can't say which names are taken, no camera is added, and those that run are changed."""
    (joined.home / "programs-a.conf").write_text("[program:bad]\nautostart=true\n")
    joined.database.add("nightly")
    try:
        assert "can't read its files" in joined.run("reconcile", code=5).stderr
        stanzas = (joined.home / "programs.conf").read_text()
        assert re.findall(r"^\[program:(.*)\]$", stanzas, re.MULTILINE) == ["heldar_gate"]
    finally:
        (joined.home / "programs-a.conf").unlink()
        joined.database.execute("DELETE FROM cameras WHERE id = 'nightly'")
    assert plan_counts(joined.run("reconcile")) == {"unchanged": 1}


def test_a_stanza_that_takes_over_one_of_ours_is_not_applied(joined: Joined) -> None:
    """If somebody adds a stanza of the name of a program of ours, that program goes on, and the rest is applied. If its
    row asks for no mirror any more, it is stopped, and the other one is not started."""
    before = joined.pids("heldar_gate")
    file = joined.home / "programs_z.conf"
    file.write_text(f"[program:heldar_gate]\ncommand={joined.home}/sleep infinity\n")
    joined.database.add("hall")
    try:
        for _ in range(2):
            result = joined.run("reconcile", code=5)
            assert "another stanza in supervisord's files has the name of 1 of our programs, such as heldar_gate" in (
                result.stderr
            )
            assert joined.pids("heldar_gate") == before
        wait_until_recording(joined, "hall")
        joined.database.update("gate", mirror_enabled=0)
        assert plan_counts(joined.run("reconcile")) == {"removed": 1, "unchanged": 1}
        assert "heldar_gate" not in joined.supervisorctl("status")
    finally:
        file.unlink()
        joined.database.update("gate", mirror_enabled=1)
        joined.database.execute("DELETE FROM cameras WHERE id = 'hall'")
        joined.run("reconcile")
    wait_until_recording(joined, "gate")


def shared(directory: Path) -> Path:
    """Return a file in a directory in which the mirror's user could put anything."""
    directory.mkdir()
    directory.chmod(0o777)
    return directory / "programs.conf"


def linked(directory: Path) -> Path:
    """Return a link to a file of root's that has nothing to do with the mirror."""
    directory.mkdir()
    (directory / "kept").write_text("kept")
    (directory / "programs.conf").symlink_to("kept")
    return directory / "programs.conf"


@pytest.mark.parametrize(
    ("command", "make", "why"),
    [
        ("reconcile", shared, "can be written by everybody: chmod go-w"),
        ("reconcile", linked, "is no plain file: remove it"),
        ("watch", shared, "can be written by everybody: chmod go-w"),
    ],
)
def test_a_programs_file_in_other_hands_is_refused(
    joined: Joined, command: str, make: Callable[[Path], Path], why: str
) -> None:
    """Before anything is written. Whoever could write there could have root's supervisord run anything."""
    file = make(joined.home / "hands")
    try:
        others = {
            "HELDAR_MIRROR_PROGRAMS_FILE": str(file),
            "HELDAR_MIRROR_STATE_DIR": str(joined.home / "state4"),
            "SUPERVISOR_SERVER_URL": joined.env["HELDAR_MIRROR_SUPERVISOR_URL"],
        }
        result = joined.run(command, code=7, **others)
        assert f"HELDAR_MIRROR_PROGRAMS_FILE={file} can't be trusted" in result.stderr
        assert why in result.stderr
        assert not (joined.home / "state4").exists()
        assert file.is_symlink() == (make is linked)
        assert not file.exists() or file.read_text() == "kept"
    finally:
        shutil.rmtree(joined.home / "hands")


@pytest.mark.parametrize("variable", ["HELDAR_ENV_FILE", "HELDAR_MIRROR_ENV_FILE"])
def test_settings_in_other_hands_are_refused(joined: Joined, variable: str) -> None:
    """If Heldar's user could write an env file, it could choose what root writes, and where."""
    file = joined.home / "others.env"
    file.write_text(f"HELDAR_MIRROR_STATE_DIR={joined.home}/state4\n")
    os.chown(file, HELDAR_UID, -1)
    try:
        result = joined.run("reconcile", code=3, **{variable: str(file)})
        assert f"the settings in {file} can't be trusted" in result.stderr
        assert f"belongs to user {HELDAR_UID}" in result.stderr
        assert not (joined.home / "state4").exists()
    finally:
        file.unlink()


def test_directories_below_anothers_are_refused(joined: Joined) -> None:
    """Root does not keep launch specs or logs where somebody else could put a link."""
    theirs = joined.home / "theirs"
    theirs.mkdir()
    os.chown(theirs, HELDAR_UID, -1)
    try:
        for variable in ("HELDAR_MIRROR_STATE_DIR", "HELDAR_MIRROR_SPECS_DIR", "HELDAR_MIRROR_LOG_DIR"):
            result = joined.run("reconcile", code=7, **{variable: str(theirs / "below")})
            assert f"{variable}={theirs}/below can't be trusted" in result.stderr
        assert not list(theirs.iterdir())
    finally:
        theirs.rmdir()
