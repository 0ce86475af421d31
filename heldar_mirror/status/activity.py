"""The activity of a camera's mirror: what it is doing, in one or two words."""

from typing import Literal

from heldar_mirror.recorder.media import STALLED
from heldar_mirror.recorder.waiting import NO_CONNECTION
from heldar_mirror.status.facts import Facts
from heldar_mirror.supervisord.gateway import FAILED, Process

# The watcher may hear this much later that a process has begun, so `since` may be later than its first error.
HEARD_LATE_SECONDS = 2.0

Activity = Literal[
    "recording",  # a segment is open
    "stalled",  # the camera keeps the connection and sends no media; its recorder connects again and again
    "starting",  # the program is about to start, or its ffmpeg has not opened a segment yet
    "waiting",  # the camera accepts no connection; its recorder asks again and again
    "failed",  # nothing runs for the moment, for a different reason: the recorder tries again, or the watcher starts it
    "stopping",
    "stopped",  # a person stopped it, and it stays stopped
    "not wanted",
    "unusable",  # the row can't be used, and nothing runs
    "unknown",  # supervisord can't be asked, or the open files can't be seen
]


def activity_of(camera_id: str, facts: Facts) -> Activity:
    """Return what a camera's mirror is doing."""
    process = facts.programs.get(camera_id)
    if process and process.state == "STOPPING":
        return "stopping"
    if camera_id in facts.segments:
        return "recording"
    if process is None:
        return _without_program(camera_id, facts)
    return _down(camera_id, process.state, facts) if process.is_down else _up(camera_id, process, facts)


def _without_program(camera_id: str, facts: Facts) -> Activity:
    wanted = camera_id in facts.desired.specs
    # If supervisord can't be asked, the program may be running, unless its open segment would have been seen.
    if not facts.programs_known and (wanted or not facts.files_known):
        return "unknown"
    if wanted:
        return "starting"
    return "unusable" if camera_id in facts.unusable else "not wanted"


def _down(camera_id: str, state: str, facts: Facts) -> Activity:
    if camera_id in facts.desired.unwanted:
        return "not wanted"
    if camera_id in facts.unusable:
        return "unusable"
    if state in FAILED:
        return "failed"
    return "stopped" if state == "STOPPED" else "unknown"


def _up(camera_id: str, process: Process, facts: Facts) -> Activity:
    if process.state == "BACKOFF":  # supervisord waits before it tries again, so there is no process
        return "starting"
    if not facts.files_known:
        return "unknown"
    at, error = facts.errors.get(camera_id, (0.0, ""))
    if STALLED in error:  # a recorder ends after a long run, so an earlier process may have logged it
        return "stalled"
    if not error or at < process.since - HEARD_LATE_SECONDS:  # an earlier process logged it
        return "starting"
    if camera_id in facts.ffmpegs:
        return "starting"
    return "waiting" if NO_CONNECTION in error else "failed"
