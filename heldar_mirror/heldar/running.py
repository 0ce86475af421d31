"""Whether Heldar's kernel runs, that is whether a process has its database open.

In WAL mode a process holds a shared lock on a byte of the `-shm` for as long as it has the database open, and Linux
drops the lock however that process ends. The lock is only asked for, and not taken.
"""

import os
import time
from pathlib import Path

from heldar_mirror.heldar.database import in_time
from heldar_mirror.heldar.sqlite_files import check_alone, is_locked, look, opened

# SQLite's os_unix.c calls this byte UNIX_SHM_DMS.
OPEN_BYTE = 128

# The mirror's watcher, and other readers of our own, have the database open for moments. Heldar's kernel has it open at
# each of so many looks, between which there are pauses.
LOOKS = 5
PAUSE_SECONDS = 0.05

# To close a descriptor drops all locks that this process has on the file, and so those of a read that is stuck. So the
# descriptor of each `-shm` stays open.
_opened: dict[Path, int] = {}


def is_running(path: Path) -> bool:
    """Return whether Heldar's kernel has its database at `path` open. Raises DatabaseError if that can't be seen."""
    for number in range(LOOKS):
        time.sleep(PAUSE_SECONDS if number else 0)
        if not in_time(path, "locks", _is_open):
            return False
    return True


def _is_open(path: Path) -> bool:
    if look(path).shm:
        return is_locked(_descriptor(Path(f"{path}-shm")), OPEN_BYTE)
    with opened(path) as fd:
        check_alone(fd)
    return False


def _descriptor(path: Path) -> int:
    """Return a descriptor of the file that is at a path now."""
    known = _opened.get(path)
    if known is None or not os.path.samestat(os.fstat(known), path.stat()):
        _opened[path] = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
        if known is not None:
            os.close(known)
    return _opened[path]
