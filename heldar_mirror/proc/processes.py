"""Processes and their children, from /proc."""

import os
from collections.abc import Iterator
from contextlib import suppress

# What a process that ends while it is looked at gives.
GONE = (FileNotFoundError, ProcessLookupError)


def children(pid: int) -> list[int] | None:
    """Return the children of a process of one thread; None where they can't be seen. While some end, others may lack,
    but never all."""
    with suppress(*GONE, PermissionError), open(f"/proc/{pid}/task/{pid}/children", "rb") as file:
        return list(map(int, file.read().split()))
    return None


def all_pids() -> Iterator[int]:
    """Yield the ids of all processes that we may see."""
    yield from (int(entry.name) for entry in os.scandir("/proc") if entry.name.isdigit())
