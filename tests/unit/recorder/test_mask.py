"""Masking hides all secrets of a camera's URL, and nothing else."""

import base64
import html
import json
import quopri
import random
import re
import sys
from collections.abc import Callable
from typing import Any
from urllib.parse import quote, quote_plus

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from support.examples import camera, texts, url_characters

from heldar_mirror.heldar.camera_url import encode, record_url, secrets
from heldar_mirror.heldar.cameras import Camera
from heldar_mirror.recorder import masking
from heldar_mirror.recorder.blotting import blot
from heldar_mirror.recorder.masking import mask

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


def mixed_case(code: str, upper: random.Random) -> str:
    return re.sub(r"[%=][0-9A-Fa-f]{2}", lambda found: upper.choice([found[0].upper(), found[0].lower()]), code)


def partly(secret: str, code: Callable[[str], str], chosen: random.Random) -> str:
    """Return a secret of which some characters are encoded."""
    return "".join(code(character) if chosen.random() < 0.5 else character for character in secret)


def quoted_printable(secret: str, chosen: random.Random) -> str:
    text = quopri.encodestring(secret.encode(), quotetabs=chosen.random() < 0.5).decode().rstrip("\n")
    codes = re.findall("=\n|=..|.", text, re.DOTALL)
    return "".join(code + chosen.choice(["", "", "", "=\n", "=\r\n"]) for code in codes)


def latin(secret: str) -> bytes:
    """Return a secret in Latin-1 if it can be written so, and otherwise in UTF-8."""
    try:
        return secret.encode("latin-1")
    except UnicodeEncodeError:
        return secret.encode()


# How a server may repeat a secret in its answer.
REFLECTIONS: dict[str, Callable[[str, random.Random], str]] = {
    "raw": lambda secret, _: secret,
    "percent": lambda secret, chosen: mixed_case(quote(secret, safe=chosen.choice(["", "/", "/:@'"])), chosen),
    "all percent": lambda secret, chosen: mixed_case("".join(f"%{byte:02x}" for byte in secret.encode()), chosen),
    "form": lambda secret, chosen: mixed_case(quote_plus(secret), chosen),
    "some percent": lambda secret, chosen: partly(secret, lambda c: mixed_case(quote(c, safe=""), chosen), chosen),
    "Latin-1": lambda secret, _: latin(secret).decode(errors="surrogateescape"),
    "percent in Latin-1": lambda secret, chosen: mixed_case(quote(latin(secret), safe=""), chosen),
    "Base64 of Latin-1": lambda secret, _: base64.b64encode(latin(secret)).decode(),
    "quoted-printable": lambda secret, chosen: mixed_case(quoted_printable(secret, chosen), chosen),
    "JSON": lambda secret, _: json.dumps(secret)[1:-1],
    "JSON in UTF-8": lambda secret, _: json.dumps(secret, ensure_ascii=False)[1:-1],
    "repr": lambda secret, _: repr(secret)[1:-1],
    "ascii": lambda secret, _: ascii(secret)[1:-1],
    "bytes": lambda secret, _: repr(latin(secret))[2:-1],
    "HTML": lambda secret, _: html.escape(secret),
    "decimal HTML": lambda secret, chosen: partly(secret, lambda c: f"&#{ord(c)};", chosen),
    "hexadecimal HTML": lambda secret, chosen: partly(secret, lambda c: f"&#x{ord(c):X};", chosen),
    "Base64": lambda secret, _: base64.b64encode(secret.encode()).decode(),
    "Base64 without padding": lambda secret, _: base64.b64encode(secret.encode()).decode().rstrip("="),
    "Base64 for URLs": lambda secret, _: base64.urlsafe_b64encode(secret.encode()).decode(),
    "Base64 in a query": lambda secret, _: quote_plus(base64.b64encode(secret.encode())),
    "Base64 in JSON": lambda secret, _: base64.b64encode(secret.encode()).decode().replace("/", "\\/"),
}


@given(
    reflection=st.sampled_from(list(REFLECTIONS)),
    secret=st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=4, max_size=12),
    before=texts,
    after=texts,
    chosen=st.randoms(use_true_random=False),
)
@settings(max_examples=500)
@example("Latin-1", "pässwörd", "", "", random.Random(1))
@example("percent in Latin-1", "pässwörd", "", "", random.Random(1))
@example("bytes", "pässwörd", "", "", random.Random(1))
@example("form", "a b c d", "", "", random.Random(1))
@example("some percent", "41a@c", "%", "", random.Random(1))
@example("percent", "p@ss%4", "", "1", random.Random(1))
@example("quoted-printable", "a=41@b", "=", "", random.Random(2))
def test_no_reflection_of_a_secret_survives(
    reflection: str, secret: str, before: str, after: str, chosen: random.Random
) -> None:
    """However a server writes a secret, and with any text around it, neither half of it is shown."""
    shown = REFLECTIONS[reflection](secret, chosen)
    masked = mask(f"{before}{shown}{after}", [secret]).replace("***", STARS)
    middle = (len(shown) + 1) // 2
    found = [part for part in (shown[:middle], shown[middle - 1 :]) if part in masked and set(part) != {"*"}]
    assert not [part for part in found if part not in f"{before} {after}"], (shown, masked)


@settings(max_examples=500)
@example("\ud83d", ["íííí"])
@example("üüüü", ["¼Ã¼Ã"])
@given(st.text(st.sampled_from("%=+&#x;\\uUdD8c0C3b\r\n@:/aA4\ud83d\ude00\udcffé")), st.lists(st.text()))
def test_any_text_can_be_masked(text: str, secrets: list[str]) -> None:
    """No text, however its codes are broken off, and no secret is too odd."""
    for hidden in (secrets, [*secrets, text[1:-1]]):
        assert isinstance(mask(text, hidden), str)


@given(
    secret=st.text(min_size=4, max_size=12, alphabet=st.characters(exclude_categories=["Cs"])),
    before=st.binary(max_size=20),
    after=st.binary(max_size=20),
    code=st.sampled_from([base64.b64encode, base64.urlsafe_b64encode]),
)
def test_no_secret_in_a_longer_text_in_base64_survives(
    secret: str, before: bytes, after: bytes, code: Callable[[bytes], bytes]
) -> None:
    """What Base64 leaves to be seen does not hold a byte of the secret, wherever in the coded text that is."""
    whole = code(before + secret.encode() + after).decode()
    shown = mask(f"Basic {whole}", [secret]).removeprefix("Basic ")
    head, stars, tail = shown.partition("***")
    assert stars
    assert len(head) * 6 <= len(before) * 8
    assert (len(whole) - len(tail)) * 6 >= (len(before) + len(secret.encode())) * 8 or tail.strip("=") == ""


@pytest.mark.parametrize(
    ("text", "masked"),
    [
        ('401 {"Authorization": "Basic eHl6"} said', '401 {"Authorization": "***'),
        ("401 authorization=Digest x, y\nnext", "401 authorization=***\nnext"),
        ("404 PROXY-AUTHORIZATION%3A%20Basic%20eHl6", "404 PROXY-AUTHORIZATION%3A%20***"),
        ("404 Authorization=3A Basic eHl6", "404 Authorization=***"),
        ('Digest realm="x", response="ab12", uri="y"', 'Digest realm="x", response="***", uri="y"'),
        ("response=ab12&x", "response=***&x"),
        ("response%3D%22ab12%22%2C", "response%3D%22***%22%2C"),
        ("401 Authorization Required, response: none", "401 Authorization Required, response: none"),
        ('WWW-Authenticate: Digest realm="x"', 'WWW-Authenticate: Digest realm="x"'),
        (f"said {'0aF1' * 8}.", "said ***."),
        (f"{'said ' * 50}0aF10aF1", f"{'said ' * 50}***"),
        (f"[tcp @ 0x55{'c' * 28}x]", f"[tcp @ 0x55{'c' * 28}x]"),
    ],
)
def test_what_a_login_answers_is_masked(text: str, masked: str) -> None:
    """The values of `Authorization` and `response`, and digests, are masked without knowing them."""
    assert mask(text) == masked


@pytest.mark.parametrize(
    ("password", "text", "masked"),
    [
        ("pa@ss/word", "Failed to resolve hostname ss: Name", "Failed to resolve hostname ***: Name"),
        ("12/word", "Connection to tcp://127.0.0.1:12?timeout=1", "Connection to tcp://127.0.0.1:***?timeout=1"),
        ("12/word", "404 no word here, 12 s", "404 no *** here, 12 s"),
        ("ab/cd/ef", "no file cd/ef", "no file ***"),
        ("ab/cd/ef", "no file cd, ef", "no file cd, ef"),
        ("quokka#x", "Basic YWRtaW46cXVva2th", "Basic ***"),
        ("quokka", "the user admin", "the user admin"),
        ("quokka", f"method failed: 404{'x' * 200}quok", f"method failed: 404{'x' * 200}***"),
        ("quo@kka", f"method failed: 404{'x' * 200}quo%40%6", f"method failed: 404{'x' * 200}***"),
        ("quokka", f"404{'x' * 200} YWRtaW46cXVv", f"404{'x' * 200} ***"),
        ("quokka", "404 quok", "404 quok"),
    ],
)
def test_a_part_of_a_secret_is_masked_where_it_may_be_told(password: str, text: str, masked: str) -> None:
    """What ffmpeg took for a host, a port or a path is masked, and a secret that is cut off at the end of a line."""
    assert mask(text, [password, f"admin:{password}"]) == masked


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


def lines_run(text: str, hidden: list[str]) -> int:
    """Return how many lines of code are run to mask a text."""
    count, before = 0, sys.gettrace()

    def trace(_frame: object, event: str, _argument: object) -> Any:
        nonlocal count
        count += event == "line"
        return trace

    sys.settrace(trace)
    try:
        mask(text, hidden)
    finally:
        sys.settrace(before)
    return count


@pytest.mark.parametrize(
    "words",
    ["://", "://a", "hostname ", "response=", "authorization:", 'response="', "p@ss/w:r ", "%70", "=\r", "\\", "ab"],
)
def test_a_longer_text_costs_no_more_than_its_length(words: str) -> None:
    """A camera that fills the last words of ffmpeg can't keep a recorder busy."""
    hidden = ["p@ss/w:rd", "admin:p@ss/w:rd"]
    assert lines_run(words * 400, hidden) < 3 * lines_run(words * 200, hidden)


@pytest.mark.parametrize(("password", "words"), [("=", "=\r"), ("\\", "\\"), ("%25", "%25"), ("+", "+")])
def test_a_text_in_which_a_password_may_be_everywhere_is_masked_as_a_whole(
    monkeypatch: pytest.MonkeyPatch, password: str, words: str
) -> None:
    """Finding out where such a password begins would take minutes. Even a tenth of the steps suffices for others."""
    monkeypatch.setattr(masking, "MAX_STEPS", masking.MAX_STEPS // 10)
    assert mask(f"ffmpeg: {words * 4000}", [password * 300]) == "***"
    assert mask(f"ffmpeg: {words * 4000}", ["p@ss/w:rd"]).startswith("ffmpeg: ")
