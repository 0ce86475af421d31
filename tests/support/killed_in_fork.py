"""Work that is killed at one of its steps, in a process that is forked for it."""

import os
import signal
from collections.abc import Callable
from itertools import count
from typing import Any

# The calls that change something on the volume, or bring it there.
STEPS = (
    *("open", "mkdir", "write", "copy_file_range", "ftruncate", "fchmod", "fchown", "utime", "fdatasync", "fsync"),
    *("link", "rename", "unlink", "rmdir"),
)


def is_killed_at(step: int, work: Callable[[], None], *, torn: bool) -> bool:
    """Do some work in a process that is killed just before one of its steps, counted from 1.

    If it is `torn`, half of a write is done. Return False if the work was done in fewer steps.
    """
    child = os.fork()
    if not child:
        try:
            _kill_at(step, torn=torn)
            work()
        finally:
            os._exit(0)
    _, status = os.waitpid(child, 0)
    return os.WIFSIGNALED(status)


def _kill_at(step: int, *, torn: bool) -> None:
    taken = count(1)

    def wrap(name: str, function: Callable[..., Any]) -> Callable[..., Any]:
        def call(*args: Any, **kwargs: Any) -> Any:
            if (name != "open" or args[1] & os.O_CREAT) and next(taken) == step:
                if torn and name == "write":
                    function(args[0], args[1][: len(args[1]) // 2])
                if torn and name == "copy_file_range":
                    function(args[0], args[1], args[2] // 2, *args[3:])
                os.kill(os.getpid(), signal.SIGKILL)
            return function(*args, **kwargs)

        return call

    for name in STEPS:
        setattr(os, name, wrap(name, getattr(os, name)))
