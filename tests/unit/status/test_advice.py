"""What to do about a camera that is not recorded."""

import pytest
from support.known_facts import AWAY, NO_URL, UNAUTHORIZED

from heldar_mirror.status.activity import Activity
from heldar_mirror.status.advice import advice


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (AWAY, "is the camera on, and is its address right?"),
        ("no connection to the camera at 127.0.0.1, port 554: No route to host", "is the camera on"),
        ("ffmpeg ended after 15 s, exit status 146 | Connection timed out", "is the camera on"),
        ("ffmpeg ended after 0 s, exit status 101 | Network is unreachable", "is the camera on"),
        (UNAUTHORIZED, "the camera refuses the user or the password"),
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
@pytest.mark.parametrize("activity", ["starting", "waiting", "failed", "stopping", "unusable", "unknown"])
def test_an_error_that_does_not_say_what_to_do(activity: Activity, error: str | None, expected: str | None) -> None:
    """ffmpeg's messages get advice; our own say themselves what to do."""
    given = advice("gate", activity, error)
    assert given is None if expected is None else given is not None and expected in given


@pytest.mark.parametrize("error", [None, AWAY, UNAUTHORIZED])
def test_what_the_activity_alone_says(error: str | None) -> None:
    """A mirror that records needs no advice, whatever its last error was; a stopped one is started by its id."""
    assert advice("gate", "recording", error) is None
    assert advice("gate", "not wanted", error) is None
    assert advice("gate", "stopped", error) == "to start it: heldar-mirror reconcile gate"
    assert "does the camera send any media?" in (advice("gate", "stalled", error) or "")
