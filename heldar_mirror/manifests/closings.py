"""Hearing from Linux, by inotify, which files in the camera directories were closed or got their names.

watchdog would take a thread and an inotify instance for each directory, and does not tell that events were lost.
"""

import ctypes
import os
import struct
from collections.abc import Iterator
from contextlib import suppress

IN_CLOSE_WRITE, IN_MOVED_TO, IN_MOVE_SELF = 0x08, 0x80, 0x800
IN_Q_OVERFLOW, IN_IGNORED = 0x4000, 0x8000
IN_ONLYDIR = 0x0100_0000

# A recorder names a segment while ffmpeg has it open. But a very short one may be closed by then, and so is what a
# killed recorder has left.
MASK = IN_CLOSE_WRITE | IN_MOVED_TO | IN_MOVE_SELF | IN_ONLYDIR

_EVENT = struct.Struct("iIII")
_READ_BYTES = 1 << 18


class LostError(Exception):
    """Linux has dropped events, since too many were waiting."""


class Closings:
    """Watches camera directories. `fd` can be waited for; it is None if this machine has no inotify instance left."""

    def __init__(self) -> None:
        self._libc = ctypes.CDLL(None)
        fd = self._libc.inotify_init1(os.O_CLOEXEC | os.O_NONBLOCK)
        self.fd: int | None = None if fd < 0 else fd
        self._cameras: dict[int, str] = {}

    def watched(self) -> set[str]:
        """Return the cameras whose directories are watched. A directory that is removed or moved is not any more."""
        return set(self._cameras.values())

    def watch(self, directory: int, camera_id: str) -> bool:
        """Watch a camera directory, given by its descriptor. Return whether Linux's limits allow it."""
        if self.fd is None:
            return False
        # This path leads to the very directory that was opened, whatever lies at its name by now.
        watch = self._libc.inotify_add_watch(self.fd, b"/proc/self/fd/%d" % directory, MASK)
        if watch >= 0:
            self._cameras[watch] = camera_id
        return bool(watch >= 0)

    def read(self) -> Iterator[tuple[str, str]]:
        """Yield the camera and the name of each file that was closed after writing, or renamed, since the last read.

        Raises LostError if some were lost.
        """
        with suppress(BlockingIOError):
            while self.fd is not None and (content := os.read(self.fd, _READ_BYTES)):
                yield from self._events(content)

    def _events(self, content: bytes) -> Iterator[tuple[str, str]]:
        at = 0
        while at < len(content):
            watch, mask, _, length = _EVENT.unpack_from(content, at)
            at += _EVENT.size
            name = content[at : at + length].rstrip(b"\0")
            at += length
            if mask & IN_Q_OVERFLOW:
                raise LostError
            if mask & IN_IGNORED:
                self._cameras.pop(watch, None)
            elif mask & IN_MOVE_SELF:
                self._libc.inotify_rm_watch(self.fd, watch)
                self._cameras.pop(watch, None)
            elif name and watch in self._cameras:
                yield self._cameras[watch], os.fsdecode(name)

    def close(self) -> None:
        """Stop watching."""
        if self.fd is not None:
            os.close(self.fd)
            self.fd = None
