"""What a person can do about a camera that is not recorded."""

import re

from heldar_mirror.status.activity import Activity

# What to do about some of ffmpeg's errors, by patterns in their messages.
ADVICE = {
    re.compile(pattern): text
    for pattern, text in (
        (
            r"Could not find tag for codec",
            "mp4 can't hold that: set record_audio to 0 in Heldar, or the camera's audio to AAC",
        ),
        (r"401 Unauthorized", "the camera refuses the user or the password that Heldar has for it"),
        (
            r"404 (Stream )?Not Found",
            "the camera is there, but has no such stream: check its URL, or its vendor, in Heldar",
        ),
        (r"Connection refused|No route to host|unreachable|timed out", "is the camera on, and is its address right?"),
        (r"Invalid data found when processing input", "what answers there does not speak RTSP: check address and port"),
    )
}


def advice(camera_id: str, activity: Activity, error: str | None) -> str | None:
    """Return what to do about a camera, given its activity and its last error, or None if we have no advice."""
    if activity in {"recording", "not wanted"}:
        return None
    if activity == "stopped":
        return how_to_start(camera_id)
    if activity == "stalled":
        return "does the camera send any media? If not, restart it"
    return next((text for pattern, text in ADVICE.items() if pattern.search(error)), None) if error else None


def how_to_start(camera_id: str) -> str:
    """Return how to start a camera's mirror that a person stopped."""
    return f"to start it: heldar-mirror reconcile {camera_id}"
