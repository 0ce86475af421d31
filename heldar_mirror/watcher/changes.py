"""Hearing that the database may have changed, with watchdog."""

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

# Where a write by another machine raises no inotify event here.
NETWORK_FILE_SYSTEMS = {"nfs", "nfs4", "cifs", "smb3", "ncpfs", "afs", "ceph", "9p", "glusterfs", "lustre", "virtiofs"}
POLL_SECONDS = 1.0

# What writes, or replaces. Reading opens and closes; who heard that would wake himself for ever.
WRITES: list[type[FileSystemEvent]] = [
    *(FileModifiedEvent, FileCreatedEvent, FileMovedEvent, FileDeletedEvent),
    *(DirDeletedEvent, DirMovedEvent),
]

# Watchdog complains of every event that is still on its way when watching ends.
logging.getLogger("watchdog").setLevel(logging.CRITICAL)


class Changes(FileSystemEventHandler):
    """Calls `wake`, from a thread of its own, when a database's file, `-wal` or `-journal` is written or replaced.

    The directory is watched, not the file: writes go to the `-wal`, and a restore replaces the file by rename. It is
    watched from `arm` to `disarm` only, so that a kernel which commits all the time costs one event a turn. The path's
    links have to be resolved already.
    """

    def __init__(self, database: Path, wake: Callable[[], object]) -> None:
        self._directory = database.parent
        self._names = {f"{database}{suffix}" for suffix in ("", "-wal", "-journal")} | {str(database.parent)}
        self._wake = wake
        self.polls = needs_polling(database)
        self._observer = PollingObserver(timeout=POLL_SECONDS) if self.polls else Observer()
        self._observer.start()

    def arm(self) -> None:
        """Begin to watch. Raises OSError where there is no directory, or inotify's limits are reached."""
        self._observer.schedule(self, str(self._directory), event_filter=WRITES)

    def disarm(self) -> None:
        """Stop watching, until `arm`."""
        self._observer.unschedule_all()

    def close(self) -> None:
        """Stop watching for good."""
        self._observer.stop()

    def on_any_event(self, event: FileSystemEvent) -> None:
        """Wake whoever waits, if it is about the database."""
        if self._names & {event.src_path, event.dest_path}:
            self._wake()


def needs_polling(database: Path) -> bool:
    """Whether a database lies on a file system on which inotify does not hear what others write."""
    kind = place_of(database).kind
    return kind in NETWORK_FILE_SYSTEMS or kind.startswith("fuse")
