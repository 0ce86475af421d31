"""The mirror's volume: proven by a marker in its root, and never the primary's."""

import fcntl
import os
import re
from pathlib import Path

from heldar_mirror.errors import VolumeError
from heldar_mirror.recorder import MARKER
from heldar_mirror.settings import Settings


def check_apart(root: Path, recordings_dir: Path) -> str | None:
    """Refuse a mirror root that equals, contains or lies in the primary's directory, links and bind mounts resolved.

    Returns a warning where both are on one file system, else None. Raises VolumeError.
    """
    try:
        mirror, primary = root.resolve(), recordings_dir.resolve()
    except (OSError, RuntimeError) as error:
        raise VolumeError(f"cannot tell mirror root {root} from the primary's {recordings_dir}: {error}") from None
    mounts = Path("/proc/self/mountinfo").read_text(errors="surrogateescape")
    (device, place), (other_device, other_place) = _location(mirror, mounts), _location(primary, mounts)
    if _nested(mirror, primary) or (device == other_device and _nested(place, other_place)):
        raise VolumeError(
            f"HELDAR_MIRROR_RECORDINGS_DIR={root} is, holds or lies in the primary's recordings {recordings_dir}"
            f"{f' (by way of {mirror})' if mirror != root else ''}: expected a directory apart, on another volume"
        )
    if device == other_device:
        return f"the mirror root {root} is on the primary's file system: one dead disk would take both copies"
    return None


def _nested(one: Path, other: Path) -> bool:
    return one == other or one in other.parents or other in one.parents


def _location(path: Path, mountinfo: str) -> tuple[str, Path]:
    """The device that a path lies on, and where on it, whatever is mounted where; neither is touched, nor has to be."""
    device, place, longest = "", path, -1
    for line in mountinfo.splitlines():
        _, _, number, inside, point = (re.sub(r"\\(\d{3})", _unescaped, text) for text in line.split()[:5])
        if path.is_relative_to(point) and len(point) >= longest:  # of two on one point, the later hides the earlier
            device, place, longest = number, Path(inside) / path.relative_to(point), len(point)
    return device, place


def _unescaped(octal: re.Match[str]) -> str:
    return chr(int(octal[1], 8))


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
        raise _foreign(root)


def make_root(root: Path, umask: int, owner: tuple[int, int] | None) -> None:
    """Make a mirror root that is used for the first time, if it is missing; an empty one is handed to `owner`."""
    try:
        if not root.is_dir():
            root.mkdir(parents=True)
            root.chmod(0o777 & ~umask)
        if owner and not os.listdir(root):
            os.chown(root, *owner, follow_symlinks=False)
    except OSError as error:
        raise _unusable(root, error) from None


def mark(settings: Settings, volume: str, owner: tuple[int, int] | None, *, take_over: bool) -> None:
    """Make the mirror root ours, with a marker that says `volume`. Raises VolumeError.

    The root is made where it is missing, for `owner` (user and group id) if given. A marker that says something else
    is replaced to `take_over` alone, and never while recorders are at work: each of them has a shared lock on it.
    """
    root = settings.mirror_root
    assert root is not None  # noqa: S101 - the callers' matter
    make_root(root, settings.umask, owner)
    try:
        fd = os.open(root / MARKER, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o644)
        with open(fd, "r+") as marker:
            fcntl.flock(marker, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if (found := marker.read().strip()) and found != volume and not take_over:
                raise _foreign(root)
            os.fchmod(fd, 0o666 & ~settings.umask)
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


def _foreign(root: Path) -> VolumeError:
    return VolumeError(
        f"mirror root {root} holds the marker of another volume, or of another instance. "
        "Mount the right one; if this one is to be ours: heldar-mirror adopt-volume"
    )


def _unusable(root: Path, error: OSError) -> VolumeError:
    return VolumeError(
        f"cannot use mirror root {root}: {error}. Expected a directory that the recorders' user can write; "
        "make it, or set HELDAR_MIRROR_RECORDINGS_DIR to another"
    )
