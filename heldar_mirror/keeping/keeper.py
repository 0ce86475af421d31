"""The watcher's end of a child process: it is started, told its settings, heard, and started again when it ends."""

import asyncio
import signal
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from typing import Any, ClassVar

from heldar_mirror.children import PYTHON, child_environment
from heldar_mirror.keeping.protocol import MAX_LINE, decode_texts, encode_settings, encode_texts

RESTART_SECONDS = 1.0
# A child that was asked to end gets this long. On a volume that hangs it may not end.
END_SECONDS = 5.0

OUR_COMMAND = (*PYTHON, "-m", "heldar_mirror")


class Keeper(ABC):
    """Keeps a child process running. It is a separate process since the volume may hang, and the watcher must not.

    A subclass says what the child does (`name`, such as `pruning`, for messages), by which `command` it is started, and
    which settings it gets.

    `settings` returns our settings in force. `report` is called with all problems of the child whenever they change,
    and with an empty list if there are none. Both are called in the event loop.
    """

    name: ClassVar[str]
    command: ClassVar[Sequence[str]]

    def __init__(
        self,
        settings: Callable[[], Any],
        report: Callable[[list[str]], None],
        command: Sequence[str] | None = None,
        restart_seconds: float = RESTART_SECONDS,
    ) -> None:
        self._settings = settings
        self._report = report
        self._command = command or self.command
        self._restart_seconds = restart_seconds
        self._process: asyncio.subprocess.Process | None = None
        self._has_reported = False
        self._changed = asyncio.Event()

    @staticmethod
    @abstractmethod
    def settings_of(settings: Any) -> object | None:
        """Return a dataclass with the child's part of our settings, or None if they want no child."""

    async def keep_running(self) -> None:
        """Run the child, and start it again `restart_seconds` after it ended, until this is cancelled."""
        while True:
            self._changed.clear()
            settings = self.settings_of(self._settings())
            if settings is None:
                self._report([])
                await self._changed.wait()
                continue
            try:
                await self._run(encode_settings(settings))
            except OSError as error:
                self._report([f"{self.name} can't go on: {error}"])
            await asyncio.sleep(self._restart_seconds)

    def restart(self) -> None:
        """End the child. The next one gets the settings that are in force by then."""
        self._changed.set()
        self._terminate()

    def _terminate(self) -> None:
        if self._process and self._process.returncode is None:
            self._process.terminate()

    @property
    def listening(self) -> int | None:
        """The process id of the child if it has begun and reads its input, or else None."""
        process = self._process if self._has_reported else None
        if process and process.stdin and not process.stdin.transport.get_write_buffer_size():
            return process.pid
        return None

    def tell(self, texts: Iterable[str]) -> None:
        """Write a line of texts to the child, which must be `listening`."""
        assert self._process  # noqa: S101 - it is listening
        assert self._process.stdin  # noqa: S101 - it is a pipe
        self._process.stdin.write(encode_texts(texts))

    async def _run(self, settings: bytes) -> None:
        """Run a child to its end. Raises OSError if it can't be started, or writes a line that is too long."""
        self._has_reported = False
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
            process.stdin.write(settings)
            while line := await _read_line(process.stdout):
                if line.endswith(b"\n"):  # a killed child may have written half a line
                    self._has_reported = True
                    self._report(self._problems_of(line))
            code = await process.wait()
        finally:
            # It still runs if this was cancelled, or if its line was too long.
            self._terminate()
            with suppress(asyncio.TimeoutError):
                await asyncio.wait_for(process.wait(), END_SECONDS)
        if code != -signal.SIGTERM:  # `restart` ends it that way
            self._report([f"{self.name} ended with {code}, and is started again: see above"])

    def _problems_of(self, line: bytes) -> list[str]:
        """Return the problems in a line from the child, which may be newer than we are."""
        found = decode_texts(line)
        unknown = f"{self.name} reports in a format that this watcher does not know: restart heldar-mirror"
        return [unknown] if found is None else found


async def _read_line(stdout: asyncio.StreamReader) -> bytes:
    try:
        return await stdout.readline()
    except ValueError:
        raise OSError(f"its process wrote a line of more than {MAX_LINE} bytes") from None
