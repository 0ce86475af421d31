"""The last error of each camera."""

import os
from collections.abc import Iterable
from contextlib import suppress

from heldar_mirror.programs.stanzas import log_path
from heldar_mirror.recorder.volume import NO_ROOM
from heldar_mirror.settings import Settings
from heldar_mirror.status.recorder_log import read_last_error


class LastErrors:
    """The time (Unix seconds) and text of each camera's last error, from its program's log.

    A log is read when it has changed: a recorder that waits or tries again logs that while it lives.
    """

    def __init__(self) -> None:
        self.found: dict[str, tuple[float, str]] = {}
        self._read: dict[str, tuple[int, int, int]] = {}

    def read(self, camera_ids: Iterable[str], settings: Settings) -> None:
        """Read the logs of these cameras' programs that have changed since they were read.

        Raises OSError if some can't be read; they count as changed then, and the others are read all the same.
        """
        problem = None
        for camera_id in camera_ids:
            log = log_path(camera_id, settings)
            try:
                with suppress(FileNotFoundError):
                    stat = os.stat(log)  # noqa: PTH116 - Path would take three times as long
                    version = stat.st_ino, stat.st_size, stat.st_mtime_ns
                    if version != self._read.get(camera_id):
                        # A line that is logged between the two calls changes the file again.
                        if error := read_last_error(log):
                            self.found[camera_id] = error
                        self._read[camera_id] = version
            except OSError as error:
                problem = error
        if problem:
            raise problem

    def without_room(self, camera_ids: Iterable[str]) -> dict[str, float]:
        """Return those of the cameras whose last error is that a write found no room, and when (Unix seconds)."""
        errors = {camera_id: self.found[camera_id] for camera_id in camera_ids if camera_id in self.found}
        return {name: at for name, (at, text) in errors.items() if any(words in text for words in NO_ROOM)}
