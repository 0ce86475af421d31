"""Whatever a row of the table holds, it is reported by name and reason, and affects that camera alone."""

import base64
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from supervisor.options import ServerOptions
from support.listeners import answering, open_port
from support.mirror import SCHEMA, Mirror
from support.running import ffmpegs, plan_counts, recorders, wait_until_recording
from support.users import new_mirror
from support.waiting import wait_for

from heldar_mirror.settings import WATCH

KEY, OTHER_KEY = bytes(range(32)), bytes(32)
NONCE = bytes(12)


def seal(text: bytes, key: bytes = KEY) -> str:
    """Seal a value as Heldar does."""
    return "enc:v1:" + base64.b64encode(NONCE + AESGCM(key).encrypt(NONCE, text, None)).decode()


def tampered(sealed: str) -> str:
    box = bytearray(base64.b64decode(sealed.removeprefix("enc:v1:")))
    box[14] ^= 1
    return "enc:v1:" + base64.b64encode(box).decode()


BAD_IDS = {
    "a/b": "a/b",
    "..": "..",
    "../../evil": "../../evil",
    "a\nb": r"'a\nb'",
    "x]\n[program:evil]\ncommand=/bin/false": r"'x]\n[program:evil]\ncommand=/bin/false'",
    "[x]": "[x]",
    "100%": "100%",
    "%(ENV_PATH)s": "%(ENV_PATH)s",
    "a;b": "a;b",
    "a ;b": "a ;b",
    " a": "' a'",
    "a b": "a b",
    "": "''",
    "x" * 300: "x" * 57 + "...",
    "камера": "камера",
    "-rf": "-rf",
    "a\x1b[2Jb": r"'a\x1b[2Jb'",
    "a\0b": r"'a\x00b'",
    b"blob": "b'blob'",
    None: "None",
}

WHOLE = "expected a whole number, "
WHITE = "main_stream_url holds white space or control characters"
OF_SCHEME, SCHEME = "the scheme of main_stream_url is", "expected rtsp or rtsps"
BAD_COLUMNS: dict[str, tuple[dict[str, Any], str]] = {
    "port_null": ({"rtsp_port": None}, f"rtsp_port is NULL, {WHOLE}1 to 65535"),
    "port_text": ({"rtsp_port": "many"}, f"rtsp_port is 'many', {WHOLE}1 to 65535"),
    "port_huge": ({"rtsp_port": 2**40}, f"rtsp_port is 1099511627776, {WHOLE}1 to 65535"),
    "port_zero": ({"rtsp_port": 0}, f"rtsp_port is 0, {WHOLE}1 to 65535"),
    "port_half": ({"rtsp_port": 0.5}, f"rtsp_port is 0.5, {WHOLE}1 to 65535"),
    "seconds_null": ({"segment_seconds": None}, f"segment_seconds is NULL, {WHOLE}at most 86400"),
    "seconds_text": ({"segment_seconds": "6o"}, f"segment_seconds is '6o', {WHOLE}at most 86400"),
    "seconds_huge": ({"segment_seconds": 2**62}, f"segment_seconds is 4611686018427387904, {WHOLE}at most 86400"),
    "mirror_null": ({"mirror_enabled": None}, "mirror_enabled is NULL, expected 0 or 1"),
    "mirror_text": ({"mirror_enabled": "yes"}, "mirror_enabled is 'yes', expected 0 or 1"),
    "enabled_two": ({"enabled": 2}, "enabled is 2, expected 0 or 1"),
    "audio_huge": ({"record_audio": 2**62}, "record_audio is 4611686018427387904, expected 0 or 1"),
    "stream_third": ({"record_stream": "third"}, "record_stream is 'third', expected main or sub"),
    "scheme_file": ({"main_stream_url": "file:///etc/passwd"}, f"{OF_SCHEME} file, {SCHEME}"),
    "scheme_concat": ({"main_stream_url": "concat:/etc/passwd"}, f"{OF_SCHEME} none, {SCHEME}"),
    "scheme_rtmp": ({"main_stream_url": "rtmp://127.0.0.1/x"}, f"{OF_SCHEME} rtmp, {SCHEME}"),
    "scheme_http": ({"main_stream_url": "http://u:p@127.0.0.1/x"}, f"{OF_SCHEME} http, {SCHEME}"),
    "scheme_https": ({"main_stream_url": "HTTPS://127.0.0.1/x"}, f"{OF_SCHEME} https, {SCHEME}"),
    "scheme_none": ({"main_stream_url": "/etc/passwd"}, f"{OF_SCHEME} none, {SCHEME}"),
    "scheme_blank": ({"main_stream_url": "rtsp ://127.0.0.1/x"}, f"{OF_SCHEME} none, {SCHEME}"),
    "url_blank": ({"main_stream_url": "rtsp://127.0.0.1/a b"}, WHITE),
    "url_comment": ({"main_stream_url": "rtsp://127.0.0.1/a ;b #c"}, WHITE),
    "url_newline": ({"main_stream_url": "rtsp://127.0.0.1/a\narg=-y"}, WHITE),
    "url_escape": ({"main_stream_url": "rtsp://127.0.0.1/\x1b[2J"}, WHITE),
    "url_separator": ({"main_stream_url": "rtsp://127.0.0.1/\u2028x"}, WHITE),
    "url_zero": ({"main_stream_url": "rtsp://127.0.0.1/\0x"}, WHITE),
    "url_blob": ({"main_stream_url": b"rtsp://127.0.0.1/"}, "main_stream_url is not a text"),
    "address_none": ({"address": " "}, "no RTSP URL: neither main_stream_url nor address is set"),
    "address_newline": ({"address": "127.0.0.1\narg=-y"}, "address holds white space or control characters"),
    "vendor_other": (
        {"vendor": "generic"},
        "no RTSP URL: for vendor 'generic' Heldar builds none; set main_stream_url",
    ),
    "password_blob": ({"password": b"\xff"}, "password is not a text"),
    "sealed_tampered": (
        {"password": tampered(seal(b"x"))},
        "password is sealed and can't be opened: HELDAR_SECRET_KEY",
    ),
    "sealed_other_key": (
        {"password": seal(b"x", OTHER_KEY)},
        "password is sealed and can't be opened: HELDAR_SECRET_KEY",
    ),
    "sealed_short": (
        {"password": "enc:v1:QUJD"},
        "password is sealed and can't be opened: the stored value is too short",
    ),
    "sealed_no_base64": (
        {"password": "enc:v1:!"},
        "password is sealed and can't be opened: the stored value is not base64",
    ),
    "sealed_no_text": (
        {"password": seal(b"\xff")},
        "password is sealed and can't be opened: the sealed text is not UTF-8",
    ),
    "sealed_url": (
        {"main_stream_url": tampered(seal(b"rtsp://127.0.0.1/"))},
        "main_stream_url is sealed and can't be opened: HELDAR_SECRET_KEY",
    ),
    "sealed_file": (
        {"main_stream_url": seal(b"file:///etc/passwd")},
        f"{OF_SCHEME} file, {SCHEME}",
    ),
}

# One of each kind, for a camera that ran before.
BECOMES_UNUSABLE = ["mirror_null", "url_newline", "seconds_huge", "sealed_tampered", "address_none", "scheme_http"]

# These are strange, but can be used.
LAST_PORT = 65535
GOOD_COLUMNS: dict[str, dict[str, Any]] = {
    "percent": {"main_stream_url": f"rtsp://localhost:{open_port()}/%41%20%(ENV_PATH)s%%"},
    "quotes": {"main_stream_url": f"rtsp://localhost:{open_port()}/'a'\"b\"\\c;d#e$(f)`g`"},
    "secretive": {"username": "a;b #c\n'\"\\%", "password": "x\ny ;z #'\"\\%(here)s=\u00fc"},
    "trimmed": {"main_stream_url": f"  rtsp://localhost:{open_port()}/x\n"},
    "sealed": {"password": seal(b"p@ss/w:rd"), "main_stream_url": ""},
    "shouting": {"main_stream_url": f"RTSP://localhost:{open_port()}/x"},
    "A-b_9": {},
    "x" * 100: {},
    "0": {"segment_seconds": -5, "address": "localhost", "rtsp_port": LAST_PORT},
    "built_of_no_account": {
        "main_stream_url": f"rtsp://localhost:{open_port()}/x",
        "rtsp_port": None,
        "address": b"\xff",
    },
}


@pytest.fixture(scope="module")
def running() -> Iterator[Mirror]:
    """A mirror that runs, with the strange but good cameras, on a table that accepts anything."""
    with new_mirror() as mirror:
        lenient = re.sub(r" NOT NULL| CHECK *\([^)]*\)", "", SCHEMA)
        drops = "".join(f"DROP TABLE {table}; " for table in re.findall(r"CREATE TABLE (\w+)", SCHEMA))
        mirror.database.execute(drops + lenient)
        mirror.env["HELDAR_SECRET_KEY"] = base64.b64encode(KEY).decode()
        mirror.env["HELDAR_MIRROR_SPECS_DIR"] = str(mirror.state / "specs")
        for camera_id, columns in GOOD_COLUMNS.items():
            mirror.database.add(camera_id, **columns)
        with answering(LAST_PORT), mirror.up():
            wait_until_recording(mirror, *GOOD_COLUMNS)
            yield mirror


@pytest.fixture
def goes_on(running: Mirror) -> Iterator[Mirror]:
    """The running mirror. At the end the test's rows are deleted, and the good cameras must have the same recorders."""
    before = recorders(running)
    yield running
    good = ", ".join(f"'{camera_id}'" for camera_id in GOOD_COLUMNS)
    running.database.execute(f"DELETE FROM cameras WHERE id NOT IN ({good}) OR id IS NULL")  # noqa: S608
    assert recorders(running) == before
    assert plan_counts(running.run("reconcile")) == {"unchanged": len(GOOD_COLUMNS)}


def programs_of(mirror: Mirror) -> dict[str, Any]:
    """Return the programs that supervisord's own parser finds in the mirror's configuration, by name."""
    options = ServerOptions()
    options.realize(["-c", str(mirror.state / "supervisord.conf")])
    programs = [program for group in options.process_group_configs for program in group.process_configs]
    return {program.name: program for program in programs if program.name != WATCH}


def test_strange_but_good_cameras_are_recorded(running: Mirror) -> None:
    """supervisord's own parser finds exactly the good cameras, each with its own command."""
    programs = programs_of(running)
    assert programs.keys() == {f"mirror-{camera_id}" for camera_id in GOOD_COLUMNS}
    for camera_id in GOOD_COLUMNS:
        assert f" {running.state}/specs/{camera_id}.spec " in programs[f"mirror-{camera_id}"].command
        assert len(ffmpegs(running, camera_id)) == 1
    assert plan_counts(running.run("reconcile")) == {"unchanged": len(GOOD_COLUMNS)}
    wait_for(lambda: all(camera["well"] for camera in running.status().values()))


def test_bad_ids_are_reported_and_become_nothing(goes_on: Mirror) -> None:
    """An id that can't name a directory and a stanza is reported in a printable form, and nothing is made of it."""
    before = sorted(goes_on.home.rglob("*.spec")), programs_of(goes_on).keys()
    for camera_id in BAD_IDS:
        goes_on.database.add(camera_id, name="x")
    result = goes_on.run("reconcile", code=1)
    lines = result.stdout.splitlines()
    for shown in BAD_IDS.values():
        assert (
            f"! {shown}: the id must be of letters, digits, '_' and '-', at most 100; give the camera another id"
            in lines
        )
    assert plan_counts(result) == {"unchanged": len(GOOD_COLUMNS), "unusable": len(BAD_IDS)}
    assert (sorted(goes_on.home.rglob("*.spec")), programs_of(goes_on).keys()) == before
    assert {path.name for path in goes_on.root.iterdir() if path.is_dir()} == GOOD_COLUMNS.keys()
    assert goes_on.status().keys() == GOOD_COLUMNS.keys() | set(BAD_IDS.values())


def test_bad_columns_are_reported_by_camera_and_reason(goes_on: Mirror) -> None:
    """Each unusable row is reported with what is wrong and what was expected. No secret is shown, and no stanza is
    made."""
    for camera_id, (columns, _) in BAD_COLUMNS.items():
        goes_on.database.add(camera_id, **columns)
    goes_on.database.execute(
        "INSERT INTO cameras (id, vendor, address, mirror_enabled, password) "
        "VALUES ('not_utf8', 'hikvision', '127.0.0.1', 1, CAST(x'ff' AS TEXT))"
    )
    plan = goes_on.json("reconcile")
    for camera_id, (_, reason) in BAD_COLUMNS.items():
        assert reason in plan["unusable"][camera_id], camera_id
    assert "password is not valid UTF-8" in plan["unusable"]["not_utf8"]
    assert plan["unusable"].keys() == BAD_COLUMNS.keys() | {"not_utf8"}
    assert plan["unchanged"] == sorted(GOOD_COLUMNS)
    assert programs_of(goes_on).keys() == {f"mirror-{camera_id}" for camera_id in GOOD_COLUMNS}
    shown = goes_on.run("status", code=1).stdout
    assert "port_text: rtsp_port is 'many'" in shown
    for text in (shown, str(plan)):
        assert "enc:v1:" not in text
        assert "p@ss/w:rd" not in text


@pytest.mark.parametrize(
    ("key", "reason"),
    [
        (base64.b64encode(KEY).decode()[:-8], "expected base64 of 32 bytes"),
        (
            base64.b64encode(OTHER_KEY).decode(),
            "HELDAR_SECRET_KEY is not the key that sealed it, or the value is damaged",
        ),
        ("!", "expected base64 of 32 bytes"),
        (" ", "HELDAR_SECRET_KEY is not set"),
    ],
    ids=["truncated", "another", "no base64", "none"],
)
def test_a_key_that_does_not_fit_costs_the_sealed_cameras_alone(goes_on: Mirror, key: str, reason: str) -> None:
    """With a wrong key the sealed cameras are unusable, but what runs for them goes on. Only the key's name is
    shown."""
    result = goes_on.run("reconcile", code=1, HELDAR_SECRET_KEY=key)
    assert f"! sealed: password is sealed and can't be opened: {reason}" in result.stdout.replace(
        "opened: HELDAR_SECRET_KEY: ", "opened: "
    )
    assert "(what runs for it goes on)" in result.stdout
    assert plan_counts(result) == {"unchanged": len(GOOD_COLUMNS) - 1, "unusable": 1}
    assert key.strip() in ("", "!") or key not in result.stdout + result.stderr


@pytest.mark.parametrize("camera_id", BECOMES_UNUSABLE)
def test_a_running_camera_whose_row_becomes_unusable_goes_on(goes_on: Mirror, camera_id: str) -> None:
    """A row that can't be understood does not stop a recorder. It goes on until the row clearly asks for no mirror."""
    goes_on.database.add(camera_id)
    goes_on.run("reconcile")
    before = wait_until_recording(goes_on, camera_id)
    columns, reason = BAD_COLUMNS[camera_id]
    goes_on.database.update(camera_id, **columns)
    result = goes_on.run("reconcile", code=1)
    assert f"! {camera_id}: " in result.stdout
    assert "(what runs for it goes on)" in result.stdout
    assert recorders(goes_on) == before
    assert f"{camera_id}: {reason}"[:60] in goes_on.run("reconcile", camera_id, code=1).stderr
    assert recorders(goes_on) == before
    assert goes_on.status()[camera_id]["wanted"] is None

    goes_on.database.update(camera_id, mirror_enabled=0)
    assert plan_counts(goes_on.run("reconcile"))["removed"] == 1
    assert camera_id not in recorders(goes_on)


def test_paths_with_awkward_characters_are_no_obstacle(mirror: Mirror) -> None:
    """Directories may hold per cent signs, quotes, backslashes and blanks, and the mirror root comment signs as
    well."""
    odd = mirror.home / "o'dd \"100%\\ %Y $x"
    odd.mkdir()
    root = odd / "mirror ;a #b [c]*%Y %(here)s"
    mirror.env |= {
        "HELDAR_MIRROR_STATE_DIR": str(odd / "state"),
        "HELDAR_MIRROR_LOG_DIR": str(odd / "log"),
        "HELDAR_MIRROR_RECORDINGS_DIR": str(root),
    }
    mirror.database.add("gate")
    mirror.state.symlink_to(odd / "state")
    with mirror.up():
        wait_for(lambda: root.is_dir() and list(root.glob("gate/[0-9]*_[0-9]*.mp4")), seen=mirror.status)
        wait_for(lambda: mirror.status()["gate"]["well"])
        assert [Path(mirror.status()["gate"]["segment"]["path"]).parent] == [root / "gate"]
    assert sorted(path.name for path in odd.iterdir()) == ["log", root.name, "state"]


@pytest.mark.parametrize("character", [" ;", " #", "[", "*", "?", "%(", "\n"])
def test_a_path_that_supervisord_could_not_read_back_is_named(mirror: Mirror, character: str) -> None:
    """A path with a character that supervisord's files can't hold is refused by the setting's name, and nothing is
    made."""
    state = f"{mirror.home}/a{character}b"
    result = mirror.run("up", code=3, HELDAR_MIRROR_STATE_DIR=state)
    assert "HELDAR_MIRROR_STATE_DIR=" in result.stderr
    assert "expected" in result.stderr
    assert not Path(state).exists()
