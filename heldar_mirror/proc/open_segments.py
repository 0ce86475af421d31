"""Find the segment that each camera's ffmpeg has open. Only /proc is read, since the volume is large and may hang."""

import os
from collections.abc import Collection, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from heldar_mirror.footage.names import segment_begun
from heldar_mirror.proc.processes import PROCESS_ENDED, all_pids
from heldar_mirror.proc.recorders import recorder_of


@dataclass(frozen=True)
class Segment:
    """A segment that is being written: its path, its size in bytes, and when it was begun (Unix seconds)."""

    path: str
    size_bytes: int
    begun: float


class OpenSegments:
    """Finds the segments that recorders with a launch spec in `specs_dir` have open.

    It remembers the process and the descriptor of each, so that it seldom has to search all processes.
    """

    def __init__(self, specs_dir: Path) -> None:
        self._specs_dir = os.fsencode(specs_dir)
        self._descriptors: dict[str, tuple[int, str, Segment]] = {}
        self.refused = 0
        self.ffmpegs: set[str] = set()

    def look(self, expected: Collection[str] = ()) -> dict[str, Segment]:
        """Return the open segments by camera.

        All processes are searched only if a camera in `expected` has no segment at the remembered descriptor. A search
        sets `refused`, the number of ffmpegs whose files we may not see, and `ffmpegs`, the cameras that have one.
        """
        found = self._look_again()
        if not self._descriptors or any(camera_id not in found for camera_id in expected):
            self._search()
            found = self._look_again()
        return found

    def _look_again(self) -> dict[str, Segment]:
        found = {}
        for camera_id, (pid, fd, last) in self._descriptors.items():
            with suppress(*PROCESS_ENDED, PermissionError):
                segment = _segment(pid, fd, last)
                # The pid or the descriptor may belong to something else by now.
                if segment and os.path.dirname(segment.path) == os.path.dirname(last.path):  # noqa: PTH120
                    found[camera_id] = segment
                    self._descriptors[camera_id] = pid, fd, segment
        return found

    def _search(self) -> None:
        self._descriptors, self.refused, self.ffmpegs = {}, 0, set()
        for pid, camera_id in self._children():
            try:
                descriptors = os.listdir(f"/proc/{pid}/fd")
                self.ffmpegs.add(camera_id)
                for fd in descriptors:
                    with suppress(*PROCESS_ENDED):
                        if segment := _segment(pid, fd, None):
                            self._descriptors[camera_id] = pid, fd, segment
            except PROCESS_ENDED:
                continue
            except PermissionError:
                self.refused += not _is_zombie(pid)

    def _children(self) -> Iterator[tuple[int, str]]:
        """Yield the pid and the camera of each recorder's child."""
        parents = {}
        for pid in all_pids():
            with suppress(*PROCESS_ENDED, PermissionError):
                # The name, in parentheses, may hold any byte; the state and the parent's pid follow it.
                stat = Path(f"/proc/{pid}/stat").read_bytes()
                parents[pid] = int(stat.rpartition(b")")[2].split()[1])
        recorders = {pid: recorder_of(pid, self._specs_dir) for pid in set(parents.values())}
        for pid, parent in parents.items():
            if recorder := recorders[parent]:
                yield pid, recorder[0]


def _is_zombie(pid: int) -> bool:
    """Return whether a process has ended but not been collected. It has nothing open, though only root may look."""
    try:
        return Path(f"/proc/{pid}/stat").read_bytes().rpartition(b")")[2].split()[0] in {b"Z", b"X"}
    except PROCESS_ENDED:
        return True


def _segment(pid: int, fd: str, last: Segment | None) -> Segment | None:
    """Return the segment that a descriptor has open, or None if that is no segment.

    Its size is the file position, since a stat would have to ask the volume, which may hang.
    """
    path = os.readlink(f"/proc/{pid}/fd/{fd}")  # noqa: PTH115
    begun = last.begun if last and last.path == path else segment_begun(os.path.basename(path))  # noqa: PTH119
    if begun is None:
        return None
    with open(f"/proc/{pid}/fdinfo/{fd}", "rb") as file:
        position = file.readline()
    return Segment(path, int(position.split()[1]), begun)
