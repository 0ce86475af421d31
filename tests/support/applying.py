"""Restoring files of a mirror into the primary, for tests: plans made by hand, of real recordings."""

import json
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from heldar_mirror.restore.applying import Applying, Progress
from heldar_mirror.restore.following import Times, Wait
from heldar_mirror.restore.plan import LeftOut, NewFile, Piece
from heldar_mirror.restore.result import Result
from heldar_mirror.restore.writing import Writer
from heldar_mirror.settings import Settings
from heldar_mirror.sides.side import Side
from heldar_mirror.state.volumes import remembered_volume
from support import HERE
from support.made_footage import begun_of, camera_directory, settings_of
from support.mirror import Mirror
from support.two_sides import SEGMENT_SECONDS, record
from support.waiting import COMMAND_SECONDS, PATIENCE_SECONDS

CAMERA = "gate"
BEGUN = 1_800_000_000

# A scan each moment, and a last file that counts as closed soon.
QUICK = Times(look=0.1)


def whole(path: Path, seconds: float = SEGMENT_SECONDS) -> NewFile:
    """Return the plan of a file that is a copy of a segment of the mirror."""
    begun = begun_of(path)
    piece = Piece(begun, None, begun)
    return NewFile(path.parent.name, begun, (piece,), begun, begun + seconds, path.stat().st_size)


def recorded_by_mirror(mirror: Mirror, count: int, camera_id: str = CAMERA) -> list[NewFile]:
    """Let the mirror record so many segments, which follow each other. Return the plans of their copies."""
    begun = range(BEGUN, BEGUN + count * SEGMENT_SECONDS, SEGMENT_SECONDS)
    return [whole(path) for path in record(camera_directory(mirror, camera_id), begun)]


class RestoreProcess:
    """A restore in a process of its own, which may be killed. It knows what that has told."""

    def __init__(self, mirror: Mirror, files: Sequence[NewFile], wait: Wait = Wait.WHILE_RUNNING) -> None:
        command = [sys.executable, "-m", "support.apply_in_process", json.dumps(files), wait.name]
        env = mirror.env | {"PYTHONPATH": str(HERE.parent)}
        self._log = mirror.home / "restore.log"
        with self._log.open("wb") as log:
            self.process = subprocess.Popen(command, env=env, stdout=subprocess.PIPE, stderr=log)

    def told(self) -> list[str]:
        """Return what it has told."""
        return self._log.read_text().splitlines()

    def result(self) -> dict[str, Any]:
        """Wait for its end, and return the result. Fail the test if there is none."""
        output, _ = self.process.communicate(timeout=COMMAND_SECONDS)
        assert output, self._log.read_text()
        found: dict[str, Any] = json.loads(output)
        return found

    def end(self, number: signal.Signals) -> None:
        """Send it a signal."""
        self.process.send_signal(number)


@dataclass
class Restore:
    """A restore in this process, with the real writer and the real sides."""

    mirror: Mirror
    wait: Wait = Wait.WHILE_RUNNING
    times: Times = QUICK
    interrupted: threading.Event = field(default_factory=threading.Event)
    told: list[tuple[str, float]] = field(default_factory=list)

    def run(
        self, files: Iterable[NewFile], left_out: Sequence[LeftOut] = (), progress: Progress | None = None
    ) -> Result:
        """Restore files."""
        with ExitStack() as stack:
            restore = Applying(
                self.mirror.database.path,
                *opened(settings_of(self.mirror), stack),
                progress or (lambda *what: self.told.append(what)),
                self.wait,
                self.interrupted,
                self.times,
            )
            return restore.run(files, left_out)

    @contextmanager
    def running(self, files: Iterable[NewFile]) -> Iterator[Callable[[], Result]]:
        """Restore files in a thread. Yield what waits for its end. It is interrupted at the end of the block."""
        with ThreadPoolExecutor(1) as threads:
            future = threads.submit(self.run, files)
            try:
                yield lambda: future.result(PATIENCE_SECONDS)
            finally:
                self.interrupted.set()


def opened(settings: Settings, stack: ExitStack) -> tuple[Writer, Side, Side]:
    """Open the writer and both sides, until the stack ends."""
    assert settings.mirror_root
    writer = stack.enter_context(Writer(settings, into_empty=True))
    primary = stack.enter_context(Side("primary", settings.recordings_dir))
    volume = remembered_volume(settings) or ""
    return writer, primary, stack.enter_context(Side("mirror", settings.mirror_root, volume=volume))
