"""Which segments are still to be hashed, as far as that is known without asking the volume again.

Segments that are closed while we run are heard of, and come first. What else no manifest lists is found by a look at a
camera, which compares its directory with its manifests. The newest come first, since they may still be in the page
cache. A look takes up only some of them, so that each camera has its turn and little memory is needed.

Each camera has a horizon, a time. Whatever began after it is listed by no manifest, so that none needs to be read
before it is hashed.
"""

import math
from array import array
from collections.abc import Collection, Iterable, Sequence

# A look takes up this many segments. It costs about as much as hashing a few of them.
LOOK_SEGMENTS = 200

# Where segments are heard of, a look only makes certain that none was missed, and has days sealed.
LOOK_SECONDS = 6 * 3600.0
UNWATCHED_LOOK_SECONDS = 300.0

# If more segments wait than this, the others are left to looks.
MAX_CLOSED = 20_000


class Backlog:
    """What is still to be hashed. A segment is given by when it began (Unix seconds), and `now` is monotonic."""

    def __init__(self) -> None:
        self._due: dict[str, float] = {}
        self._horizon: dict[str, int] = {}
        self._newest: dict[str, int] = {}
        self._open: dict[str, set[int]] = {}
        # This has where the next look at a camera goes on, if the last one has not taken up all.
        self._below: dict[str, int] = {}
        self._closed: dict[tuple[str, int], None] = {}
        self._missing: tuple[str, array[int]] = ("", array("q"))

    @property
    def cameras(self) -> Collection[str]:
        """The cameras that were met."""
        return self._due.keys()

    def meet(self, camera_id: str, names: Sequence[int], newest_listed: int, now: float) -> None:
        """Take up a camera: the segments in its directory, in order, and the newest one that is listed, or -1."""
        newest = names[-1] if names else -1
        self._horizon[camera_id] = max(newest_listed, names[-2] if len(names) > 1 else -1)
        self._newest[camera_id] = newest
        self._open[camera_id] = set()
        self._due[camera_id] = now
        if newest > self._horizon[camera_id]:
            self._closed[camera_id, newest] = None

    def forget(self, camera_id: str) -> None:
        """Forget a camera whose directory is gone."""
        del self._due[camera_id], self._horizon[camera_id], self._newest[camera_id], self._open[camera_id]
        self._below.pop(camera_id, None)
        for each in [each for each in self._closed if each[0] == camera_id]:
            del self._closed[each]
        if self._missing[0] == camera_id:
            self._missing = ("", array("q"))

    def hear(self, camera_id: str, begun: int, now: float) -> None:
        """Take up a segment that was closed or has got its name just now."""
        if camera_id not in self._due:
            return
        self._newest[camera_id] = max(begun, self._newest[camera_id])
        self._ask_again(camera_id, now)
        self._add(camera_id, begun, now)

    def _ask_again(self, camera_id: str, now: float) -> None:
        for begun in sorted(self._open[camera_id]):
            self._add(camera_id, begun, now)
        self._open[camera_id].clear()

    def _add(self, camera_id: str, begun: int, now: float) -> bool:
        """Have a segment wait. Return false if too many wait, so that it is left to a look."""
        if self.is_full():
            self.look_at(camera_id, now)
            return False
        self._closed[camera_id, begun] = None
        return True

    def ask_all_again(self, now: float) -> None:
        """Take up again all segments that were still open."""
        for camera_id in self._open:
            self._ask_again(camera_id, now)

    def look_at(self, camera_id: str, when: float) -> None:
        """Have all of a camera looked at, at `when` at the latest."""
        self._below.pop(camera_id, None)
        self._due[camera_id] = min(when, self._due.get(camera_id, math.inf))

    def look_at_all(self, when: float) -> None:
        """Have all cameras looked at, since some segments may not have been heard of."""
        for camera_id in self._due:
            self.look_at(camera_id, when)

    def put_off(self, camera_id: str, now: float) -> None:
        """Take note that a camera can't be looked at now."""
        self._due[camera_id] = now + UNWATCHED_LOOK_SECONDS

    def due(self, now: float) -> str | None:
        """Return the camera that has been due for a look for the longest time, or None if none is."""
        camera_id = min(self._due, key=self._due.__getitem__, default=None)
        return camera_id if camera_id is not None and self._due[camera_id] <= now else None

    def take_up(
        self, camera_id: str, names: Sequence[int], listed: Iterable[int], now: float, *, watched: bool
    ) -> bool:
        """Take up what a look at a camera has found: the segments in its directory, in order, and those listed.

        `watched` says whether segments of this camera are heard of. Return whether all was taken up.
        """
        horizon, below = self._horizon[camera_id], self._below.pop(camera_id, math.inf)
        known = self._open[camera_id].union(listed)
        missing, is_all = array("q"), True
        for begun in names:
            if begun in known:
                continue
            if begun > horizon:
                is_all &= self._add(camera_id, begun, now)
            elif begun < below:
                missing.append(begun)
        if names:
            self._newest[camera_id] = max(names[-1], self._newest[camera_id])
        if len(missing) > LOOK_SEGMENTS:
            missing, is_all = missing[-LOOK_SEGMENTS:], False
            self._below[camera_id] = missing[0]
        self._missing = camera_id, missing
        self._due[camera_id] = now + (LOOK_SECONDS if watched else UNWATCHED_LOOK_SECONDS) if is_all else now
        return is_all

    def is_full(self) -> bool:
        """Return whether so many closed segments wait that others were left to looks."""
        return len(self._closed) >= MAX_CLOSED

    def next_closed(self) -> tuple[str, int] | None:
        """Take the camera and the beginning of a segment that was closed just now, or None."""
        for each in self._closed:
            del self._closed[each]
            return each
        return None

    def next_missing(self) -> tuple[str, int] | None:
        """Take the camera and the beginning of a segment that the last look has found, or None."""
        camera_id, missing = self._missing
        return (camera_id, missing.pop()) if missing else None

    def is_beyond(self, camera_id: str, begun: int) -> bool:
        """Return whether a segment began after its camera's horizon, so that it is certainly not listed."""
        return begun > self._horizon[camera_id]

    def has_later(self, camera_id: str, begun: int) -> bool:
        """Return whether a later segment of a camera is known."""
        return self._newest[camera_id] > begun

    def note_open(self, camera_id: str, begun: int) -> None:
        """Take note that a segment is still open. It is taken up again when more is heard of its camera."""
        self._open[camera_id].add(begun)

    def note_hashed(self, camera_id: str, begun: int) -> None:
        """Take note that a segment is hashed. If it can't be listed, the camera must be looked at again."""
        self._horizon[camera_id] = max(begun, self._horizon[camera_id])
        if self._missing[0] == camera_id and begun in self._missing[1]:
            self._missing[1].remove(begun)
