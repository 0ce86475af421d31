"""The status file: the report, which the watcher publishes and anybody may read."""

import fcntl
import json
import os
import struct
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
from heldar_mirror.state.reading import checked
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

# The bytes of the status file whose locks say that its writer lives, and that the report in it is the last one. The
# locks are for writing: whoever may only read the file can neither take such a lock nor be taken for its holder.
ALIVE, VALID = 0, 1

# Linux's `struct flock`: type, whence, start, length, process id.
FLOCK = "hhqqi"


class StatusFile:
    """The status file, as its writer holds it.

    While the writer lives, it holds the lock ALIVE on the file; while the report in it is the last one, also VALID. If
    a newer one can't be written, which is so on a full disk, VALID is given back. This needs no room, and shows readers
    that the writer lives and has no report for them.
    """

    def __init__(self) -> None:
        self._locked: int | None = None

    def publish(self, report: Report, settings: Settings) -> None:
        """Replace the status file by a report. Raises StateError, and then no report is valid."""
        path = settings.status_file
        try:
            self._keep(_write(report, path))
        except OSError as error:
            if self._locked is not None and _is_at(path, self._locked):
                _lock(self._locked, VALID, fcntl.F_UNLCK)
            else:
                self._keep(_mark(path))
            with suppress(OSError):
                os.utime(path)  # `up` looks at this time to see that the writer does not hang
            raise StateError(f"cannot publish the status: {error}. See HELDAR_MIRROR_STATUS_DIR") from None

    def close(self) -> None:
        """Give the locks back, so that no report is valid."""
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
        fd = _make(temporary)
        _lock(fd, VALID, fcntl.F_WRLCK)
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


def _make(path: Path) -> int:
    """Make an empty file, and return a descriptor that holds the lock ALIVE on it. Raises OSError."""
    # Mode 0600 at first, so that nobody else can lock the file before we do.
    fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
    try:
        _lock(fd, ALIVE, fcntl.F_WRLCK)
    except OSError:
        os.close(fd)
        raise
    return fd


def _mark(path: Path) -> int | None:
    """Return a descriptor that holds the lock ALIVE on the status file as it is, or on an empty one, or None."""
    with suppress(OSError):
        fd = files.open_plain(str(path), os.O_WRONLY)
        try:
            _lock(fd, ALIVE, fcntl.F_WRLCK)
        except OSError:  # somebody holds a lock for reading
            os.close(fd)
        else:
            return fd
    with suppress(OSError):
        path.unlink(missing_ok=True)
        fd = _make(path)
        os.fchmod(fd, 0o644)
        return fd
    return None


def _is_at(path: Path, fd: int) -> bool:
    with suppress(OSError):
        return os.path.samestat(os.fstat(fd), path.lstat())
    return False


def _lock(fd: int, byte: int, kind: int) -> None:
    """Take a lock of the file's writer, or give it back. Raises OSError."""
    fcntl.fcntl(fd, fcntl.F_OFD_SETLK, struct.pack(FLOCK, kind, os.SEEK_SET, byte, 1, 0))


def _is_locked(fd: int, byte: int) -> bool:
    """Return whether the file's writer holds a lock. It is none that others hold: they can't lock for writing."""
    found = fcntl.fcntl(fd, fcntl.F_OFD_GETLK, struct.pack(FLOCK, fcntl.F_RDLCK, os.SEEK_SET, byte, 1, 0))
    return bool(struct.unpack_from(FLOCK, found)[0] != fcntl.F_UNLCK)


def read_report(settings: Settings) -> Report:
    """Return the report that the watcher published. Raises StateError if there is none that is valid, or it can't be
    read."""
    path = settings.status_file
    is_alive = False
    try:
        while True:
            with open(_open(path), "rb") as file:
                if _is_locked(file.fileno(), VALID):
                    return parse_report(files.read_all(file.fileno(), str(path)), path)
                is_alive = _is_locked(file.fileno(), ALIVE)
                if _is_at(path, file.fileno()):
                    break  # otherwise the file was replaced meanwhile
    except FileNotFoundError:
        pass
    except OSError as error:
        raise StateError(f"cannot read the watcher's status: {error}. Run this as root, or as its user") from None
    if is_alive:
        raise StateError(
            f"the watcher runs, but can't write its report to {path.parent}, so this was found out without it. Is that "
            "disk full or read-only? See HELDAR_MIRROR_STATUS_DIR"
        )
    if _is_read_only(path.parent):
        raise StateError(
            f"no watcher can write its report to {path.parent}, which is read-only, so this was found out without it, "
            "and whether one runs is not known. See HELDAR_MIRROR_STATUS_DIR"
        )
    raise StateError(
        "the watcher is not running, so nothing follows the cameras table. In the supervisord of heldar-mirror up: "
        f"supervisorctl start watch; see {settings.log_dir / 'watch.log'}. In one that was joined: deploy/watch.conf"
    )


def _is_read_only(directory: Path) -> bool:
    with suppress(OSError):
        return bool(os.statvfs(directory).f_flag & os.ST_RDONLY)
    return False


def _open(path: Path) -> int:
    """Open the status file, and return its descriptor. Raises OSError, also if the file is not the watcher's."""
    fd = files.open_plain(str(path))
    try:
        if os.fstat(fd).st_uid != (owner := path.parent.stat().st_uid):
            raise PermissionError(f"{path} is no file of user {owner}, whose directory it is in")
    except OSError:
        os.close(fd)
        raise
    return fd


def parse_report(content: bytes, path: Path) -> Report:
    """Return the report in the content of the status file. Raises StateError, which names the file by `path`."""
    try:
        published = json.loads(files.as_text(content))
        cameras = tuple(_camera(**camera) for camera in checked(published["cameras"], list))
        at = checked(published["at"], float)
        problems = tuple(checked(problem, str) for problem in checked(published["problems"], list))
        known, version = checked(published["known"], bool), checked(published["version"], str)
    except (KeyError, TypeError, ValueError, RecursionError) as error:
        reason = f"{type(error).__name__}: {error}"[:200]
        raise StateError(f"{path} is of a different version ({reason}): supervisorctl restart watch") from None
    if (silent := time.time() - at) > SILENT_SECONDS:
        problems += (f"the watcher has not reported for {silent:.0f} s. If it hangs: supervisorctl restart watch",)
    return Report(at, cameras, problems, known, version)


def _camera(*, well: Any, segment: Any, **fields: Any) -> CameraStatus:  # noqa: ARG001 - computed
    values = {name: checked(value, *CAMERA_FIELDS[name]) for name, value in fields.items()}
    return CameraStatus(segment=None if segment is None else _segment(**segment), **values)


def _segment(*, path: Any, size_bytes: Any, begun: Any) -> Segment:
    return Segment(checked(path, str), checked(size_bytes, int), checked(begun, float))
