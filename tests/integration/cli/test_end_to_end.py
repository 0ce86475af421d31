"""From the cameras table to frames on disk, with a real camera, supervisord and ffmpeg."""

import re
import subprocess
import time
from pathlib import Path
from urllib.parse import quote

import imageio_ffmpeg
import pytest
from support.camera import Camera
from support.mirror import PASSWORD, Mirror
from support.recordings import FRAMES_PER_SECOND
from support.waiting import processes_of, wait_for

pytestmark = pytest.mark.slow

WRONG = "wr/ong@pass:word"


@pytest.fixture
def mirror(mirror: Mirror) -> Mirror:
    """A mirror with Debian's ffmpeg."""
    mirror.env["HELDAR_FFMPEG_BIN"] = "ffmpeg"
    return mirror


def frames(segment: Path) -> int:
    """Return how many video packets a segment holds, by reading all of it."""
    command = ["ffprobe", "-v", "error", "-count_packets", "-select_streams", "v"]
    result = subprocess.run(
        [*command, "-show_entries", "stream=nb_read_packets", "-of", "csv=p=0", str(segment)],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert not result.stderr, f"{segment}: {result.stderr}"
    return int(result.stdout or 0)


def records(mirror: Mirror, *camera_ids: str) -> bool:
    """Return whether each camera has a segment that is being written."""
    cameras = mirror.status()
    return all(cameras[camera_id]["segment"] for camera_id in camera_ids)


@pytest.mark.parametrize("ffmpeg", ["ffmpeg", imageio_ffmpeg.get_ffmpeg_exe()], ids=["debian", "newest"])
def test_two_cameras_are_recorded_at_once(mirror: Mirror, camera: Camera, ffmpeg: str) -> None:
    """Both cameras have segments of playable frames, named by their time in UTC and readable for the group."""
    mirror.env["HELDAR_FFMPEG_BIN"] = ffmpeg
    mirror.database.add("gate", rtsp_port=camera.port, segment_seconds=4)
    mirror.database.add("hall", vendor="dahua", rtsp_port=camera.port, segment_seconds=4)
    with mirror.up():
        wait_for(lambda: all(len(mirror.segments(camera_id)) > 3 for camera_id in ("gate", "hall")))
        # Between two segments a camera has none for a moment.
        wait_for(lambda: all(camera["well"] for camera in mirror.status().values()))
    for camera_id in ("gate", "hall"):
        assert (mirror.root / camera_id).stat().st_mode & 0o777 == 0o750
        first, *middle, _last = segments = mirror.segments(camera_id)
        assert all(re.fullmatch(r"\d{8}_\d{6}\.mp4", segment.name) for segment in segments)
        today = {time.strftime("%Y%m%d", time.gmtime(time.time() - age)) for age in (0, 600)}
        assert {segment.name[:8] for segment in segments} <= today
        assert {segment.stat().st_mode & 0o777 for segment in segments} == {0o640}
        # A segment is cut at the first keyframe after its four seconds, and a keyframe comes every second.
        assert all(4 * FRAMES_PER_SECOND <= frames(segment) <= 6 * FRAMES_PER_SECOND for segment in middle)
        assert frames(first) > 0
        decoded = subprocess.run(
            ["ffmpeg", "-v", "error", "-i", str(middle[0]), "-f", "null", "-"],
            capture_output=True,
            text=True,
            timeout=60,
            check=True,
        )
        assert not decoded.stderr


def test_a_wrong_password_is_told_and_never_shown(mirror: Mirror, camera: Camera) -> None:
    """A camera that refuses the password is reported with the reason. No password is shown anywhere, and other cameras
    record."""
    mirror.database.add("gate", rtsp_port=camera.port)
    mirror.database.add("hall", rtsp_port=camera.port, password=WRONG)
    with mirror.up():
        status = wait_for(
            lambda: (
                (shown := mirror.status())["gate"]["segment"]
                and "401 Unauthorized" in (shown["hall"]["last_error"] or "")
                and shown
            ),
        )
        assert not status["hall"]["well"]
        assert status["gate"]["well"]

        def shown_by_ps() -> str:
            return "\n".join(processes_of(str(mirror.home)).values())

        wait_for(lambda: "-rtsp_transport" in shown_by_ps(), seen=shown_by_ps)
        told = [mirror.run(*args, code=None) for args in (["status"], ["reconcile"], ["reconcile", "--dry-run"])]
        texts = {
            "status --json": str(status),
            **{f"output {number}": result.stdout + result.stderr for number, result in enumerate(told)},
            "supervisorctl": mirror.supervisorctl("status") + mirror.supervisorctl("tail", "mirror-hall"),
            "up": mirror.up_log(),
        }
        # After a refused password ffmpeg is started again and again. `ps` shows the password until its socket is open.
        secrets = [form for password in (PASSWORD, WRONG) for form in (password, quote(password, safe=""))]
        wait_for(lambda: not any(secret in shown_by_ps() for secret in secrets), seen=shown_by_ps)
        files = [path for path in mirror.state.rglob("*") if path.is_file() and path.suffix != ".spec"]
        assert {"mirror-hall.log", "programs.conf", "supervisord.conf", "supervisord.log"} <= {p.name for p in files}
        texts |= {path.name: path.read_text() for path in files}
        assert "401 Unauthorized" in texts["mirror-hall.log"]
        assert not [(name, secret) for name, text in texts.items() for secret in secrets if secret in text]


def test_a_camera_that_vanishes_is_recorded_again(mirror: Mirror, camera: Camera) -> None:
    """A camera that comes back is recorded again, since its recorder waits for it."""
    mirror.database.add("gate", rtsp_port=camera.port)
    with mirror.up():
        wait_for(lambda: records(mirror, "gate"))
        time.sleep(3)
        camera.unplug()
        wait_for(lambda: "Connection refused" in (mirror.status()["gate"]["last_error"] or ""))
        assert not mirror.status()["gate"]["well"]
        wait_for(lambda: mirror.status()["gate"]["activity"] == "waiting")
        shown = mirror.run("status", code=1).stdout
        assert f"gate: waiting for its camera at 127.0.0.1, port {camera.port}: Connection refused." in shown
        before = mirror.segments("gate")
        camera.plug_in()
        wait_for(lambda: records(mirror, "gate"), seen=mirror.status)
    assert frames(before[-1]) > FRAMES_PER_SECOND
    assert len(mirror.segments("gate")) > len(before)
    assert all(frames(segment) for segment in mirror.segments("gate"))


def test_a_stop_keeps_the_footage_of_the_last_segment(mirror: Mirror, camera: Camera) -> None:
    """None of 20 stops, by supervisorctl and by a reconcile, loses what was recorded last."""
    camera_ids = [f"camera_{number}" for number in range(10)]
    for camera_id in camera_ids:
        mirror.database.add(camera_id, rtsp_port=camera.port)
    stopped: list[Path] = []

    def about_to_stop() -> None:
        wait_for(lambda: records(mirror, *camera_ids))
        time.sleep(3)
        stopped.extend(mirror.segments(camera_id)[-1] for camera_id in camera_ids)

    with mirror.up():
        about_to_stop()
        mirror.supervisorctl("stop", "all")
        wait_for(lambda: {camera["state"] for camera in mirror.status().values()} == {"STOPPED"})
        mirror.run("reconcile", *camera_ids)
        about_to_stop()
        mirror.run("reconcile", *camera_ids)
    assert len(set(stopped)) == 20
    for segment in stopped:
        assert b"moof" in segment.read_bytes(), segment
        # Three seconds of this camera fit into ffmpeg's write buffer, so a killed ffmpeg would leave nothing.
        assert frames(segment) >= FRAMES_PER_SECOND, segment
