"""Which recorders run, from /proc: for a thousand 20 ms, where supervisord takes half a second to tell of them."""

import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from heldar_mirror.programs.stanzas import RECORDER
from heldar_mirror.recorder import recorder

# What a process that ends while it is looked at gives.
GONE = (FileNotFoundError, ProcessLookupError)

_RECORDER = os.fsencode(RECORDER)


def recorders_of(supervisord: int, specs_dir: Path) -> dict[str, int]:
    """Return the recorders that are children of a supervisord: the generation of its launch spec, by camera. Where
    they can't be seen there are none."""
    directory = os.fsencode(specs_dir)
    return dict(filter(None, (recorder_of(pid, directory) for pid in children(supervisord) or ())))


def children(pid: int) -> list[int] | None:
    """Return the children of a process of one thread; None where they can't be seen. While some end, others may lack,
    but never all."""
    with suppress(*GONE, PermissionError), open(f"/proc/{pid}/task/{pid}/children", "rb") as file:
        return list(map(int, file.read().split()))
    return None


def all_pids() -> Iterator[int]:
    """Yield the ids of all processes that we may see."""
    yield from (int(entry.name) for entry in os.scandir("/proc") if entry.name.isdigit())


def recorder_of(pid: int, specs_dir: bytes) -> tuple[str, int] | None:
    """Return camera and generation of a process that is a recorder of these specs: `… start_recorder.py SPEC
    GENERATION`."""
    with suppress(*GONE, PermissionError, ValueError):
        arguments = recorder.read(f"/proc/{pid}/cmdline").split(b"\0")
        if len(arguments) >= 4 and arguments[-4] == _RECORDER:
            directory, _, name = arguments[-3].rpartition(b"/")
            if directory == specs_dir:
                return os.fsdecode(name.removesuffix(b".spec")), int(arguments[-2])
    return None
