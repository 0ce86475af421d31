"""How the recorder judges an end of ffmpeg, and after which pause it tries again."""

import itertools

import pytest

from heldar_mirror.recorder.ffmpeg import Child
from heldar_mirror.recorder.login import unknown_login
from heldar_mirror.recorder.tries import EARLY, LOGIN, ONE_SESSION, OTHER, ROOM, SESSION, Tries, judge

UNAUTHORIZED = "[rtsp @ 0x55] method DESCRIBE failed: 401 Unauthorized"
BUSY = "[rtsp @ 0x55] method SETUP failed: 453 Not Enough Bandwidth"


@pytest.mark.parametrize(
    ("line", "seconds", "cut", "received", "kind"),
    [
        (UNAUTHORIZED, 1, False, False, LOGIN),
        ("[rtsp @ 0x55] method DESCRIBE failed: 403 Forbidden", 1, False, False, LOGIN),
        # A session that had media was let in.
        (UNAUTHORIZED, 40, False, True, OTHER),
        (BUSY, 1, False, False, SESSION),
        ("[rtsp @ 0x55] method SETUP failed: 503 Service Unavailable", 1, False, False, SESSION),
        # What is refused before SETUP concerns no session.
        ("[rtsp @ 0x55] method DESCRIBE failed: 503 Service Unavailable", 1, False, False, OTHER),
        ("av_interleaved_write_frame(): No space left on device", 9, False, True, ROOM),
        ("av_interleaved_write_frame(): Disk quota exceeded", 900, False, True, ROOM),
        ("", 12, True, True, EARLY),
        ("[mp4 @ 0x55] Non-monotonous DTS", 12, True, True, EARLY),
        # After a minute the end of a session is nothing special, nor is one without media.
        ("", 61, True, True, OTHER),
        ("", 12, True, False, OTHER),
        ("", 12, False, True, OTHER),
        ("Connection refused", 0, False, False, OTHER),
    ],
)
def test_the_kind_of_an_end(line: str, seconds: float, *, cut: bool, received: bool, kind: str) -> None:
    """What ffmpeg said, how long it ran and whether it had media say of which kind its end is."""
    assert judge([line], seconds, cut=cut, received=received) == kind


def pauses(count: int, line: str = "", *, cut: bool = False, received: bool = False) -> list[float]:
    """Return the pauses after so many ends in a row that are alike."""
    tries, found = Tries(), []
    for _ in range(count):
        tries.ended([line], 5, cut=cut, received=received)
        found.append(tries.pause())
    return found


def test_a_wrong_password_is_tried_three_times_in_three_minutes() -> None:
    """Then the pauses are 15 minutes and more, up to some hours: cameras lock an address after a few logins."""
    begun = list(itertools.accumulate([0, *pauses(8, UNAUTHORIZED)]))
    assert len([at for at in begun if at < 180]) == 3
    assert [later - earlier for earlier, later in itertools.pairwise(begun)][2:] == [
        *(900, 1800, 3600, 7200, 14400),
        14400,
    ]


def test_a_camera_that_cuts_us_off_again_and_again_gets_a_rest() -> None:
    """Two early ends are followed at once; from the third on the pauses are minutes, and after a refusal at once."""
    assert pauses(6, cut=True, received=True) == [0.5, 1, 60, 120, 240, 480]
    assert pauses(3, BUSY) == [60, 120, 240]


def test_a_camera_that_was_away_in_between_has_not_cut_us_off() -> None:
    """An early end after which the camera accepts no connection was a restart of the camera."""
    tries = Tries()
    for _ in range(9):
        tries.ended([], 5, cut=True, received=True)
        assert tries.pause() < 1
        tries.camera_was_away()


def test_a_wrong_password_is_remembered_over_an_outage() -> None:
    """A camera that was off in between still has not let us in."""
    tries = Tries()
    for expected in (60, 60, 900):
        tries.ended([UNAUTHORIZED], 1, cut=False, received=False)
        assert tries.pause() == expected
        tries.camera_was_away()


def test_a_camera_that_comes_back_is_tried_again_soon() -> None:
    """Its ports may open before it serves, and the tries during a long outage say nothing about that."""
    tries = Tries()
    for _ in range(9):
        tries.ended(["Connection timed out"], 15, cut=False, received=False)
        assert tries.pause() == 0.5
        tries.camera_was_away()


def test_an_end_of_another_kind_begins_anew() -> None:
    """Only ends in a row count."""
    tries = Tries()
    for line in (BUSY, BUSY, "Connection reset by peer", BUSY):
        tries.ended([line], 1, cut=False, received=False)
    assert tries.pause() == 60


def test_a_camera_that_locks_our_address_is_not_asked_for_more_logins() -> None:
    """Refused logins count until the camera sends media, also if it hangs up in between."""
    tries = Tries()
    for line, expected in (
        *((UNAUTHORIZED, 60), (UNAUTHORIZED, 60), (UNAUTHORIZED, 900)),
        *(("Connection reset by peer", 0.5), ("Connection reset by peer", 1), (UNAUTHORIZED, 1800)),
    ):
        tries.ended([line], 1, cut=False, received=False)
        assert tries.pause() == expected
    tries.ended([], 50, cut=False, received=True)
    tries.ended([UNAUTHORIZED], 1, cut=False, received=False)
    assert tries.pause() == 60


def test_other_ends_are_tried_again_soon() -> None:
    """The pauses grow to half a minute, and are not announced."""
    assert pauses(8) == [0.5, 1, 2, 4, 8, 15, 30, 30]
    tries = Tries()
    tries.ended(["Connection refused"], 1, cut=False, received=False)
    assert tries.notes("rtsp://192.0.2.1/x", Child()) == []


def test_long_pauses_are_announced() -> None:
    """The notes say why nothing is tried for minutes, and when it will be."""
    tries = Tries()
    tries.ended([BUSY], 1, cut=False, received=False)
    assert tries.notes("rtsp://192.0.2.1/x", Child()) == [ONE_SESSION, "next try in 1 min"]


def answer(*challenges: str, status: str = "401 Unauthorized") -> str:
    lines = [f"RTSP/1.0 {status}", "CSeq: 1", *(f"WWW-Authenticate: {challenge}" for challenge in challenges), "", ""]
    return "\r\n".join(lines)


MD5 = 'Digest realm="cam", nonce="ab,c"'
SHA256 = 'Digest realm="cam", nonce="ab,c", algorithm=SHA-256'


@pytest.mark.parametrize(
    ("text", "login"),
    [
        (answer(MD5), ""),
        (answer(f"{MD5}, algorithm=MD5"), ""),
        (answer(f'{MD5}, algorithm="MD5-sess", qop="auth,auth-int"'), ""),
        (answer('Basic realm="cam"'), ""),
        (answer(SHA256), "Digest with SHA-256"),
        (answer(MD5, SHA256), "Digest with SHA-256"),
        (answer(SHA256, MD5), ""),
        # ffmpeg prefers Digest to Basic, though it can't do this one.
        (answer(SHA256, 'Basic realm="cam"'), "Digest with SHA-256"),
        (answer('Digest realm="c",nonce="n",algorithm=SHA-512-256'), "Digest with SHA-512-256"),
        (answer(f'{MD5}, qop="auth-int"'), "Digest with qop auth-int"),
        (answer("Bearer realm=x"), "Bearer"),
        (answer("Negotiate", "NTLM"), "Negotiate, NTLM"),
        # Without a challenge, or an answer, we know nothing.
        (answer(), ""),
        (answer(SHA256, status="200 OK"), ""),
        ("", ""),
        ("HTTP/1.1 400 Bad Request\r\n\r\n", ""),
    ],
)
def test_a_login_that_ffmpeg_cannot_do_is_told_from_a_wrong_password(text: str, login: str) -> None:
    """ffmpeg takes the last Digest that is offered, and knows MD5 with `auth` only."""
    assert unknown_login(text) == login
