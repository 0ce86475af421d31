"""The settings on their way from the watcher to the process that prunes."""

import contextlib
import json
import math
import os
import pickle
import random
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from heldar_mirror.keeping import protocol
from heldar_mirror.keeping.protocol import MAX_LINE, LaterLines, encode_settings
from heldar_mirror.pruning.settings import PruningSettings
from heldar_mirror.settings import parse_settings

SETTINGS = PruningSettings(
    mirror_root=Path("/mirror"),
    recordings_dir=Path("/recordings"),
    database=Path("/heldar.db"),
    state_dir=Path("/state"),
    specs_dir=Path("/specs"),
)


decode_settings = partial(protocol.decode_settings, kind=PruningSettings)
receive_settings = partial(protocol.receive_settings, kind=PruningSettings)


def line_of(**changes: object) -> bytes:
    """Return a line of settings, but for `changes`."""
    return json.dumps(json.loads(encode_settings(SETTINGS)) | changes).encode() + b"\n"


def line_without(name: str) -> bytes:
    return json.dumps({n: value for n, value in json.loads(encode_settings(SETTINGS)).items() if n != name}).encode()


@pytest.mark.parametrize(
    "settings",
    [
        SETTINGS,
        replace(SETTINGS, user="recorder", min_free_bytes=123, deleted_retention_seconds=0.5, retention_interval=1.5),
        replace(SETTINGS, mirror_root=Path("/a b/ü/\n/\udcff"), state_dir=Path("/ ;#%'\"\\")),
    ],
)
def test_settings_arrive_as_they_were_sent(settings: PruningSettings) -> None:
    assert decode_settings(encode_settings(settings)) == settings
    assert encode_settings(settings).count(b"\n") == 1


def test_no_secret_is_sent() -> None:
    """What pruning needs is sent, and nothing else."""
    variables = {
        "HELDAR_MIRROR_RECORDINGS_DIR": "/mirror",
        "HELDAR_MIRROR_STATE_DIR": "/state",
        "HELDAR_SECRET_KEY": "key-that-is-secret",
        "HELDAR_MIRROR_SUPERVISOR_PASSWORD": "password-that-is-secret",
    }
    line = encode_settings(PruningSettings.of(parse_settings(variables)))
    assert b"secret" not in line
    assert json.loads(line)["mirror_root"] == "/mirror"


def test_the_defaults_are_those_of_the_settings() -> None:
    settings = PruningSettings.of(
        parse_settings({"HELDAR_MIRROR_RECORDINGS_DIR": "/m", "HELDAR_MIRROR_STATE_DIR": "/s"})
    )
    paths = {name: getattr(settings, name) for name in ("mirror_root", "recordings_dir", "database", "state_dir")}
    assert settings == PruningSettings(**paths, specs_dir=settings.specs_dir)


def test_names_that_are_not_known_are_ignored() -> None:
    """A watcher that is older, or newer, may send other settings."""
    assert decode_settings(line_of(ffmpeg="ffmpeg", future={"a": []})) == SETTINGS


@pytest.mark.parametrize("name", ["user", "min_free_bytes", "deleted_retention_seconds", "retention_interval"])
def test_a_setting_that_is_missing_has_its_default(name: str) -> None:
    assert decode_settings(line_without(name)) == SETTINGS


@pytest.mark.parametrize("name", ["mirror_root", "recordings_dir", "database", "state_dir", "specs_dir"])
def test_a_path_that_is_missing_is_an_error(name: str) -> None:
    """Pruning a default directory, or not seeing what is open there, would cost footage."""
    with pytest.raises(ValueError, match=f"lack {name}"):
        decode_settings(line_without(name))


PATHS = [None, 5, "", "relative", "/nul\0", "/\ud800", ["/"], {"a": 1}]
NUMBERS: list[object] = [None, "5", True, -1, 1e30, 10**400, math.nan, math.inf, []]
BAD_VALUES: dict[str, list[object]] = {
    "mirror_root": [*PATHS],
    "min_free_bytes": [*NUMBERS],
    "retention_interval": [*NUMBERS, 0, 0.9],
    "deleted_retention_seconds": [*NUMBERS, -0.1],
    "user": [5, [], True],
}


@pytest.mark.parametrize(("name", "value"), [(name, value) for name in BAD_VALUES for value in BAD_VALUES[name]])
def test_a_value_that_a_setting_can_not_have_is_an_error(name: str, value: object) -> None:
    """It is named, and shown in few and plain words."""
    with pytest.raises(ValueError, match=rf"^{name} is .*, expected ") as error:
        decode_settings(line_of(**{name: value}))
    assert len(str(error.value)) < 150
    assert str(error.value).isprintable()


class Trap:
    """Something whose pickle runs code when it is loaded."""

    def __reduce__(self) -> tuple[Callable[..., Any], tuple[object, ...]]:
        return os.abort, ()


HOSTILE = [
    b"",
    b"\n",
    b"{",
    b"{}\n",
    b"[]\n",
    b"null\n",
    b"5\n",
    b'"text"\n',
    b"\xff\xfe{\n",
    b"hello\n",
    b"[" * 100_000,
    b'{"a":' * 100_000,
    b"{" + b"9" * 10_000,
    b'{"mirror_root": ' + b"9" * 10_000 + b"}\n",
    b"\x80\x04\x95",
    pickle.dumps(Trap()),
    pickle.dumps(Trap(), protocol=0),
    encode_settings(SETTINGS) + b"and more\n",
    encode_settings(SETTINGS) * 2,
    b"{" + b" " * (2 * MAX_LINE),
    b"import os; os.abort()\n",
    bytes(100),
    bytes(random.Random(1).randbytes(100_000)),
]


@contextmanager
def pipe_of(content: bytes, *, closed: bool) -> Iterator[int]:
    """A pipe that holds something, as far as that fits into it."""
    reader, writer = os.pipe()
    os.set_blocking(writer, False)
    os.write(writer, content[: 1 << 16])
    if closed:
        os.close(writer)
    yield reader
    os.close(reader)
    if not closed:
        os.close(writer)


@pytest.mark.parametrize("content", HOSTILE)
def test_what_is_not_settings_is_a_value_error(content: bytes) -> None:
    """Nothing of it is ever run, and no other error comes."""
    with pytest.raises(ValueError, match=r"expected|lack"):
        decode_settings(content)
    with pipe_of(content, closed=True) as fd, pytest.raises(ValueError, match=r"expected|lack"):
        receive_settings(fd)


@given(st.binary(max_size=200) | st.text(max_size=200).map(lambda text: text.encode(errors="surrogatepass")))
def test_any_bytes_are_settings_or_a_value_error(content: bytes) -> None:
    with pytest.raises(ValueError, match=r"expected|lack"):
        decode_settings(content)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(), inner, max_size=2),
    max_leaves=4,
)


@given(st.dictionaries(st.sampled_from([*json.loads(encode_settings(SETTINGS)), "other"]), json_values, max_size=3))
def test_any_object_is_settings_or_a_value_error(changes: dict[str, object]) -> None:
    """No other error comes."""
    with contextlib.suppress(ValueError):
        assert isinstance(decode_settings(line_of(**changes)), PruningSettings)


def test_settings_are_read_while_the_pipe_stays_open() -> None:
    """And what is no settings is refused at once, though no newline comes."""
    with pipe_of(encode_settings(SETTINGS), closed=False) as fd:
        assert receive_settings(fd) == SETTINGS
    with (
        pipe_of(pickle.dumps({"of": "a watcher of before"}), closed=False) as fd,
        pytest.raises(ValueError, match="JSON"),
    ):
        receive_settings(fd)


def test_settings_that_do_not_come_are_not_waited_for_for_ever() -> None:
    with pipe_of(b'{"mirror', closed=False) as fd, pytest.raises(ValueError, match="within 0 s"):
        receive_settings(fd, seconds=0.1)


def test_later_lines_name_cameras_until_the_input_ends() -> None:
    """They may arrive in parts. A line in another format is ignored."""
    reader, writer = os.pipe()
    suspects: list[list[str]] = []
    lines = LaterLines(reader, suspects.append)
    assert not lines.wait(0)
    os.write(writer, b'["gate", "h')
    assert not lines.wait(0)
    assert suspects == []
    os.write(writer, b'all"]\n{"future": 1}\n\xff\n["yard"]\n')
    assert not lines.wait(0)
    assert suspects == [["gate", "hall"], ["yard"]]
    os.close(writer)
    assert lines.wait(0)
    os.close(reader)
