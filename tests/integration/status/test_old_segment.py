"""`status` of a camera whose segment is open for too long."""

from support.mirror import FAKE_FFMPEG, Mirror
from support.running import wait_until_recording
from support.scripts import script
from support.waiting import wait_for

# A stand-in for ffmpeg. The segment of a camera named old_… is of long ago, that of any other camera of a minute ago.
AGED_FFMPEG = f"""#!/bin/sh
[ "$1" != -version ] || exec {FAKE_FFMPEG} -version
for output; do :; done
case $output in */old_*) age=1000 ;; *) age=60 ;; esac
exec 9>"$(dirname "$output")/$(date -u -d "$age seconds ago" +%Y%m%d_%H%M%S.mp4)"
trap 'exit 255' TERM
while :; do sleep 0.2; done
"""


def test_a_segment_that_is_open_far_longer_than_one_lasts_is_not_well(mirror: Mirror) -> None:
    """A camera whose segment is open for too long is not well: no media come for it. What is too long depends on the
    camera's segment length. A segment of 60 s is overdue after 240 s, far longer than this test takes."""
    mirror.env["HELDAR_FFMPEG_BIN"] = script(mirror.home / "ffmpeg", AGED_FFMPEG)
    seconds = {"old_short": 60, "old_long": 3600, "young_short": 60}
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
