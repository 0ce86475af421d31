"""A mirror whose ffmpegs can be made to fail, and whose reconciles can be killed at a step."""

import contextlib
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass

from support import HERE
from support.inspection import Wanted, hikvision, wait_until_right
from support.listeners import answering
from support.mirror import GROWING_FFMPEG, Mirror
from support.running import ffmpegs, recorders
from support.scripts import script
from support.users import new_mirror

KILL_AT_STEP = HERE / "kill_at_step.py"
SEGMENT_SECONDS = 120

# A stand-in for ffmpeg. It fails for each camera that has a file in the directory `broken`.
BREAKABLE_FFMPEG = f"""#!/bin/sh
[ "$1" != -version ] || exec {GROWING_FFMPEG} -version
for output; do :; done
camera=$(basename "$(dirname "$output")")
[ ! -e "$(dirname "$0")/broken/$camera" ] || exit 1
exec {GROWING_FFMPEG} "$@"
"""


@dataclass
class Watched:
    """A mirror that runs with its watcher, the port at which its cameras answer, and what its table asks for."""

    mirror: Mirror
    port: int
    wanted: dict[str, Wanted]

    def add(self, *camera_ids: str) -> None:
        for camera_id in camera_ids:
            self.mirror.database.add(camera_id, rtsp_port=self.port, segment_seconds=SEGMENT_SECONDS)
            self.wanted[camera_id] = hikvision(self.port, SEGMENT_SECONDS)

    def change(self, camera_id: str, segment_seconds: int) -> None:
        self.mirror.database.update(camera_id, segment_seconds=segment_seconds)
        self.wanted[camera_id] = hikvision(self.port, segment_seconds)

    def remove(self, camera_id: str) -> None:
        self.mirror.database.execute("DELETE FROM cameras WHERE id = ?", camera_id)
        del self.wanted[camera_id]

    def wait_until_right(self) -> None:
        wait_until_right(self.mirror, self.wanted)


@contextlib.contextmanager
def new_watched() -> Iterator[Watched]:
    """A mirror with three cameras. Nothing runs yet."""
    with new_mirror() as mirror, answering() as port:
        mirror.env["HELDAR_FFMPEG_BIN"] = script(mirror.home / "ffmpeg", BREAKABLE_FFMPEG)
        (mirror.home / "broken").mkdir()
        watched = Watched(mirror, port, {})
        watched.add("gate", "hall", "yard")
        yield watched


def processes(mirror: Mirror, *camera_ids: str) -> dict[str, tuple[int, list[int]]]:
    """Return each camera's recorder and ffmpegs."""
    return {camera_id: (recorders(mirror).get(camera_id, 0), ffmpegs(mirror, camera_id)) for camera_id in camera_ids}


def kill_at_step(mirror: Mirror, step: int | str, *camera_ids: str) -> "subprocess.CompletedProcess[str]":
    """Run a reconcile that kills itself just before a step of its own."""
    return subprocess.run(
        [sys.executable, str(KILL_AT_STEP), str(step), "reconcile", *camera_ids],
        env=mirror.env,
        capture_output=True,
        text=True,
        timeout=180,
        check=False,
    )
