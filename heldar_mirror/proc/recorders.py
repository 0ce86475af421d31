"""Find the running recorders from /proc. That takes 20 ms for a thousand; supervisord needs half a second."""

import os
from contextlib import suppress
from pathlib import Path

from heldar_mirror.proc.processes import PROCESS_ENDED, children
from heldar_mirror.recorder import files, recorder

RECORDER = Path(recorder.__file__).with_name("start_recorder.py").absolute()
_RECORDER = os.fsencode(RECORDER)


def recorders_of(supervisord: int, specs_dir: Path) -> dict[str, int]:
    """Return the generations of the recorders among a supervisord's children, by camera. `supervisord` is its pid.

    Return nothing if its children can't be seen.
    """
    directory = os.fsencode(specs_dir)
    return dict(filter(None, (recorder_of(pid, directory) for pid in children(supervisord) or ())))


def recorder_of(pid: int, specs_dir: bytes) -> tuple[str, int] | None:
    """Return camera and generation of a process if it is a recorder with a launch spec in `specs_dir`, else None.

    Its command line is `… start_recorder.py SPEC GENERATION`.
    """
    with suppress(*PROCESS_ENDED, PermissionError, ValueError):
        arguments = files.read(f"/proc/{pid}/cmdline").split(b"\0")
        if len(arguments) >= 4 and arguments[-4] == _RECORDER:
            directory, _, name = arguments[-3].rpartition(b"/")
            if directory == specs_dir:
                return os.fsdecode(name.removesuffix(b".spec")), int(arguments[-2])
    return None
