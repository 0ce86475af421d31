"""The status file: the report, which the watcher publishes and anybody may read."""

import fcntl
import json
import os
import time
from pathlib import Path
from typing import Any

from heldar_mirror.errors import StateError
from heldar_mirror.proc.open_segments import Segment
from heldar_mirror.settings import Settings
from heldar_mirror.status.report import CameraStatus, Report

# A watcher that has published nothing for this long may hang.
SILENT_SECONDS = 60


def publish(report: Report, settings: Settings, last: int | None) -> int:
    """Replace the status file by a report. Raises StateError.

    Return a descriptor that locks the new file, which shows readers that the writer is alive. Pass it as `last` to the
    next call, which closes it.
    """
    path = settings.status_file
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
        if fd is not None:
            os.close(fd)
        raise StateError(f"cannot publish the status: {error}. See HELDAR_MIRROR_STATUS_DIR") from None
    if last is not None:
        os.close(last)
    return fd


def read_report(settings: Settings) -> Report:
    """Return the report that the watcher published. Raises StateError if no watcher runs, or it can't be read."""
    path = settings.status_file
    try:
        while True:
            with path.open() as file:
                if not _is_abandoned(file.fileno()):
                    return _parse(file.read(), path)
                if os.fstat(file.fileno()).st_ino == path.stat().st_ino:
                    break  # otherwise the file was replaced meanwhile
    except FileNotFoundError:
        pass
    except OSError as error:
        raise StateError(f"cannot read the watcher's status: {error}. Run this as root, or as its user") from None
    raise StateError(
        "the watcher is not running, so nothing follows the cameras table. In the supervisord of heldar-mirror up: "
        f"supervisorctl start watch; see {settings.log_dir / 'watch.log'}. In one that was joined: deploy/watch.conf"
    )


def _is_abandoned(fd: int) -> bool:
    """Return whether nobody locks an open file, because its writer has ended."""
    try:
        fcntl.flock(fd, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _parse(text: str, path: Path) -> Report:
    try:
        published = json.loads(text)
        cameras = tuple(_camera(**camera) for camera in published["cameras"])
        at, problems = published["at"], tuple(published["problems"])
        if (silent := time.time() - at) > SILENT_SECONDS:
            problems += (f"the watcher has not reported for {silent:.0f} s. If it hangs: supervisorctl restart watch",)
        return Report(at, cameras, problems, published["known"], published["version"])
    except (KeyError, TypeError, ValueError) as error:
        raise StateError(f"{path} is of a different version ({error}): supervisorctl restart watch") from None


def _camera(*, well: bool, segment: dict[str, Any] | None, **fields: Any) -> CameraStatus:  # noqa: ARG001 - computed
    return CameraStatus(segment=Segment(**segment) if segment else None, **fields)
