"""The parent's end of a child process that answers: starting it, asking it, and leaving it alone when it hangs."""

import json
import os
import select
import subprocess
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from heldar_mirror.children import child_environment
from heldar_mirror.sides.protocol import Frame, FrameReader
from heldar_mirror.writing import write_all

# A child that is killed ends at once, unless it is stuck in a call that no signal ends.
END_SECONDS = 1.0

# Within a child's patience we look this many times whether it has used the processor.
LOOKS = 20

# Killed children that did not end are kept here, so that Python does not complain about them.
_stuck: "list[subprocess.Popen[bytes]]" = []


class Child:
    """A child process that answers one question after another.

    It hangs if for `patience` seconds it has neither written anything nor used the processor.
    """

    def __init__(self, command: Sequence[str], patience: float) -> None:
        _stuck[:] = [child for child in _stuck if child.poll() is None]
        self._patience = patience
        self._process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            cwd="/",
            env=child_environment(),
            start_new_session=True,  # so that a terminal's Ctrl-C does not reach it
        )
        assert self._process.stdin  # noqa: S101 - it is a pipe
        assert self._process.stdout  # noqa: S101 - it is a pipe
        self._input, self._output = self._process.stdin.fileno(), self._process.stdout.fileno()
        self._frames = FrameReader(self._output, self._wait)

    @property
    def pid(self) -> int:
        """The process id."""
        return self._process.pid

    def ask(self, question: dict[str, Any]) -> Frame:
        """Return the answer to a question.

        Raises TimeoutError if the child hangs, and EndedError or BrokenPipeError if it has ended.
        """
        write_all(self._input, json.dumps(question).encode() + b"\n")
        return self._frames.answer()

    def is_alive(self) -> bool:
        """Return whether the child has not ended, though it may have been killed."""
        return self._process.poll() is None

    def end(self, grace: float = 0) -> None:
        """Close both pipes, and kill the child if it does not end by that within `grace` seconds. It may be stuck."""
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe:
                pipe.close()
        for seconds in (grace, END_SECONDS):
            with suppress(subprocess.TimeoutExpired):
                self._process.wait(seconds)
                return
            with suppress(PermissionError):  # it stayed root and we did not: it ends when it wants to write to us
                self._process.kill()
        _stuck.append(self._process)

    def _wait(self) -> None:
        """Wait until the child has written something. Raises TimeoutError if it hangs."""
        wait_for_output(self._output, self._patience, self._spent)

    def _spent(self) -> tuple[str, ...]:
        """Return the processor time that the child has used, and whether it waits for a processor now."""
        try:
            fields = Path(f"/proc/{self.pid}/stat").read_text().rpartition(")")[2].split()
        except (FileNotFoundError, ProcessLookupError):
            return ()
        # A child that only waits for a processor does not hang: then no two of these are equal.
        return (*fields[11:13], os.urandom(8).hex() if fields[0] == "R" else "")


def wait_for_output(fd: int, patience: float, spent: Callable[[], object]) -> None:
    """Wait until something can be read from a pipe.

    Raises TimeoutError if what `spent` returns stays the same for `patience` seconds. It is called several times in
    them, so that an end is not noticed much later because something was done at their beginning.
    """
    waiting = select.poll()
    waiting.register(fd, select.POLLIN)
    last, idle = spent(), 0
    while not waiting.poll(patience * 1000 / LOOKS):
        before, last = last, spent()
        idle = idle + 1 if last == before else 0
        if idle == LOOKS:
            raise TimeoutError
