"""Waiting until Heldar has indexed what was restored, and keeping it safe until then.

Heldar finds new files by itself. But it has one indexer for all cameras, so only some files may wait for it at a time.
And at its start, and each hour, it deletes files that it has not indexed and that were last written an hour ago or
earlier.
"""

import threading
import time
from collections.abc import Callable
from enum import Enum
from pathlib import Path
from typing import NamedTuple, Protocol

from heldar_mirror.coverage.findings import directory_of
from heldar_mirror.errors import DatabaseError, DirectoryError, GoneError
from heldar_mirror.footage.names import segment_name
from heldar_mirror.heldar.recordings import read_ends, read_sizes_by_path
from heldar_mirror.heldar.running import is_running

# So many files wait to be indexed at a time while Heldar runs. It takes half a second for each, in which the newest
# recordings of all cameras wait as well.
WAITING = 20

# Heldar deletes a file that is not in its index, and was last written so long ago.
ORPHAN_SECONDS = 3600.0
# A file's last write lies so far in the future when it is restored: Heldar may be stopped over a long weekend.
FRESH_SECONDS = 7 * 86_400.0
# A file whose last write was so long ago is given a new one. The last file of a directory is indexed 75 s after that.
TOUCH_SECONDS = 1200.0

# It is looked so often what has been indexed. Heldar itself looks every 10 s.
LOOK_SECONDS = 2.0
# Heldar takes up to 85 s for the last file of a directory. If it indexes none of ours for so long, something is wrong.
SLOW_SECONDS = 300.0
SLOW = "see Heldar's log, and whether it may read them and has the same HELDAR_RECORDINGS_DIR"


class Heldar(str, Enum):
    """What Heldar's kernel does, as far as that can be seen."""

    RUNNING = "running"
    STOPPED = "stopped"
    UNKNOWN = "unknown"


class Wait(Enum):
    """How long is waited: not at all, while Heldar runs, or also until it is started."""

    NOT = "not"
    WHILE_RUNNING = "while running"
    ALWAYS = "always"


class Key(NamedTuple):
    """A file of the primary's, by its camera and the second in its name."""

    camera_id: str
    name: int


class File(NamedTuple):
    """The size of a file in bytes, and the time of its last write (Unix seconds)."""

    size: int
    modified: float


class Touching(Protocol):
    """What can set the time of a file's last write."""

    def touch(self, camera_id: str, name: int, modified: float) -> None:
        """Raises GoneError if the file is not there, and DirectoryError."""


class Times(NamedTuple):
    """The seconds between two looks, and after which Heldar is unusually slow, and the clock, in Unix seconds."""

    look: float = LOOK_SECONDS
    slow: float = SLOW_SECONDS
    now: Callable[[], float] = time.time


class Follower:
    """Follows restored files until Heldar has indexed them.

    `waiting` are those that it is expected to index, and `slow` those of which it has indexed none for long; they are
    still looked for. `indexed` are done, and `gone` were deleted. `heldar` says what Heldar does. `problem` says why
    that or its index is not known, or why a file can't be kept fresh. `tell` is given what is being waited for.
    `interrupted` ends each wait.
    """

    def __init__(
        self,
        database: Path,
        writer: Touching,
        tell: Callable[[str], None],
        interrupted: threading.Event,
        times: Times,
    ) -> None:
        self._database = database
        self._writer = writer
        self._tell = tell
        self._interrupted = interrupted
        self._times = times
        self.waiting: dict[Key, File] = {}
        self.slow: dict[Key, File] = {}
        self.indexed: set[Key] = set()
        self.gone: set[Key] = set()
        self.heldar = Heldar.UNKNOWN
        self.problem = ""
        # Where Heldar records a camera, as it calls that, once it is known.
        self._directories: dict[str, str] = {}
        # When it was looked last, and since when Heldar has indexed none of the waiting files (monotonic seconds).
        self._looked = self._idle_since = float("-inf")

    def add(self, key: Key, file: File) -> None:
        """Follow a file that is in the primary's directory now."""
        if not self.waiting:
            self._idle_since = time.monotonic()
        self.waiting[key] = file

    def wait_for_room(self) -> None:
        """Wait until Heldar can be given a further file. Raises RestoreError and VolumeError."""
        self._look_again()
        while len(self.waiting) >= WAITING and self.heldar is Heldar.RUNNING and not self._pause():
            self.look()

    def follow(self, wait: Wait) -> None:
        """Wait until Heldar has indexed what is left, for as long as that is wanted. Raises as above."""
        self.look()
        while self._is_awaited(wait) and not self._pause():
            self.look()
        if self.heldar is not Heldar.RUNNING:
            self._keep_fresh(0)  # so that all of the hour is left to start it

    def start_within(self) -> float | None:
        """Return within how many seconds Heldar has to index what is left, or None if nothing is."""
        left = [file.modified for files in (self.waiting, self.slow) for file in files.values()]
        return min(left) + ORPHAN_SECONDS - self._times.now() if left else None

    def look(self) -> None:
        """Find out what Heldar does and has indexed, and keep the rest fresh."""
        self._looked = time.monotonic()
        try:
            self._take_indexed()
            self.heldar = Heldar.RUNNING if is_running(self._database) else Heldar.STOPPED
            self.problem = ""
        except DatabaseError as error:
            self.heldar, self.problem = Heldar.UNKNOWN, str(error)
        self._keep_fresh(TOUCH_SECONDS)
        self._find_slow()
        self._tell(self._shown())

    def _look_again(self) -> None:
        if time.monotonic() - self._looked >= self._times.look:
            self.look()

    def _pause(self) -> bool:
        """Wait until it is time to look again. Return whether we were interrupted."""
        return self._interrupted.wait(self._times.look)

    def _is_awaited(self, wait: Wait) -> bool:
        if wait is Wait.ALWAYS:
            return bool(self.waiting or self.slow)
        return wait is Wait.WHILE_RUNNING and bool(self.waiting) and self.heldar is not Heldar.STOPPED

    def _take_indexed(self) -> None:
        """Take out what is in Heldar's index with the size that it has now. Raises DatabaseError.

        A row of a lost file is corrected only if the restored one has a different size.
        """
        paths = {path: key for key in (*self.waiting, *self.slow) if (path := self._path(key))}
        sizes = read_sizes_by_path(self._database, list(paths))
        for path, key in paths.items():
            if path in sizes and sizes[path] == (self.waiting.get(key) or self.slow[key]).size:
                self._take(key)
                self.indexed.add(key)
                self._idle_since = time.monotonic()

    def _path(self, key: Key) -> str | None:
        """Return the path of a file as Heldar calls it, or None as long as it has indexed nothing of the camera."""
        directory = self._directories.get(key.camera_id)
        if directory is None:
            directory = directory_of(key.camera_id, read_ends(self._database, key.camera_id).newest)
            if directory is None:
                return None
            self._directories[key.camera_id] = directory
        return f"{directory}/{segment_name(key.name)}"

    def _take(self, key: Key) -> None:
        self.waiting.pop(key, None)
        self.slow.pop(key, None)

    def _keep_fresh(self, seconds: float) -> None:
        """Touch what was last written so many seconds ago or earlier."""
        now = self._times.now()
        for files in (self.waiting, self.slow):
            for key, file in list(files.items()):
                if now - file.modified >= seconds and self._touch(key, now):
                    files[key] = file._replace(modified=now)

    def _touch(self, key: Key, modified: float) -> bool:
        """Return whether the file is there and could be touched."""
        try:
            self._writer.touch(*key, modified)
        except GoneError:
            self._take(key)
            self.gone.add(key)
            return False
        except DirectoryError as error:
            self.problem = self.problem or str(error)
            return False
        return True

    def _find_slow(self) -> None:
        now = time.monotonic()
        if self.heldar is Heldar.STOPPED:
            self._idle_since = now
        elif now - self._idle_since >= self._times.slow:
            self._idle_since = now
            for key, file in [*self.waiting.items(), *self.slow.items()]:
                self._touch(key, file.modified)  # which tells whether it is still there
            self.slow |= self.waiting
            self.waiting.clear()

    def _shown(self) -> str:
        """Return what is waited for."""
        left = f"files that Heldar has not indexed yet: {len(self.waiting) + len(self.slow)}"
        if self.heldar is Heldar.STOPPED:
            return f"{left}: it is stopped"
        return f"{left}: {SLOW}" if self.slow else left
