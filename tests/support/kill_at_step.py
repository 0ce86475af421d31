"""Run a heldar-mirror command, and kill it just before one of its steps: kill_at_step.py STEP COMMAND...

A step is a call that changes a file or what verify remembers, or changes or queries supervisord. STEP is its number,
from 1, or its name, such as `removeProcessGroup`. Each completed step is printed to standard error.
"""

import os
import posix
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from heldar_mirror.cli.main import main
from heldar_mirror.supervisord.gateway import Gateway
from heldar_mirror.verify.memory import Memory

TAKEN: list[str] = []


def wrap(owner: Any, name: str, describe: Callable[..., str | None]) -> None:
    """Make each call of a function a step, unless `describe` returns None because the call has no effect."""
    function = getattr(owner, name)

    def call(*args: Any, **kwargs: Any) -> Any:
        if step := describe(*args):
            TAKEN.append(step)
            if sys.argv[0] in (str(len(TAKEN)), step):
                os.kill(os.getpid(), signal.SIGKILL)
            print(f"{len(TAKEN)} {step}", file=sys.stderr, flush=True)
        return function(*args, **kwargs)

    setattr(owner, name, call)


for module in (os, posix):
    wrap(module, "open", lambda path, flags, *_: f"open {Path(path).name}" if flags & os.O_CREAT else None)
wrap(os, "mkdir", lambda path, *_: f"mkdir {path}")
wrap(Path, "rename", lambda _, target: f"rename {target.name}")
wrap(Path, "unlink", lambda path, *_: f"unlink {path.name}" if path.exists() else None)
wrap(Gateway, "reload", lambda *_: "reloadConfig")
wrap(Gateway, "processes", lambda *_: "getAllProcessInfo")
wrap(Memory, "take_stock", lambda *arguments: f"take stock of {arguments[2]}")
wrap(Memory, "note", lambda *arguments: f"note {arguments[2]}")
wrap(Gateway, "_batch", lambda _, method, arguments: method if arguments else None)

if __name__ == "__main__":
    del sys.argv[0]
    main(sys.argv[1:], prog_name="heldar-mirror")
