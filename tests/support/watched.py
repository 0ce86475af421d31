"""What tests of faults look at, while the watcher is at work."""

import json
import time
from collections.abc import Collection
from typing import Any

from support.mirror import Mirror
from support.running import ffmpegs, recorders
from support.waiting import processes_of, wait_for


def watcher(mirror: Mirror) -> int:
    """Return the process id of the watcher."""
    return int(mirror.supervisorctl("pid", "watch"))


def published(mirror: Mirror) -> dict[str, Any]:
    """Return what the watcher published, which is what `status` tells."""
    status: dict[str, Any] = json.loads((mirror.state / "status/status.json").read_text())
    return status


def told(mirror: Mirror, text: str) -> int:
    """Return how often the watcher's log tells of something."""
    return mirror.watch_log().count(text)


def is_recorded_in(mirror: Mirror, camera_id: str, seconds: int) -> bool:
    """Whether one ffmpeg records a camera, in segments of that length."""
    commands = list(processes_of(f"{mirror.root}/{camera_id}/").values())
    return len(commands) == 1 and f"-segment_time {seconds} " in commands[0]


def wait_until_recorded(mirror: Mirror, cameras: Collection[str]) -> dict[str, int]:
    """Wait until each of the cameras, and no other, has one recorder with one ffmpeg; return the recorders."""
    wait_for(
        lambda: recorders(mirror).keys() == set(cameras) and all(len(ffmpegs(mirror, id_)) == 1 for id_ in cameras)
    )
    return recorders(mirror)


def wait_until_well(mirror: Mirror) -> None:
    """Wait until the status of after this call has nothing to tell."""
    now = time.time()
    wait_for(lambda: (status := published(mirror))["at"] > now and status["well"])


def wait_until_shown(mirror: Mirror, *texts: str) -> None:
    """Wait until `status` tells all of the texts; its exit code is 1 then."""

    def shows() -> bool:
        result = mirror.run("status", code=None)
        shown = " ".join(result.stdout.split())  # long lines are folded
        return all(text in shown for text in texts) and result.returncode == 1

    wait_for(shows, every=0.3)


def goes_on_publishing(mirror: Mirror) -> None:
    at = published(mirror)["at"]
    wait_for(lambda: published(mirror)["at"] > at)
