"""A mirror beside a primary has the same packets, bit for bit."""

import subprocess
from pathlib import Path

import pytest
from support.camera import Camera
from support.mirror import Mirror
from support.recordings import named_by_ffmpeg, packets
from support.waiting import wait_for

from heldar_mirror.heldar import camera_url
from heldar_mirror.heldar.cameras import parse_camera
from heldar_mirror.heldar.tables import read_cameras
from heldar_mirror.programs.record_command import build_record_command


@pytest.mark.slow
def test_every_packet_of_the_mirror_is_in_the_primary(mirror: Mirror, camera: Camera, tmp_path: Path) -> None:
    """While a primary and a mirror record the same camera, the primary has every packet of the mirror, bit for bit."""
    mirror.env["HELDAR_FFMPEG_BIN"] = "ffmpeg"
    mirror.database.add("gate", rtsp_port=camera.port, segment_seconds=4)
    (row,) = read_cameras(mirror.database.path)
    gate = parse_camera(row, unseal=str)
    directory = tmp_path / "gate"
    directory.mkdir()
    command = [*build_record_command("ffmpeg", gate, camera_url.record_url(gate)), *named_by_ffmpeg(directory)]
    with (tmp_path / "primary.log").open("wb") as log:
        # ffmpeg doesn't inherit stdin, since it would take what is typed there for commands.
        primary = subprocess.Popen(
            command, env=mirror.env | {"TZ": "UTC"}, stdin=subprocess.DEVNULL, stdout=log, stderr=log
        )
    try:
        wait_for(lambda: len(list(directory.glob("*.mp4"))) > 1, seen=(tmp_path / "primary.log").read_text)
        with mirror.up():
            wait_for(lambda: len(mirror.segments("gate")) > 4)
        mirrored = packets(mirror.segments("gate"))
        ended = len(list(directory.glob("*.mp4")))
        wait_for(lambda: len(list(directory.glob("*.mp4"))) > ended, seen=(tmp_path / "primary.log").read_text)
    finally:
        primary.terminate()
        primary.wait()
    recorded = packets(sorted(directory.glob("*.mp4")))
    assert len(mirrored) > 4 * 15
    start = recorded.index(mirrored[0])
    assert recorded[start : start + len(mirrored)] == mirrored
