"""Reconcile makes the cameras table into programs of a real supervisord, with a stand-in for ffmpeg."""

import contextlib
import random
import re
import subprocess
import sys
from collections.abc import Iterator

import pytest
from support.in_step import assert_in_step
from support.listeners import open_port, refusing
from support.mirror import FAKE_FFMPEG, PASSWORD, Mirror
from support.running import fail_for_good, ffmpegs, file_contents, plan_counts, recorders, wait_until_recording
from support.scripts import script
from support.users import new_mirror
from support.waiting import wait_for

ENCODED_PASSWORD = "p%40ss%2Fw%3Ard"
NOWHERE = "unix:///nowhere/supervisor.sock"

# A stand-in for ffmpeg. It fails for each camera that has a file in the directory `broken`.
BREAKABLE_FFMPEG = f"""#!/bin/sh
[ "$1" != -version ] || exec {FAKE_FFMPEG} -version
for output; do :; done
camera=$(basename "$(dirname "$output")")
if [ -e "$(dirname "$0")/broken/$camera" ]; then
    echo "rtsp://someone:{ENCODED_PASSWORD}@localhost: Connection refused" >&2
    exit 1
fi
exec {FAKE_FFMPEG} "$@"
"""


def unreachable(mirror: Mirror) -> dict[str, str]:
    """Settings with which supervisord can't be reached, and the files are still those that `up` reads."""
    return {
        "HELDAR_MIRROR_SUPERVISOR_URL": NOWHERE,
        "HELDAR_MIRROR_PROGRAMS_FILE": str(mirror.state / "programs.conf"),
    }


@pytest.fixture(scope="module")
def running() -> Iterator[Mirror]:
    """A mirror that runs, with the camera `gate`, and `broken`, whose ffmpeg fails. Tests add cameras of their own."""
    with new_mirror() as mirror:
        mirror.env["HELDAR_FFMPEG_BIN"] = script(mirror.home / "ffmpeg", BREAKABLE_FFMPEG)
        (mirror.home / "broken").mkdir()
        (mirror.home / "broken/broken").touch()
        mirror.database.add("gate")
        mirror.database.add("broken")
        with mirror.up():
            wait_until_recording(mirror, "gate")
            yield mirror


def supervisorctl_command(mirror: Mirror, *args: str) -> list[str]:
    return [sys.executable, "-m", "supervisor.supervisorctl", "-c", str(mirror.state / "supervisord.conf"), *args]


def record(mirror: Mirror, *camera_ids: str) -> dict[str, int]:
    """Add cameras to a running mirror, wait until they are recorded, and return all recorders."""
    for camera_id in camera_ids:
        mirror.database.add(camera_id)
    mirror.run("reconcile")
    return wait_until_recording(mirror, *camera_ids)


def test_every_mirrored_camera_has_a_program_and_no_other(mirror: Mirror) -> None:
    """A camera that asks for a mirror is recorded, and one that does not is not."""
    mirror.database.add("gate")
    mirror.database.add("hall", mirror_enabled=0)
    with mirror.up(watched=True):
        wait_for(lambda: mirror.run("status", code=None).returncode == 0)
        assert mirror.status()["gate"]["well"]
        assert mirror.segments("gate")
        assert not (mirror.root / "hall").exists()


def test_added_changed_and_removed_cameras_are_followed_and_others_left_alone(running: Mirror) -> None:
    """One reconcile starts, restarts and stops what the table asks for. Cameras that did not change keep their
    processes."""
    before = record(running, "leaving", "changing", "staying")
    running.database.execute("DELETE FROM cameras WHERE id = 'leaving'")
    running.database.update("changing", segment_seconds=30)
    running.database.add("coming")
    result = running.run("reconcile")
    assert plan_counts(result) | {"unchanged": 0} == {"added": 1, "changed": 1, "removed": 1, "unchanged": 0}
    for line in ("+ coming", "~ changing", "- leaving", "    - -segment_time 60", "    + -segment_time 30"):
        assert line in result.stdout.splitlines()
    after = wait_until_recording(running, "coming", "changing")
    assert "leaving" not in after
    assert not ffmpegs(running, "leaving")
    assert after["changing"] != before["changing"]
    assert after["staying"] == before["staying"]
    assert after["gate"] == before["gate"]
    assert_in_step(running)


@pytest.mark.parametrize("flag", ["enabled", "record_enabled", "mirror_enabled"])
def test_each_flag_alone_stops_a_mirror(running: Mirror, flag: str) -> None:
    """A camera that is disabled, not recorded or not mirrored any more is stopped, and its footage stays."""
    camera_id = f"without_{flag}"
    record(running, camera_id)
    running.database.update(camera_id, **{flag: 0})
    assert plan_counts(running.run("reconcile"))["removed"] == 1
    assert camera_id not in recorders(running)
    assert not ffmpegs(running, camera_id)
    assert (running.root / camera_id).is_dir()


def test_the_second_run_does_nothing(running: Mirror) -> None:
    """A second reconcile writes no file, starts no process, and says 'unchanged'."""
    before = record(running, "twice")
    files = [running.state / "programs.conf", *(running.state / "specs").iterdir()]
    stamps = {path: (path.stat().st_ino, path.stat().st_mtime_ns) for path in files}
    assert plan_counts(running.run("reconcile")).keys() == {"unchanged"}
    assert {path: (path.stat().st_ino, path.stat().st_mtime_ns) for path in files} == stamps
    assert recorders(running) | {"broken": 0} == before | {"broken": 0}


def test_what_supervisord_lost_is_seen_though_no_file_changed(running: Mirror) -> None:
    """A program that somebody removed from supervisord is put back by a reconcile that finds nothing to write."""
    before = record(running, "lost")
    running.run("reconcile")
    running.supervisorctl("stop", "mirror-lost")
    assert "removed" in running.supervisorctl("remove", "mirror-lost")
    assert plan_counts(running.run("reconcile")).keys() == {"unchanged"}
    assert wait_until_recording(running, "lost")["lost"] != before["lost"]
    assert_in_step(running)


def test_a_stanza_that_was_changed_by_hand_is_seen_though_no_file_changed(running: Mirror) -> None:
    """If supervisord was made to read a changed programs file, and ours was put back, the next reconcile applies
    ours."""
    before = record(running, "tampered")
    running.run("reconcile")
    programs = running.state / "programs.conf"
    text = programs.read_bytes()
    programs.write_bytes(re.sub(rb"(tampered.spec) \d+", rb"\1 1", text))
    assert "mirror-tampered: updated" in running.supervisorctl("update", "mirror-tampered")
    programs.write_bytes(text)
    assert plan_counts(running.run("reconcile")).keys() == {"unchanged"}
    assert wait_until_recording(running, "tampered")["tampered"] != before["tampered"]
    assert_in_step(running)


def test_a_changed_password_restarts_that_camera_alone(running: Mirror) -> None:
    """The launch spec has the new password and the stanza a new generation. No secret is shown, or reaches
    supervisord."""
    before = record(running, "secretive")
    running.database.update("secretive", password="n3w:pass")
    result = running.run("reconcile")
    assert plan_counts(result)["changed"] == 1
    assert "    credentials" in result.stdout
    after = wait_until_recording(running, "secretive")
    assert after["secretive"] != before["secretive"]
    assert after["gate"] == before["gate"]
    assert "n3w%3Apass" in (running.state / "specs/secretive.spec").read_text()
    shown = (running.state / "programs.conf").read_text() + result.stdout + running.supervisorctl("avail")
    for secret in ("n3w:pass", "n3w%3Apass", PASSWORD, ENCODED_PASSWORD):
        assert secret not in shown


def test_a_dry_run_before_first_use_writes_nothing(mirror: Mirror) -> None:
    """The plan is shown without secrets, and nothing is made anywhere."""
    mirror.database.add("gate")
    mirror.database.add("vague", vendor="generic")
    before = sorted(mirror.home.rglob("*"))
    result = mirror.run("reconcile", "--dry-run", code=1)
    assert "+ gate" in result.stdout
    assert f"rtsp://***@127.0.0.1:{open_port()}/Streaming/Channels/101 → {mirror.root}/gate" in result.stdout
    assert "! vague: no RTSP URL" in result.stdout
    assert plan_counts(result) == {"added": 1, "unusable": 1}
    assert PASSWORD not in result.stdout
    assert ENCODED_PASSWORD not in result.stdout
    assert sorted(mirror.home.rglob("*")) == before


def test_a_dry_run_beside_a_running_mirror_changes_nothing(running: Mirror) -> None:
    """The plan is that of the next reconcile. Files and processes stay as they are."""
    before = record(running, "planned")
    running.database.update("planned", password="n3w:pass", record_stream="sub")
    files = file_contents(running.state / "specs"), (running.state / "programs.conf").read_bytes()
    plan = running.json("reconcile", "--dry-run")
    assert plan["applied"] is False
    assert plan["changed"]["planned"] == [
        f"- -i rtsp://***@127.0.0.1:{open_port()}/Streaming/Channels/101",
        f"+ -i rtsp://***@127.0.0.1:{open_port()}/Streaming/Channels/102",
    ]
    assert "n3w" not in running.run("reconcile", "--dry-run").stdout
    assert (file_contents(running.state / "specs"), (running.state / "programs.conf").read_bytes()) == files
    assert recorders(running)["planned"] == before["planned"]
    assert running.json("reconcile")["changed"] == plan["changed"]


def test_naming_a_camera_restarts_it(running: Mirror) -> None:
    """`reconcile ID` gives a new generation to that camera, and to no other."""
    before = record(running, "named")
    result = running.run("reconcile", "named")
    assert "    restart, as asked for" in result.stdout
    after = wait_until_recording(running, "named")
    assert after["named"] != before["named"]
    assert after["gate"] == before["gate"]
    assert_in_step(running)


def test_a_camera_that_can_not_be_restarted_is_told_and_nothing_done(running: Mirror) -> None:
    """An unknown name, and a camera whose row asks for no mirror, get different messages. A good camera that is named
    too is left alone."""
    running.database.add("unwanted", mirror_enabled=0)
    running.run("reconcile")
    before = recorders(running)["gate"]
    result = running.run("reconcile", "gate", "nobody", "unwanted", code=1)
    assert "nobody: no such camera in the table" in result.stderr
    assert "unwanted: its row asks for no mirror" in result.stderr
    assert recorders(running)["gate"] == before


def test_what_a_person_stopped_stays_stopped(running: Mirror) -> None:
    """A camera that was stopped with supervisorctl stays stopped, and is shown so, until it is named or its row
    changes."""
    record(running, "paused")
    assert "mirror-paused: stopped" in running.supervisorctl("stop", "mirror-paused")
    assert not ffmpegs(running, "paused")
    result = running.run("reconcile")
    assert "= paused: stopped by hand; to start it: heldar-mirror reconcile paused" in result.stdout
    assert running.json("reconcile")["stopped_by_hand"] == ["paused"]
    assert running.status()["paused"]["state"] == "STOPPED"
    assert "paused: stopped by hand" in running.run("status", code=1).stdout
    assert "paused" not in recorders(running)

    running.run("reconcile", "paused")
    wait_until_recording(running, "paused")
    running.supervisorctl("stop", "mirror-paused")
    running.database.update("paused", segment_seconds=30)
    running.run("reconcile")
    wait_until_recording(running, "paused")
    assert_in_step(running)


def test_supervisorctl_works_as_a_sysadmin_expects(running: Mirror) -> None:
    """status, stop, tail and restart work with the configuration in the state directory."""
    before = record(running, "administered")
    assert re.search(rf"^mirror-administered +\w+ .*(pid {before['administered']}|)", running.supervisorctl("status"))
    # supervisorctl waits until the program has run for startsecs. The restart is done long before.
    with subprocess.Popen(supervisorctl_command(running, "restart", "mirror-administered")) as restart:
        try:
            wait_for(
                lambda: recorders(running).get("administered") not in (None, before["administered"]),
                seen=lambda: running.supervisorctl("status"),
            )
            wait_until_recording(running, "administered")
        finally:
            restart.kill()
    running.supervisorctl("stop", "mirror-administered")
    assert "administered" not in recorders(running)
    assert " INFO stopped after " in running.supervisorctl("tail", "mirror-administered")
    assert re.search(r"^mirror-administered +STOPPED", running.supervisorctl("status", "mirror-administered"))
    running.run("reconcile", "administered")


def test_what_fails_is_told_and_tried_again(running: Mirror) -> None:
    """A camera whose ffmpeg fails is shown with its masked error, and its recorder tries again by itself."""
    wait_for(lambda: running.status()["broken"]["activity"] == "failed", every=1)
    shown = running.run("status", code=1).stdout
    assert "broken: " in shown
    assert "rtsp://***@localhost: Connection refused" in shown
    assert ENCODED_PASSWORD not in shown
    (running.home / "broken/broken").unlink()
    wait_until_recording(running, "broken")


def test_who_is_named_is_tried_at_once(running: Mirror) -> None:
    """A recorder that pauses before its next try, or waits for its camera, is replaced by one that begins anew."""
    with refusing() as (_, port):
        running.database.add("away", rtsp_port=port)
        (running.home / "broken/pausing").touch()
        running.database.add("pausing")
        running.run("reconcile")
        expected = {"away": "waiting", "pausing": "failed"}
        wait_for(
            lambda: {name: running.status()[name]["activity"] for name in expected} == expected, seen=running.status
        )
        before, tries = recorders(running), tried(running, "pausing")
        assert plan_counts(running.run("reconcile", "away", "pausing"))["changed"] == 2
        wait_for(lambda: tried(running, "pausing") > tries)
        after = recorders(running)
    assert not {(name, before[name]) for name in expected} & set(after.items())
    running.database.execute("DELETE FROM cameras WHERE id IN ('away', 'pausing')")
    running.run("reconcile")


def tried(mirror: Mirror, camera_id: str) -> int:
    return (mirror.logs / f"mirror-{camera_id}.log").read_text().count("ERROR ffmpeg ended")


def test_what_failed_for_good_is_started_again(running: Mirror) -> None:
    """The next reconcile starts a program that supervisord has given up."""
    record(running, "killed")
    fail_for_good(running, "killed")
    assert running.status()["killed"]["activity"] == "failed"
    result = running.run("reconcile")
    assert "= killed: had failed for good, and was started again" in result.stdout
    wait_until_recording(running, "killed")


def test_two_reconciles_at_once_wait_for_each_other(running: Mirror) -> None:
    """Both succeed, and there is one recorder and one ffmpeg afterwards."""
    record(running, "contended")
    both = [
        subprocess.Popen(running.command("reconcile", "contended"), env=running.env, stdout=subprocess.PIPE)
        for _ in range(2)
    ]
    results = [(process.communicate(timeout=180), process.returncode) for process in both]
    assert [code for _, code in results] == [0, 0]
    assert_in_step(running)


def died_with_specs_written(mirror: Mirror) -> None:
    programs = (mirror.state / "programs.conf").read_bytes()
    mirror.run("reconcile", code=5, **unreachable(mirror))
    (mirror.state / "programs.conf").write_bytes(programs)
    (mirror.state / "specs/.changing.spec.new").write_text("generation=1\ncam")


def died_with_programs_written(mirror: Mirror) -> None:
    mirror.run("reconcile", code=5, **unreachable(mirror))
    (mirror.state / ".programs.conf.new").write_text("[program:half")


def died_with_one_stopped(mirror: Mirror) -> None:
    died_with_programs_written(mirror)
    (name,) = re.findall(r"(mirror-d\d_changing): changed", mirror.supervisorctl("reread"))
    mirror.supervisorctl("stop", name)
    mirror.supervisorctl("remove", name)


def died_with_a_spec_to_remove(mirror: Mirror) -> None:
    (leaving,) = (mirror.state / "specs").glob("d*_leaving.spec")
    spec = leaving.read_bytes()
    mirror.run("reconcile")
    assert not leaving.exists()
    leaving.write_bytes(spec)


DEATHS = [died_with_specs_written, died_with_programs_written, died_with_one_stopped, died_with_a_spec_to_remove]


@pytest.mark.parametrize("number", range(len(DEATHS)), ids=[death.__name__ for death in DEATHS])
def test_a_reconcile_that_died_is_healed_by_the_next(running: Mirror, number: int) -> None:
    """Whichever of its writes was the last, the next reconcile ends in the same state."""
    leaving, changing, coming = (f"d{number}_{what}" for what in ("leaving", "changing", "coming"))
    before = record(running, leaving, changing)
    running.database.execute(f"DELETE FROM cameras WHERE id = '{leaving}'")  # noqa: S608
    running.database.update(changing, segment_seconds=30)
    running.database.add(coming)
    DEATHS[number](running)

    running.run("reconcile")
    after = wait_until_recording(running, changing, coming)
    assert leaving not in after
    assert not ffmpegs(running, leaving)
    assert after[changing] != before[changing]
    assert after["gate"] == before["gate"]
    assert_in_step(running)
    assert plan_counts(running.run("reconcile")).keys() == {"unchanged"}


def test_a_reconcile_killed_at_any_moment_is_healed_by_the_next(running: Mirror) -> None:
    """After reconciles were killed at random moments while cameras came, changed and went, one whole run makes all
    right."""
    before = record(running, "k_leaving", "k_changing")
    for number in range(8):
        running.database.add(f"k_coming{number}")
        running.database.update("k_changing", password=f"n{number}")
        running.database.execute(f"DELETE FROM cameras WHERE id IN ('k_leaving', 'k_coming{number - 1}')")  # noqa: S608
        process = subprocess.Popen(running.command("reconcile"), env=running.env, stdout=subprocess.DEVNULL)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(random.uniform(0.25, 0.8))
        process.kill()
        process.wait()
    running.run("reconcile")
    after = wait_until_recording(running, "k_changing", "k_coming7")
    assert {name for name in after if name.startswith("k_")} == {"k_changing", "k_coming7"}
    assert after["gate"] == before["gate"]
    assert_in_step(running)


def test_a_second_up_on_the_same_state_is_refused(running: Mirror) -> None:
    """A state directory has one supervisord. A second `up` says so, and the first one's cameras go on."""
    before = recorders(running)["gate"]
    result = running.run("up", code=7)
    assert f"heldar-mirror up is running already on {running.state}" in result.stderr
    assert recorders(running)["gate"] == before
