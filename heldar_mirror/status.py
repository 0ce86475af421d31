"""What each camera's mirror is doing, read from supervisord, from /proc and from the programs' logs.

No directory of segments is looked at, nor anything else on the mirror's volume: it may be hung, and it is large.
"""

import os
import re
import time
from collections.abc import Collection, Iterable
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path

from heldar_mirror import database, programs, state
from heldar_mirror.errors import MirrorError
from heldar_mirror.gateway import Gateway, Process
from heldar_mirror.programs import Desired, LaunchSpec
from heldar_mirror.recorder import SEGMENT_NAME, TAIL_BYTES
from heldar_mirror.settings import Settings

# A segment that is open for longer, and for three times its length, is one that no media comes for.
STALLED_SECONDS = 120

RECORDER_ERROR = re.compile(r"^(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ) ERROR (.*)$", re.MULTILINE)


@dataclass(frozen=True)
class Segment:
    """A segment that is being written: its path, the bytes that are in it, and when it was begun (Unix seconds)."""

    path: str
    size_bytes: int
    begun: float


@dataclass(frozen=True)
class CameraStatus:
    """One camera's mirror. `wanted` is None where its row can't be used or the table can't be read; times are Unix
    seconds."""

    camera_id: str
    wanted: bool | None
    state: str | None
    since: int | None
    segment: Segment | None
    stalled: bool
    last_error: str | None
    last_error_at: float | None

    @property
    def well(self) -> bool:
        """Whether the mirror does what its row asks for."""
        if self.wanted is None:
            return False
        return (self.segment is not None) == self.wanted and not self.stalled


@dataclass(frozen=True)
class Report:
    """All cameras, and what could not be learnt; `known` is whether it could be seen what is recorded."""

    cameras: tuple[CameraStatus, ...]
    problems: tuple[str, ...]
    known: bool

    @property
    def well(self) -> bool:
        return not self.problems and all(camera.well for camera in self.cameras)


def gather(settings: Settings) -> Report:
    """Return what each camera's mirror is doing. What can't be learnt is told as a problem, not raised."""
    desired, active, errors = Desired({}), None, dict[str, tuple[float, str]]()
    problems = []
    try:
        desired = programs.desired_state(database.read_cameras(settings.database), settings, volume="")
    except MirrorError as error:
        problems.append(str(error))
    try:
        active = _active(settings)
    except MirrorError as error:
        problems.append(str(error))
    segments, refused = open_segments(process.pid for process in (active or {}).values() if process.pid)
    if refused:
        problems.append(f"the open files of {refused} recorders can't be seen: run this as root, or as their user")
    try:
        errors = _last_errors(desired.specs, settings)
    except OSError as error:
        problems.append(f"cannot read the programs' logs: {error}. Run this as root, or as the recorders' user")

    wanted: dict[str, bool | None] = {bad.camera_id: None for bad in desired.unusable}
    wanted |= dict.fromkeys(desired.unwanted, False) | dict.fromkeys(desired.specs, True)
    reasons = {bad.camera_id: bad.reason for bad in desired.unusable}
    statuses = []
    for camera_id in sorted(wanted.keys() | (active or {}).keys()):
        process = (active or {}).get(camera_id)
        segment = segments.get(process.pid) if process else None
        error_at, error_text = errors.get(camera_id, (None, None))
        statuses.append(
            CameraStatus(
                camera_id=camera_id,
                wanted=wanted.get(camera_id),
                state=process.state if process else None,
                since=process.since if process else None,
                segment=segment,
                stalled=segment is not None and _stalled(segment, desired.specs.get(camera_id)),
                last_error=reasons.get(camera_id, error_text),
                last_error_at=error_at,
            )
        )
    return Report(tuple(statuses), tuple(problems), known=active is not None and not refused)


def _active(settings: Settings) -> dict[str, Process]:
    """Our programs in supervisord, by camera; in a shared one they are those of our programs file."""
    processes = Gateway(settings).processes()
    names = state.read_programs(settings) if settings.joined else processes
    return {
        name.removeprefix(settings.prefix): processes[name]
        for name in names
        if name in processes and name.startswith(settings.prefix)
    }


def _stalled(segment: Segment, spec: LaunchSpec | None) -> bool:
    return time.time() - segment.begun > max(3 * spec.segment_seconds if spec else 0, STALLED_SECONDS)


def _last_errors(camera_ids: Iterable[str], settings: Settings) -> dict[str, tuple[float, str]]:
    found = {camera_id: read_last_error(programs.log_path(camera_id, settings)) for camera_id in camera_ids}
    return {camera_id: error for camera_id, error in found.items() if error}


def read_last_error(log: Path) -> tuple[float, str] | None:
    """Return when a program's log last tells of an error (Unix seconds), and of which; None if it tells of none.

    Raises OSError where it can't be read.
    """
    try:
        with log.open("rb") as file:
            file.seek(max(0, file.seek(0, os.SEEK_END) - 2 * TAIL_BYTES))
            text = file.read().decode(errors="replace")
    except FileNotFoundError:
        return None
    return last_error(text)


def last_error(text: str) -> tuple[float, str] | None:
    """Return time and text of the last error line that a recorder wrote into `text`."""
    matches = RECORDER_ERROR.findall(text)
    if not matches:
        return None
    stamp, message = matches[-1]
    return datetime.fromisoformat(stamp.replace("Z", "+00:00")).timestamp(), message


def open_segments(recorders: Iterable[int]) -> tuple[dict[int, Segment], int]:
    """Return the segment that each recorder's ffmpeg has open, by the recorder's process id, and how many we may not
    look at."""
    segments, refused = {}, 0
    for pid, recorder in _children(set(recorders)):
        try:
            segment = _open_segment(pid)
        except PermissionError:
            refused += 1
            continue
        if segment:
            segments[recorder] = segment
    return segments, refused


def _children(parents: Collection[int]) -> Iterable[tuple[int, int]]:
    """The processes whose parents are given, with their parents."""
    if not parents:
        return
    for entry in os.scandir("/proc"):
        if entry.name.isdigit():
            try:
                stat = Path(f"{entry.path}/stat").read_bytes()
            except (FileNotFoundError, ProcessLookupError):
                continue
            # The name, in brackets, may hold anything; after it come the state and the parent.
            parent = int(stat.rpartition(b")")[2].split()[1])
            if parent in parents:
                yield int(entry.name), parent


def _open_segment(pid: int) -> Segment | None:
    """The segment that a process has open. Its size is the file position: the volume itself is not asked."""
    try:
        descriptors = os.listdir(f"/proc/{pid}/fd")
    except (FileNotFoundError, ProcessLookupError):
        return None
    for fd in descriptors:
        with suppress(FileNotFoundError, ProcessLookupError):  # it may be closed while we look
            path = os.readlink(f"/proc/{pid}/fd/{fd}")  # noqa: PTH115
            begun = segment_begun(os.path.basename(path))  # noqa: PTH119
            if begun is not None:
                position = Path(f"/proc/{pid}/fdinfo/{fd}").read_text().split("\n", 1)[0]
                return Segment(path, int(position.split()[1]), begun)
    return None


def segment_begun(name: str) -> float | None:
    """Return when a segment was begun, from its name, in Unix seconds; None if the name is not a segment's."""
    try:
        return datetime.strptime(name, SEGMENT_NAME).replace(tzinfo=timezone.utc).timestamp()
    except ValueError:
        return None
