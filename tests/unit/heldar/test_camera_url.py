"""The URL that is recorded, and which of its parts are secrets."""

import re
import urllib.parse

import pytest
from hypothesis import given
from support.examples import camera, texts

from heldar_mirror.heldar.camera_url import encode, record_url, secrets
from heldar_mirror.heldar.cameras import CameraError

UNRESERVED = set("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~")
CREDENTIALS = "admin:p%40ss%2Fw%3Ard@"


@pytest.mark.parametrize(
    ("vendor", "stream", "path"),
    [
        ("hikvision", "main", "/Streaming/Channels/101"),
        ("hikvision", "sub", "/Streaming/Channels/102"),
        ("dahua", "main", "/cam/realmonitor?channel=1&subtype=0"),
        ("dahua", "sub", "/cam/realmonitor?channel=1&subtype=1"),
    ],
)
def test_a_url_is_built_by_vendor_and_stream(vendor: str, stream: str, path: str) -> None:
    """The path depends on vendor and stream. Heldar knows two vendors."""
    built = camera(vendor=vendor, record_stream=stream, address=" 10.0.0.1\t", rtsp_port=8554)
    assert record_url(built) == f"rtsp://{CREDENTIALS}10.0.0.1:8554{path}"


@pytest.mark.parametrize("vendor", ["onvif", "generic", "", "Hikvision", "x" * 300, "\x1b[2J"])
def test_an_unknown_vendor_has_no_url(vendor: str) -> None:
    """The message names the vendor, in printable characters, and the column to set instead."""
    with pytest.raises(CameraError, match=r"no RTSP URL: for vendor .* set main_stream_url") as caught:
        record_url(camera(vendor=vendor))
    assert str(caught.value).isprintable()


@pytest.mark.parametrize("address", [None, "", " \t"])
def test_without_address_and_explicit_url_there_is_no_url(address: str | None) -> None:
    """The message names both columns."""
    with pytest.raises(CameraError, match="no RTSP URL: neither sub_stream_url nor address is set"):
        record_url(
            camera(address=address, record_stream="sub", main_stream_url="rtsp://10.0.0.1/main", sub_stream_url=" ")
        )


@pytest.mark.parametrize(
    ("username", "password", "written"),
    [
        ("admin", "p@ss/w:rd", CREDENTIALS),
        ("admin", None, "admin@"),
        ("admin", "", "admin@"),
        (None, "p@ss/w:rd", ""),
        ("", "p@ss/w:rd", ""),
        ("a b", "ü%+&'", "a%20b:%C3%BC%25%2B%26%27@"),
        ("-._~", "门", "-._~:%E9%97%A8@"),
    ],
)
def test_credentials_are_written_as_heldar_does(username: str | None, password: str | None, written: str) -> None:
    """User and password are percent-encoded. The password may be missing; without a user nothing is written."""
    url = record_url(camera(username=username, password=password))
    assert url == f"rtsp://{written}10.0.0.1:554/Streaming/Channels/101"


@given(texts)
def test_encoding_goes_there_and_back(text: str) -> None:
    """Any text is decoded to itself, and its code has only characters that can't end a part of a URL."""
    code = encode(text)
    assert urllib.parse.unquote(code) == text
    assert set(code) <= UNRESERVED | {"%"}
    assert "%" not in re.sub("%[0-9A-F]{2}", "", code)


@pytest.mark.parametrize(
    ("address", "host"),
    [
        ("10.0.0.1", "10.0.0.1"),
        ("cam-1.example", "cam-1.example"),
        ("2001:db8::1", "[2001:db8::1]"),
        ("::ffff:10.0.0.1", "[::ffff:10.0.0.1]"),
        ("[2001:db8::1]", "[2001:db8::1]"),
    ],
)
def test_an_ipv6_address_stands_in_brackets(address: str, host: str) -> None:
    """ffmpeg refuses an IPv6 address without brackets. Any other address stays unchanged."""
    assert record_url(camera(address=address)) == f"rtsp://{CREDENTIALS}{host}:554/Streaming/Channels/101"


@pytest.mark.parametrize("vendor", ["hikvision", "generic"])
@pytest.mark.parametrize("stream", ["main", "sub"])
@pytest.mark.parametrize("url", ["rtsp://10.0.0.9/x", "rtsps://h/%20?a='\"\\;#%d", "rtsp://h", "rtsps://h/é"])
def test_an_explicit_url_is_used_instead_of_a_built_one(url: str, stream: str, vendor: str) -> None:
    """The recorded stream's explicit URL is used for any vendor, trimmed and otherwise unchanged."""
    columns = {f"{stream}_stream_url": f" \t{url}\n", "vendor": vendor, "record_stream": stream}
    assert record_url(camera(**columns)) == url


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("RTSP://10.0.0.9/Live", "rtsp://10.0.0.9/Live"),
        ("RtspS://U:P@H/X?u=RTSP://x", "rtsps://U:P@H/X?u=RTSP://x"),
    ],
)
def test_a_scheme_is_written_in_lower_case(url: str, expected: str) -> None:
    """ffmpeg knows no other spelling. All else of the URL stays as it is."""
    assert record_url(camera(main_stream_url=url)) == expected


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        *((f"{scheme}://h/live", scheme) for scheme in ("http", "https", "rtmp", "udp", "rtp", "srt", "satip")),
        *((f"{scheme}://h/live", scheme) for scheme in ("rtspu", "rtspt", "rtsph", "rtsp+tcp")),
        ("HTTP://u:hidden@h/live", "http"),
        *(("file:///etc/passwd", "file"), ("concat://a", "concat"), ("rtspx://h", "rtspx"), ("://h", "none")),
        *(
            ("rtsp:/h", "none"),
            ("/etc/passwd", "none"),
            ("-i", "none"),
            ("10.0.0.1/x", "none"),
            ("x" * 21 + "://h", "none"),
        ),
        *(("hid den://h", "none"), ("u:hidden@h://x", "none"), ("enc:v1:hidden", "none"), ("é://h", "none")),
    ],
)
def test_another_scheme_is_refused(url: str, shown: str) -> None:
    """The message names the scheme, if there is a valid one, and the expected schemes."""
    with pytest.raises(CameraError) as caught:
        record_url(camera(main_stream_url=url))
    assert str(caught.value) == (
        f"the scheme of main_stream_url is {shown}, expected rtsp or rtsps: the recording command can record no other; "
        "set the camera's RTSP URL"
    )


def test_a_url_that_is_too_long_is_refused() -> None:
    """The time for masking grows with the square of the length, so that is limited. The message shows no URL."""
    longest = "rtsp://u:hidden@h/".ljust(2048, "@")
    assert record_url(camera(main_stream_url=longest)) == longest
    for columns in ({"main_stream_url": f"{longest}@"}, {"password": "hidden" * 400}):
        with pytest.raises(CameraError, match="characters, expected at most 2048") as caught:
            record_url(camera(**columns))
        assert "hidden" not in str(caught.value)


@pytest.mark.parametrize("character", [*" \t\n\r\0\x1b\x7f\x85", "\u00a0", "\u200b", "\u2028", "\u202e"])
@pytest.mark.parametrize(
    ("column", "value"), [("main_stream_url", "rtsp://u:hidden@h/{}x"), ("address", "10.0.0.1{}x")]
)
def test_white_space_and_control_characters_are_refused(column: str, value: str, character: str) -> None:
    """The message names the column and shows nothing of its value."""
    with pytest.raises(CameraError) as caught:
        record_url(camera(**{column: value.format(character)}))
    assert str(caught.value).startswith(f"{column} holds white space or control characters")
    assert "hidden" not in str(caught.value)


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("rtsp://10.0.0.1:554/live", set()),
        ("rtsp://10.0.0.1/cam?channel=1&subtype=0", set()),
        ("rtsp://u:a%2fb@h/x", {"a%2fb", "a/b", "a%2Fb"}),
        ("rtsp://u:a/b'c@h/x", {"a/b'c", "a%2Fb%27c"}),
        ("rtsp://u:a?b#c@h/x", {"a?b#c", "a%3Fb%23c"}),
        ("rtsp://u:a@b@h/x@2?y=@", {"a@b", "a%40b"}),
        ("rtsp://u:a?b@h/x@2", {"a?b", "a%3Fb"}),
        ("rtsp://h/?user=admin&password=se/c'ret&channel=1", {"se/c'ret", "se%2Fc%27ret"}),
        ("rtsp://h/?password=/secret", {"/secret", "%2Fsecret"}),
        ("rtsp://h/live?pwd=a%40b", {"a%40b", "a@b"}),
        ("rtsp://h/user=admin_password=sec_ret_channel=1_stream=0.sdp", {"sec_ret"}),
        ("rtsp://h/user=admin_password=se/cret_channel=1_stream=0.sdp", {"se/cret"}),
    ],
)
def test_the_secrets_of_an_explicit_url_are_known(url: str, expected: set[str]) -> None:
    """Each secret is known raw and percent-encoded, at every place where cameras accept it."""
    found = set(secrets(camera(main_stream_url=url), url))
    assert found >= expected
    assert bool(found) == bool(expected)


def test_a_url_that_may_hold_very_many_secrets_is_refused() -> None:
    """Each end of each value might be a secret's, so two kilobytes of them would make hundreds of megabytes."""
    url = "rtsp://h/" + "".join(f"pw={chr(0x4E00 + number)}&" for number in range(400))
    with pytest.raises(CameraError, match="main_stream_url has too many parameters for passwords"):
        secrets(camera(main_stream_url=url), url)
    few = "rtsp://h/?" + "&".join(f"channel={number}&password=hidden{number}" for number in range(20))
    assert {f"hidden{number}" for number in range(20)} <= set(secrets(camera(main_stream_url=few), few))


def test_the_secrets_of_a_built_url_are_the_passwords_forms() -> None:
    """The password is known as it is stored and as it stands in the URL."""
    built = camera()
    assert {"p@ss/w:rd", "p%40ss%2Fw%3Ard"} <= set(secrets(built, record_url(built)))


@pytest.mark.parametrize("password", ["a\nb", "a\rb", "x\narg=/bin/sh", "\n"])
@pytest.mark.parametrize("explicit", [False, True])
def test_no_secret_holds_a_line_break(password: str, explicit: bool) -> None:
    """Secrets are lines of a launch spec, so a line break in one would add lines."""
    url = f"rtsp://u:{encode(password)}@h/" if explicit else None
    made = camera(password=password, main_stream_url=url)
    assert not any("\n" in secret or "\r" in secret for secret in secrets(made, record_url(made)))
