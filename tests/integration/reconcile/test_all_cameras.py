"""Changes that concern every camera at once."""

import re

from support.mirror import FAKE_FFMPEG, Mirror
from support.running import plan_counts, recorders, wait_until_recording
from support.scripts import script
from support.waiting import wait_for

# A stand-in for ffmpeg. It ends when all ten were told to, or after six seconds. In the first case it adds a file to
# the directory `together`.
TEN_FFMPEGS = f"""#!/bin/sh
[ "$1" != -version ] || exec {FAKE_FFMPEG} -version
for output; do :; done
camera=$(basename "$(dirname "$output")")
cd "$(dirname "$0")/told"
exec 9>"$(printf "$output" 0)"
trap 'touch "$camera"; for _ in $(seq 60); do
    [ "$(ls | wc -l)" -ge 10 ] && {{ touch "../together/$camera"; exit 255; }}; sleep 0.1
done; exit 255' TERM
while :; do sleep 0.2; done
"""


def test_a_changed_prefix_renames_every_program(mirror: Mirror) -> None:
    """After a change of the prefix no old program keeps the new recorder from the camera directory."""
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
        assert plan_counts(mirror.run("reconcile")) == {"unchanged": 1}


def test_ten_changed_cameras_are_stopped_together(mirror: Mirror) -> None:
    """Ten cameras are stopped at the same time, when all change and at shutdown. Each ffmpeg here ends only when all
    ten were told to."""
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
        assert plan_counts(mirror.run("reconcile")) == {"changed": 10}
        assert sorted(path.name for path in together.iterdir()) == cameras
        after = wait_for(
            lambda: (r := recorders(mirror)).keys() == before.keys() and r, seen=lambda: mirror.supervisorctl("status")
        )
        assert not set(after.values()) & set(before.values())
        for path in (*told.iterdir(), *together.iterdir()):
            path.unlink()
        wait_until_recording(mirror, *cameras)
    assert sorted(path.name for path in together.iterdir()) == cameras


def test_recording_switched_off_stops_every_mirror(mirror: Mirror) -> None:
    """With HELDAR_RECORDER_ENABLED=false nothing is recorded, mirrors included. When it is true again, all come
    back."""
    mirror.database.add("gate")
    mirror.database.add("hall")
    with mirror.up():
        wait_until_recording(mirror, "gate", "hall")
        assert plan_counts(mirror.run("reconcile", HELDAR_RECORDER_ENABLED="false")) == {"removed": 2}
        assert recorders(mirror) == {}
        assert plan_counts(mirror.run("reconcile")) == {"added": 2}
        wait_until_recording(mirror, "gate", "hall")
