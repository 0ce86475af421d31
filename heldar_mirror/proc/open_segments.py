"""Find the segment that each camera's ffmpeg has open. Only /proc is read, since the volume is large and may hang."""

import os
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from heldar_mirror.footage.names import segment_begun
from heldar_mirror.proc.processes import PROCESS_ENDED, all_pids, children
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

    def look(self, recorders: Mapping[str, int] | None = None) -> dict[str, Segment]:
        """Return the open segments by camera.

        `recorders` are the process ids of the recorders, by camera. If one has no segment at the remembered descriptor,
        only its children are looked at. All processes are searched if they can't be seen, or without `recorders`.

        This sets `ffmpegs`, the cameras without a remembered segment that have an ffmpeg, and `refused`, the number of
        ffmpegs whose files we may not see.
        """
        self.refused, self.ffmpegs = 0, set()
        self._look_again()
        found = None if recorders is None else self._children_of(recorders)
        for pid, camera_id in self._search() if found is None else found:
            self._look_into(pid, camera_id)
        return {camera_id: segment for camera_id, (_, _, segment) in self._descriptors.items()}

    def _look_again(self) -> None:
        """Look at the remembered descriptors, and forget those that have no segment of their camera open any more."""
        remembered, self._descriptors = self._descriptors, {}
        for camera_id, (pid, fd, last) in remembered.items():
            with suppress(*PROCESS_ENDED, PermissionError):
                segment = _segment(pid, fd, last)
                # The pid or the descriptor may belong to something else by now.
                if segment and os.path.dirname(segment.path) == os.path.dirname(last.path):  # noqa: PTH120
                    self._descriptors[camera_id] = pid, fd, segment

    def _look_into(self, pid: int, camera_id: str) -> None:
        """Find the segment that a recorder's child has open."""
        try:
            descriptors = os.listdir(f"/proc/{pid}/fd")
            # A recorder that looks up the name of its camera has a child that is no ffmpeg.
            if not recorder_of(pid, self._specs_dir):
                self.ffmpegs.add(camera_id)
            for fd in descriptors:
                with suppress(*PROCESS_ENDED):
                    if segment := _segment(pid, fd, None):
                        self._descriptors[camera_id] = pid, fd, segment
        except PROCESS_ENDED:
            pass
        except PermissionError:
            self.refused += not _is_zombie(pid)

    def _children_of(self, recorders: Mapping[str, int]) -> list[tuple[int, str]] | None:
        """Return the pid and the camera of each child of the recorders without a known segment.

        Return None if some can't be seen, or a pid belongs to something else by now.
        """
        found = []
        for camera_id, recorder in recorders.items():
            if camera_id not in self._descriptors:
                pids = children(recorder)
                if pids is None or (pids and (recorder_of(recorder, self._specs_dir) or ("",))[0] != camera_id):
                    return None
                found += [(pid, camera_id) for pid in pids]
        return found

    def _search(self) -> Iterator[tuple[int, str]]:
        """Yield the pid and the camera of each recorder's child, searched among all processes."""
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
