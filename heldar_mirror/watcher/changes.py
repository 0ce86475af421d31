"""Notice, with watchdog, that the database may have changed."""

import logging
from collections.abc import Callable
from pathlib import Path

from watchdog.events import (
    DirDeletedEvent,
    DirMovedEvent,
    FileCreatedEvent,
    FileDeletedEvent,
    FileModifiedEvent,
    FileMovedEvent,
    FileSystemEvent,
    FileSystemEventHandler,
)
from watchdog.observers import Observer
from watchdog.observers.polling import PollingObserver

from heldar_mirror.proc.mounts import NETWORK_FILE_SYSTEMS, mount_of

# Where a different machine may write, no inotify event is raised here, so the database is polled this often.
POLL_SECONDS = 1.0

# Only events of writing and replacing. The watcher's own reading opens and closes files, and would wake it for ever.
WRITES: list[type[FileSystemEvent]] = [
    *(FileModifiedEvent, FileCreatedEvent, FileMovedEvent, FileDeletedEvent),
    *(DirDeletedEvent, DirMovedEvent),
]

# watchdog logs an error for every event that still waits when watching ends.
logging.getLogger("watchdog").setLevel(logging.CRITICAL)


class Changes(FileSystemEventHandler):
    """Calls `wake`, from a separate thread, when a database's file, `-wal` or `-journal` is written or replaced.

    It watches the directory, since writes go to the `-wal`, and a restored database replaces the file by rename. It
    watches only from `arm` to `disarm`, so that Heldar's kernel, which may commit all the time, causes one event per
    read of the table. The links in the path must be resolved already.
    """

    def __init__(self, database: Path, wake: Callable[[], object]) -> None:
        self._directory = database.parent
        self._names = {f"{database}{suffix}" for suffix in ("", "-wal", "-journal")} | {str(database.parent)}
        self._wake = wake
        self.polls = needs_polling(database)
        self._observer = PollingObserver(timeout=POLL_SECONDS) if self.polls else Observer()
        self._observer.start()

    def arm(self) -> None:
        """Begin to watch. Raises OSError if the directory is missing, or inotify's limits are reached."""
        self._observer.schedule(self, str(self._directory), event_filter=WRITES)

    def disarm(self) -> None:
        """Stop watching until the next `arm`."""
        self._observer.unschedule_all()

    def close(self) -> None:
        """Stop watching for good."""
        self._observer.stop()

    def on_any_event(self, event: FileSystemEvent) -> None:
        """Call `wake` if the event is about the database."""
        if self._names & {event.src_path, event.dest_path}:
            self._wake()


def needs_polling(database: Path) -> bool:
    """Return whether a database is on a file system whose writes by other machines inotify does not report."""
    file_system = mount_of(database).file_system
    return file_system in NETWORK_FILE_SYSTEMS or file_system.startswith("fuse")
