"""What to do about an error that ffmpeg tells."""

import re

ADVICE = (
    (
        r"Could not find tag for codec",
        "mp4 can't hold that: set record_audio to 0 in Heldar, or the camera's audio to AAC",
    ),
    (r"401 Unauthorized", "the camera refuses the user or the password that Heldar has for it"),
    (r"404 (Stream )?Not Found", "the camera is there, and has no such stream: see its URL, or its vendor in Heldar"),
    (
        r"Connection refused|No route to host|unreachable|timed out",
        "is the camera on, and is its address right? It is tried again",
    ),
    (r"Invalid data found when processing input", "what answers there does not speak RTSP: see address and port"),
)


def advice(error: str) -> str:
    """Return what to do about an error of ffmpeg's that does not say so itself; empty for all others."""
    return next((f" → {text}" for pattern, text in ADVICE if re.search(pattern, error)), "")


def stopped_by_hand(camera_id: str) -> str:
    return f"stopped by hand, and left so; to start it: heldar-mirror reconcile {camera_id}"
