"""Noticing what happens in the mirror root: closed segments, new and replaced directories, and a replaced volume."""

import os
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from heldar_mirror.footage.footage import Footage
from heldar_mirror.footage.names import segment_begun
from heldar_mirror.manifests.backlog import LOOK_SECONDS, Backlog
from heldar_mirror.manifests.closings import Closings, LostError
from heldar_mirror.manifests.form import DIRECTORY
from heldar_mirror.manifests.reading import camera_ids, listed
from heldar_mirror.manifests.writer import manifests_of
from heldar_mirror.proc.mounts import NETWORK_FILE_SYSTEMS, mount_of
from heldar_mirror.volume.listing import camera_directories, camera_directory, is_recorders_directory, list_footage

# At a tick the directories are looked through.
TICK_SECONDS = 10.0

# A segment that is open is looked at again when more is heard of its camera, and after so long in any case.
ASK_SECONDS = 60.0


class Lookout:
    """Keeps a backlog up to date. `problems` gets what is wrong with a camera's directory, by the camera.

    `new` are the cameras to be met, and `gone` those without a directory that have manifests. `asks_writers` says
    whether Linux knows who writes to a file of this volume.
    """

    def __init__(self, root: Path, problems: dict[str, str], monotonic: Callable[[], float] = time.monotonic) -> None:
        self._root, self._problems, self._monotonic = root, problems, monotonic
        self._volume: object = None
        self._begin(asks_writers=False)

    def _begin(self, *, asks_writers: bool) -> None:
        self.asks_writers = asks_writers
        self.closings = Closings()
        self.backlog = Backlog()
        self.new: deque[str] = deque()
        self.gone: deque[str] = deque()
        self._unwatched: set[str] = set()
        self._tick_at = self._ask_at = self._gone_at = self._monotonic()

    def seconds_to_tick(self) -> float:
        """Return the seconds until the next tick."""
        return max(self._tick_at - self._monotonic(), 0.0)

    def notice(self, root: int, volume: str) -> bool:
        """Notice what has happened. `root` is the descriptor of the mirror root, and `volume` its id.

        Return whether all is to be begun anew, since it is a different volume. Raises OSError.
        """
        about = os.fstat(root)
        is_new = self._volume != (volume, about.st_dev, about.st_ino)
        if is_new:
            file_system = mount_of(Path(f"/proc/self/fd/{root}").readlink()).file_system
            self.closings.close()
            self._begin(asks_writers=file_system not in NETWORK_FILE_SYSTEMS)
            self._volume = volume, about.st_dev, about.st_ino
        now = self._monotonic()
        try:
            for camera_id, name in self.closings.read():
                if (begun := segment_begun(name)) is not None:
                    self.backlog.hear(camera_id, begun, now)
        except LostError:
            self.backlog.look_at_all(now)
        if now >= self._tick_at:
            self._tick_at = now + TICK_SECONDS
            self._look_through(root, now)
        if now >= self._ask_at:
            self._ask_at = now + ASK_SECONDS
            self.backlog.ask_all_again(now)
        return is_new

    def _look_through(self, root: int, now: float) -> None:
        """Find the directories that are new, and forget those that are gone or were replaced."""
        names = camera_directories(root)
        there, watched = set(names), self.closings.watched() | self._unwatched
        for camera_id in [each for each in self.backlog.cameras if each not in there or each not in watched]:
            self.backlog.forget(camera_id)
            self._unwatched.discard(camera_id)
            self._problems.pop(camera_id, None)
            self._problems.pop(manifests_of(camera_id), None)
        known = {*self.backlog.cameras, *self.new}
        self.new += (name for name in names if name not in known and is_recorders_directory(root, name))
        if now >= self._gone_at:
            self._gone_at = now + LOOK_SECONDS
            self.gone = deque(name for name in camera_ids(root) if name not in there)

    def meet(self, root: int, camera_id: str) -> None:
        """Begin to watch a camera, and take it up. If that is not possible, it is new again at the next tick."""
        with self._problem_of(camera_id, f"cannot look into {self._root / camera_id}"):
            with camera_directory(root, camera_id) as directory:
                if not self.closings.watch(directory, camera_id):
                    self._unwatched.add(camera_id)
            names = list_footage(root, camera_id, Footage()).begun
            with self._problem_of(camera_id, f"cannot read the manifests in {self._root / DIRECTORY / camera_id}"):
                found = listed(root, camera_id, names[-1] if names else int(time.time()))
                self.backlog.meet(camera_id, names, max(found, default=-1), self._monotonic())

    def look(self, root: int, camera_id: str) -> int | None:
        """Look at a camera. Return when its oldest segment began, or None if this was not all of it."""
        now = self._monotonic()
        self.backlog.put_off(camera_id, now)  # in case that it can't be looked at
        self._problems.pop(camera_id, None)
        with self._problem_of(camera_id, f"cannot look into {self._root / camera_id}"):
            names = list_footage(root, camera_id, Footage()).begun
            with self._problem_of(camera_id, f"cannot read the manifests in {self._root / DIRECTORY / camera_id}"):
                found = listed(root, camera_id, names[0]) if names else ()
                watched = camera_id not in self._unwatched
                if self.backlog.take_up(camera_id, names, found, now, watched=watched):
                    return names[0] if names else int(time.time())
        return None

    def is_unlisted(self, root: int, camera_id: str, begun: int) -> bool:
        """Return whether it is certain that no manifest lists a segment."""
        with self._problem_of(camera_id, f"cannot read the manifests in {self._root / DIRECTORY / camera_id}"):
            return begun not in listed(root, camera_id, begun)
        return False

    @contextmanager
    def _problem_of(self, camera_id: str, what: str) -> Iterator[None]:
        """Make an OSError a problem of the camera, unless its directory is gone: then the next tick forgets it."""
        try:
            yield
        except FileNotFoundError:
            pass
        except OSError as error:
            self._problems[camera_id] = f"{what}: {error.strerror}"
