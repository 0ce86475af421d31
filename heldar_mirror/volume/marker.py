"""The marker in the mirror root, which proves that the volume is the right one."""

import fcntl
import os
from pathlib import Path

from heldar_mirror.errors import VolumeError
from heldar_mirror.recorder.files import open_plain
from heldar_mirror.recorder.volume import MARKER, MARKER_BYTES, narrow
from heldar_mirror.settings import Settings
from heldar_mirror.volume.asking import ask
from heldar_mirror.walk import OthersError, contents, open_directory


def prove(root: Path, volume: str) -> None:
    """Check that the marker in the mirror root holds the id `volume`. Raises VolumeError."""
    _check("prove", root, volume)


def check_room(root: Path, volume: str) -> Path:
    """Check that a recording could begin in the mirror root: its marker holds `volume`, it is writable and has room.

    Return the root with links resolved. Raises VolumeError.
    """
    return _check("room", root, volume)


def _check(task: str, root: Path, volume: str) -> Path:
    try:
        return Path(ask(task, root, volume))
    except OSError as error:
        raise VolumeError(str(error)) from None


def make_root(settings: Settings, owner: tuple[int, int] | None) -> None:
    """Make the mirror root if it is missing, and if it is empty and ours, give it to `owner` (user and group id).

    In a directory of another user's, root leaves that to `owner`, whom it becomes. Raises VolumeError.
    """
    root = settings.mirror_root
    assert root is not None  # noqa: S101 - the callers check that mirroring is on
    try:
        fd = open_directory(root, 0o777 & ~settings.umask, through_others=settings.joined or owner is None)
        try:
            if owner and os.fstat(fd).st_uid == 0 and not contents(fd):
                os.fchown(fd, *owner)
        finally:
            os.close(fd)
    except OthersError:
        pass
    except OSError as error:
        raise _unusable(root, error) from None


def mark_volume(settings: Settings, volume: str, owner: tuple[int, int] | None, *, take_over: bool) -> None:
    """Make the mirror root ours, with a marker that holds the id `volume`. Raises VolumeError.

    The root is made if it is missing, for `owner` (user and group id) if given. A marker that holds a different id is
    replaced only with `take_over`, and never while recorders run there: each of them holds a shared lock on it.
    """
    root = settings.mirror_root
    assert root is not None  # noqa: S101 - the callers check that mirroring is on
    make_root(settings, owner)
    try:
        fd = _open_marker(root, owner)
        with open(fd, "r+", errors="replace") as marker:
            fcntl.flock(marker, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if (found := marker.read(MARKER_BYTES).strip()) and found != volume and not take_over:
                raise _foreign(root)
            narrow(fd)
            if owner:
                os.fchown(fd, *owner)
            marker.seek(0)
            marker.write(f"{volume}\n")
            marker.truncate()
            marker.flush()
            os.fsync(fd)
    except BlockingIOError:
        raise VolumeError(
            f"mirror root {root} is in use by recorders, of this instance or of another: expected a root of its own "
            "for each. Stop them, or set HELDAR_MIRROR_RECORDINGS_DIR to another directory"
        ) from None
    except OSError as error:
        raise _unusable(root, error) from None


def _open_marker(root: Path, owner: tuple[int, int] | None) -> int:
    """Return a descriptor of the marker, made if it is missing. Raises OSError.

    If root gives it to `owner`, it must not be another name of a file of somebody else's.
    """
    directory = open_directory(root)
    try:
        fd = open_plain(MARKER, os.O_RDWR | os.O_CREAT, within=directory)
    finally:
        os.close(directory)
    found = os.fstat(fd)
    if owner and found.st_uid != owner[0] and found.st_nlink > 1:
        os.close(fd)
        raise OSError(f"{MARKER} is another name of a file of user {found.st_uid}")
    return fd


def _foreign(root: Path) -> VolumeError:
    return VolumeError(
        f"mirror root {root} holds the marker of another volume, or of another instance. "
        "Mount the right one, or make this one ours: heldar-mirror adopt-volume"
    )


def _unusable(root: Path, error: OSError) -> VolumeError:
    return VolumeError(
        f"cannot use mirror root {root}: {error}. Expected a directory that the recorders' user can write; "
        "make it, or set HELDAR_MIRROR_RECORDINGS_DIR to another"
    )
