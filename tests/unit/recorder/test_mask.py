"""Masking: no secret of a camera's URL is ever shown, and nothing else is touched."""

import re

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from support.examples import camera, texts, url_characters

from heldar_mirror.heldar.camera_url import encode, record_url, secrets
from heldar_mirror.heldar.cameras import Camera
from heldar_mirror.recorder.recorder import blot, mask

# Where cameras take a password that stands in an explicit URL.
PLACES = [
    "rtsp://admin:{}@10.0.0.1:554/live",
    "rtsp://admin:{}@10.0.0.1/live@2?x=@",
    "http://10.0.0.1/live?user=admin&password={}&channel=1",
    "http://10.0.0.1/live?channel=1&PWD={}",
    "rtsp://10.0.0.1/user=admin_password={}_channel=1_stream=0.sdp",
]
# Stands for stars that masking put there; no text of Heldar's can hold it.
STARS = "\ud800"
NO_SECRET = {"", "*", "**", "***"}

url_passwords = st.text(url_characters, min_size=1, max_size=12)


def explicit(place: str, password: str) -> Camera:
    return camera(main_stream_url=place.format(password))


def forms(password: str) -> set[str]:
    """What must not be shown of a password: itself, line by line as a log has it, and as it stands in a URL."""
    return {encode(password), *password.splitlines()} - NO_SECRET


def check(secret_camera: Camera, password: str, before: str, after: str) -> None:
    url = record_url(secret_camera)
    hidden = secrets(secret_camera, url)
    for shown in (url, *forms(password)):
        masked = mask(f"{before}{shown}{after}", hidden)
        # What only comes about where stars meet a star of the text is not the secret.
        assert not [form for form in forms(password) if form in masked.replace("***", STARS)]
    blotted = blot(url, hidden)
    assert len(blotted.encode()) == len(url.encode())
    assert not [form for form in forms(password) if form in blotted and "*" not in form]


@given(username=texts.filter(bool), password=texts, before=texts, after=texts)
@example("admin", "p@ss/w:rd", "Error opening input ", ": Unauthorized")
@example("admin", "a'b c", "", "")
@example("admin", "line\nbreak\r", "", "")
@example("admin", "://", "", "")
def test_no_password_of_a_built_url_survives(username: str, password: str, before: str, after: str) -> None:
    """Neither the password nor its code, be it in the URL or by itself, whatever stands around it."""
    check(camera(username=username, password=password), password, before, after)


@given(place=st.sampled_from(PLACES), password=url_passwords, raw=st.booleans(), before=texts, after=texts)
@example(PLACES[0], "p@ss/w:rd", True, "", "")
@example(PLACES[0], "it's", True, "'", "'")
@example(PLACES[1], "a?b", True, "", "")
@example(PLACES[2], "/secret", True, "", "")
@example(PLACES[2], "&1", True, "", "")
@example(PLACES[2], ";1", True, "", "")
@example(PLACES[3], "#1", True, "", "")
@example(PLACES[4], "se_cret", True, "", "")
@example(PLACES[4], "a_b=c/d", True, "", "")
def test_no_password_of_an_explicit_url_survives(place: str, password: str, raw: bool, before: str, after: str) -> None:
    """Wherever a camera takes it, raw with any character in it, or percent-encoded."""
    check(explicit(place, password if raw else encode(password)), password, before, after)


@given(st.lists(st.sampled_from([*"/'\"@: \n", "://", "rtsp://", "u:p@", "10.0.0.1", "x", "\u3000"])).map("".join))
def test_of_every_url_the_user_information_is_masked_and_nothing_else(text: str) -> None:
    """Without known secrets the rule is Heldar's: after `://`, up to the last `@` before `/`, white space, a quote."""
    assert mask(text) == re.sub(r"(?<=://)[^/\s'\"]*@", "***@", text)


@pytest.mark.parametrize(
    ("text", "masked"),
    [
        ("rtsp://user:p@ss@10.0.0.1:554/x", "rtsp://***@10.0.0.1:554/x"),
        ("rtsp://u@h http://v:w@i/ 'rtsp://x:y@j'", "rtsp://***@h http://***@i/ 'rtsp://***@j'"),
        ("rtsp://@h/", "rtsp://***@h/"),
        ("rtsp://u:p@", "rtsp://***@"),
        ('"rtsp://h"u@', '"rtsp://h"u@'),
        ("rtsp://h/a@b", "rtsp://h/a@b"),
        ("a@b: no URL", "a@b: no URL"),
        ("://", "://"),
    ],
)
def test_heldars_own_examples(text: str, masked: str) -> None:
    """Each URL of a text is masked by itself; text without credentials stays as it is."""
    assert mask(text) == masked


@given(texts, st.lists(texts))
def test_text_without_credentials_stays_as_it_is(text: str, hidden: list[str]) -> None:
    """Where no secret stands, and no user information, nothing is masked."""
    absent = [secret for secret in hidden if secret not in text]
    assert mask(text, [*absent, ""]) == text or "://" in text


def test_the_longest_secret_goes_first() -> None:
    """A secret that holds another one leaves nothing of itself."""
    assert mask("abcd ab bc", ["ab", "abcd", "bc"]) == "*** *** ***"
    assert blot("rtsp://u:abcd@h/ab", ["ab", "abcd"]) == "rtsp://******@h/**"
