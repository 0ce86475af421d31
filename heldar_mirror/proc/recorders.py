"""Find the recorders that run, from /proc: 20 ms for a thousand, which supervisord takes half a second to list."""

import os
from contextlib import suppress
from pathlib import Path

from heldar_mirror.proc.processes import GONE, children
from heldar_mirror.recorder import recorder

RECORDER = Path(recorder.__file__).with_name("start_recorder.py").absolute()


_RECORDER = os.fsencode(RECORDER)


def recorders_of(supervisord: int, specs_dir: Path) -> dict[str, int]:
    """Return the generation of each recorder among a supervisord's children, by camera; none if they can't be seen."""
    directory = os.fsencode(specs_dir)
    return dict(filter(None, (recorder_of(pid, directory) for pid in children(supervisord) or ())))


def recorder_of(pid: int, specs_dir: bytes) -> tuple[str, int] | None:
    """Return camera and generation of a process if it is a recorder with a spec in `specs_dir`, else None.

    Its command line is `… start_recorder.py SPEC GENERATION`.
    """
    with suppress(*GONE, PermissionError, ValueError):
        arguments = recorder.read(f"/proc/{pid}/cmdline").split(b"\0")
        if len(arguments) >= 4 and arguments[-4] == _RECORDER:
            directory, _, name = arguments[-3].rpartition(b"/")
            if directory == specs_dir:
                return os.fsdecode(name.removesuffix(b".spec")), int(arguments[-2])
    return None
