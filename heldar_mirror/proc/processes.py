"""Processes and their children, from /proc."""

import os
from collections.abc import Iterator
from contextlib import suppress

from heldar_mirror.recorder import files

# The errors from /proc if a process ends while it is looked at.
PROCESS_ENDED = (FileNotFoundError, ProcessLookupError)


def children(pid: int) -> list[int] | None:
    """Return the pids of the children of a single-threaded process, or None if they can't be seen.

    If some children end during the call, others may be missing too, but never all of them.
    """
    with suppress(*PROCESS_ENDED, PermissionError):
        return list(map(int, files.read(f"/proc/{pid}/task/{pid}/children").split()))
    return None


def all_pids() -> Iterator[int]:
    """Yield the pids of all processes that we may see."""
    yield from (int(entry.name) for entry in os.scandir("/proc") if entry.name.isdigit())
