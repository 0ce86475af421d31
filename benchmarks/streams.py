"""Real streams from an RTSP camera on loopback, for a mirror and for the seed's loop."""

import contextlib
import json
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from fleet import new_mirror, running

sys.path.insert(0, str(Path(__file__).parent.parent / "tests"))
from support.camera import Camera
from support.mirror import PASSWORD, Mirror, new_home
from support.recordings import named_by_ffmpeg

from heldar_mirror.heldar.camera_url import record_url
from heldar_mirror.heldar.cameras import parse_camera
from heldar_mirror.heldar.tables import read_cameras
from heldar_mirror.programs.record_command import build_record_command

LOOP = Path(__file__).with_name("seeds_loop.py")


@contextlib.contextmanager
def plugged_in() -> Iterator[Camera]:
    """An RTSP camera until the block ends. It encodes each stream once, for all clients."""
    camera = Camera()
    try:
        camera.plug_in()
        yield camera
    finally:
        camera.unplug()


@contextlib.contextmanager
def real_mirror(ports: Mapping[str, int]) -> Iterator[Mirror]:
    """A mirror of cameras, each at its own port on loopback, with the real ffmpeg. Nothing runs yet."""
    with new_mirror(list(ports)) as mirror:
        mirror.env["HELDAR_FFMPEG_BIN"] = "ffmpeg"
        for camera, port in ports.items():
            mirror.database.update(camera, rtsp_port=port, password=PASSWORD)
        yield mirror


@dataclass
class Loop:
    """The seed's loop with the cameras of a mirror and the same commands, recording below `root`."""

    root: Path
    commands: dict[str, list[str]] = field(repr=False)

    @contextlib.contextmanager
    def up(self) -> Iterator["subprocess.Popen[bytes]"]:
        """Run the loop and its ffmpegs until the block ends."""
        commands = self.root / "commands.json"
        commands.write_text(json.dumps(self.commands))
        command = ["setpriv", "--pdeathsig", "TERM", "--", sys.executable, str(LOOP), str(commands)]
        with (self.root / "loop.log").open("wb") as log, running(command, self.root, log=log.fileno()) as process:
            yield process


@contextlib.contextmanager
def loop_beside(mirror: Mirror) -> Iterator[Loop]:
    """The seed's loop for the cameras of a mirror, with a separate directory. Nothing runs yet."""
    with new_home() as root:
        commands = {}
        for row in read_cameras(mirror.database.path):
            camera = parse_camera(row, unseal=str)
            directory = root / camera.id
            directory.mkdir()
            ffmpeg = mirror.env["HELDAR_FFMPEG_BIN"]
            commands[camera.id] = [
                *build_record_command(ffmpeg, camera, record_url(camera)),
                *named_by_ffmpeg(directory),
            ]
        yield Loop(root, commands)
