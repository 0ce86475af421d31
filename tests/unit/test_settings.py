"""Settings: their defaults, what each value means, and which values are refused."""

import os
import pwd
from contextlib import nullcontext
from pathlib import Path

import pytest
from support.examples import KEY, settings
from support.users import STRANGER_UID, as_root

from heldar_mirror.errors import SettingsError
from heldar_mirror.setting_table import LOG_DIR, RUN_DIR, STATE_DIR
from heldar_mirror.settings import Settings, parse_settings

USER = pwd.getpwuid(os.geteuid()).pw_name

# A directory that only root can write to, wherever the tests run.
HERE = Path("/usr")


@pytest.fixture(autouse=True)
def _here(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(HERE)


def test_every_setting_has_a_default() -> None:
    """Only the state directory is set, whose default depends on the user. Mirroring is off, the rest has defaults."""
    assert parse_settings({"HELDAR_MIRROR_STATE_DIR": str(STATE_DIR)}) == Settings(
        mirror_root=None,
        recordings_dir=HERE / "data/recordings",
        database=HERE / "data/heldar.db",
        recorder_enabled=True,
        ffmpeg="ffmpeg",
        secret_key=None,
        state_dir=STATE_DIR,
        specs_dir=STATE_DIR / "specs",
        log_dir=LOG_DIR,
        status_file=RUN_DIR / "status/status.json",
        programs_file=STATE_DIR / "programs.conf",
        joined=False,
        prefix="mirror-",
        user=None,
        umask=0o027,
        manifests=True,
        manifests_key=None,
        manifests_retention_seconds=365 * 86_400,
        supervisor_url=f"unix://{STATE_DIR}/supervisor.sock",
        supervisor_username=None,
        supervisor_password=None,
        min_free_bytes=5 << 30,
        primary_max_bytes=20 << 30,
        primary_min_free_bytes=5 << 30,
        primary_timezone=None,
        deleted_retention_seconds=86_400,
        retention_interval=300,
    )


@pytest.mark.parametrize("blank", ["", " ", "\t"])
def test_a_blank_value_counts_as_unset(blank: str) -> None:
    """Blank values for all settings, ours and Heldar's, give the defaults."""
    names = (
        *("DATABASE_URL", "DATA_DIR", "RECORDINGS_DIR", "RECORDER_ENABLED", "FFMPEG_BIN", "SECRET_KEY"),
        *(
            "MIRROR_RECORDINGS_DIR",
            "MIRROR_SPECS_DIR",
            "MIRROR_LOG_DIR",
            "MIRROR_STATUS_DIR",
            "MIRROR_PROGRAMS_FILE",
            "MIRROR_PREFIX",
        ),
        *("MIRROR_USER", "MIRROR_UMASK"),
        *("MIRROR_MANIFESTS", "MIRROR_MANIFESTS_KEY", "MIRROR_MANIFESTS_RETENTION_DAYS"),
        *(f"MIRROR_SUPERVISOR_{name}" for name in ("URL", "USERNAME", "PASSWORD")),
    )
    only_state = {"HELDAR_MIRROR_STATE_DIR": "/s"}
    assert parse_settings({f"HELDAR_{name}": blank for name in names} | only_state) == parse_settings(only_state)


@pytest.mark.parametrize(
    ("variable", "value", "field", "expected"),
    [
        ("MIRROR_RECORDINGS_DIR", " /m/../mirror/ ", "mirror_root", Path("/mirror")),
        ("MIRROR_RECORDINGS_DIR", "/m;[x] #1", "mirror_root", Path("/m;[x] #1")),
        ("MIRROR_RECORDINGS_DIR", "mirror", "mirror_root", HERE / "mirror"),
        ("DATA_DIR", "/data", "recordings_dir", Path("/data/recordings")),
        ("RECORDINGS_DIR", "/rec", "recordings_dir", Path("/rec")),
        *(("RECORDER_ENABLED", value, "recorder_enabled", True) for value in ("1", "true", "YES", "On")),
        *(("RECORDER_ENABLED", value, "recorder_enabled", False) for value in ("0", "False", "no", "OFF")),
        ("FFMPEG_BIN", "/opt/my ffmpeg", "ffmpeg", "/opt/my ffmpeg"),
        ("SECRET_KEY", KEY, "secret_key", KEY),
        ("MIRROR_STATE_DIR", "/a b/state", "state_dir", Path("/a b/state")),
        ("MIRROR_STATE_DIR", "/state", "specs_dir", Path("/state/specs")),
        ("MIRROR_STATE_DIR", "/state", "log_dir", Path("/state/log")),
        ("MIRROR_STATE_DIR", "/state", "programs_file", Path("/state/programs.conf")),
        ("MIRROR_STATE_DIR", "/state", "supervisor_url", "unix:///state/supervisor.sock"),
        ("MIRROR_STATE_DIR", "/me@here", "supervisor_url", "unix:///me@here/supervisor.sock"),
        ("MIRROR_SPECS_DIR", "/specs", "specs_dir", Path("/specs")),
        ("MIRROR_LOG_DIR", "/log", "log_dir", Path("/log")),
        ("MIRROR_PROGRAMS_FILE", "/etc/x.conf", "programs_file", Path("/etc/x.conf")),
        ("MIRROR_PROGRAMS_FILE", "/etc/x.conf", "joined", True),
        ("MIRROR_PREFIX", "second_1-", "prefix", "second_1-"),
        ("MIRROR_USER", USER, "user", USER),
        *(("MIRROR_UMASK", value, "umask", 0o077) for value in ("077", "0077")),
        ("MIRROR_MANIFESTS", "off", "manifests", False),
        ("MIRROR_MANIFESTS_KEY", "/etc/heldar/k.pem", "manifests_key", Path("/etc/heldar/k.pem")),
        ("MIRROR_MANIFESTS_RETENTION_DAYS", "0.5", "manifests_retention_seconds", 43_200),
        ("MAX_RECORDINGS_GB", "0.5", "primary_max_bytes", 1 << 29),
        *(("MAX_RECORDINGS_GB", value, "primary_max_bytes", 20 << 30) for value in ("much", "-1", "nan")),
        ("MIN_FREE_DISK_GB", "0", "primary_min_free_bytes", 0),
        ("MIRROR_SUPERVISOR_URL", "http://127.0.0.1:9001", "supervisor_url", "http://127.0.0.1:9001"),
        ("MIRROR_SUPERVISOR_URL", "unix:///run/s.sock", "supervisor_url", "unix:///run/s.sock"),
        ("MIRROR_SUPERVISOR_USERNAME", "u", "supervisor_username", "u"),
        ("MIRROR_SUPERVISOR_PASSWORD", "p w", "supervisor_password", "p w"),
    ],
)
def test_each_setting_is_used(variable: str, value: str, field: str, expected: object) -> None:
    """Each variable sets its field. Values are trimmed, and paths made absolute."""
    joined = {"MIRROR_PROGRAMS_FILE": "/etc/x.conf"} if variable == "MIRROR_SUPERVISOR_URL" else {}
    assert getattr(settings(**joined, **{variable: value}), field) == expected


@pytest.mark.parametrize("url", ["http://127.0.0.1:9001", "unix:///run/s.sock"])
def test_joining_a_supervisord_takes_its_url_and_a_programs_file(url: str) -> None:
    """With the URL alone, `up` would run one supervisord and ask a different one. The error names both settings."""
    made = settings(MIRROR_SUPERVISOR_URL=url, MIRROR_PROGRAMS_FILE="/etc/x.conf")
    assert (made.supervisor_url, made.joined) == (url, True)
    with pytest.raises(SettingsError, match="HELDAR_MIRROR_PROGRAMS_FILE") as caught:
        settings(MIRROR_SUPERVISOR_URL=url)
    assert "HELDAR_MIRROR_SUPERVISOR_URL" in str(caught.value)


@pytest.mark.parametrize(
    ("url", "path"),
    [
        ("sqlite:///var/lib/heldar/heldar.db", "/var/lib/heldar/heldar.db"),
        ("sqlite:/var/lib/heldar.db", "/var/lib/heldar.db"),
        ("sqlite://./data/heldar.db", f"{HERE}/data/heldar.db"),
        ("sqlite://heldar.db", f"{HERE}/heldar.db"),
        ("sqlite:heldar.db", f"{HERE}/heldar.db"),
        ("sqlite:///h.db?mode=rwc&cache=shared", "/h.db"),
        ("sqlite:///a%20b/100%25%3F%23.db", "/a b/100%?#.db"),
        ("sqlite:///t%C3%BCr.db?", "/tür.db"),
    ],
)
def test_the_database_is_found_as_heldar_finds_it(url: str, path: str) -> None:
    """All forms of URL that Heldar accepts give the path that Heldar uses."""
    assert str(settings(DATABASE_URL=url).database) == path


@pytest.mark.parametrize(
    ("mode", "owner", "who"), [(0o757, 0, "everybody"), (0o1777, 0, "everybody"), (0o755, STRANGER_UID, "user 65534")]
)
@as_root
def test_no_database_is_taken_from_where_others_could_have_put_it(
    mode: int, owner: int, who: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A command that is called in /tmp would follow a table of any user's."""
    tmp_path.chmod(mode)
    os.chown(tmp_path, owner, owner)
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SettingsError, match=f"HELDAR_DATABASE_URL: .*{who}.* expected an absolute path"):
        settings(DATABASE_URL="sqlite:data/heldar.db")
    assert settings(DATABASE_URL="sqlite:/h.db").database == Path("/h.db")


@pytest.mark.parametrize(("text", "is_used"), [("ffmpeg9", True), ("/opt/ffmpeg", True), ("./ffmpeg", False)])
def test_ffmpeg_is_a_name_or_an_absolute_path(text: str, *, is_used: bool) -> None:
    with nullcontext() if is_used else pytest.raises(SettingsError, match=r"HELDAR_FFMPEG_BIN=.*absolute path"):
        assert settings(FFMPEG_BIN=text).ffmpeg == text


AWKWARD = "expected a path without"


@pytest.mark.parametrize(
    ("variable", "value", "expected"),
    [
        *(
            ("DATABASE_URL", value, "expected sqlite:// and the path of a file")
            for value in ("postgres://u:hidden@h/db", "/h.db", "sqlite:", "sqlite://", "sqlite::memory:", "sqlite://?x")
        ),
        ("DATABASE_URL", "postgres://[x", "expected sqlite:// and the path of a file"),
        ("DATABASE_URL", "sqlite:///a%0Ab", "expected one line of printable text"),
        *(("RECORDER_ENABLED", value, "expected 1, true, yes, on") for value in ("2", "maybe", "enabled")),
        *(
            (variable, "/a\nb", "expected one line of printable text")
            for variable in ("DATA_DIR", "RECORDINGS_DIR", "FFMPEG_BIN", "MIRROR_RECORDINGS_DIR", "MIRROR_STATE_DIR")
        ),
        *(
            (f"MIRROR_{name}", value, AWKWARD)
            for name in ("STATE_DIR", "SPECS_DIR", "LOG_DIR", "PROGRAMS_FILE")
            for value in ("/a ;b", "/a #b", "/a*", "/a?", "/[a]")
        ),
        ("MIRROR_LOG_DIR", "/a\udcff", "expected one line of printable text"),
        ("MIRROR_STATE_DIR", "/" + 100 * "x", "expected a path short enough for a socket in it"),
        *(("MIRROR_PREFIX", value, "expected up to 40 letters") for value in ("a b", "a:", "é", "x" * 41, "a/b", "%")),
        ("MIRROR_USER", "no such user", "expected the name of a user of this machine"),
        *(
            (variable, f"{value}{character}x", "expected one line of printable text")
            for variable, value in (("MIRROR_USER", "root"), ("MIRROR_SUPERVISOR_USERNAME", "u"), ("FFMPEG_BIN", "/f"))
            for character in ("\0", "\n", "\udcff", "\ud800", "\x1b")
        ),
        *(("MIRROR_UMASK", value, "expected three octal digits") for value in ("27", "0o27", "999", "1027", "-27")),
        *(
            ("MIRROR_SUPERVISOR_URL", value, "expected unix:///path/of/a/socket or http://host:port")
            for value in ("ftp://h", "localhost:9001", "unix://", "http://", "http://u:hidden@h:9001", "http://[h")
        ),
        *(
            ("MIRROR_SUPERVISOR_URL", value, "expected unix:///path/of/a/socket or http://host:port")
            for value in ("http:h", "unix:/s", "unix://run/s", "http:///s", "http://u:hidden/x@h", "unix:///a\nb")
        ),
        *(
            ("MIRROR_SUPERVISOR_URL", value, "expected unix:///path/of/a/socket or http://host:port")
            for value in ("unix:///a\0b", "unix:///a\udcffb", "unix:///a\x1bb")
        ),
    ],
)
def test_a_bad_value_is_named_with_its_variable(variable: str, value: str, expected: str) -> None:
    """The message names the variable and what was expected, in one line, and shows no password."""
    joined = {"MIRROR_PROGRAMS_FILE": "/etc/x.conf"} if variable == "MIRROR_SUPERVISOR_URL" else {}
    with pytest.raises(SettingsError) as caught:
        settings(**joined, **{variable: value})
    message = str(caught.value)
    assert message.startswith(f"HELDAR_{variable}=")
    assert expected in message
    assert message.isprintable()
    assert "hidden" not in message


def test_a_bad_limit_of_the_primary_alone_does_no_harm() -> None:
    """If the mirror has a floor of its own, Heldar's own only tells what has expired."""
    made = settings(MIRROR_MIN_FREE_GB="1", MIN_FREE_DISK_GB="much")
    assert (made.min_free_bytes, made.primary_min_free_bytes) == (1 << 30, 5 << 30)


@pytest.mark.parametrize("variable", ["SECRET_KEY", "MIRROR_SUPERVISOR_PASSWORD"])
@pytest.mark.parametrize("character", ["\0", "\n", "\r", "\udcff"])
def test_a_secret_that_fits_into_no_line_is_not_shown(variable: str, character: str) -> None:
    """`up` hands it to the watcher in a file of lines. What is no UTF-8 could not even be written."""
    with pytest.raises(SettingsError, match=f"^HELDAR_{variable}: expected one line of text in UTF-8") as caught:
        settings(**{variable: f"hidden{character}hidden"})
    assert "hidden" not in str(caught.value)


@pytest.mark.parametrize("variable", ["DATABASE_URL", "DATA_DIR", "MIRROR_STATE_DIR", "MIRROR_RECORDINGS_DIR"])
@pytest.mark.parametrize("name", ["a\nb", b"a\xff", None])
def test_a_relative_path_needs_a_working_directory_that_can_be_named(
    variable: str, name: str | bytes | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One with a line break would end a line of supervisord's files. `None` is one that was removed."""
    directory = tmp_path / os.fsdecode(name or "gone")
    directory.mkdir()
    monkeypatch.chdir(directory)
    if name is None:
        directory.rmdir()
    absolute = {"DATABASE_URL": "sqlite:/h.db", "DATA_DIR": "/data"}
    assert settings(**absolute).database == Path("/h.db")
    value = "sqlite:x/h.db" if variable == "DATABASE_URL" else "x"
    with pytest.raises(SettingsError, match=f"HELDAR_{variable}=.*: expected ") as caught:
        settings(**absolute | {variable: value})
    assert str(caught.value).isprintable()


def test_the_directory_of_heldars_data_is_not_needed_beside_that_of_its_recordings(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its default is a relative path, which would need a working directory."""
    monkeypatch.chdir(tmp_path)
    tmp_path.rmdir()
    assert settings(DATABASE_URL="sqlite:/h.db", RECORDINGS_DIR="/rec").recordings_dir == Path("/rec")


def test_a_joined_supervisord_allows_a_long_state_directory() -> None:
    """No socket of ours has to fit into the state directory's path."""
    assert settings(MIRROR_STATE_DIR="/" + 100 * "x", MIRROR_PROGRAMS_FILE="/etc/x.conf").joined


def test_the_repr_of_settings_shows_no_secret() -> None:
    """The repr shows neither the key nor supervisord's password."""
    shown = repr(settings(SECRET_KEY="hidden", MIRROR_SUPERVISOR_PASSWORD="hidden"))
    assert "hidden" not in shown


@pytest.mark.parametrize(
    ("one", "other"), [("/a/b-c", "/a-b/c"), (str(STATE_DIR), "/specs"), ("/a b", "/a-b"), ("/a", "/b")]
)
def test_with_a_key_the_specs_are_on_a_tmpfs_in_a_directory_per_state(one: str, other: str) -> None:
    """Credentials sealed in the database are not written to a disk, and two instances don't share a directory."""
    found = {settings(SECRET_KEY=KEY, MIRROR_STATE_DIR=state).specs_dir for state in (one, other)}
    assert len(found) == 2
    assert all(path.is_relative_to("/run") for path in found)
    assert settings(SECRET_KEY=KEY, MIRROR_SPECS_DIR="/disk").specs_dir == Path("/disk")


@pytest.mark.skipif(STATE_DIR.exists(), reason="this machine has the state directory that every user would use")
@pytest.mark.parametrize(
    ("user_id", "xdg", "expected"),
    [
        (0, "/home/me/state", str(STATE_DIR)),
        (1000, "/home/me/state", "/home/me/state/heldar-mirror"),
        (1000, "state", f"{HERE}/state/heldar-mirror"),
        (1000, None, "/home/me/.local/state/heldar-mirror"),
        (1000, "/home/me ;/[x]", None),
    ],
)
def test_users_other_than_root_have_a_state_directory_at_home(
    user_id: int, xdg: str | None, expected: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is below XDG_STATE_HOME. A path that supervisord can't read is refused there, too."""
    monkeypatch.setattr(os, "geteuid", lambda: user_id)
    monkeypatch.setenv("HOME", "/home/me")
    monkeypatch.delenv("XDG_STATE_HOME", raising=False)
    if xdg:
        monkeypatch.setenv("XDG_STATE_HOME", xdg)
    if expected:
        assert str(parse_settings({}).state_dir) == expected
    else:
        with pytest.raises(SettingsError, match=AWKWARD):
            parse_settings({})


def test_with_a_state_directory_no_home_is_needed(monkeypatch: pytest.MonkeyPatch) -> None:
    """A container's user without a home can run the mirror. The error names the setting that avoids the home."""

    def no_home() -> Path:
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    monkeypatch.setattr(Path, "home", no_home)
    monkeypatch.delenv("XDG_STATE_HOME", raising=False)
    assert settings(MIRROR_STATE_DIR="/s").state_dir == Path("/s")
    if not STATE_DIR.exists():
        with pytest.raises(SettingsError, match="HELDAR_MIRROR_STATE_DIR"):
            parse_settings({})
