"""What to do about a camera that is not recorded."""

import pytest
from support.known_facts import AWAY, NO_URL, STALL, UNAUTHORIZED

from heldar_mirror.recorder.login import UNANSWERABLE
from heldar_mirror.recorder.segments import ENDLESS
from heldar_mirror.recorder.tries import ONE_SESSION
from heldar_mirror.recorder.volume import NO_ROOM
from heldar_mirror.status.activity import Activity
from heldar_mirror.status.advice import advice


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (AWAY, "is the camera on, and is its address right?"),
        ("no connection to the camera at 127.0.0.1, port 554: No route to host", "is the camera on"),
        ("ffmpeg ended after 15 s, exit status 146 | Connection timed out", "is the camera on"),
        ("ffmpeg ended after 0 s, exit status 101 | Network is unreachable", "is the camera on"),
        (
            "no connection to the camera at 127.0.0.1, port 554: no answer. Asking until it accepts one",
            "is the camera on",
        ),
        (
            "no connection to the camera at gate, port 554: cannot look up its name: Name or service not known",
            "name right",
        ),
        (UNAUTHORIZED, "the camera refuses the user or the password"),
        (UNAUTHORIZED, "to try at once: heldar-mirror reconcile gate"),
        (
            f"ffmpeg ended after 1 s, exit status 1 | {UNANSWERABLE}: Digest with SHA-256 | 401 Unauthorized",
            "to Digest",
        ),
        (f"ffmpeg ended after 9 s, exit status 0 | {ONE_SESSION} | next try in 5 min", "allow two sessions"),
        *((f"cannot record: mirror root /m {text}", "make room on the mirror's volume") for text in NO_ROOM),
        (f"ffmpeg ended after 50 s, exit status 255 | {ENDLESS}", "update its firmware"),
        (STALL, "restart the camera"),
        (
            "ffmpeg ended after 1 s, exit status 8 | Server returned 404 Not Found",
            "the camera is there, but has no such",
        ),
        ("ffmpeg ended after 1 s, exit status 8 | method DESCRIBE failed: 404 Stream Not Found", "check its URL"),
        ("ffmpeg ended after 2 s, exit status 1 | Could not find tag for codec pcm_alaw", "set record_audio to 0"),
        ("Invalid data found when processing input", "what answers there does not speak RTSP"),
        ("ffmpeg ended after 5 s, signal 11", None),
        (NO_URL, None),
        (None, None),
    ],
)
@pytest.mark.parametrize("activity", ["starting", "waiting", "stalled", "failed", "stopping", "unusable", "unknown"])
def test_an_error_that_does_not_say_what_to_do(activity: Activity, error: str | None, expected: str | None) -> None:
    """ffmpeg's messages get advice, and the recorder's own about cameras; others say themselves what to do."""
    given = advice("gate", activity, error)
    assert given is None if expected is None else given is not None and expected in given


@pytest.mark.parametrize("error", [None, AWAY, UNAUTHORIZED])
def test_what_the_activity_alone_says(error: str | None) -> None:
    """A mirror that records needs no advice, whatever its last error was; a stopped one is started by its id."""
    assert advice("gate", "recording", error) is None
    assert advice("gate", "not wanted", error) is None
    assert advice("gate", "stopped", error) == "to start it: heldar-mirror reconcile gate"
