"""Standard output, and the end of a command that can't write to it."""

import io
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NoReturn

from heldar_mirror.cli.lines import complain
from heldar_mirror.errors import LOST_OUTPUT, UNREAD_OUTPUT


class _Output(io.FileIO):
    """Standard output, which remembers why it could not be written to."""

    error: OSError | None = None

    def write(self, content: "bytes | bytearray | memoryview", /) -> int | None:  # type: ignore[override]
        try:
            return super().write(content)
        except OSError as error:
            self.error = error
            raise


@contextmanager
def checked_output() -> Iterator[None]:
    """End the process with an exit code of its own if what is printed can't be written.

    Whatever prints, such as click and rich, raises an OSError then, or ends the process with some other exit code.
    """
    text = sys.stdout
    if text is not sys.__stdout__ or text is None:  # a test reads it, or it was closed for us
        yield
        return
    output = _Output(1, "w", closefd=False)
    sys.stdout = io.TextIOWrapper(
        io.BufferedWriter(output), text.encoding, text.errors, line_buffering=text.line_buffering
    )
    try:
        yield
    except (OSError, SystemExit):
        if output.error is None:
            raise
        _end(output.error)
    finally:
        try:
            if sys.stderr:
                sys.stderr.flush()
        except OSError:
            _drop(2)


def _end(error: OSError) -> NoReturn:
    """End the process. Nothing is said if nobody reads the output any more, as after `| head`."""
    _drop(1)
    if isinstance(error, BrokenPipeError):
        sys.exit(UNREAD_OUTPUT)
    lost = f"cannot write to standard output: {error.strerror}. What the command was to do is done"
    complain(f"heldar-mirror: {lost}")
    sys.exit(LOST_OUTPUT)


def _drop(fd: int) -> None:
    """Drop what is left to be written, or Python would try it again at its end, fail, and choose the exit code."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), fd)
