"""The loop by which Heldar's kernel mirrors, beside a mirror of ours: the same cameras, in directories of its own."""

import contextlib
import json
import subprocess
import sys
from collections.abc import Container, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from heldar_mirror.heldar.camera_url import record_url
from heldar_mirror.heldar.cameras import Camera, parse_camera
from heldar_mirror.heldar.tables import read_cameras
from support import HERE
from support.mirror import Mirror, new_home
from support.recordings import named_by_ffmpeg
from support.waiting import PATIENCE_SECONDS, wait_for_none


def primary_command(ffmpeg: str, camera: Camera, directory: Path) -> list[str]:
    """Return the whole command with which Heldar's kernel records."""
    return [
        *[ffmpeg, "-nostdin", "-hide_banner", "-loglevel", "warning"],
        *["-rtsp_transport", "tcp", "-timeout", "15000000", "-i", record_url(camera), "-c", "copy"],
        *(["-c:a", "copy"] if camera.record_audio else ["-an"]),
        *["-f", "segment", "-segment_time", str(camera.segment_seconds), "-segment_format", "mp4"],
        *["-segment_format_options", "movflags=+frag_keyframe+empty_moov+default_base_moof"],
        *["-reset_timestamps", "1", *named_by_ffmpeg(directory)],
    ]


@contextlib.contextmanager
def running(
    command: Sequence[str], home: Path, env: Mapping[str, str] | None = None, log: int = subprocess.DEVNULL
) -> Iterator["subprocess.Popen[bytes]"]:
    """Run a program that ends its children at SIGTERM. At the end kill what is left with `home` in its command."""
    process = subprocess.Popen(command, cwd="/", env=env, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
    try:
        yield process
    finally:
        process.terminate()
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(PATIENCE_SECONDS)
        process.kill()
        process.wait()
        wait_for_none(str(home), seconds=15)


@dataclass
class Loop:
    """The loop of seeds_loop.py, which records below `root` by a command for each camera."""

    root: Path
    commands: dict[str, list[str]] = field(repr=False)

    @contextlib.contextmanager
    def up(self) -> Iterator["subprocess.Popen[bytes]"]:
        """Run the loop and its ffmpegs until the block ends."""
        commands = self.root / "commands.json"
        commands.write_text(json.dumps(self.commands))
        command = ["setpriv", "--pdeathsig", "TERM", "--", sys.executable, str(HERE / "seeds_loop.py"), str(commands)]
        with (self.root / "loop.log").open("wb") as log, running(command, self.root, log=log.fileno()) as process:
            yield process


@contextlib.contextmanager
def loop_beside(mirror: Mirror, without: Container[str] = ()) -> Iterator[Loop]:
    """The loop for the cameras of a mirror, `without` some of them. Nothing runs yet."""
    with new_home() as root:
        commands = {}
        for row in read_cameras(mirror.database.path):
            camera = parse_camera(row, unseal=str)
            if camera.id not in without:
                (root / camera.id).mkdir()
                commands[camera.id] = primary_command(mirror.env["HELDAR_FFMPEG_BIN"], camera, root / camera.id)
        yield Loop(root, commands)
