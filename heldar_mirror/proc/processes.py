"""Processes and their children, from /proc."""

import os
from collections.abc import Iterator
from contextlib import suppress

# The errors from /proc for a process that ends meanwhile.
GONE = (FileNotFoundError, ProcessLookupError)


def children(pid: int) -> list[int] | None:
    """Return the children of a process that has one thread; None if they can't be seen.

    If some end meanwhile, others may be missing from the list, but never all of them.
    """
    with suppress(*GONE, PermissionError), open(f"/proc/{pid}/task/{pid}/children", "rb") as file:
        return list(map(int, file.read().split()))
    return None


def all_pids() -> Iterator[int]:
    """Yield the ids of all processes that we may see."""
    yield from (int(entry.name) for entry in os.scandir("/proc") if entry.name.isdigit())
