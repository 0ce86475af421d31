"""The boxes of an mp4 file, as ISO/IEC 14496-12 defines them, and what is damaged in them."""

import functools
import struct
import sys
from array import array
from collections.abc import Iterator
from typing import Any, NamedTuple

# More boxes than any box holds.
MAX_CHILDREN = 1 << 16


class Damage(NamedTuple):
    """A fault in a file: its place, as a byte of the file, and the reason.

    `cut` says that the file ends too early, as one does that is still being written.
    """

    offset: int
    reason: str
    cut: bool = False


class DamagedError(Exception):
    """A box can't be read, or not further."""

    def __init__(self, offset: int, reason: str, *, cut: bool = False) -> None:
        super().__init__(reason)
        self.damage = Damage(offset, reason, cut)


class Box(NamedTuple):
    """A box in memory: its kind, where it begins in the file, what is in it, and where that begins in the file."""

    kind: str
    offset: int
    content: memoryview
    begin: int

    def unpack(self, form: str, at: int = 0) -> tuple[Any, ...]:
        """Return big-endian fields. Raises DamagedError if the box is too short."""
        try:
            return struct.unpack_from(f">{form}", self.content, at)
        except struct.error:
            raise DamagedError(self.offset, f"the box {self.kind} is too short for its fields") from None

    def version(self) -> int:
        """Return the version of a `FullBox`."""
        version: int = self.unpack("B")[0]
        return version

    def table(self, at: int, count: int, code: str = "I") -> "array[int]":
        """Return an array of big-endian numbers. Raises DamagedError if the box is too short."""
        made = array(code)
        content = self.content[at : at + count * made.itemsize]
        if len(content) < count * made.itemsize:
            raise DamagedError(self.offset, f"the box {self.kind} is too short for {count} entries")
        made.frombytes(content)
        if sys.byteorder == "little":
            made.byteswap()
        return made

    def boxes(self) -> "Iterator[Box]":
        """Yield the boxes in this one. Raises DamagedError where there is none."""
        at = count = 0
        while at < len(self.content):
            count += 1
            if count > MAX_CHILDREN:
                raise DamagedError(self.offset, f"the box {self.kind} holds more than {MAX_CHILDREN} boxes")
            offset = self.begin + at
            kind, begin, end = read_header(
                self.content[at : at + 16], offset, self.begin + len(self.content), cut=False
            )
            yield Box(kind, offset, self.content[begin - self.begin : end - self.begin], begin)
            at = end - self.begin

    def children(self) -> "Children":
        """Return the boxes in this one by kind. Raises DamagedError where there is none."""
        return Children(self)

    def child(self, kind: str) -> "Box":
        """Return the box of this kind in this one. Raises DamagedError if there is none."""
        return self.children().need(kind)


class Children(dict[str, Box]):
    """The boxes in a box, by kind; the last one of each."""

    def __init__(self, parent: Box) -> None:
        super().__init__((box.kind, box) for box in parent.boxes())
        self._parent = parent

    def need(self, *kinds: str) -> Box:
        """Return the box of one of these kinds. Raises DamagedError if there is none."""
        for kind in kinds:
            if kind in self:
                return self[kind]
        raise DamagedError(self._parent.offset, f"the box {self._parent.kind} holds no {' or '.join(kinds)}")


def read_header(raw: bytes | memoryview, offset: int, limit: int, *, cut: bool) -> tuple[str, int, int]:
    """Return a box's kind, where its content begins, and where it ends, which is at most `limit`."""
    raw = bytes(raw[: limit - offset])
    length = 16 if raw[:4] == b"\0\0\0\1" else 8
    if len(raw) < length:
        raise DamagedError(offset, "a box's header is not whole", cut=cut)
    kind = _kind(raw[4:8])
    if not kind:
        raise DamagedError(offset, "expected a box")
    size = int.from_bytes(raw[8:16] if length == 16 else raw[:4], "big")
    if size == 0 and length == 8:
        size = limit - offset
    if size < length:
        raise DamagedError(offset, f"the box {kind} is smaller than its header")
    if size > limit - offset:
        raise DamagedError(offset, f"the box {kind} is not whole", cut=cut)
    return kind, offset + length, offset + size


@functools.lru_cache(1024)
def _kind(raw: bytes) -> str:
    """Return the kind of a box, or nothing if that is not printable."""
    return raw.decode("ascii") if raw.isascii() and raw.decode("ascii").isprintable() else ""
