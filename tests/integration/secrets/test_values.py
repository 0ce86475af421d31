"""Values, errors and settings show no secret."""

import re
import signal
import subprocess
import sys
import traceback
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest
from support.examples import KEY, camera, row, seal, settings
from support.mirror import Mirror
from support.secrets import OTHER_KEY, PASSWORDS, RIGHT, leaks, shown

from heldar_mirror.errors import MirrorError
from heldar_mirror.heldar import camera_url, sealed
from heldar_mirror.heldar.cameras import CameraError, parse_camera
from heldar_mirror.proc.recorders import RECORDER
from heldar_mirror.programs import plan
from heldar_mirror.programs.desired import Desired, desired_state
from heldar_mirror.programs.launch_spec import LaunchSpec, parse_launch_spec
from heldar_mirror.recorder.volume import MARKER
from heldar_mirror.settings import load_settings

LEAKY_FFMPEG = """#!/bin/sh
for word; do echo "cannot open $word: Invalid argument" >&2; done
exit 1
"""


def launch_spec(root: Path, program: str) -> LaunchSpec:
    """Return what is to be recorded of a camera with a password of all kinds of characters, in the worst places of its
    URL."""
    url = f"rtsp://127.0.0.1:{PASSWORDS['raw_slash']}@127.0.0.1/x?password={PASSWORDS['raw_letters']}&x=y"
    row_of_it = row(password=RIGHT, main_stream_url=seal(url.encode()))
    set_up = settings(SECRET_KEY=KEY, FFMPEG_BIN=program, MIRROR_RECORDINGS_DIR=str(root))
    return desired_state([row_of_it], set_up, "the volume").specs["gate"]


def test_a_recorder_with_a_damaged_launch_spec_tells_no_secret(tmp_path: Path) -> None:
    """A recorder shows no secret, wherever its launch spec is cut off or broken, and whatever ffmpeg makes of the
    rest."""
    program = tmp_path / "ffmpeg"
    program.write_text(LEAKY_FFMPEG)
    program.chmod(0o755)
    (tmp_path / MARKER).write_text("the volume\n")
    whole = launch_spec(tmp_path, str(program)).render(1).encode()
    lines = whole.splitlines(keepends=True)
    first_secret, first_arg = (whole.index(word) for word in (b"secret=", b"arg="))
    ends = [sum(map(len, lines[: number + 1])) for number in range(len(lines))]
    damaged = [
        *(whole[: end - end % 3] for end in ends[::3] if end > first_secret),
        *(whole.replace(line, line.replace(b"=", b" "), 1) for line in lines),
        *(whole.replace(b"wombat", wrong) for wrong in (b"wombat\xff", b"wombat\0", b"wombat\n")),
        whole[:first_arg] + b"arg=/nowhere/ffmpeg\n" + whole[first_arg:].partition(b"\n")[2],
    ]
    told = {}
    for number, content in enumerate(damaged):
        path = tmp_path / f"{number}.spec"
        path.write_bytes(content)
        command = [sys.executable, "-I", "-S", str(RECORDER), str(path), "1"]
        with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT) as process:
            assert process.stdout
            first = process.stdout.readline()
            process.terminate()
            told[str(content)] = first + process.stdout.read()
        assert process.returncode in {0, -signal.SIGTERM}, content
    assert b"cannot open rtsp://***" in b"".join(told.values())
    assert {name: text for name, text in told.items() if leaks({"": text})} == {}


def tellings(error: BaseException) -> str:
    """Return all that Python itself shows of an error."""
    return f"{error} {error!r} {''.join(traceback.format_exception(error))}"


def test_no_value_shows_a_secret_in_its_repr() -> None:
    """Cameras, launch specs, settings and plans show no secret when they are printed, be it in a log or a traceback."""
    set_up = settings(SECRET_KEY=KEY, MIRROR_SUPERVISOR_PASSWORD=PASSWORDS["supervisor"])
    spec, other = launch_spec(Path("/mnt/mirror"), "ffmpeg"), launch_spec(Path("/mnt/other"), "ffmpeg")
    desired = Desired({"gate": spec})
    saved = {"gate": plan.Saved(other, 1), "hall": plan.Saved(spec, 1)}
    made = plan.make_plan(desired, saved, now=2)
    values = [
        *(set_up, spec, desired, saved, made, list(made.changed[0].lines()), list(made.removed[0].lines())),
        *(camera(password=RIGHT), camera(main_stream_url=f"rtsp://a:{PASSWORDS['raw_slash']}@127.0.0.1/")),
    ]
    assert leaks({type(value).__name__: f"{value} {value!r}".encode() for value in values}) == []


def broken_rows() -> Iterator[Mapping[str, object]]:
    """Rows that can't be used, each with a secret in it."""
    password = PASSWORDS["white"]
    for stored in (seal(password.encode(), OTHER_KEY), seal(password.encode() + b"\xff"), f"enc:v1:{password}"):
        yield row(password=stored)
        yield row(main_stream_url=stored)
    for url in ("ftp://a:{}@127.0.0.1/", "{}", "rtsp://a:{}@127.0.0.1/", f"rtsp://a:{{}}@127.0.0.1/{'x' * 3000}"):
        yield row(main_stream_url=url.format(password))
    yield row(password=password.encode())
    yield row(password=password + "\udcff")
    for column in ("address", "vendor"):
        yield row(**{column: "", "password": password})


def test_no_error_shows_a_secret_even_with_its_traceback(tmp_path: Path) -> None:
    """No error about a row, a sealed value, a launch spec, a file or a setting shows a secret, in its message, repr or
    traceback."""
    password = PASSWORDS["white"]
    env_file = tmp_path / "mirror.env"
    env_file.write_bytes(b"HELDAR_SECRET_KEY=" + KEY.encode() + b"\xff")
    environment = {"HELDAR_ENV_FILE": str(env_file), "HELDAR_SECRET_KEY": KEY}
    spec = launch_spec(Path("/mnt/mirror"), "ffmpeg")
    failing: list[Callable[[], object]] = [
        *(partial(use, bad, key) for bad in broken_rows() for key in (KEY, None, "quokka", KEY[:-8], f"{KEY}é")),
        *(partial(parse_launch_spec, spec.render(1).replace(word, "\n")) for word in ("wombat", "arg=", "url=")),
        partial(replace(spec, url=f"{spec.url}\n").render, 1),
        partial(load_settings, environment),
        partial(settings, MIRROR_SUPERVISOR_URL=f"http://admin:{password}@127.0.0.1:9001"),
        partial(settings, DATABASE_URL=f"postgres://admin:{password}@127.0.0.1/heldar"),
    ]
    told = {}
    for number, fail in enumerate(failing):
        try:
            fail()
        except (CameraError, MirrorError, ValueError) as error:
            told[f"{number} {type(error).__name__}"] = tellings(error).encode(errors="replace")
        else:
            pytest.fail(f"no error: {fail}")
    assert leaks(told) == []


def use(bad_row: Mapping[str, object], key: str | None) -> None:
    camera_url.record_url(parse_camera(bad_row, lambda value: sealed.unseal(value, key)))


BAD_SETTINGS = {
    "a key that is no base64": {"HELDAR_SECRET_KEY": PASSWORDS["of_texts"]},
    "a key that is cut off": {"HELDAR_SECRET_KEY": KEY[:-8]},
    "another key": {"HELDAR_SECRET_KEY": OTHER_KEY},
    "two lines": {"HELDAR_SECRET_KEY": f"{KEY}\n{KEY}"},
    "a password in a URL": {"HELDAR_MIRROR_SUPERVISOR_URL": f"http://admin:{PASSWORDS['of_texts']}@127.0.0.1:9001"},
    "another database": {"HELDAR_DATABASE_URL": f"postgres://admin:{PASSWORDS['of_texts']}@127.0.0.1/heldar"},
    "a misspelt name": {"HELDAR_MIRROR_SUPERVISOR_PASS": PASSWORDS["of_texts"]},
}

BAD_LINES = {
    "not UTF-8": b"HELDAR_SECRET_KEY=" + KEY.encode() + b"\xff",
    "exported": b"export HELDAR_SECRET_KEY=" + KEY.encode(),
    "without a name": b"=" + KEY.encode(),
}


@pytest.mark.parametrize("variables", BAD_SETTINGS.values(), ids=BAD_SETTINGS)
def test_a_setting_that_can_not_be_used_is_not_shown(mirror: Mirror, variables: dict[str, str]) -> None:
    """A bad key, or a secret in a wrong variable, is reported by the variable's name, or by the value that it can't
    open."""
    mirror.database.add("gate", password=seal(RIGHT.encode()))
    result = mirror.run("reconcile", "--dry-run", code=None, **variables)
    assert result.returncode in {1, 3}
    assert leaks(shown(result)) == []
    assert set(variables) & set(re.findall(r"HELDAR_\w+", result.stdout + result.stderr))
    assert "Traceback" not in result.stderr


@pytest.mark.parametrize("line", BAD_LINES.values(), ids=BAD_LINES)
def test_an_env_file_that_can_not_be_used_is_not_shown(mirror: Mirror, line: bytes) -> None:
    """A bad env file is reported by its name and what is wrong, without the key that it holds."""
    (mirror.home / "mirror.env").write_bytes(line)
    result = mirror.run("status", code=None)
    assert leaks(shown(result)) == []
    assert "Traceback" not in result.stderr
