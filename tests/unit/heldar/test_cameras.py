"""Rows of Heldar's table: which cameras want a mirror, and what a bad row costs."""

import itertools

import pytest
from support.examples import KEY, row, seal, settings

from heldar_mirror.heldar.cameras import Row, camera_id, parse_camera, should_mirror, shown_id
from heldar_mirror.heldar.sealed import unseal
from heldar_mirror.programs.desired import Desired, desired_state

FLAGS = ("enabled", "record_enabled", "mirror_enabled")
GOOD_IDS = ["gate", "gate_a_01", "0", "_", "Hall-2", "a" * 61, "a" * 100]
BAD_IDS: list[object] = [
    *["", " ", "gate 1", " gate", "gate ", "gate\n", "a\n[program:evil]", "a/b", "/etc", ".", "..", "../up", ".hidden"],
    *["gate[1]", "[", "100%", "%(here)s", "a;b", ";", "a:b", "a'b", 'a"b', "a\\b", "a=b", "-x", "a\0b", "a\x1b[2J"],
    *["a" * 101, "a" * 300, "tör", "门", "ворота", "gate\u0661", "ga\udcfft"],
    *[None, b"gate", 7, 1.5],
]
GATE_SECRET = "p@ss/w:rd"


def desired(*rows: Row, key: str = KEY) -> Desired:
    """Return the desired state of these rows and of a good one, which must not be affected."""
    found = desired_state([*rows, row(id="good")], settings(SECRET_KEY=key), "volume")
    assert "good" in found.specs
    return found


@pytest.mark.parametrize("flags", list(itertools.product([0, 1], repeat=3)))
def test_a_mirror_is_wanted_if_all_three_flags_are_set(flags: tuple[int, int, int]) -> None:
    """A camera is wanted if all three flags are 1, and unwanted otherwise."""
    flagged = row(**dict(zip(FLAGS, flags, strict=True)), record_mode="event")
    found = desired(flagged)
    assert should_mirror(flagged) == all(flags)
    assert ("gate" in found.specs, "gate" in found.unwanted) == (all(flags), not all(flags))


def test_nothing_is_wanted_if_the_recorder_is_off() -> None:
    """HELDAR_RECORDER_ENABLED=false makes every camera unwanted, and no row is reported as bad."""
    off = desired_state([row(), row(id="bad/", enabled=None)], settings(RECORDER_ENABLED="false"), "volume")
    assert off == Desired({}, frozenset({"gate", "bad/"}))


@pytest.mark.parametrize("value", GOOD_IDS)
def test_an_id_of_letters_digits_and_underscores_is_accepted(value: str) -> None:
    """The id is the name of the camera directory, unchanged."""
    assert camera_id(row(id=value)) == value
    assert desired(row(id=value)).specs[value].directory == f"/mnt/mirror/{value}"


@pytest.mark.parametrize("value", GOOD_IDS)
def test_an_accepted_id_is_never_shortened(value: str) -> None:
    """An unwanted or unusable camera is known by its whole id, by which its mirror is found."""
    assert desired(row(id=value, mirror_enabled=0)).unwanted == {value}
    assert [bad.camera_id for bad in desired(row(id=value, mirror_enabled=None)).unusable] == [value]


@pytest.mark.parametrize("value", BAD_IDS)
def test_a_bad_id_costs_its_own_camera_alone(value: object) -> None:
    """It is reported with its reason, under a short and printable form of the id."""
    found = desired(row(id=value))
    (bad,) = found.unusable
    assert found.specs.keys() == {"good"}
    assert "the id must be of letters" in bad.reason
    assert bad.camera_id == shown_id(row(id=value))
    assert bad.camera_id
    assert bad.camera_id.isprintable()
    assert len(bad.camera_id) <= 60


@pytest.mark.parametrize("value", BAD_IDS)
def test_a_bad_id_that_wants_no_mirror_is_ignored(value: object) -> None:
    """Only a camera that wants a mirror needs a good id."""
    assert desired(row(id=value, mirror_enabled=0)).unusable == ()


@pytest.mark.parametrize(
    ("column", "value", "reason"),
    [
        *(
            (column, value, f"{column} is {shown}, expected 0 or 1")
            for column in (*FLAGS, "record_audio")
            for value, shown in ((None, "NULL"), ("yes", "'yes'"), (2, "2"), (-1, "-1"), (1.0, "1.0"), (b"1", "b'1'"))
        ),
        *(
            ("rtsp_port", value, f"rtsp_port is {shown}, expected a whole number, 1 to 65535")
            for value, shown in (
                *((None, "NULL"), ("554", "'554'"), ("x\n", r"'x\n'"), (554.5, "554.5"), (float("inf"), "inf")),
                *((0, "0"), (-1, "-1"), (65_536, "65536"), (2**63 - 1, "9223372036854775807"), (b"\0", r"b'\x00'")),
            )
        ),
        *(
            ("segment_seconds", value, f"segment_seconds is {shown}, expected a whole number, at most 86400")
            for value, shown in ((None, "NULL"), ("60", "'60'"), (60.5, "60.5"), (86_401, "86401"), (1e300, "1e+300"))
        ),
        ("segment_seconds", "9" * 300, f"segment_seconds is '{'9' * 36}..., expected a whole number, at most 86400"),
        ("record_stream", None, "record_stream is '', expected main or sub"),
        ("record_stream", "Main", "record_stream is 'Main', expected main or sub"),
        ("record_stream", b"main", "record_stream is not a text; set it again in Heldar"),
        ("record_stream", "m\udcffn", "record_stream is not valid UTF-8; set it again in Heldar"),
        *(
            (column, value, f"{column} is not {what}; set it again in Heldar")
            for column in ("vendor", "address", "username", "password", "main_stream_url")
            for value, what in ((GATE_SECRET.encode(), "a text"), (12, "a text"), ("p\udcff", "valid UTF-8"))
        ),
        ("address", None, "no RTSP URL: neither main_stream_url nor address is set"),
        ("password", "enc:v1:AAAA", "password is sealed and can't be opened: the stored value is too short; set it"),
        (
            "main_stream_url",
            "enc:v1:!",
            "main_stream_url is sealed and can't be opened: the stored value is not base64",
        ),
    ],
)
def test_a_bad_value_costs_its_own_camera_alone(column: str, value: object, reason: str) -> None:
    """It is reported with the column, its value and what was expected. A credential is never shown."""
    found = desired(row(**{column: value}))
    (bad,) = found.unusable
    assert found.specs.keys() == {"good"}
    assert bad.camera_id == "gate"
    assert bad.reason.startswith(reason)
    assert GATE_SECRET not in bad.reason


@pytest.mark.parametrize("column", ["record_stream", "vendor", "address", "username", "password", "main_stream_url"])
@pytest.mark.parametrize("prefix", ["", "enc:v1:"])
def test_a_text_of_20_mb_is_refused(column: str, prefix: str) -> None:
    """It is refused as a URL that is too long, before anything is made of it."""
    (bad,) = desired(row(**{column: prefix + "A" * 20_000_000})).unusable
    length = 20_000_000 + len(prefix)
    assert bad.reason == f"{column} has {length} characters, expected at most 16384; shorten it in Heldar"


@pytest.mark.parametrize("sealed", [False, True])
def test_a_password_that_is_too_long_for_a_url_is_refused(sealed: bool) -> None:
    """Also if it stands in none, since every log would be searched for it."""
    password = "x" * 2049
    (bad,) = desired(row(password=seal(password.encode()) if sealed else password, username=None)).unusable
    assert bad.reason == "password has 2049 characters, expected at most 2048; shorten it in Heldar"


@pytest.mark.parametrize("character", ["x", "\U0001f3a5"])
def test_a_password_of_the_greatest_length_is_opened(character: str) -> None:
    """It is a secret also without a user name, when it stands in no URL."""
    text = character * 2048
    assert parse_camera(row(password=seal(text.encode())), lambda value: unseal(value, KEY)).password == text
    assert text in desired(row(password=seal(text.encode()), username=None)).specs["gate"].secrets


@pytest.mark.parametrize("column", FLAGS)
@pytest.mark.parametrize("value", [None, "yes", 2])
def test_one_flag_of_0_is_enough(column: str, value: object) -> None:
    """If one flag is 0, the camera is unwanted and not unusable, whatever the other flags hold."""
    found = desired(row(**(dict.fromkeys(FLAGS, 0) | {column: value})))
    assert found.unwanted == {"gate"}
    assert found.unusable == ()


@pytest.mark.parametrize("column", ["rtsp_port", "username", "password", "address"])
def test_an_explicit_url_makes_the_columns_of_a_built_one_irrelevant(column: str) -> None:
    """Bad values in these columns don't make the camera unusable."""
    url = "rtsp://10.0.0.1/x"
    assert desired(row(main_stream_url=url, **{column: b"rubbish"})).specs["gate"].url == url


@pytest.mark.parametrize("column", ["password", "main_stream_url"])
def test_sealed_values_are_opened(column: str) -> None:
    """A value that Heldar's kernel sealed is used like a plain one. Without the key the camera is unusable."""
    plain = {"password": GATE_SECRET, "main_stream_url": " rtsp://10.0.0.1/x\n"}[column]
    sealed_row = row(**{column: seal(plain.encode())})
    assert desired(sealed_row).specs == desired(row(**{column: plain})).specs
    (bad,) = desired(sealed_row, key="").unusable
    assert bad.reason.startswith(f"{column} is sealed and can't be opened: HELDAR_SECRET_KEY is not set")


def test_no_credential_stands_in_the_repr_of_a_camera() -> None:
    """The repr of a camera shows neither its password nor its explicit URL."""
    built = parse_camera(row(), lambda value: value)
    explicit = parse_camera(row(main_stream_url="rtsp://u:hidden@h/"), lambda value: value)
    assert GATE_SECRET not in repr(built)
    assert "hidden" not in repr(explicit)
