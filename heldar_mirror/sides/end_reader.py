"""Reading when segments end, in an open camera directory."""

import os
import stat
import time
from array import array
from bisect import bisect_right
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

from heldar_mirror.footage.names import segment_name
from heldar_mirror.packets.boxes import Damage
from heldar_mirror.packets.index import Length, read_length
from heldar_mirror.recorder.files import open_plain
from heldar_mirror.sides.ends import CUT_SECONDS, JOIN_SECONDS, SETTLED_SECONDS, Evidence, Written, end_of, may_be_open
from heldar_mirror.sides.limits import TooCostlyError, limited_cpu
from heldar_mirror.sides.recorded import NOTHING_RECORDED
from heldar_mirror.volume.listing import STUB_BYTES


class EndReader:
    """Finds the ends of a camera's segments, of which `begun` has all.

    An end that lies within `join_seconds` of the next beginning is that beginning. `damaged` and `unread` are filled on
    the way, as in `Recorded`.
    """

    def __init__(
        self, directory: int, begun: "array[int]", segment_seconds: float, join_seconds: float = JOIN_SECONDS
    ) -> None:
        self._directory = directory
        self._begun = begun
        self._segment_seconds = segment_seconds
        self._join_seconds = join_seconds
        self._now = time.time()
        self.damaged: dict[int, str] = {}
        self.unread: dict[int, str] = {}

    def ends(self, wanted: range, progress: Callable[[], None]) -> "tuple[array[int], array[float]]":
        """Return when segments begin and end (Unix seconds), given by their indexes. Those that are gone are left out.

        `progress` is called after each of them.
        """
        kept, ends = array("q"), array("d")
        seen = range(wanted.start, self._settled(wanted))
        reached = self._begun[seen.stop] if seen.stop < len(self._begun) else 0
        evidence = Evidence(self._segment_seconds, STUB_BYTES, reached)
        for index in reversed(seen):
            begun, following = self._begun[index], self._begun[index + 1] if index + 1 < len(self._begun) else None
            with suppress(FileNotFoundError):
                written = self._written(begun)
                is_known = evidence.is_enough(begun, following, written)
                if index in wanted:
                    kept.append(begun)
                    ends.append(following if is_known and following else self._read_end(begun, following, written))
            progress()
        kept.reverse()
        ends.reverse()
        return kept, ends

    def _settled(self, wanted: range) -> int:
        """Return the index up to which segments have to be looked at, to know of those wanted whether they settled."""
        if not wanted:
            return wanted.stop
        distance = SETTLED_SECONDS + 2 * (self._segment_seconds + CUT_SECONDS)
        return bisect_right(self._begun, self._begun[wanted.stop - 1] + distance)

    def _written(self, begun: int) -> Written:
        """Return what is known of a segment's file without reading it. Raises FileNotFoundError if it is gone."""
        try:
            about = os.stat(segment_name(begun), dir_fd=self._directory, follow_symlinks=False)
        except FileNotFoundError:
            raise
        except OSError:
            return Written(0, 0)  # to open it fails as well, and is reported
        if not stat.S_ISREG(about.st_mode):
            raise FileNotFoundError
        return Written(about.st_size, about.st_mtime)

    def _read_end(self, begun: int, following: int | None, written: Written) -> float:
        """Return when a segment ends, by its file. Raises FileNotFoundError if it is gone."""
        try:
            with opened_segment(self._directory, segment_name(begun), scattered=True) as fd, limited_cpu():
                length = read_length(fd)
        except FileNotFoundError:
            raise
        except OSError as error:
            self.unread[begun] = error.strerror or str(error)
            return begun
        except (TooCostlyError, MemoryError) as error:
            self.damaged[begun] = str(error) or "it takes too much memory"
            return begun
        self._note_damage(begun, length, is_open=following is None or may_be_open(written, self._now))
        seconds = length.end - length.begin
        return end_of(begun, following, seconds, written, self._segment_seconds, join_seconds=self._join_seconds)

    def _note_damage(self, begun: int, length: Length, *, is_open: bool) -> None:
        """Take note of what is wrong with a file. That it ends too early is right for an open one."""
        damage = length.damage
        if damage and not (damage.cut and is_open):
            self.damaged[begun] = shown(damage)
        elif length.end <= length.begin and not is_open:
            self.damaged[begun] = NOTHING_RECORDED


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
    early = "it ends too early: " if damage.cut else ""
    return f"{early}{damage.reason}, at byte {damage.offset}"
