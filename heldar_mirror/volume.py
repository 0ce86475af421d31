"""The mirror's volume: proven by a marker in its root, and never the primary's."""

import fcntl
import os
import uuid
from pathlib import Path

from heldar_mirror.errors import VolumeError
from heldar_mirror.recorder import MARKER
from heldar_mirror.settings import Settings


def check_apart(root: Path, recordings_dir: Path) -> str | None:
    """Refuse a mirror root that equals, contains or lies in the primary's directory, links resolved.

    Returns a warning where both are on one file system, else None. Raises VolumeError.
    """
    mirror, primary = root.resolve(), recordings_dir.resolve()
    if mirror == primary or mirror in primary.parents or primary in mirror.parents:
        raise VolumeError(
            f"HELDAR_MIRROR_RECORDINGS_DIR={root} is, holds or lies in the primary's recordings {recordings_dir}"
            f"{f' (by way of {mirror})' if mirror != root else ''}: expected a directory apart, on another volume"
        )
    try:
        same = root.stat().st_dev == recordings_dir.stat().st_dev
    except OSError:
        return None  # the primary's disk may be the one that died
    if same:
        return f"the mirror root {root} is on the primary's file system: one dead disk would take both copies"
    return None


def prove(root: Path, volume: str) -> None:
    """Check that the mirror root is the volume that we know. Raises VolumeError."""
    marker = root / MARKER
    try:
        found = marker.read_text().strip()
    except FileNotFoundError:
        raise VolumeError(
            f"mirror root {root} has lost its marker {MARKER}: is the volume mounted? Nothing records there until "
            "it is. If it is a new volume: heldar-mirror adopt-volume"
        ) from None
    except (OSError, UnicodeDecodeError) as error:
        raise VolumeError(f"cannot read the marker of mirror root {root}: {error}") from None
    if found != volume:
        raise VolumeError(
            f"mirror root {root} holds the marker of another volume, or of another instance that took it over. "
            "Mount the right one; if this one is to be ours: heldar-mirror adopt-volume"
        )


def make_root(root: Path, umask: int, owner: tuple[int, int] | None) -> None:
    """Make a mirror root that is used for the first time, if it is missing; an empty one is handed to `owner`."""
    try:
        if not root.is_dir():
            root.mkdir(parents=True)
            root.chmod(0o777 & ~umask)
        if owner and not os.listdir(root):
            os.chown(root, *owner)
    except OSError as error:
        raise _unusable(root, error) from None


def adopt(settings: Settings, owner: tuple[int, int] | None) -> str:
    """Make the mirror root ours, with a marker of a new id, and return the id. Raises VolumeError.

    The root is made where it is missing, for `owner` (user and group id) if given. Refused while recorders of
    another instance are at work there: each of them has a shared lock on the marker.
    """
    root = settings.mirror_root
    assert root is not None  # noqa: S101 - the callers' matter
    volume = str(uuid.uuid4())
    try:
        make_root(root, settings.umask, owner)
        fd = os.open(root / MARKER, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o644)
        with open(fd, "r+") as marker:
            fcntl.flock(marker, fcntl.LOCK_EX | fcntl.LOCK_NB)
            os.fchmod(fd, 0o666 & ~settings.umask)
            if owner:
                os.fchown(fd, *owner)
            marker.write(f"{volume}\n")
            marker.truncate()
            os.fsync(fd)
    except BlockingIOError:
        raise VolumeError(
            f"mirror root {root} is in use by recorders of another instance; expected a root of its own for each. "
            "Set HELDAR_MIRROR_RECORDINGS_DIR to another directory, or stop that instance"
        ) from None
    except OSError as error:
        raise _unusable(root, error) from None
    return volume


def _unusable(root: Path, error: OSError) -> VolumeError:
    return VolumeError(
        f"cannot use mirror root {root}: {error}. Expected a directory that the recorders' user can write; "
        "make it, or set HELDAR_MIRROR_RECORDINGS_DIR to another"
    )
