"""Reading when segments end, in an open camera directory."""

import os
import stat
import time
from collections.abc import Iterator
from contextlib import contextmanager

from heldar_mirror.footage.names import segment_name
from heldar_mirror.packets.boxes import Damage
from heldar_mirror.packets.index import Length, read_length
from heldar_mirror.recorder.files import open_plain
from heldar_mirror.sides.ends import Written, end_of, is_cut_into, may_be_open
from heldar_mirror.sides.limits import TooCostlyError, limited_cpu
from heldar_mirror.volume.listing import STUB_BYTES


class EndReader:
    """Finds the ends of segments. `damaged` and `unread` are filled on the way, as in `Recorded`."""

    def __init__(self, directory: int, segment_seconds: float) -> None:
        self._directory = directory
        self._segment_seconds = segment_seconds
        self.damaged: dict[int, str] = {}
        self.unread: dict[int, str] = {}

    def end(self, begun: int, following: int | None) -> float | None:
        """Return when a segment ends (Unix seconds), or None if it is not there any more.

        `following` is the beginning of the next segment of the camera, None for the newest one.
        """
        name = segment_name(begun)
        try:
            about = os.stat(name, dir_fd=self._directory, follow_symlinks=False)
            if not stat.S_ISREG(about.st_mode):
                return None
            written = Written(about.st_size, about.st_mtime)
            if following is not None and is_cut_into(begun, following, written, self._segment_seconds, STUB_BYTES):
                return following
            with opened_segment(self._directory, name, scattered=True) as fd, limited_cpu():
                length = read_length(fd)
        except FileNotFoundError:
            return None
        except OSError as error:
            self.unread[begun] = error.strerror or str(error)
            return begun
        except (TooCostlyError, MemoryError) as error:
            self.damaged[begun] = str(error) or "it takes too much memory"
            return begun
        self._note_damage(begun, length, is_open=following is None or may_be_open(written, time.time()))
        return end_of(begun, following, length.end - length.begin, written, self._segment_seconds)

    def _note_damage(self, begun: int, length: Length, *, is_open: bool) -> None:
        """Take note of what is wrong with a file. That it ends too early is right for an open one."""
        damage = length.damage
        if damage and not (damage.cut and is_open):
            self.damaged[begun] = shown(damage)
        elif length.end <= length.begin and not is_open:
            self.damaged[begun] = "nothing was recorded in it"


@contextmanager
def opened_segment(directory: int, name: str, *, scattered: bool = False) -> Iterator[int]:
    """Open a segment in an open camera directory and yield its descriptor. Raises OSError.

    With `scattered`, Linux reads nothing beyond what it is asked for: the index of a file lies in small pieces, and
    half as much is read.
    """
    fd = open_plain(name, within=directory)
    try:
        if scattered:
            os.posix_fadvise(fd, 0, 0, os.POSIX_FADV_RANDOM)
        yield fd
    finally:
        os.close(fd)


def shown(damage: Damage) -> str:
    """Return a damage for a person."""
    return f"{damage.reason}, at byte {damage.offset}"
