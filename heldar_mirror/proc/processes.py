"""Processes, their parents and their children, from /proc."""

import os
from collections import defaultdict
from collections.abc import Mapping
from contextlib import suppress

from heldar_mirror.recorder import files

# The errors from /proc if a process ends while it is looked at.
PROCESS_ENDED = (FileNotFoundError, ProcessLookupError)

# A process is ending if it has this flag of Linux's (PF_EXITING).
_EXITING = 0x4


def children(pid: int) -> list[int] | None:
    """Return the pids of the children of a single-threaded process, or None if they can't be seen.

    Some may have ended by now.
    """
    with suppress(*PROCESS_ENDED, PermissionError):
        path = f"/proc/{pid}/task/{pid}/children"
        # If some end during a read, others may be missing in it, but never all of them. So there is a second read.
        found = files.read(path).split()
        return [int(child) for child in dict.fromkeys(found + files.read(path).split() if found else ())]
    return None


def all_children() -> Mapping[int, list[int]]:
    """Return the children of every process, as far as we may see them. This looks at all processes of the machine."""
    found = defaultdict(list)
    for entry in os.scandir("/proc"):
        if entry.name.isdigit():
            with suppress(*PROCESS_ENDED, PermissionError):
                found[int(_stat(int(entry.name))[1])].append(int(entry.name))
    return found


def parent_and_user(pid: int) -> tuple[int, int]:
    """Return the parent's pid and the effective user id of a process. Raises OSError."""
    _, _, after = files.read(f"/proc/{pid}/status").partition(b"\nPPid:")
    parent, _, after = after.partition(b"\n")
    return int(parent), int(after.partition(b"\nUid:")[2].split(None, 2)[1])


def is_ending(pid: int) -> bool:
    """Return whether a process has ended, or is about to and runs none of its own code any more.

    Linux then lets root alone look at its open files, though it may not be a zombie yet.
    """
    try:
        state, _, *fields = _stat(pid)
        return state in {b"Z", b"X"} or bool(int(fields[4]) & _EXITING)
    except PROCESS_ENDED:
        return True


def _stat(pid: int) -> list[bytes]:
    """Return the fields of /proc/PID/stat from the state on; the parent's pid is the second. Raises OSError."""
    # The name before them, in parentheses, may hold any byte.
    return files.read(f"/proc/{pid}/stat").rpartition(b")")[2].split()
