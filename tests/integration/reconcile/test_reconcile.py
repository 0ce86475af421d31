"""From the cameras table to programs of a real supervisord, with a stand-in for ffmpeg."""

import base64
import contextlib
import os
import pwd
import random
import re
import shutil
import subprocess
import sys
import urllib.parse
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from support.mirror import FAKE_FFMPEG, PASSWORD, Mirror
from support.running import below, counts, ffmpegs, kill, recorders, wait_until_recording
from support.users import MirrorForAll, as_root, new_mirror
from support.waiting import processes_of, wait_for

from heldar_mirror.recorder import recorder

ENCODED_PASSWORD = "p%40ss%2Fw%3Ard"
NOWHERE = "unix:///nowhere/supervisor.sock"

# A stand-in that fails for each camera that has a file in the directory `broken`.
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

# A stand-in that ends only when all ten were told to, or after six seconds; `together` says which of the two it was.
TEN_FFMPEGS = f"""#!/bin/sh
[ "$1" != -version ] || exec {FAKE_FFMPEG} -version
for output; do :; done
camera=$(basename "$(dirname "$output")")
cd "$(dirname "$0")/told"
exec 9>"$(date -u +"$output")"
trap 'touch "$camera"; for _ in $(seq 60); do
    [ "$(ls | wc -l)" -ge 10 ] && {{ touch "../together/$camera"; exit 255; }}; sleep 0.1
done; exit 255' TERM
while :; do sleep 0.2; done
"""


# A stand-in whose segment is of long ago for cameras named old_…, and of a minute ago for all others.
AGED_FFMPEG = f"""#!/bin/sh
[ "$1" != -version ] || exec {FAKE_FFMPEG} -version
for output; do :; done
case $output in */old_*) age=1000 ;; *) age=60 ;; esac
exec 9>"$(date -u -d "$age seconds ago" +"$output")"
trap 'exit 255' TERM
while :; do sleep 0.2; done
"""


def unreachable(mirror: Mirror) -> dict[str, str]:
    """Settings with which what is written is what `up` reads, and supervisord can't be reached."""
    return {
        "HELDAR_MIRROR_SUPERVISOR_URL": NOWHERE,
        "HELDAR_MIRROR_PROGRAMS_FILE": str(mirror.state / "programs.conf"),
    }


def script(path: Path, text: str) -> str:
    path.write_text(text)
    path.chmod(0o755)
    return str(path)


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


class Installed(Mirror):
    """A mirror whose command is a script, as pip makes it."""

    def install(self) -> None:
        (self.home / "heldar-mirror").write_text("from heldar_mirror.cli.main import main\n\nmain()\n")

    def command(self, *args: str) -> list[str]:
        return [sys.executable, str(self.home / "heldar-mirror"), *args]


def supervisorctl_command(mirror: Mirror, *args: str) -> list[str]:
    return [sys.executable, "-m", "supervisor.supervisorctl", "-c", str(mirror.state / "supervisord.conf"), *args]


def record(mirror: Mirror, *camera_ids: str) -> dict[str, int]:
    """Add cameras to a running mirror, wait until they are recorded, and return all recorders."""
    for camera_id in camera_ids:
        mirror.database.add(camera_id)
    mirror.run("reconcile")
    return wait_until_recording(mirror, *camera_ids)


def has_one_ffmpeg(mirror: Mirror, camera_id: str) -> bool:
    return len(ffmpegs(mirror, camera_id)) == 1


def assert_in_step(mirror: Mirror) -> None:
    """Launch specs, programs file and running recorders are of the same cameras and the same generations."""
    specs = {
        path.stem: dict(line.split("=", 1) for line in path.read_text().splitlines())["generation"]
        for path in (mirror.state / "specs").glob("*.spec")
    }
    stanzas = dict(re.findall(r"/specs/(\S+)\.spec (\d+)$", (mirror.state / "programs.conf").read_text(), re.MULTILINE))
    assert stanzas == specs

    def running() -> dict[str, str]:
        commands = "\n".join(processes_of(f"{mirror.state}/specs/").values())
        return dict(re.findall(r"/(\w+)\.spec (\d+)$", commands, re.MULTILINE))

    specs.pop("broken", None)
    wait_for(lambda: {name: found for name, found in running().items() if name != "broken"} == specs)
    for camera_id in specs:
        wait_for(partial(has_one_ffmpeg, mirror, camera_id))


def test_every_mirrored_camera_has_a_program_and_no_other(mirror: Mirror) -> None:
    """Cameras that ask for a mirror are recorded, one that does not is not."""
    mirror.database.add("gate")
    mirror.database.add("hall", mirror_enabled=0)
    with mirror.up(watched=True):
        wait_for(lambda: mirror.run("status", code=None).returncode == 0)
        assert mirror.status()["gate"]["well"]
        assert mirror.segments("gate")
        assert not (mirror.root / "hall").exists()


def test_added_changed_and_removed_cameras_are_followed_and_others_left_alone(running: Mirror) -> None:
    """One reconcile starts, restarts and stops what the table says; whoever did not change keeps his process."""
    before = record(running, "leaving", "changing", "staying")
    running.database.execute("DELETE FROM cameras WHERE id = 'leaving'")
    running.database.update("changing", segment_seconds=30)
    running.database.add("coming")
    result = running.run("reconcile")
    assert counts(result) | {"unchanged": 0} == {"added": 1, "changed": 1, "removed": 1, "unchanged": 0}
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
    assert counts(running.run("reconcile"))["removed"] == 1
    assert camera_id not in recorders(running)
    assert not ffmpegs(running, camera_id)
    assert (running.root / camera_id).is_dir()


def test_the_second_run_does_nothing(running: Mirror) -> None:
    """Run twice, the second writes no file, starts no process, and says 'unchanged'."""
    before = record(running, "twice")
    files = [running.state / "programs.conf", *(running.state / "specs").iterdir()]
    stamps = {path: (path.stat().st_ino, path.stat().st_mtime_ns) for path in files}
    assert counts(running.run("reconcile")).keys() == {"unchanged"}
    assert {path: (path.stat().st_ino, path.stat().st_mtime_ns) for path in files} == stamps
    assert recorders(running) | {"broken": 0} == before | {"broken": 0}


def test_what_supervisord_lost_is_seen_though_no_file_changed(running: Mirror) -> None:
    """A program that somebody took out of supervisord is put back by a reconcile that finds nothing to write."""
    before = record(running, "lost")
    running.run("reconcile")
    running.supervisorctl("stop", "mirror-lost")
    assert "removed" in running.supervisorctl("remove", "mirror-lost")
    assert counts(running.run("reconcile")).keys() == {"unchanged"}
    assert wait_until_recording(running, "lost")["lost"] != before["lost"]
    assert_in_step(running)


def test_a_stanza_that_was_changed_by_hand_is_seen_though_no_file_changed(running: Mirror) -> None:
    """Somebody had supervisord take another programs file and put ours back: the next reconcile applies it."""
    before = record(running, "tampered")
    running.run("reconcile")
    programs = running.state / "programs.conf"
    text = programs.read_bytes()
    programs.write_bytes(re.sub(rb"(tampered.spec) \d+", rb"\1 1", text))
    assert "mirror-tampered: updated" in running.supervisorctl("update", "mirror-tampered")
    programs.write_bytes(text)
    assert counts(running.run("reconcile")).keys() == {"unchanged"}
    assert wait_until_recording(running, "tampered")["tampered"] != before["tampered"]
    assert_in_step(running)


def test_a_changed_password_restarts_that_camera_alone(running: Mirror) -> None:
    """The launch spec has the new password and the stanza a new generation; no secret is shown, or near supervisord."""
    before = record(running, "secretive")
    running.database.update("secretive", password="n3w:pass")
    result = running.run("reconcile")
    assert counts(result)["changed"] == 1
    assert "    credentials" in result.stdout
    after = wait_until_recording(running, "secretive")
    assert after["secretive"] != before["secretive"]
    assert after["gate"] == before["gate"]
    assert "n3w%3Apass" in (running.state / "specs/secretive.spec").read_text()
    shown = (running.state / "programs.conf").read_text() + result.stdout + running.supervisorctl("avail")
    for secret in ("n3w:pass", "n3w%3Apass", PASSWORD, ENCODED_PASSWORD):
        assert secret not in shown


def test_a_dry_run_before_first_use_writes_nothing(mirror: Mirror) -> None:
    """The plan is shown with no secret in it, and nothing is made anywhere."""
    mirror.database.add("gate")
    mirror.database.add("vague", vendor="generic")
    before = sorted(mirror.home.rglob("*"))
    result = mirror.run("reconcile", "--dry-run", code=1)
    assert "+ gate" in result.stdout
    assert f"rtsp://***@localhost:554/Streaming/Channels/101 → {mirror.root}/gate" in result.stdout
    assert "! vague: no RTSP URL" in result.stdout
    assert counts(result) == {"added": 1, "unusable": 1}
    assert PASSWORD not in result.stdout
    assert ENCODED_PASSWORD not in result.stdout
    assert sorted(mirror.home.rglob("*")) == before


def test_a_dry_run_beside_a_running_mirror_changes_nothing(running: Mirror) -> None:
    """The plan is that of the reconcile to come; files and processes stay as they are."""
    before = record(running, "planned")
    running.database.update("planned", password="n3w:pass", record_stream="sub")
    files = below(running.state / "specs"), (running.state / "programs.conf").read_bytes()
    plan = running.json("reconcile", "--dry-run")
    assert plan["applied"] is False
    assert plan["changed"]["planned"] == [
        "- -i rtsp://***@localhost:554/Streaming/Channels/101",
        "+ -i rtsp://***@localhost:554/Streaming/Channels/102",
    ]
    assert "n3w" not in running.run("reconcile", "--dry-run").stdout
    assert (below(running.state / "specs"), (running.state / "programs.conf").read_bytes()) == files
    assert recorders(running)["planned"] == before["planned"]
    assert running.json("reconcile")["changed"] == plan["changed"]


def test_naming_a_camera_restarts_it(running: Mirror) -> None:
    """`reconcile ID` is a new generation of that camera, and of no other."""
    before = record(running, "named")
    result = running.run("reconcile", "named")
    assert "    restart, as asked for" in result.stdout
    after = wait_until_recording(running, "named")
    assert after["named"] != before["named"]
    assert after["gate"] == before["gate"]
    assert_in_step(running)


def test_a_camera_that_can_not_be_restarted_is_told_and_nothing_done(running: Mirror) -> None:
    """An unknown name, and one whose row asks for no mirror, are told apart; the named good one is left alone too."""
    running.database.add("unwanted", mirror_enabled=0)
    running.run("reconcile")
    before = recorders(running)["gate"]
    result = running.run("reconcile", "gate", "nobody", "unwanted", code=1)
    assert "nobody: no such camera in the table" in result.stderr
    assert "unwanted: its row asks for no mirror" in result.stderr
    assert recorders(running)["gate"] == before


def test_what_a_person_stopped_stays_stopped(running: Mirror) -> None:
    """Stopped through supervisorctl it stays so, and is shown so, until it is named or its row changes."""
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
    """Status, stop, tail and restart, with the configuration that lies in the state directory."""
    before = record(running, "administered")
    assert re.search(rf"^mirror-administered +\w+ .*(pid {before['administered']}|)", running.supervisorctl("status"))
    # It waits until the program has run for startsecs; what it does is done long before.
    with subprocess.Popen(supervisorctl_command(running, "restart", "mirror-administered")) as restart:
        try:
            wait_for(lambda: recorders(running).get("administered") not in (None, before["administered"]))
            wait_until_recording(running, "administered")
        finally:
            restart.kill()
    running.supervisorctl("stop", "mirror-administered")
    assert "administered" not in recorders(running)
    assert " INFO stopped after " in running.supervisorctl("tail", "mirror-administered")
    assert re.search(r"^mirror-administered +STOPPED", running.supervisorctl("status", "mirror-administered"))
    running.run("reconcile", "administered")


def test_what_failed_for_good_is_told_and_started_again(running: Mirror) -> None:
    """A camera in FATAL is shown with its error, masked, and revived by the next reconcile."""
    wait_for(lambda: running.status()["broken"]["state"] == "FATAL", every=1)
    shown = running.run("status", code=1).stdout
    assert "broken: " in shown
    assert "rtsp://***@localhost: Connection refused" in shown
    assert ENCODED_PASSWORD not in shown
    (running.home / "broken/broken").unlink()
    result = running.run("reconcile")
    assert "= broken: had failed for good, and was started again" in result.stdout
    wait_until_recording(running, "broken")


def test_two_reconciles_at_once_wait_for_each_other(running: Mirror) -> None:
    """Both succeed, and there is one recorder and one ffmpeg afterwards."""
    record(running, "contended")
    both = [
        subprocess.Popen(running.command("reconcile", "contended"), env=running.env, stdout=subprocess.PIPE)
        for _ in range(2)
    ]
    results = [(process.communicate(timeout=60), process.returncode) for process in both]
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
    """Whichever of its writes was the last, the next run comes to the same end."""
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
    assert counts(running.run("reconcile")).keys() == {"unchanged"}


def test_a_reconcile_killed_at_any_moment_is_healed_by_the_next(running: Mirror) -> None:
    """Killed at random moments while cameras come, change and go, one whole run puts everything in step."""
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
    """One state has one supervisord; the second `up` says so, and the first one's cameras go on."""
    before = recorders(running)["gate"]
    result = running.run("up", code=7)
    assert f"heldar-mirror up is running already on {running.state}" in result.stderr
    assert recorders(running)["gate"] == before


def test_a_changed_prefix_renames_every_program(mirror: Mirror) -> None:
    """No program of the old prefix is left to keep the new one's recorder from the camera's directory."""
    mirror.database.add("gate")
    mirror.database.add("leaving")
    with mirror.up():
        before = wait_until_recording(mirror, "gate", "leaving")
        mirror.database.update("leaving", mirror_enabled=0)
        mirror.env["HELDAR_MIRROR_PREFIX"] = "other-"
        mirror.run("reconcile")
        assert re.findall(r"^\S+", mirror.supervisorctl("status"), re.MULTILINE) == ["other-gate", "watch"]
        after = wait_until_recording(mirror, "gate")
        assert after.keys() == {"gate"}
        assert after["gate"] != before["gate"]
        wait_for(lambda: mirror.status()["gate"]["well"])
        assert counts(mirror.run("reconcile")) == {"unchanged": 1}


def test_a_segment_that_is_open_far_longer_than_one_lasts_is_not_well(mirror: Mirror) -> None:
    """It is one that no media comes for; how long is too long depends on the camera's segments."""
    mirror.env["HELDAR_FFMPEG_BIN"] = script(mirror.home / "ffmpeg", AGED_FFMPEG)
    seconds = {"old_short": 60, "old_long": 3600, "young_short": 2}
    for camera_id, segment_seconds in seconds.items():
        mirror.database.add(camera_id, segment_seconds=segment_seconds)
    with mirror.up():
        wait_until_recording(mirror, *seconds)
        found = wait_for(lambda: (s := mirror.status()) and all(c["segment"] for c in s.values()) and s)
        assert {name: camera["well"] for name, camera in found.items()} == {
            "old_short": False,
            "old_long": True,
            "young_short": True,
        }
        assert "old_short: " in mirror.run("status", code=1).stdout


def test_ten_changed_cameras_are_stopped_together(mirror: Mirror) -> None:
    """Each ffmpeg here ends only when all ten were told to: at a change of all, and at shutdown."""
    mirror.env["HELDAR_FFMPEG_BIN"] = script(mirror.home / "ffmpeg", TEN_FFMPEGS)
    told, together = mirror.home / "told", mirror.home / "together"
    told.mkdir()
    together.mkdir()
    cameras = [f"c{number}" for number in range(10)]
    for camera_id in cameras:
        mirror.database.add(camera_id)
    with mirror.up():
        before = wait_until_recording(mirror, *cameras)
        assert not list(told.iterdir())
        mirror.database.execute("UPDATE cameras SET segment_seconds = 30")
        assert counts(mirror.run("reconcile")) == {"changed": 10}
        assert sorted(path.name for path in together.iterdir()) == cameras
        after = wait_for(lambda: (r := recorders(mirror)).keys() == before.keys() and r)
        assert not set(after.values()) & set(before.values())
        for path in (*told.iterdir(), *together.iterdir()):
            path.unlink()
        wait_until_recording(mirror, *cameras)
    assert sorted(path.name for path in together.iterdir()) == cameras


def test_recording_switched_off_stops_every_mirror(mirror: Mirror) -> None:
    """HELDAR_RECORDER_ENABLED=false means that nothing is recorded, the mirror too; on again, all come back."""
    mirror.database.add("gate")
    mirror.database.add("hall")
    with mirror.up():
        wait_until_recording(mirror, "gate", "hall")
        assert counts(mirror.run("reconcile", HELDAR_RECORDER_ENABLED="false")) == {"removed": 2}
        assert recorders(mirror) == {}
        assert counts(mirror.run("reconcile")) == {"added": 2}
        wait_until_recording(mirror, "gate", "hall")


@pytest.mark.parametrize("command", [["up"], ["reconcile"], ["reconcile", "--dry-run"], ["status"], ["adopt-volume"]])
def test_without_a_mirror_directory_mirroring_is_off(mirror: Mirror, command: list[str]) -> None:
    """No HELDAR_MIRROR_RECORDINGS_DIR: every command says that mirroring is off, exits with 0, and makes nothing."""
    mirror.database.add("gate")
    before = sorted(mirror.home.rglob("*"))
    result = mirror.run(*command, HELDAR_MIRROR_RECORDINGS_DIR=" ")
    assert "mirroring is off: HELDAR_MIRROR_RECORDINGS_DIR is " in result.stdout
    assert sorted(mirror.home.rglob("*")) == before


@pytest.mark.parametrize("command", [["status"], ["reconcile"], ["reconcile", "--dry-run"]])
def test_that_mirroring_is_off_is_json_where_that_is_asked_for(mirror: Mirror, command: list[str]) -> None:
    """Whoever reads the output with a program is told so too."""
    assert mirror.json(*command, HELDAR_MIRROR_RECORDINGS_DIR="")["mirroring"] is False


@pytest.mark.parametrize(
    ("line", "named"),
    [("export HELDAR_FFMPEG_BIN=/x", "export HELDAR_FFMPEG_BIN"), ("HELDAR_MIRROR_PREFIXX=x", "HELDAR_MIRROR_PREFIXX")],
)
@pytest.mark.parametrize("command", ["up", "reconcile", "status"])
def test_a_line_of_an_env_file_that_would_be_lost_is_told(mirror: Mirror, command: str, line: str, named: str) -> None:
    """It is exit code 3, with its name, and nothing is made."""
    (mirror.home / "mirror.env").write_text(f"{line}\n")
    before = sorted(mirror.home.rglob("*"))
    assert named in mirror.run(command, code=3).stderr
    assert sorted(mirror.home.rglob("*")) == before


def test_up_with_an_unreadable_database_mirrors_the_last_known_good(mirror: Mirror) -> None:
    """After a boot with the primary's disk dead the cameras of the last time are recorded."""
    mirror.database.add("gate")
    with mirror.up():
        wait_until_recording(mirror, "gate")
    mirror.database.path.parent.rename(mirror.home / "dead")
    with mirror.up():
        wait_until_recording(mirror, "gate")
        assert "Going on with the last known good" in mirror.up_log()
        mirror.run("reconcile", code=4)
        (mirror.home / "dead").rename(mirror.database.path.parent)
        assert counts(mirror.run("reconcile")) == {"unchanged": 1}


def test_a_first_up_with_an_unreadable_database_waits_for_it(mirror: Mirror) -> None:
    """With nothing known yet `up` says so, marks no volume, and records as soon as there is a database."""
    mirror.database.add("gate")
    mirror.database.path.parent.rename(mirror.home / "dead")
    with mirror.up(watched=True):
        assert "cannot read the cameras" in mirror.up_log()
        wait_for(lambda: "cannot read the cameras" in mirror.watch_log())
        assert not (mirror.root / recorder.MARKER).exists()
        (mirror.home / "dead").rename(mirror.database.path.parent)
        wait_until_recording(mirror, "gate")


def test_what_lies_where_up_is_started_is_not_run(monkeypatch: pytest.MonkeyPatch) -> None:
    """A directory there that is named like a package of ours, or of supervisord's, is not imported."""
    with new_mirror(Installed) as mirror:
        mirror.install()
        for package in ("supervisor", "heldar_mirror"):
            planted = mirror.home / "planted" / package
            planted.mkdir(parents=True)
            (planted / "__init__.py").write_text(f"open({str(mirror.home / 'imported')!r}, 'a').close()\n")
        monkeypatch.chdir(mirror.home / "planted")
        mirror.database.add("gate")
        try:
            with mirror.up(watched=True):
                wait_until_recording(mirror, "gate")
        finally:
            assert not (mirror.home / "imported").exists()


@pytest.mark.parametrize("whom", ["supervisord", "up"])
def test_whoever_is_killed_nothing_is_left_and_the_next_up_records(mirror: Mirror, whom: str) -> None:
    """kill -9 of supervisord, or of `up`, leaves no recorder and no ffmpeg, and nothing that keeps a new one out."""
    cameras = ["gate", "hall", "yard"]
    for camera_id in cameras:
        mirror.database.add(camera_id)
    with mirror.up() as up:
        wait_until_recording(mirror, *cameras)
        kill(up.pid if whom == "up" else int((mirror.state / "supervisord.pid").read_text()))
        code = up.wait(60)
        wait_for(lambda: not processes_of(str(mirror.home)))
        if whom == "supervisord":
            assert code == 5
            assert "supervisord ended by itself" in mirror.up_log()
    with mirror.up():
        wait_until_recording(mirror, *cameras)
        assert_in_step(mirror)


def seal(text: str, key: bytes) -> str:
    """Seal a value as Heldar does."""
    nonce = os.urandom(12)
    return "enc:v1:" + base64.b64encode(nonce + AESGCM(key).encrypt(nonce, text.encode(), None)).decode()


@contextlib.contextmanager
def specs_on_tmpfs(mirror: Mirror) -> Iterator[Path]:
    """The directory of the launch specs where a key is set; afterwards nothing of it is left."""
    run = Path("/run/heldar-mirror")
    specs = run / urllib.parse.quote(str(mirror.state), safe="")
    try:
        yield specs
    finally:
        shutil.rmtree(specs, ignore_errors=True)
        with contextlib.suppress(OSError):
            run.rmdir()


@as_root
def test_once_there_is_a_key_no_credential_stays_on_the_disk(mirror: Mirror) -> None:
    """With HELDAR_SECRET_KEY set for the first time the specs move: all is recorded from there, what is not wanted any
    more is stopped, and the old specs are gone."""
    mirror.database.add("gate")
    mirror.database.add("leaving")
    with specs_on_tmpfs(mirror) as specs, mirror.up():
        before = wait_until_recording(mirror, "gate", "leaving")
        mirror.database.execute("DELETE FROM cameras WHERE id = 'leaving'")
        mirror.env["HELDAR_SECRET_KEY"] = base64.b64encode(os.urandom(32)).decode()
        mirror.run("reconcile")
        assert not list((mirror.state / "specs").glob("*"))
        for path, content in below(mirror.state).items():
            assert ENCODED_PASSWORD.encode() not in content, path
        assert [path.name for path in specs.iterdir()] == ["gate.spec"]
        wait_for(lambda: mirror.status()["gate"]["well"])
        assert not set(before.values()) & processes_of("start_recorder.py").keys()
        assert not ffmpegs(mirror, "leaving")
        assert re.findall(r"^\S+", mirror.supervisorctl("status"), re.MULTILINE) == ["mirror-gate", "watch"]
        assert counts(mirror.run("reconcile")) == {"unchanged": 1}


@as_root
def test_neither_the_key_nor_what_it_opens_gets_where_it_should_not(mirror: Mirror) -> None:
    """With HELDAR_SECRET_KEY set sealed cameras are recorded; the key is in no child's environment, and no credential
    lies in the state directory, in the logs, or anywhere on a disk."""
    key = os.urandom(32)
    shown_key = base64.b64encode(key).decode()
    mirror.env["HELDAR_SECRET_KEY"] = shown_key
    mirror.database.add("gate", password=seal(PASSWORD, key))
    mirror.database.add("hall", vendor="generic", main_stream_url=seal(f"rtsp://x:{ENCODED_PASSWORD}@localhost/", key))
    with specs_on_tmpfs(mirror) as specs:
        with mirror.up() as up:
            wait_for(lambda: mirror.segments("gate") and mirror.segments("hall"))
            assert f"rtsp://admin:{ENCODED_PASSWORD}@localhost:554/" in (specs / "gate.spec").read_text()
            assert f"rtsp://x:{ENCODED_PASSWORD}@localhost/" in (specs / "hall.spec").read_text()
            assert specs.stat().st_mode & 0o777 == 0o700
            mirror.run("reconcile", "gate")
            wait_for(lambda: len(processes_of(str(specs))) == 2 and mirror.status()["gate"]["well"])

            children = processes_of(str(mirror.home)).keys() | processes_of(str(specs)).keys()
            assert len(children - {up.pid}) >= 5  # supervisord, two recorders, two ffmpegs
            for pid in children - {up.pid}:
                assert shown_key.encode() not in Path(f"/proc/{pid}/environ").read_bytes()
            shown = mirror.run("status", code=1).stdout + mirror.run("reconcile", "--dry-run").stdout + mirror.up_log()
        for secret in (shown_key, PASSWORD, ENCODED_PASSWORD):
            assert secret not in shown
            for path, content in below(mirror.state, mirror.logs, mirror.root).items():
                assert secret.encode() not in content, path
        assert not processes_of(str(specs))


def mode(path: Path) -> int:
    return path.stat().st_mode & 0o777


def test_modes_do_not_depend_on_the_umask(mirror: Mirror) -> None:
    """Even under umask 000: footage is for Heldar's group to read and for nobody to write, secrets are the user's."""
    mirror.database.add("gate")
    umask = os.umask(0)
    try:
        with mirror.up():
            wait_until_recording(mirror, "gate")
            assert mode(mirror.segments("gate")[0]) == 0o440
            assert mode(mirror.root) == mode(mirror.root / "gate") == 0o750
            assert mode(mirror.state) == mode(mirror.state / "specs") == 0o700
            assert mode(mirror.state / "specs/gate.spec") == 0o600
            assert mode(mirror.logs) == 0o750
            open_to_all = [path for path in mirror.root.rglob("*") if mode(path) & 0o002]
            open_to_all += [path for path in mirror.logs.rglob("*") if mode(path) & 0o007]
            assert open_to_all == []
    finally:
        os.umask(umask)


def test_the_umask_is_a_setting(mirror: Mirror) -> None:
    """HELDAR_MIRROR_UMASK says who else may read the footage."""
    mirror.env["HELDAR_MIRROR_UMASK"] = "077"
    mirror.database.add("gate")
    with mirror.up():
        wait_until_recording(mirror, "gate")
        assert mode(mirror.segments("gate")[0]) == 0o400
        assert mode(mirror.root / "gate") == 0o700


@as_root
def test_started_as_root_the_mirror_runs_as_its_own_user() -> None:
    """With HELDAR_MIRROR_USER supervisord, recorders and ffmpegs are that user's, and so is what they write; root's
    commands work on it."""
    games = pwd.getpwnam("games")
    with new_mirror(MirrorForAll) as mirror:
        mirror.env["HELDAR_MIRROR_USER"] = "games"
        mirror.database.add("gate")
        with mirror.up():
            before = wait_until_recording(mirror, "gate")["gate"]
            owners = {
                command: Path(f"/proc/{pid}").stat().st_uid for pid, command in processes_of(str(mirror.home)).items()
            }
            assert len(owners) >= 3
            assert set(owners.values()) == {games.pw_uid}, owners
            assert mirror.status()["gate"]["well"]
            assert counts(mirror.run("reconcile")) == {"unchanged": 1}
            mirror.database.add("hall")
            mirror.run("reconcile", "gate")
            assert wait_until_recording(mirror, "gate", "hall")["gate"] != before
            for path in (mirror.state, mirror.root, *mirror.state.rglob("*"), *mirror.root.rglob("*")):
                assert path.owner() == "games", path
            # The user's own commands, without root.
            assert "2 of 2 mirrors record" in mirror.run_as(games.pw_uid, "status", code=1).stdout
            assert counts(mirror.run_as(games.pw_uid, "reconcile", code=0)) == {"unchanged": 2}


@as_root
def test_ffmpeg_is_never_run_as_root_for_another_user() -> None:
    """With HELDAR_MIRROR_USER not even its version is asked by root."""
    with new_mirror(MirrorForAll) as mirror:
        mirror.env["HELDAR_MIRROR_USER"] = "games"
        users = mirror.home / "users"
        users.touch()
        users.chmod(0o666)
        text = f'#!/bin/sh\necho "$(id -un) $1" >>{users}\nexec {FAKE_FFMPEG} "$@"\n'
        mirror.env["HELDAR_FFMPEG_BIN"] = script(mirror.home / "ffmpeg", text)
        mirror.database.add("gate")
        with mirror.up():
            wait_until_recording(mirror, "gate")
        assert set(users.read_text().splitlines()) == {"games -version", "games -hide_banner"}


@as_root
def test_recorders_that_run_as_root_are_warned_about_once(mirror: Mirror) -> None:
    """Started as root without HELDAR_MIRROR_USER, `up` says so."""
    with mirror.up():
        assert mirror.up_log().count("recorders run as root") == 1
