"""The recorders and ffmpegs of a running mirror, and what commands left behind."""

import contextlib
import os
import re
import signal
import subprocess
from pathlib import Path

from support.mirror import Mirror
from support.waiting import processes_of, wait_for


def recorders(mirror: Mirror) -> dict[str, int]:
    """Return the process id of each camera's recorder."""
    found = {}
    for pid, command in processes_of(f"{mirror.state}/specs/").items():
        if match := re.search(r"/specs/(\S+)\.spec \d+$", command):
            found[match[1]] = pid
    return found


def ffmpegs(mirror: Mirror, camera_id: str) -> list[int]:
    """Return the process ids of a camera's ffmpegs. In a mirror without a fault there is one at most."""
    return sorted(processes_of(f"{mirror.root}/{camera_id}/"))


def wait_until_recording(mirror: Mirror, *camera_ids: str) -> dict[str, int]:
    """Wait until each of the cameras has an ffmpeg and a segment. Return all recorders by camera."""
    wait_for(lambda: all(ffmpegs(mirror, name) and mirror.segments(name) for name in camera_ids))
    running: dict[str, int] = wait_for(lambda: (r := recorders(mirror)) and r.keys() >= set(camera_ids) and r)
    return running


def kill(pid: int) -> None:
    """Kill a process with SIGKILL, so that it can't clean up."""
    os.kill(pid, signal.SIGKILL)


def fail_for_good(mirror: Mirror, camera_id: str) -> None:
    """Kill a camera's recorder again and again, until supervisord gives its program up."""

    def is_given_up() -> bool:
        with contextlib.suppress(ProcessLookupError):
            if pid := recorders(mirror).get(camera_id):
                kill(pid)
        return "FATAL" in mirror.supervisorctl("status", f"mirror-{camera_id}")

    wait_for(is_given_up, seen=lambda: mirror.supervisorctl("status"))


def plan_counts(result: subprocess.CompletedProcess[str]) -> dict[str, int]:
    """Return the numbers in the last line of a printed plan, by name, without those that are 0."""
    last = result.stdout.strip().splitlines()[-1]
    return {name: int(number) for number, name in re.findall(r"(\d+) (\w+)", last) if number != "0"}


def file_contents(*directories: Path) -> dict[Path, bytes]:
    """Return the content of each file below directories, by path."""
    return {path: path.read_bytes() for top in directories for path in sorted(top.rglob("*")) if path.is_file()}
