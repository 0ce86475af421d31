"""The status file: the report, which the watcher publishes and anybody may read."""

import fcntl
import json
import os
import time
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from types import NoneType
from typing import Any

from heldar_mirror.errors import StateError
from heldar_mirror.proc.open_segments import Segment
from heldar_mirror.recorder import files
from heldar_mirror.settings import Settings
from heldar_mirror.status.report import CameraStatus, Report

# A watcher that has published nothing for this long may hang.
SILENT_SECONDS = 60

# The fields of a camera in the file, with what each may be.
CAMERA_FIELDS: Mapping[str, tuple[type, ...]] = {
    "camera_id": (str,),
    "wanted": (bool, NoneType),
    "activity": (str,),
    "state": (str, NoneType),
    "since": (int, NoneType),
    "stalled": (bool,),
    "last_error": (str, NoneType),
    "last_error_at": (float, NoneType),
    "advice": (str, NoneType),
}
MAX_NUMBER = 1 << 62


class StatusFile:
    """The status file, as its writer holds it.

    While the last report is valid, the file is locked. If a newer one can't be written, which is so on a full disk, the
    directory is locked instead: this needs no room, and shows readers that the writer lives and has no report for them.
    """

    def __init__(self) -> None:
        self._locked: int | None = None

    def publish(self, report: Report, settings: Settings) -> None:
        """Replace the status file by a report. Raises StateError, and then no report is valid."""
        path = settings.status_file
        try:
            self._keep(_write(report, path))
        except OSError as error:
            self.close()  # first, since our own lock on the directory would be in the way
            self._keep(_locked_directory(path.parent))
            with suppress(OSError):
                os.utime(path)  # `up` looks at this time to see that the writer does not hang
            raise StateError(f"cannot publish the status: {error}. See HELDAR_MIRROR_STATUS_DIR") from None

    def close(self) -> None:
        """Give the lock back, so that no report is valid."""
        self._keep(None)

    def _keep(self, locked: int | None) -> None:
        if self._locked is not None:
            os.close(self._locked)
        self._locked = locked


def _write(report: Report, path: Path) -> int:
    """Replace the status file, and return a descriptor that locks the new one. Raises OSError."""
    temporary = path.with_name(f".{path.name}.new")
    fd = None
    try:
        temporary.unlink(missing_ok=True)
        # Mode 0600 at first, so that nobody else can lock the file before we do.
        fd = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        with open(fd, "w", closefd=False) as file:
            json.dump(report.to_json(), file)
        os.fchmod(fd, 0o644)
        temporary.rename(path)
    except OSError as error:
        error.filename = error.filename or str(path)  # a write that fails names no file
        if fd is not None:
            os.close(fd)
        with suppress(OSError):
            temporary.unlink()
        raise
    return fd


def _locked_directory(directory: Path) -> int | None:
    """Return a descriptor that locks a directory, or None if it can't be opened, or a reader looks just now."""
    with suppress(OSError):
        fd = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            os.close(fd)
            raise
        return fd
    return None


def read_report(settings: Settings) -> Report:
    """Return the report that the watcher published. Raises StateError if there is none that is valid, or it can't be
    read."""
    path = settings.status_file
    try:
        while True:
            with open(files.open_plain(str(path)), "rb") as file:
                if not _is_unlocked(file.fileno()):
                    return _parse(files.read_all(file.fileno(), str(path)), path)
                if os.fstat(file.fileno()).st_ino == path.stat().st_ino:
                    break  # otherwise the file was replaced meanwhile
    except FileNotFoundError:
        pass
    except OSError as error:
        raise StateError(f"cannot read the watcher's status: {error}. Run this as root, or as its user") from None
    if _is_marked(path.parent):
        raise StateError(
            f"the watcher runs, but can't write its report to {path.parent}, so this was found out without it. Is that "
            "disk full or read-only? See HELDAR_MIRROR_STATUS_DIR"
        )
    raise StateError(
        "the watcher is not running, so nothing follows the cameras table. In the supervisord of heldar-mirror up: "
        f"supervisorctl start watch; see {settings.log_dir / 'watch.log'}. In one that was joined: deploy/watch.conf"
    )


def _is_marked(directory: Path) -> bool:
    """Return whether a writer that could not publish has locked the directory."""
    with suppress(OSError):
        fd = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
        try:
            return not _is_unlocked(fd)
        finally:
            os.close(fd)
    return False


def _is_unlocked(fd: int) -> bool:
    """Return whether nobody locks an open file or directory."""
    try:
        fcntl.flock(fd, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _parse(content: bytes, path: Path) -> Report:
    try:
        published = json.loads(files.as_text(content))
        cameras = tuple(_camera(**camera) for camera in _checked(published["cameras"], list))
        at = _checked(published["at"], float)
        problems = tuple(_checked(problem, str) for problem in _checked(published["problems"], list))
        known, version = _checked(published["known"], bool), _checked(published["version"], str)
    except (KeyError, TypeError, ValueError, RecursionError) as error:
        reason = f"{type(error).__name__}: {error}"[:200]
        raise StateError(f"{path} is of a different version ({reason}): supervisorctl restart watch") from None
    if (silent := time.time() - at) > SILENT_SECONDS:
        problems += (f"the watcher has not reported for {silent:.0f} s. If it hangs: supervisorctl restart watch",)
    return Report(at, cameras, problems, known, version)


def _camera(*, well: Any, segment: Any, **fields: Any) -> CameraStatus:  # noqa: ARG001 - computed
    values = {name: _checked(value, *CAMERA_FIELDS[name]) for name, value in fields.items()}
    return CameraStatus(segment=None if segment is None else _segment(**segment), **values)


def _segment(*, path: Any, size_bytes: Any, begun: Any) -> Segment:
    return Segment(_checked(path, str), _checked(size_bytes, int), _checked(begun, float))


def _checked(value: Any, *kinds: type) -> Any:
    """Return a value of one of these kinds. Raises TypeError for any other, and for a number beyond all that is shown.

    A bool is no number. A float may be a whole number.
    """
    is_whole = type(value) is int
    if type(value) not in kinds and not (is_whole and float in kinds):
        raise TypeError(f"{ascii(value)[:40]} is none of {', '.join(kind.__name__ for kind in kinds)}")
    if (is_whole or type(value) is float) and not abs(value) < MAX_NUMBER:
        raise TypeError(f"{ascii(value)[:40]} is no number that was published")
    return value
