"""The child process of a side: it opens the root, and answers questions until its standard input ends.

It is started as `python -I -m heldar_mirror.sides.reader ROOT [VOLUME]`. With the id of a volume, it answers only while
that is the one at the root. See `protocol.py` for the messages.
"""

import json
import os
import sys
import time
from collections.abc import Callable
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any

from heldar_mirror.errors import VolumeError
from heldar_mirror.sides.answers import Answer, Answers
from heldar_mirror.sides.indexes import Indexes
from heldar_mirror.sides.protocol import ALIVE, encode
from heldar_mirror.volume.listing import opened_directory, opened_root
from heldar_mirror.writing import write_all

ALIVE_SECONDS = 0.5


class Root:
    """The root, which is opened again when something else lies at its path."""

    def __init__(self, path: Path, volume: str) -> None:
        self._path = path
        self._volume = volume
        self._fd = -1
        self._stack = ExitStack()

    def open(self) -> int:
        """Return a descriptor of what is at the path now. Raises OSError or VolumeError."""
        if self._fd < 0 or not os.path.samestat(self._path.stat(), os.fstat(self._fd)):
            self._stack.close()
            self._fd = -1
            root = opened_root(self._path, self._volume) if self._volume else opened_directory(self._path)
            self._fd = self._stack.enter_context(root)
        return self._fd


class Alive:
    """Says now and then that we are at work."""

    def __init__(self) -> None:
        self._said = time.monotonic()

    def __call__(self) -> None:
        now = time.monotonic()
        if now - self._said >= ALIVE_SECONDS:
            self._said = now
            write_all(1, ALIVE)


def answer(root: Root, question: dict[str, Any], progress: Callable[[], None], indexes: Indexes) -> Answer:
    """Return the answer to a question, or what keeps us from answering."""
    try:
        opened = root.open()
    except OSError as error:
        return {"no root": error.strerror or str(error)}, []
    except VolumeError as error:
        return {"volume": str(error)}, []
    try:
        method = getattr(Answers(opened, progress, indexes), question.pop("about"))
        made: Answer = method(**question)
    except FileNotFoundError:
        return {"gone": True}, []
    except OSError as error:
        return {"unreadable": error.strerror or str(error)}, []
    return made


def main(path: str, volume: str = "") -> None:
    """Answer questions until standard input ends."""
    root, alive, indexes = Root(Path(path), volume), Alive(), Indexes()
    for line in sys.stdin.buffer:
        fields, blocks = answer(root, json.loads(line), alive, indexes)
        write_all(1, encode(fields, blocks), *blocks)


if __name__ == "__main__":
    with suppress(BrokenPipeError):  # the process that asked has ended
        main(*sys.argv[1:])
    os._exit(0)  # a root that hangs can't be closed
