"""The messages between a side and its child process, on the child's standard input and output.

A question is a JSON object in a line. The child answers with frames: a JSON object in a line, whose `sizes` give the
lengths of the blocks of bytes that follow. A frame with `alive` is no answer: the child is at work, and more frames
come. Both ends are of one version, since a child lives no longer than the command that has started it.
"""

import json
import os
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

# No line is longer: it may say of a million files what is wrong with them.
MAX_LINE = 256 << 20
# The packets of a file are at most `MAX_PACKETS`, of 49 bytes each.
MAX_BLOCKS = 1 << 30

READ_BYTES = 1 << 16

ALIVE = b'{"alive": true}\n'


class Frame(NamedTuple):
    """What a frame says, and its blocks."""

    fields: dict[str, Any]
    blocks: list[bytes]


class EndedError(Exception):
    """The other end is gone, or does not speak the protocol."""


def encode(fields: dict[str, Any], blocks: Sequence[bytes | bytearray] = ()) -> bytes:
    """Return a frame's line. The blocks follow it."""
    return json.dumps(fields | {"sizes": list(map(len, blocks))}).encode() + b"\n"


class FrameReader:
    """Reads frames from a pipe. `wait` is called before each read; it may raise."""

    def __init__(self, fd: int, wait: Callable[[], None]) -> None:
        self._fd = fd
        self._wait = wait
        self._rest = bytearray()

    def answer(self) -> Frame:
        """Return the next frame that is an answer. Raises EndedError, or what `wait` raises."""
        while True:
            line = self._line()
            if line != ALIVE:
                return self._frame(line)

    def _frame(self, line: bytes) -> Frame:
        try:
            fields = json.loads(line)
            sizes = fields.pop("sizes")
        except (ValueError, RecursionError, KeyError, TypeError, AttributeError):
            raise EndedError("it wrote something else than an answer") from None
        if sum(sizes) > MAX_BLOCKS:
            raise EndedError(f"its answer is larger than {MAX_BLOCKS >> 20} MiB")
        return Frame(fields, list(map(self._block, sizes)))

    def _line(self) -> bytes:
        searched = 0
        while (end := self._rest.find(b"\n", searched)) < 0:
            searched = len(self._rest)
            if searched > MAX_LINE:
                raise EndedError(f"it wrote a line of more than {MAX_LINE >> 20} MiB")
            self._read()
        return self._take(end + 1)

    def _block(self, size: int) -> bytes:
        while len(self._rest) < size:
            self._read()
        return self._take(size)

    def _read(self) -> None:
        self._wait()
        piece = os.read(self._fd, READ_BYTES)
        if not piece:
            raise EndedError("it ended")
        self._rest += piece

    def _take(self, size: int) -> bytes:
        taken = bytes(memoryview(self._rest)[:size])
        del self._rest[:size]
        return taken
