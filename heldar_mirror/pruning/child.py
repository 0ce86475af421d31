"""The child process that prunes for the watcher: both ends of the protocol between the two.

The watcher writes one line to the child's standard input, the settings as a JSON object, and keeps that pipe open: the
child ends when it is closed. Each later line is a JSON list of cameras whose recordings ended because a write found no
room: the child tries that at once. Whenever its problems change, the child writes all of them in one line to its
standard output, as a JSON list of texts. After an upgrade the child may be newer than its watcher, so it ignores
settings whose names are new to it, and uses the default of a setting that is missing.
"""

import asyncio
import json
import os
import select
import signal
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import MISSING, asdict, fields
from functools import partial
from pathlib import Path
from typing import Any

from heldar_mirror.children import PYTHON, child_environment
from heldar_mirror.errors import MirrorError
from heldar_mirror.proc.processes import parent_and_user
from heldar_mirror.proc.recorders import Ours, ours
from heldar_mirror.pruning.loop import PruningLoop
from heldar_mirror.pruning.pruner import make_pruner
from heldar_mirror.pruning.settings import PruningSettings
from heldar_mirror.settings import Settings

# No line of the protocol is longer: a loop publishes at most 21 texts of 5,000 characters, each at most 12 bytes
# in JSON.
MAX_LINE = 2 << 20

# The watcher writes the settings at once, but it may be suspended, or the machine busy.
SETTINGS_SECONDS = 30.0

RESTART_SECONDS = 1.0
# A child that was asked to end gets this long. On a volume that hangs it may not end.
END_SECONDS = 5.0

# `setpriv` ends the child when the watcher dies, even if the child is too busy to notice that its input has ended.
COMMAND = ("setpriv", "--pdeathsig", "TERM", "--", *PYTHON, "-m", "heldar_mirror", "prune", "--forever")

# The least value of each setting that is a number, and the greatest value of all of them.
LEAST = {"min_free_bytes": 0, "deleted_retention_seconds": 0, "retention_interval": 1}
MAX_NUMBER = 1 << 62


# Encoding and decoding the settings.


def encode_settings(settings: PruningSettings) -> bytes:
    """Return the line by which a child gets its settings."""
    values = {name: str(value) if isinstance(value, Path) else value for name, value in asdict(settings).items()}
    return json.dumps(values).encode() + b"\n"


def decode_settings(line: bytes) -> PruningSettings:
    """Return the settings in such a line. Raises ValueError for any other line, with what was expected."""
    try:
        found = json.loads(line.decode())
    except (ValueError, RecursionError):
        raise ValueError("expected the settings from the watcher, as a JSON object in one line") from None
    if not isinstance(found, dict):
        raise ValueError(f"expected a JSON object with the settings, not {_shown(found)}")
    values = {}
    for each in fields(PruningSettings):
        if each.name in found:
            values[each.name] = _checked(each.name, found[each.name])
        elif each.default is MISSING:
            raise ValueError(f"the settings from the watcher lack {each.name}")
    return PruningSettings(**values)


def _checked(name: str, value: object) -> Any:
    """Return the value of a setting with the right type. Raises ValueError if it is none for this setting."""
    if name == "user":
        if value is None or isinstance(value, str):
            return value
        raise ValueError(f"{name} is {_shown(value)}, expected a text or null")
    if name in LEAST:
        if isinstance(value, (int, float)) and not isinstance(value, bool) and LEAST[name] <= value <= MAX_NUMBER:
            return int(value) if name == "min_free_bytes" else float(value)
        raise ValueError(f"{name} is {_shown(value)}, expected a number, {LEAST[name]} or more")
    if isinstance(value, str) and value.startswith("/") and "\0" not in value and _is_encodable(value):
        return Path(value)
    raise ValueError(f"{name} is {_shown(value)}, expected an absolute path")


def _is_encodable(path: str) -> bool:
    try:
        os.fsencode(path)
    except UnicodeEncodeError:
        return False
    return True


def _shown(value: object) -> str:
    return ascii(value)[:60]


# The child's end.


def run_child(settings: PruningSettings, log: Callable[[str], None]) -> None:
    """Prune until standard input ends. `log` is called with what was removed.

    Raises BrokenPipeError if nobody reads standard output.
    """

    def publish(problems: list[str]) -> None:
        os.write(1, json.dumps(problems).encode() + b"\n")

    pruner = make_pruner(settings, partial(_find_ours, settings))
    PruningLoop(pruner, settings.retention_interval, log, publish, LaterLines(0, pruner.suspect).wait).run()


def _find_ours(settings: PruningSettings) -> Ours:
    """Return what makes a process a recorder of ours. Raises MirrorError.

    Our parent is the watcher, and the watcher's is supervisord.
    """
    supervisord = 0
    with suppress(OSError):
        supervisord, _ = parent_and_user(os.getppid())
    if not supervisord:
        raise MirrorError("the watcher has ended")  # and so do we
    return ours(supervisord, settings.specs_dir, settings.user)


def receive_settings(fd: int, seconds: float = SETTINGS_SECONDS) -> PruningSettings:
    """Read the line with the settings from a pipe.

    Raises ValueError if the line is not one, or does not come within `seconds`, and OSError if it can't be read.
    """
    received, deadline = b"", time.monotonic() + seconds
    # An older watcher wrote a different format, without a newline at its end. So reading stops if the first byte is
    # wrong.
    while b"\n" not in received and received[:1] in {b"", b"{"} and len(received) <= MAX_LINE:
        if not select.select([fd], [], [], max(0.0, deadline - time.monotonic()))[0]:
            raise ValueError(f"expected the settings from the watcher within {seconds:.0f} s")
        chunk = os.read(fd, 1 << 16)
        if not chunk:
            break
        received += chunk
    return decode_settings(received)


class LaterLines:
    """Reads the lines that the watcher writes after the settings, and calls `suspect` with the cameras in each."""

    def __init__(self, fd: int, suspect: Callable[[list[str]], None]) -> None:
        self._fd = fd
        self._suspect = suspect
        self._rest = b""

    def wait(self, seconds: float) -> bool:
        """Wait for a line, at most so long. Return whether the input has ended."""
        if not select.select([self._fd], [], [], seconds)[0]:
            return False
        chunk = os.read(self._fd, 1 << 16)
        *lines, self._rest = (self._rest + chunk).split(b"\n")
        for line in lines:
            if (camera_ids := _texts_of(line)) is not None:  # else the watcher is newer than we are
                self._suspect(camera_ids)
        return not chunk


# The watcher's end.


class PruningProcess:
    """Keeps a child running that prunes. It is a separate process since the volume may hang, and the watcher must not.

    `settings` returns the settings in force; each child gets those at its start. `report` is called with all problems
    of pruning whenever they change, and with an empty list if there are none. Both are called in the event loop.
    """

    def __init__(
        self,
        settings: Callable[[], Settings],
        report: Callable[[list[str]], None],
        command: Sequence[str] = COMMAND,
        restart_seconds: float = RESTART_SECONDS,
    ) -> None:
        self._settings = settings
        self._report = report
        self._command = command
        self._restart_seconds = restart_seconds
        self._process: asyncio.subprocess.Process | None = None
        self._has_reported = False
        self._noted: dict[str, float] = {}

    async def keep_running(self) -> None:
        """Run the child, and start it again `restart_seconds` after it ended, until this is cancelled."""
        while True:
            try:
                await self._run()
            except OSError as error:
                self._report([f"cannot prune: {error}"])
            await asyncio.sleep(self._restart_seconds)

    def restart(self) -> None:
        """End the child. The next one gets the settings that are in force by then."""
        if self._process and self._process.returncode is None:
            self._process.terminate()

    def note_failed(self, failed: Mapping[str, float]) -> None:
        """Take note of the cameras whose recordings ended because a write found no room, and when (Unix seconds).

        The child is told of each of them once, as soon as it has begun and reads its input.
        """
        new = [camera_id for camera_id, at in failed.items() if self._noted.get(camera_id) != at]
        stdin = self._process.stdin if self._process and self._has_reported else None
        if new and stdin and not stdin.transport.get_write_buffer_size():
            stdin.write(json.dumps(new).encode() + b"\n")
            self._noted.update(failed)

    async def _run(self) -> None:
        """Run a child to its end. Raises OSError if it can't be started, or writes a line that is too long."""
        self._has_reported, self._noted = False, {}
        self._process = process = await asyncio.create_subprocess_exec(
            *self._command,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            limit=MAX_LINE,
            cwd="/",
            env=child_environment(),
        )
        try:
            assert process.stdin  # noqa: S101 - it is a pipe
            assert process.stdout  # noqa: S101 - it is a pipe
            process.stdin.write(encode_settings(PruningSettings.of(self._settings())))
            while line := await _read_line(process.stdout):
                if line.endswith(b"\n"):  # a killed child may have written half a line
                    self._has_reported = True
                    self._report(_problems_of(line))
            code = await process.wait()
        finally:
            # It still runs if this was cancelled, or if its line was too long.
            self.restart()
            with suppress(asyncio.TimeoutError):
                await asyncio.wait_for(process.wait(), END_SECONDS)
        if code != -signal.SIGTERM:  # `restart` ends it that way
            self._report([f"pruning ended with {code}, and is started again: see above"])


async def _read_line(stdout: asyncio.StreamReader) -> bytes:
    try:
        return await stdout.readline()
    except ValueError:
        raise OSError(f"its process wrote a line of more than {MAX_LINE} bytes") from None


def _problems_of(line: bytes) -> list[str]:
    """Return the problems in a line from the child, which may be newer than we are."""
    unknown = "pruning reports in a format that this watcher does not know: restart heldar-mirror"
    found = _texts_of(line)
    return [unknown] if found is None else found


def _texts_of(line: bytes) -> list[str] | None:
    """Return the texts of a JSON list of texts, or None if the line is none."""
    try:
        found = json.loads(line)
    except (ValueError, RecursionError):
        return None
    return found if isinstance(found, list) and all(isinstance(text, str) for text in found) else None
