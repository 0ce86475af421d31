"""Masking hides all secrets of a camera's URL, and nothing else."""

import re

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from support.examples import camera, texts, url_characters

from heldar_mirror.heldar.camera_url import encode, record_url, secrets
from heldar_mirror.heldar.cameras import Camera
from heldar_mirror.recorder.masking import blot, mask

# Places in an explicit URL where cameras accept a password.
PLACES = [
    "rtsp://admin:{}@10.0.0.1:554/live",
    "rtsp://admin:{}@10.0.0.1/live@2?x=@",
    "rtsp://10.0.0.1/live?user=admin&password={}&channel=1",
    "rtsp://10.0.0.1/live?channel=1&PWD={}",
    "rtsp://10.0.0.1/user=admin_password={}_channel=1_stream=0.sdp",
]
# Replaces the stars that masking wrote. No text in Heldar's database can hold this character.
STARS = "\ud800"
NO_SECRET = {"", "*", "**", "***"}

url_passwords = st.text(url_characters, min_size=1, max_size=12)


def explicit(place: str, password: str) -> Camera:
    return camera(main_stream_url=place.format(password))


def forms(password: str) -> set[str]:
    """Return what must not be shown: each line of a password, since a log has lines, and its form in a URL."""
    return {encode(password), *password.splitlines()} - NO_SECRET


def check(secret_camera: Camera, password: str, before: str, after: str) -> None:
    url = record_url(secret_camera)
    hidden = secrets(secret_camera, url)
    for shown in (url, *forms(password)):
        masked = mask(f"{before}{shown}{after}", hidden)
        # Stars of the mask beside a star of the text may look like the password, but don't reveal it.
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
    """Neither the password nor its encoded form is shown, in the URL or alone, with any text around it."""
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
    """No password is shown from any place where cameras accept it, raw or percent-encoded."""
    check(explicit(place, password if raw else encode(password)), password, before, after)


@given(st.lists(st.sampled_from([*"/'\"@: \n", "://", "rtsp://", "u:p@", "10.0.0.1", "x", "\u3000"])).map("".join))
def test_the_user_information_of_every_url_is_masked_and_nothing_else(text: str) -> None:
    """Without known secrets Heldar's rule holds: mask from `://` to the last `@` before `/`, white space or a quote."""
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
    """Each URL in a text is masked separately. Text without credentials is unchanged."""
    assert mask(text) == masked


@given(texts, st.lists(texts))
def test_text_without_credentials_stays_as_it_is(text: str, hidden: list[str]) -> None:
    """A text without secrets and without user information is unchanged."""
    absent = [secret for secret in hidden if secret not in text]
    assert mask(text, [*absent, ""]) == text or "://" in text


def test_the_longest_secret_is_masked_first() -> None:
    """A secret that contains a shorter one is masked as a whole."""
    assert mask("abcd ab bc", ["ab", "abcd", "bc"]) == "*** *** ***"
    assert blot("rtsp://u:abcd@h/ab", ["ab", "abcd"]) == "rtsp://******@h/**"
