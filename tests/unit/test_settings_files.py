"""Where settings come from: the environment, our env file and Heldar's."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest
from support.no_plain_files import NO_PLAIN_FILES

from heldar_mirror.errors import SettingsError
from heldar_mirror.settings import load_settings


@pytest.mark.parametrize("name", ["HELDAR_MIRROR_RECORDING_DIR", "HELDAR_MIRROR_", "HELDAR_MIRROR_user"])
def test_an_unknown_setting_of_ours_is_named(name: str, env: dict[str, str]) -> None:
    """A misspelt name is an error wherever it stands, unless its value is blank. Those of Heldar are ignored."""
    with pytest.raises(SettingsError, match=f"{name} "):
        load_settings(env | {name: "/m"})
    file = Path(env["HELDAR_MIRROR_ENV_FILE"])
    file.write_text(f"{name}=/m\n")
    with pytest.raises(SettingsError, match=f"{name} "):
        load_settings(env)
    file.write_text(f"{name}= \nHELDAR_MIRRORED=1\n")
    load_settings(env | {"HELDAR_NO_MIRROR": "1"})


@pytest.fixture
def env(tmp_path: Path) -> dict[str, str]:
    """An environment with the paths of both env files, which don't exist yet."""
    return {"HELDAR_ENV_FILE": str(tmp_path / "heldar.env"), "HELDAR_MIRROR_ENV_FILE": str(tmp_path / "mirror.env")}


def test_the_environment_overrides_our_file_and_our_file_heldars(env: dict[str, str]) -> None:
    """There are three layers, and each may be missing."""
    assert load_settings(env).ffmpeg == "ffmpeg"
    Path(env["HELDAR_ENV_FILE"]).write_text("HELDAR_FFMPEG_BIN=1\nHELDAR_SECRET_KEY=1\nHELDAR_DATA_DIR=/1\n")
    Path(env["HELDAR_MIRROR_ENV_FILE"]).write_text("HELDAR_FFMPEG_BIN=2\nHELDAR_SECRET_KEY=2\n")
    made = load_settings(env | {"HELDAR_FFMPEG_BIN": "3"})
    assert (made.ffmpeg, made.secret_key, made.recordings_dir) == ("3", "2", Path("/1/recordings"))


def test_the_primarys_zone_is_that_of_heldars_own_file(env: dict[str, str]) -> None:
    """A TZ of our own is the zone of the times that we show."""
    ours, heldars = Path(env["HELDAR_MIRROR_ENV_FILE"]), Path(env["HELDAR_ENV_FILE"])
    ours.write_text("TZ=UTC\n")
    heldars.write_text("TZ= \n")
    assert load_settings(env | {"TZ": "UTC"}).primary_timezone is None
    heldars.write_text("TZ=Europe/Berlin\n")
    assert load_settings(env | {"TZ": "UTC"}).primary_timezone == "Europe/Berlin"


def test_a_blank_value_hides_no_other_layer(env: dict[str, str]) -> None:
    """A blank value counts as unset in each layer, so the value of a lower layer is used."""
    Path(env["HELDAR_ENV_FILE"]).write_text("HELDAR_FFMPEG_BIN=1\n")
    Path(env["HELDAR_MIRROR_ENV_FILE"]).write_text("HELDAR_FFMPEG_BIN=\n")
    assert load_settings(env | {"HELDAR_FFMPEG_BIN": " "}).ffmpeg == "1"


@pytest.mark.parametrize("name", ["HELDAR_ENV_FILE", "HELDAR_MIRROR_ENV_FILE"])
@pytest.mark.parametrize("damage", [Path.mkdir, lambda path: path.write_bytes(b"A=\xff")])
def test_an_env_file_that_cannot_be_read_is_an_error(
    name: str, damage: Callable[[Path], object], env: dict[str, str]
) -> None:
    """The file may hold an important setting, so it is not treated as missing."""
    damage(Path(env[name]))
    with pytest.raises(SettingsError, match=f"cannot read the settings in {env[name]}: "):
        load_settings(env)


@pytest.mark.parametrize("name", ["HELDAR_ENV_FILE", "HELDAR_MIRROR_ENV_FILE"])
@pytest.mark.parametrize("path", ["a\0b", "/a\nb", "/a\udcff"])
def test_a_path_of_an_env_file_that_no_file_can_have_is_an_error(name: str, path: str, env: dict[str, str]) -> None:
    with pytest.raises(SettingsError, match=f"{name}=.*: expected one line"):
        load_settings(env | {name: path})


@pytest.mark.parametrize("name", ["HELDAR_ENV_FILE", "HELDAR_MIRROR_ENV_FILE"])
@pytest.mark.parametrize("kind", sorted(NO_PLAIN_FILES.keys() - {"link"}))
def test_what_is_no_file_is_no_env_file(kind: str, name: str, env: dict[str, str]) -> None:
    """It is not waited for, nor taken for a file that is missing."""
    NO_PLAIN_FILES[kind](Path(env[name]))
    with pytest.raises(SettingsError, match=f"cannot read the settings in {env[name]}: .*expected a plain file"):
        load_settings(env)


@pytest.mark.parametrize("is_link", [False, True])
def test_the_null_device_stands_for_no_env_file(env: dict[str, str], *, is_link: bool) -> None:
    """A person may name it, or make a link to it, to say that there is none."""
    if is_link:
        Path(env["HELDAR_ENV_FILE"]).symlink_to(os.devnull)
    else:
        env["HELDAR_ENV_FILE"] = os.devnull
    assert load_settings(env).mirror_root is None


def test_an_env_file_may_be_a_link(env: dict[str, str], tmp_path: Path) -> None:
    """As for systemd: tools that manage configurations, and Kubernetes, put links there."""
    (tmp_path / "real").write_text("HELDAR_MIRROR_RECORDINGS_DIR=/mnt/mirror\n")
    Path(env["HELDAR_MIRROR_ENV_FILE"]).symlink_to("real")
    assert load_settings(env).mirror_root == Path("/mnt/mirror")


@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_a_byte_order_mark_hides_no_setting(end: str, env: dict[str, str]) -> None:
    """Some editors begin a file with it. It is no part of the first name."""
    text = f"\ufeffHELDAR_MIRROR_RECORDINGS_DIR=/mnt/mirror{end}HELDAR_FFMPEG_BIN=1{end}"
    Path(env["HELDAR_MIRROR_ENV_FILE"]).write_bytes(text.encode())
    made = load_settings(env)
    assert (made.mirror_root, made.ffmpeg) == (Path("/mnt/mirror"), "1")


def test_an_env_file_in_another_encoding_is_an_error(env: dict[str, str]) -> None:
    """UTF-16 is full of bytes that are no UTF-8, and its byte order mark is another one."""
    Path(env["HELDAR_MIRROR_ENV_FILE"]).write_bytes("HELDAR_MIRROR_RECORDINGS_DIR=/mnt/mirror\n".encode("utf-16"))
    with pytest.raises(SettingsError, match=f"{env['HELDAR_MIRROR_ENV_FILE']}: it is not UTF-8 .*save it anew"):
        load_settings(env)


@pytest.mark.parametrize("line", ["export HELDAR_FFMPEG_BIN=/x", " export\tHELDAR_FFMPEG_BIN = '/x'"])
@pytest.mark.parametrize("name", ["HELDAR_ENV_FILE", "HELDAR_MIRROR_ENV_FILE"])
def test_a_line_with_export_is_refused(name: str, line: str, env: dict[str, str]) -> None:
    """`export` is not part of an env file, and the setting would be lost without notice. The error shows the line."""
    Path(env[name]).write_text(f"{line}\n# export A=1\n")
    with pytest.raises(SettingsError, match=rf"{env[name]}: export\sHELDAR_FFMPEG_BIN"):
        load_settings(env)


@pytest.mark.skipif(Path("/etc/heldar").exists(), reason="this machine has settings of its own")
def test_a_blank_name_of_an_env_file_counts_as_unset() -> None:
    """The usual file is read if the variable with its name is blank."""
    unset = load_settings({})
    assert load_settings({"HELDAR_ENV_FILE": "", "HELDAR_MIRROR_ENV_FILE": " "}) == unset


def test_a_mirror_root_in_heldars_own_file_is_refused(env: dict[str, str]) -> None:
    """Heldar's kernel would mirror too. The message says which line to move where. A blank value is no error."""
    file = Path(env["HELDAR_ENV_FILE"])
    file.write_text("HELDAR_MIRROR_RECORDINGS_DIR= \n")
    assert load_settings(env).mirror_root is None
    file.write_text("HELDAR_MIRROR_RECORDINGS_DIR=/mnt/mirror\n")
    with pytest.raises(SettingsError) as caught:
        load_settings(env | {"HELDAR_MIRROR_RECORDINGS_DIR": "/elsewhere"})
    assert str(caught.value).startswith(
        f"HELDAR_MIRROR_RECORDINGS_DIR=/mnt/mirror stands in Heldar's own env file {file}"
    )
    assert f"Move that line to {env['HELDAR_MIRROR_ENV_FILE']}" in str(caught.value)


def test_a_mirror_root_in_our_own_file_is_used(env: dict[str, str]) -> None:
    """Our own env file is the place for the mirror root."""
    Path(env["HELDAR_MIRROR_ENV_FILE"]).write_text("HELDAR_MIRROR_RECORDINGS_DIR=/mnt/mirror\n")
    assert load_settings(env).mirror_root == Path("/mnt/mirror")
