"""Which recorders run, from /proc: 20 ms for a thousand, where supervisord takes half a second to list them."""

import os
from contextlib import suppress
from pathlib import Path

from heldar_mirror.proc.processes import GONE, children
from heldar_mirror.recorder import recorder

RECORDER = Path(recorder.__file__).with_name("start_recorder.py").absolute()


_RECORDER = os.fsencode(RECORDER)


def recorders_of(supervisord: int, specs_dir: Path) -> dict[str, int]:
    """Return the recorders that are children of a supervisord: the generation of its launch spec, by camera. Where
    they can't be seen there are none."""
    directory = os.fsencode(specs_dir)
    return dict(filter(None, (recorder_of(pid, directory) for pid in children(supervisord) or ())))


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
