"""Recordings that fragments are taken from, and how they must be made for that."""

from typing import NamedTuple

from heldar_mirror.errors import MirrorError
from heldar_mirror.packets.head import read_head
from heldar_mirror.packets.layout import Layout, UnknownLayoutError, read_layout


class UncuttableError(MirrorError):
    """Fragments can't be taken from a recording. It can be copied as a whole all the same."""

    def __init__(self, path: str, reason: str) -> None:
        super().__init__(f"{path} can't be cut: {reason}. It can only be copied as a whole")


class Source(NamedTuple):
    """An open recording that fragments can be taken from. `head` are its boxes `ftyp` and `moov`.

    Recordings with equal `codings` have the same tracks, coded in the same way.
    """

    path: str
    fd: int
    layout: Layout
    head: bytes
    codings: tuple[bytes, ...]


def read_source(fd: int, path: str) -> Source:
    """Return the recording of an open file, named by `path` in errors. Raises UncuttableError, and OSError."""
    try:
        layout = read_layout(fd)
        return Source(path, fd, layout, *read_head(fd, layout))
    except UnknownLayoutError as error:
        raise UncuttableError(path, str(error)) from None
