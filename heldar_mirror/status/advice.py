"""What a person can do about a camera that is not recorded."""

import re

from heldar_mirror.recorder.login import UNANSWERABLE
from heldar_mirror.recorder.media import STALLED
from heldar_mirror.recorder.segments import ENDLESS
from heldar_mirror.recorder.tries import ONE_SESSION
from heldar_mirror.recorder.volume import NO_ROOM
from heldar_mirror.status.activity import Activity

AT_ONCE = "to try at once: heldar-mirror reconcile {camera_id}"

# This says what to do about some of the recorder's and ffmpeg's errors, by patterns in their messages. The first
# pattern that is found counts.
ADVICE = {
    re.compile(pattern): text
    for pattern, text in (
        # Their messages hold ffmpeg's 401 as well.
        (re.escape(UNANSWERABLE), f"set the camera's authentication to Digest with MD5, or to Basic; {AT_ONCE}"),
        (
            re.escape(ONE_SESSION),
            "the primary comes first: have the camera allow two sessions, or mirror a different stream of it",
        ),
        (re.escape(STALLED), "restart the camera, or check the stream at the camera"),
        (re.escape(ENDLESS), "restart the camera, or update its firmware"),
        ("|".join(map(re.escape, NO_ROOM)), "make room on the mirror's volume, or raise its quota"),
        (
            r"Could not find tag for codec",
            "mp4 can't hold that: set record_audio to 0 in Heldar, or the camera's audio to AAC",
        ),
        (r"401 Unauthorized", f"the camera refuses the user or the password that Heldar has for it; {AT_ONCE}"),
        (
            r"404 (Stream )?Not Found",
            "the camera is there, but has no such stream: check its URL, or its vendor, in Heldar",
        ),
        (
            r"Connection refused|No route to host|unreachable|timed out|no answer",
            "is the camera on, and is its address right?",
        ),
        (r"cannot look up its name", "is the camera's name right, and do the name servers of this machine answer?"),
        (r"Invalid data found when processing input", "what answers there does not speak RTSP: check address and port"),
    )
}


def advice(camera_id: str, activity: Activity, error: str | None) -> str | None:
    """Return what to do about a camera, given its activity and its last error, or None if we have no advice."""
    if activity in {"recording", "not wanted"}:
        return None
    if activity == "stopped":
        return how_to_start(camera_id)
    found = next((text for pattern, text in ADVICE.items() if pattern.search(error or "")), None)
    return found.format(camera_id=camera_id) if found else None


def how_to_start(camera_id: str) -> str:
    """Return how to start a camera's mirror that a person stopped."""
    return f"to start it: heldar-mirror reconcile {camera_id}"
