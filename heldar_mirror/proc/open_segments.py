"""Find the segment that each camera's ffmpeg has open. Only /proc is read, since the volume is large and may hang."""

import os
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass

from heldar_mirror.errors import MirrorError
from heldar_mirror.footage.names import segment_begun
from heldar_mirror.proc.processes import PROCESS_ENDED, all_children, children, is_ending
from heldar_mirror.proc.recorders import Ours, recorder_named

# A process whose files we may not see is looked at once more after this, since it may be between two states.
SECOND_LOOK_SECONDS = 0.02


@dataclass(frozen=True)
class Segment:
    """A segment that is being written: its path, its size in bytes, and when it was begun (Unix seconds)."""

    path: str
    size_bytes: int
    begun: float


class OpenSegments:
    """Finds the segments that our recorders have open.

    It remembers the process and the descriptor of each segment, so that it seldom has to look at all recorders. `pause`
    waits for some seconds.
    """

    def __init__(self, pause: Callable[[float], object] = time.sleep) -> None:
        self._pause = pause
        self._descriptors: dict[str, tuple[int, str, Segment, int]] = {}
        self.refused = 0
        self.ffmpegs: set[str] = set()

    def look(self, mark: Ours | None, recorders: Mapping[str, int] | None = None) -> dict[str, Segment]:
        """Return the open segments by camera.

        `mark` says what makes a process a recorder of ours, or is None if there certainly is no supervisord; then no
        segment is open. `recorders` are the pids that supervisord gives its recorders, by camera. If one has no segment
        at the remembered descriptor, only its children are looked at. All children of supervisord are looked at if they
        can't be seen, or without `recorders`.

        This sets `ffmpegs`, the cameras without a remembered segment that have an ffmpeg, and `refused`, the number of
        ffmpegs whose files we may not see. Raises MirrorError if supervisord's children can't be seen.
        """
        self.refused, self.ffmpegs = 0, set()
        if mark is None:
            self._descriptors = {}
            return {}
        self._look_again()
        found = None if recorders is None else self._children_of(recorders, mark)
        refused = [each for each in (_search(mark) if found is None else found) if not self._look_into(*each, mark)]
        if refused:
            self._pause(SECOND_LOOK_SECONDS)
            self.refused = sum(not self._look_into(*each, mark) for each in refused)
        return {camera_id: segment for camera_id, (_, _, segment, _) in self._descriptors.items()}

    def _look_again(self) -> None:
        """Look at the remembered descriptors, and forget those that have no segment of their camera open any more."""
        remembered, self._descriptors = self._descriptors, {}
        for camera_id, (pid, fd, last, user) in remembered.items():
            with suppress(*PROCESS_ENDED, PermissionError):
                found = _segment(pid, fd, last)
                # The pid or the descriptor may belong to something else by now, even to a different user's process.
                if found and found[1] == user and os.path.dirname(found[0].path) == os.path.dirname(last.path):  # noqa: PTH120
                    self._descriptors[camera_id] = pid, fd, *found

    def _look_into(self, pid: int, camera_id: str, mark: Ours) -> bool:
        """Find the segment that a recorder's child has open. Return whether we may see its files, if it has any."""
        try:
            descriptors = os.listdir(f"/proc/{pid}/fd")
            # A recorder that looks up the name of its camera has a child that is no ffmpeg.
            if not recorder_named(pid, mark.specs_dir):
                self.ffmpegs.add(camera_id)
            for fd in descriptors:
                with suppress(*PROCESS_ENDED):
                    if found := _segment(pid, fd, None):
                        self._descriptors[camera_id] = pid, fd, *found
        except PROCESS_ENDED:
            pass
        except PermissionError:
            return is_ending(pid)
        return True

    def _children_of(self, recorders: Mapping[str, int], mark: Ours) -> list[tuple[int, str]] | None:
        """Return the pid and the camera of each child of the recorders without a known segment.

        Return None if some can't be seen, or a pid belongs to something else by now.
        """
        found = []
        for camera_id, recorder in recorders.items():
            if camera_id not in self._descriptors:
                pids = children(recorder)
                if pids is None or (pids and (mark.recorder(recorder) or ("",))[0] != camera_id):
                    return None
                found += [(pid, camera_id) for pid in pids]
        return found


def _search(mark: Ours) -> Iterator[tuple[int, str]]:
    """Yield the pid and the camera of each child of each recorder. Raises MirrorError if they can't be seen."""
    children_of: Callable[[int], list[int] | None] = children
    recorders = children(mark.supervisord)
    if recorders is None:  # it is not ours, in a /proc with hidepid, or Linux was built without this list
        children_of = all_children().get
        recorders = children_of(mark.supervisord)
    if recorders is None or not mark.users:
        raise MirrorError(
            f"the recorders of supervisord, process {mark.supervisord}, can't be seen: run this as root, where it runs"
        )
    for recorder in recorders:
        if found := mark.recorder(recorder):
            yield from ((pid, found[0]) for pid in children_of(recorder) or ())


def _segment(pid: int, fd: str, last: Segment | None) -> tuple[Segment, int] | None:
    """Return the segment that a descriptor has open and the user id of its process, or None if that is no segment.

    Its size is the file position, since a stat would have to ask the volume, which may hang.
    """
    path = os.readlink(f"/proc/{pid}/fd/{fd}")  # noqa: PTH115
    begun = last.begun if last and last.path == path else segment_begun(os.path.basename(path))  # noqa: PTH119
    if begun is None:
        return None
    with open(f"/proc/{pid}/fdinfo/{fd}", "rb") as file:
        position = file.readline()
    # The owner of /proc/PID is the process's user. The files in it belong to root if the process can't be dumped.
    return Segment(path, int(position.split()[1]), begun), os.stat(f"/proc/{pid}").st_uid  # noqa: PTH116
