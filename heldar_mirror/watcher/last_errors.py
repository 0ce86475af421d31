"""The last error of each camera."""

import operator
from collections.abc import Iterable

from heldar_mirror.recorder.volume import NO_ROOM
from heldar_mirror.settings import Settings
from heldar_mirror.status.recorder_log import last_errors


class LastErrors:
    """The time (Unix seconds) and text of each camera's last error, from its program's log or from the watcher.

    A log is read only if it is marked unread, or if the caller asks for it.
    """

    def __init__(self) -> None:
        self.found: dict[str, tuple[float, str]] = {}
        self._unread: set[str] = set()

    def mark_unread(self, camera_ids: Iterable[str]) -> None:
        """Take note that the logs of these cameras' programs may have a new error."""
        self._unread.update(camera_ids)

    def add(self, camera_id: str, at: float, text: str) -> None:
        """Take note of an error that the watcher found itself."""
        self.found[camera_id] = at, text

    def read(self, settings: Settings, also: Iterable[str]) -> None:
        """Read the unread logs, and those of the cameras in `also`. Raises OSError; the logs stay unread then."""
        for camera_id, error in last_errors(self._unread.union(also), settings).items():
            # A stall that the watcher noticed may be newer than the last line of the log.
            self.found[camera_id] = max(error, self.found.get(camera_id, error), key=operator.itemgetter(0))
        self._unread.clear()

    def without_room(self, camera_ids: Iterable[str]) -> dict[str, float]:
        """Return those of the cameras whose last error is that a write found no room, and when (Unix seconds)."""
        errors = {camera_id: self.found[camera_id] for camera_id in camera_ids if camera_id in self.found}
        return {name: at for name, (at, text) in errors.items() if any(words in text for words in NO_ROOM)}
