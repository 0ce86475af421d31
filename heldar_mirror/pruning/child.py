"""The process that prunes for the watcher: both ends of the protocol between the two.

The watcher writes one line to the child's standard input, the settings as a JSON object, and keeps that pipe open: the
child ends when it is closed. The child writes a line to its standard output whenever its problems change: all of them,
as a JSON list of texts. So a child may be newer than its watcher: names of settings that it does not know are ignored,
and one that is missing has its default.
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
from dataclasses import MISSING, asdict, dataclass, fields
from pathlib import Path
from typing import Any, Protocol

from heldar_mirror.errors import MirrorError, VolumeError
from heldar_mirror.pruning.outcome import Pruned
from heldar_mirror.pruning.pruner import make_pruner
from heldar_mirror.pruning.settings import PruningSettings
from heldar_mirror.settings import Settings

# Problems in a line; those beyond are only counted.
MAX_PROBLEMS = 20

# A problem names at most one path, so this is enough, unless the database holds a strange text.
MAX_PROBLEM_LENGTH = 5000

# A line of the protocol is never longer, even if each character of its texts becomes twelve in JSON.
MAX_LINE = 2 << 20

# The watcher writes the settings at once, but may be stopped, or the machine busy.
SETTINGS_SECONDS = 30.0

RESTART_SECONDS = 1.0

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


class Prunes(Protocol):
    """What the child keeps doing: a `Pruner`."""

    @property
    def tick(self) -> float:
        """How soon to prune again, in seconds."""

    def prune(self, *, sweep: bool) -> Pruned:
        """Prune once. Raises MirrorError."""


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


@dataclass
class PruningLoop:
    """Prunes again and again.

    `publish` is given the problems whenever they change, and `log` what was removed. `wait` is called with the seconds
    until the next tick, and returns whether to end.
    """

    pruner: Prunes
    interval: float
    log: Callable[[str], None]
    publish: Callable[[list[str]], None]
    wait: Callable[[float], bool]
    monotonic: Callable[[], float] = time.monotonic

    def run(self) -> None:
        """Make room at every tick of the pruner, and sweep every `interval` seconds."""
        published: list[str] | None = None
        of_last_sweep: list[str] = []
        sweep_at = self.monotonic() + self.interval
        while True:
            sweep = self.monotonic() >= sweep_at
            pruned = _prune(self.pruner, sweep=sweep)
            if sweep:
                sweep_at, of_last_sweep = self.monotonic() + self.interval, pruned.problems
            if pruned.segments or pruned.directories:
                self.log(pruned.line())
            problems = _shortened(list(dict.fromkeys([*of_last_sweep, *pruned.problems, *pruned.shortages])))
            if problems != published:
                self.publish(problems)
                published = problems
            if self.wait(min(self.pruner.tick, self.interval)):
                return


def _prune(pruner: Prunes, *, sweep: bool) -> Pruned:
    """Prune once; whatever prevents it becomes a problem."""
    try:
        pruned = pruner.prune(sweep=sweep)
    except VolumeError:
        return Pruned()  # the watcher checks the volume itself, and reports it
    except MirrorError as error:
        return Pruned(problems=[str(error)])
    if pruned.database_error:
        pruned.add_problem(str(pruned.database_error))
    return pruned


def _shortened(problems: list[str]) -> list[str]:
    shown = [text[:MAX_PROBLEM_LENGTH] for text in problems[:MAX_PROBLEMS]]
    left = len(problems) - len(shown)
    return [*shown, f"… and {left} more: heldar-mirror prune --dry-run"] if left else shown


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
            except (OSError, ValueError) as error:  # ValueError: its line is longer than MAX_LINE
                self._report([f"cannot prune: {error}"])
            await asyncio.sleep(self._restart_seconds)

    def restart(self) -> None:
        """End the child, so that the next one has the settings that are in force by then."""
        if self._process and self._process.returncode is None:
            self._process.terminate()

    async def _run(self) -> None:
        """Run a child to its end. Raises OSError if it can't be started, ValueError if it writes a line too long."""
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
            async for line in process.stdout:
                if line.endswith(b"\n"):  # a child that is killed may leave half a line
                    self._report(_problems_of(line))
            code = await process.wait()
        finally:
            # It still runs if this was cancelled, or its line was too long. On a volume that hangs it can't end.
            self.restart()
            with suppress(asyncio.TimeoutError):
                await asyncio.wait_for(process.wait(), END_SECONDS)
        if code != -signal.SIGTERM:  # `restart` ends it that way
            self._report([f"pruning ended with {code}, and is started again: see above"])


def _problems_of(line: bytes) -> list[str]:
    """Return the problems in a line of the child's, which may be of a newer version."""
    try:
        found = json.loads(line)
    except ValueError:
        found = None
    if isinstance(found, list) and all(isinstance(text, str) for text in found):
        return found
    return ["pruning reports in a format that this watcher does not know: restart heldar-mirror"]
