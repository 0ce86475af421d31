"""The process that prunes for the watcher: both ends of the protocol between the two.

The watcher writes one line to the child's standard input, the settings as a JSON object, and keeps that pipe open: the
child ends when it is closed. The child writes a line to its standard output whenever its problems change: all of them,
as a JSON list of texts. After an upgrade the child may be newer than its watcher, so names of settings that it does not
know are ignored, and one that is missing has its default, if it has one.
"""

import asyncio
import json
import os
import select
import signal
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import MISSING, asdict, fields
from pathlib import Path
from typing import Any

from heldar_mirror.pruning.loop import PruningLoop
from heldar_mirror.pruning.pruner import make_pruner
from heldar_mirror.pruning.settings import PruningSettings
from heldar_mirror.settings import Settings

# A line of the protocol is never longer: a loop publishes at most 21 texts of 5,000 characters, each at most 12 bytes
# in JSON.
MAX_LINE = 2 << 20

# The watcher writes the settings at once, but may be stopped, or the machine busy.
SETTINGS_SECONDS = 30.0

RESTART_SECONDS = 1.0

# A child that is ended is waited for this long; on a volume that hangs it may not end.
END_SECONDS = 5.0

# `setpriv` has the child end when the watcher dies, even while the child is busy and does not look at its input.
COMMAND = ("setpriv", "--pdeathsig", "TERM", "--", sys.executable, "-m", "heldar_mirror", "prune", "--forever")

# The least value of each setting that is a number, and the most of all.
LEAST = {"min_free_bytes": 0, "deleted_retention_seconds": 0, "retention_interval": 1}

MAX_NUMBER = 1 << 62


# The settings on their way.


def encode_settings(settings: PruningSettings) -> bytes:
    """Return the line that hands settings to a child."""
    values = {name: str(value) if isinstance(value, Path) else value for name, value in asdict(settings).items()}
    return json.dumps(values).encode() + b"\n"


def decode_settings(line: bytes) -> PruningSettings:
    """Return the settings of such a line. Raises ValueError for anything else, with what was expected."""
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
    """Return the value of a setting. Raises ValueError for one that it can't have."""
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
    """Prune until standard input ends. `log` is given what was removed. Raises BrokenPipeError if nobody listens."""

    def publish(problems: list[str]) -> None:
        os.write(1, json.dumps(problems).encode() + b"\n")

    PruningLoop(make_pruner(settings), settings.retention_interval, log, publish, _input_ended).run()


def receive_settings(fd: int, seconds: float = SETTINGS_SECONDS) -> PruningSettings:
    """Read the line with the settings from a pipe.

    Raises ValueError if something else comes, or nothing within `seconds`, and OSError if it can't be read.
    """
    received, deadline = b"", time.monotonic() + seconds
    # The first byte is looked at because garbage may lack a newline: a watcher of before wrote another format.
    while b"\n" not in received and received[:1] in {b"", b"{"} and len(received) <= MAX_LINE:
        if not select.select([fd], [], [], max(0.0, deadline - time.monotonic()))[0]:
            raise ValueError(f"expected the settings from the watcher within {seconds:.0f} s")
        chunk = os.read(fd, 1 << 16)
        if not chunk:
            break
        received += chunk
    return decode_settings(received)


def _input_ended(seconds: float) -> bool:
    return bool(select.select([0], [], [], seconds)[0])


# The watcher's end.


class PruningProcess:
    """Keeps a child that prunes running, since the volume may hang and the watcher must not.

    `settings` returns those in force: each child is given those of its start. `report` is called with all problems of
    pruning whenever they change, with an empty list if there are none. Both are called in the event loop.
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

    async def keep_running(self) -> None:
        """Run the child, and start it again `restart_seconds` after it ended, until this is cancelled."""
        while True:
            try:
                await self._run()
            except OSError as error:
                self._report([f"cannot prune: {error}"])
            await asyncio.sleep(self._restart_seconds)

    def restart(self) -> None:
        """End the child, so that the next one has the settings that are in force by then."""
        if self._process and self._process.returncode is None:
            self._process.terminate()

    async def _run(self) -> None:
        """Run a child to its end. Raises OSError if it can't be started, or writes a line that is too long."""
        self._process = process = await asyncio.create_subprocess_exec(
            *self._command,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            limit=MAX_LINE,
            cwd="/",  # the directory that we were started in may hold files that are named like modules
        )
        try:
            assert process.stdin  # noqa: S101 - it is a pipe
            assert process.stdout  # noqa: S101 - it is a pipe
            process.stdin.write(encode_settings(PruningSettings.of(self._settings())))
            while line := await _read_line(process.stdout):
                if line.endswith(b"\n"):  # a child that is killed may leave half a line
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
    """Return the problems in a line of the child's, which may be of a newer version."""
    try:
        found = json.loads(line)
    except (ValueError, RecursionError):
        found = None
    if isinstance(found, list) and all(isinstance(text, str) for text in found):
        return found
    return ["pruning reports in a format that this watcher does not know: restart heldar-mirror"]
