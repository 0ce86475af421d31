"""Notifications that the database may have changed, by watchdog."""

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

from heldar_mirror.proc.mounts import place_of

# On these, a write by a different machine raises no inotify event here.
NETWORK_FILE_SYSTEMS = {"nfs", "nfs4", "cifs", "smb3", "ncpfs", "afs", "ceph", "9p", "glusterfs", "lustre", "virtiofs"}
POLL_SECONDS = 1.0

# Events of writing and replacing. Reading opens and closes files; a watcher that heard that would wake itself for ever.
WRITES: list[type[FileSystemEvent]] = [
    *(FileModifiedEvent, FileCreatedEvent, FileMovedEvent, FileDeletedEvent),
    *(DirDeletedEvent, DirMovedEvent),
]

# watchdog logs an error for every event that is still on its way when watching ends.
logging.getLogger("watchdog").setLevel(logging.CRITICAL)


class Changes(FileSystemEventHandler):
    """Calls `wake`, from a thread of its own, when a database's file, `-wal` or `-journal` is written or replaced.

    It watches the directory, since writes go to the `-wal`, and a restored database replaces the file by rename. It
    watches only from `arm` to `disarm`, so that a kernel of Heldar's that commits all the time costs one event a turn.
    The path's links have to be resolved already.
    """

    def __init__(self, database: Path, wake: Callable[[], object]) -> None:
        self._directory = database.parent
        self._names = {f"{database}{suffix}" for suffix in ("", "-wal", "-journal")} | {str(database.parent)}
        self._wake = wake
        self.polls = needs_polling(database)
        self._observer = PollingObserver(timeout=POLL_SECONDS) if self.polls else Observer()
        self._observer.start()

    def arm(self) -> None:
        """Begin to watch. Raises OSError if there is no directory, or inotify's limits are reached."""
        self._observer.schedule(self, str(self._directory), event_filter=WRITES)

    def disarm(self) -> None:
        """Stop watching, until `arm`."""
        self._observer.unschedule_all()

    def close(self) -> None:
        """Stop watching for good."""
        self._observer.stop()

    def on_any_event(self, event: FileSystemEvent) -> None:
        """Call `wake` if the event is about the database."""
        if self._names & {event.src_path, event.dest_path}:
            self._wake()


def needs_polling(database: Path) -> bool:
    """Return whether a database lies on a file system where inotify does not report the writes of other machines."""
    kind = place_of(database).kind
    return kind in NETWORK_FILE_SYSTEMS or kind.startswith("fuse")
