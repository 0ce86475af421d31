"""One side's recordings, read through a child process, so that a volume that hangs costs that side alone."""

from array import array
from pathlib import Path
from typing import Literal

from heldar_mirror.sides.recorded import Identity, Packets, Recorded


class Side:
    """The recordings of one side, below its root: a context manager, which keeps one child process.

    It is not thread-safe: each thread has a Side of its own. With `idle`, the child reads at the lowest priority for
    processor and disk. Each method raises HungError if the volume does not answer, and UnreadableError if a file or
    directory can't be read.
    """

    def __init__(self, name: Literal["primary", "mirror"], root: Path, *, idle: bool = False) -> None:
        self.name = name
        self.root = root
        self._idle = idle

    def __enter__(self) -> "Side":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """End the child. A later question starts a new one."""

    def cameras(self) -> list[str]:
        """Return the names of the directories that are named like a camera."""
        raise NotImplementedError

    def names(self, camera_id: str, since: float, until: float) -> "array[int]":
        """Return when a camera's segments begin, by their names (Unix seconds), in order.

        They are those from `since` on and before `until`, and the last one before `since`, which may reach into that
        time. They are none if the camera has no directory.
        """
        raise NotImplementedError

    def recorded(self, camera_id: str, since: float, until: float, segment_seconds: float) -> Recorded:
        """Return a camera's segments in a time, as in `names`, with their ends.

        `segment_seconds` is the camera's usual length of a segment.
        """
        raise NotImplementedError

    def packets(self, camera_id: str, begun: int) -> Packets:
        """Return the packets of a segment by the index of its file, without digests."""
        raise NotImplementedError

    def hashes(self, camera_id: str, begun: int) -> Packets:
        """Return the packets of a segment with their digests."""
        raise NotImplementedError

    def sha256(self, camera_id: str, begun: int) -> tuple[bytes, Identity]:
        """Return the SHA-256 of a segment's file, and what the file was when it was read."""
        raise NotImplementedError

    def identity(self, camera_id: str, begun: int) -> Identity:
        """Return what a segment's file is, without reading it."""
        raise NotImplementedError
