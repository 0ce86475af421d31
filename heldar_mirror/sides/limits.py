"""A limit for what one file may cost, since a camera directory may hold anything."""

import signal
from collections.abc import Iterator
from contextlib import contextmanager

# The index of the longest segment, a day of pictures and sound, takes 6 s. A hostile file would take a minute.
FILE_CPU_SECONDS = 20.0


class TooCostlyError(Exception):
    """A file takes too much processor time."""

    def __str__(self) -> str:
        return f"to read it takes more than {FILE_CPU_SECONDS:g} s of processor time"


def _end_file(*_: object) -> None:
    raise TooCostlyError


@contextmanager
def limited_cpu() -> Iterator[None]:
    """Raise TooCostlyError in the block once it has taken FILE_CPU_SECONDS. It works in the main thread alone."""
    signal.signal(signal.SIGPROF, _end_file)
    try:
        signal.setitimer(signal.ITIMER_PROF, FILE_CPU_SECONDS)
        try:
            yield
        finally:
            signal.setitimer(signal.ITIMER_PROF, 0)
    finally:
        # The signal may have come just before the timer was stopped.
        signal.signal(signal.SIGPROF, signal.SIG_IGN)
