"""Names and errors from outside reach a terminal, a log and the status as text alone."""

import contextlib
import json
import os
import pty
import subprocess
from pathlib import Path

import pytest
from support.hostile import FORGED, HOSTILE, is_harmless
from support.mirror import Mirror
from support.waiting import COMMAND_SECONDS, wait_for

NAME = HOSTILE.replace("\x00", "")
FILE_NAME = NAME.replace("/", "")


def on_terminal(mirror: Mirror, *args: str, **env: str) -> str:
    """Return what a command shows on a terminal."""
    ours, terminal = pty.openpty()
    env = {**mirror.env, "TERM": "dumb", **env}  # a bar of progress would move the cursor
    process = subprocess.Popen(mirror.command(*args), env=env, stdin=terminal, stdout=terminal, stderr=terminal)
    os.close(terminal)
    output = b""
    with contextlib.suppress(OSError):  # the terminal's other end is closed
        while chunk := os.read(ours, 65536):
            output += chunk
    os.close(ours)
    process.wait(COMMAND_SECONDS)
    return output.decode()


def check(shown: str) -> None:
    """Check that a terminal's output is text with our colours, and that no line of it is forged."""
    assert is_harmless(shown, "\r\n"), shown
    assert not [line for line in shown.splitlines() if line.startswith(FORGED)]


def spoil(mirror: Mirror) -> None:
    """Make the cameras table a view of a table of a hostile name, which SQLite names in its error."""
    mirror.database.execute(f'DROP TABLE cameras; CREATE VIEW cameras AS SELECT * FROM "{NAME}";')  # noqa: S608


def populate(mirror: Mirror) -> None:
    """Give rows, and the directories and files of the volume, hostile names."""
    mirror.database.add(NAME)
    mirror.database.add("gate", vendor=NAME)
    mirror.database.add("hall", record_stream=NAME, name=NAME)
    mirror.database.add("yard", main_stream_url=f"rtsp://127.0.0.1/{NAME}")
    mirror.database.add("shed", main_stream_url=f"{NAME}://127.0.0.1/")
    mirror.run("adopt-volume")
    (mirror.root / FILE_NAME).mkdir()
    (mirror.root / FILE_NAME / f"{FILE_NAME}.mp4").touch()


COMMANDS = {
    "status": ("status",),
    "reconcile": ("reconcile", "--dry-run"),
    "reconcile one": ("reconcile", NAME),
    "reconcile some": ("reconcile", "--dry-run", NAME, f"{NAME}2", "gate"),
    "prune": ("prune", "--dry-run"),
    "no command": (NAME,),
    "no option": ("status", f"--{NAME}"),
    "an argument": ("status", NAME),
    "up": ("up", NAME),
}


@pytest.mark.parametrize("command", COMMANDS.values(), ids=COMMANDS)
@pytest.mark.parametrize("spoilt", [False, True], ids=["rows", "schema"])
def test_no_command_obeys_a_name(mirror: Mirror, command: tuple[str, ...], *, spoilt: bool) -> None:
    """Rows, tables, directories, files and arguments of any name are shown as text."""
    populate(mirror)
    if spoilt:
        spoil(mirror)
    shown = on_terminal(mirror, *command)
    check(shown)
    assert "Traceback" not in shown


SETTINGS = ("HELDAR_FFMPEG_BIN", "HELDAR_MIRROR_STATE_DIR", "HELDAR_DATABASE_URL", "HELDAR_MIRROR_X")


@pytest.mark.parametrize("name", SETTINGS)
def test_no_setting_is_obeyed(mirror: Mirror, name: str) -> None:
    """A setting that can't be used is shown as text."""
    check(on_terminal(mirror, "status", **{name: NAME}))
    Path(mirror.env["HELDAR_MIRROR_ENV_FILE"]).write_text(f"export {FILE_NAME}=1\nHELDAR_MIRROR_{FILE_NAME}=1\n")
    check(on_terminal(mirror, "status"))


@pytest.mark.slow
def test_the_watcher_logs_and_publishes_names_as_text(mirror: Mirror) -> None:
    """Each line of its log begins with the time, and the status has one problem for each."""
    populate(mirror)
    with mirror.up(watched=True):
        spoil(mirror)
        wait_for(lambda: "cannot read the cameras" in mirror.watch_log())
        wait_for(lambda: any("cannot read the cameras" in problem for problem in mirror.json("status")["problems"]))
        shown = on_terminal(mirror, "status")
        published = json.loads((mirror.state / "status/status.json").read_text())
    check(shown)
    assert "no such table" in shown
    assert all(problem.isprintable() for problem in published["problems"])
    lines = mirror.watch_log().rstrip("\n").split("\n")
    assert not [line for line in lines if not line.isprintable() or not line[:4].isdigit()]
    check(mirror.up_log())
