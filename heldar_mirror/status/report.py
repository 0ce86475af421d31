"""What each camera's mirror is doing, from what supervisord, /proc and the programs' logs say.

The watcher makes a report of it and publishes that as a small file, for anybody to read. Without a watcher a report is
made by whoever asks. Nothing on the mirror's volume is looked at: it may be hung, and it is large.
"""

import fcntl
import json
import os
import re
import time
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from heldar_mirror.errors import MirrorError, StateError
from heldar_mirror.heldar import database
from heldar_mirror.proc.open_segments import OpenSegments, Segment
from heldar_mirror.programs import stanzas as programs
from heldar_mirror.programs.stanzas import Desired, LaunchSpec
from heldar_mirror.recorder.recorder import TAIL_BYTES
from heldar_mirror.settings import Settings
from heldar_mirror.state import directory as state
from heldar_mirror.supervisord.gateway import Gateway, Process

# A segment that is open for longer, and for three times its length, is one that no media comes for.
OLD_SECONDS = 120

# A watcher that has published nothing for so long hangs.
SILENT_SECONDS = 60

RECORDER_ERROR = re.compile(r"^(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ) ERROR (.*)$", re.MULTILINE)


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
    """All cameras, and what could not be learnt; `known` is whether it could be seen what is recorded. `at` is when
    that was so, in Unix seconds."""

    at: float
    cameras: tuple[CameraStatus, ...]
    problems: tuple[str, ...]
    known: bool

    @property
    def well(self) -> bool:
        return not self.problems and all(camera.well for camera in self.cameras)

    def to_json(self) -> dict[str, Any]:
        """Return what a machine reads. `asdict` would take a tenth of a second for a thousand cameras."""
        cameras = [
            {**vars(camera), "segment": vars(camera.segment) if camera.segment else None, "well": camera.well}
            for camera in self.cameras
        ]
        return {"well": self.well, **vars(self), "cameras": cameras}


@dataclass(frozen=True)
class Facts:
    """What is known, by camera: what the table asks for, programs, open segments, last errors (when, in Unix seconds,
    and which), and whose file does not grow."""

    desired: Desired
    programs: Mapping[str, Process]
    segments: Mapping[str, Segment]
    errors: Mapping[str, tuple[float, str]]
    stalled: Collection[str]


def make_report(facts: Facts, problems: Iterable[str], *, known: bool) -> Report:
    """Return the report that follows from the facts."""
    desired = facts.desired
    wanted: dict[str, bool | None] = {bad.camera_id: None for bad in desired.unusable}
    wanted |= dict.fromkeys(desired.unwanted, False) | dict.fromkeys(desired.specs, True)
    reasons = {bad.camera_id: bad.reason for bad in desired.unusable}
    cameras = []
    for camera_id in sorted(wanted.keys() | facts.programs.keys()):
        process = facts.programs.get(camera_id)
        error_at, error_text = facts.errors.get(camera_id, (None, None))
        cameras.append(
            CameraStatus(
                camera_id=camera_id,
                wanted=wanted.get(camera_id),
                state=process.state if process else None,
                since=process.since if process else None,
                segment=facts.segments.get(camera_id),
                stalled=camera_id in facts.stalled,
                last_error=reasons.get(camera_id, error_text),
                last_error_at=error_at,
            )
        )
    return Report(time.time(), tuple(cameras), tuple(problems), known)


def gather(settings: Settings) -> Report:
    """Return a report of our own making. What can't be learnt is told as a problem in it, not raised."""
    desired, active, errors = Desired({}), None, dict[str, tuple[float, str]]()
    problems = []
    try:
        desired = programs.desired_state(database.read_cameras(settings.database), settings, volume="")
    except MirrorError as error:
        problems.append(str(error))
    try:
        active = active_programs(settings)
    except MirrorError as error:
        problems.append(str(error))
    places = OpenSegments(settings.specs_dir)
    segments = places.look()
    if places.refused:
        problems.append(
            f"the open files of {places.refused} recorders can't be seen: run this as root, or as their user"
        )
    try:
        errors = last_errors(desired.specs, settings)
    except OSError as error:
        problems.append(f"cannot read the programs' logs: {error}. Run this as root, or as the recorders' user")
    stalled = [camera_id for camera_id, segment in segments.items() if _is_old(segment, desired.specs.get(camera_id))]
    known = active is not None and not places.refused
    return make_report(Facts(desired, active or {}, segments, errors, stalled), problems, known=known)


def _is_old(segment: Segment, spec: LaunchSpec | None) -> bool:
    return time.time() - segment.begun > max(3 * spec.segment_seconds if spec else 0, OLD_SECONDS)


def publish(report: Report, settings: Settings, last: int | None) -> int:
    """Put a report where anybody can read it. Returns the descriptor to hand in as `last` the next time: it keeps a
    lock on the file, by which a reader knows that its writer lives. Raises StateError."""
    path = settings.status_file
    temporary = path.with_name(f".{path.name}.new")
    fd = None
    try:
        temporary.unlink(missing_ok=True)
        # Nobody else can open it, and hold a lock on it, before we do.
        fd = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        with open(fd, "w", closefd=False) as file:
            json.dump(report.to_json(), file)
        os.fchmod(fd, 0o644)
        temporary.rename(path)
    except OSError as error:
        if fd is not None:
            os.close(fd)
        raise StateError(f"cannot publish the status: {error}. See HELDAR_MIRROR_STATUS_DIR") from None
    if last is not None:
        os.close(last)
    return fd


def read(settings: Settings) -> Report:
    """Return the report that the watcher published. Raises StateError where no watcher lives, or it can't be read."""
    path = settings.status_file
    try:
        while True:
            with path.open() as file:
                if not _is_left(file.fileno()):
                    return _parse(json.load(file), path)
                if os.fstat(file.fileno()).st_ino == path.stat().st_ino:
                    break  # else it was replaced while we looked
    except FileNotFoundError:
        pass
    except OSError as error:
        raise StateError(f"cannot read the watcher's status: {error}. Run this as root, or as its user") from None
    raise StateError(
        "the watcher is not running, so nothing follows the cameras table. In the supervisord of heldar-mirror up: "
        f"supervisorctl start watch; see {settings.log_dir / 'watch.log'}. In one that was joined: deploy/watch.conf"
    )


def _is_left(fd: int) -> bool:
    try:
        fcntl.flock(fd, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _parse(published: dict[str, Any], path: Path) -> Report:
    try:
        cameras = tuple(_camera(**camera) for camera in published["cameras"])
        at, problems = published["at"], tuple(published["problems"])
        if (silent := time.time() - at) > SILENT_SECONDS:
            problems += (f"the watcher has told nothing for {silent:.0f} s. If it hangs: supervisorctl restart watch",)
        return Report(at, cameras, problems, published["known"])
    except (KeyError, TypeError) as error:
        raise StateError(f"{path} is of another version ({error}): supervisorctl restart watch") from None


def _camera(*, well: bool, segment: dict[str, Any] | None, **fields: Any) -> CameraStatus:  # noqa: ARG001 - it follows
    return CameraStatus(segment=Segment(**segment) if segment else None, **fields)


def active_programs(settings: Settings) -> dict[str, Process]:
    """Return our programs in supervisord, by camera: in a shared one they are those of our programs file.

    Raises MirrorError.
    """
    processes = Gateway(settings).processes()
    names = state.read_programs(settings) if settings.joined else processes
    return {
        name.removeprefix(settings.prefix): processes[name]
        for name in names
        if name in processes and name.startswith(settings.prefix)
    }


def last_errors(camera_ids: Iterable[str], settings: Settings) -> dict[str, tuple[float, str]]:
    """Return time and text of the last error in each camera's log, where there is one. Raises OSError."""
    found = {camera_id: read_last_error(programs.log_path(camera_id, settings)) for camera_id in camera_ids}
    return {camera_id: error for camera_id, error in found.items() if error}


def read_last_error(log: str) -> tuple[float, str] | None:
    """Return when a program's log last tells of an error (Unix seconds), and of which; None if it tells of none.

    Raises OSError where it can't be read.
    """
    try:
        with open(log, "rb") as file:
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
