"""What a running watcher has logged, published and recorded, for tests of faults."""

import json
import time
from collections.abc import Collection
from typing import Any

from support.mirror import Mirror
from support.running import ffmpegs, recorders
from support.waiting import processes_of, wait_for


def watcher_pid(mirror: Mirror) -> int:
    """Return the process id of the watcher."""
    return int(mirror.supervisorctl("pid", "watch"))


def published(mirror: Mirror) -> dict[str, Any]:
    """Return the watcher's report, which `status` shows."""
    status: dict[str, Any] = json.loads((mirror.state / "status/status.json").read_text())
    return status


def times_logged(mirror: Mirror, text: str) -> int:
    """Return how often a text stands in the watcher's log."""
    return mirror.watch_log().count(text)


def is_recorded_in(mirror: Mirror, camera_id: str, seconds: int) -> bool:
    """Whether exactly one ffmpeg records a camera, in segments of this length."""
    commands = list(processes_of(f"{mirror.root}/{camera_id}/").values())
    return len(commands) == 1 and f"-segment_time {seconds} " in commands[0]


def wait_until_recorded(mirror: Mirror, cameras: Collection[str]) -> dict[str, int]:
    """Wait until exactly these cameras have a recorder with one ffmpeg each. Return the recorders by camera."""
    wait_for(
        lambda: recorders(mirror).keys() == set(cameras) and all(len(ffmpegs(mirror, id_)) == 1 for id_ in cameras)
    )
    return recorders(mirror)


def wait_until_well(mirror: Mirror) -> None:
    """Wait for a report that is newer than this call and names no problem."""
    now = time.time()
    wait_for(lambda: (status := published(mirror))["at"] > now and status["well"])


def wait_until_shown(mirror: Mirror, *texts: str) -> None:
    """Wait until `status` shows all of the texts and ends with exit code 1."""

    def shows() -> bool:
        result = mirror.run("status", code=None)
        shown = " ".join(result.stdout.split())  # long lines are folded
        return all(text in shown for text in texts) and result.returncode == 1

    wait_for(shows, every=0.3)


def wait_until_published_again(mirror: Mirror) -> None:
    """Wait until the watcher publishes a newer report."""
    at = published(mirror)["at"]
    wait_for(lambda: published(mirror)["at"] > at)
