"""Listing the camera directories and segments in the mirror root.

Everything is opened relative to the descriptor of the proven mirror root. No link is followed, and no directory on
which something is mounted is entered. Only files named like a segment, and the recorders' lock files, are considered.
"""

import errno
import fcntl
import os
import re
import stat
from array import array
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from heldar_mirror.errors import VolumeError
from heldar_mirror.footage.footage import UNMEASURED, Footage
from heldar_mirror.footage.names import CAMERA_ID, segment_begun, segment_name
from heldar_mirror.recorder import leftovers
from heldar_mirror.recorder.files import open_plain
from heldar_mirror.recorder.segments import is_numbered
from heldar_mirror.recorder.volume import LOCK, MARKER, TRIAL, RefusedError, prove_volume

MOUNT_ID = re.compile(r"^mnt_id:\s*(\d+)$", re.MULTILINE)

# All stubs of ffmpeg's that were seen had 0, 28 or 4,096 bytes. A longer file counts as recorded without being read.
STUB_BYTES = 4096


@contextmanager
def opened_root(root: Path, volume: str) -> Iterator[int]:
    """Open the mirror root and yield its descriptor. Raises VolumeError if its marker does not hold the id `volume`.

    While it is open, no other instance can adopt the volume.
    """
    try:
        marker = prove_volume(str(root), volume)
    except (RefusedError, OSError) as error:
        raise VolumeError(f"cannot use mirror root {root}: {error}") from None
    try:
        with opened_directory(root) as fd:
            if not os.path.samestat(os.fstat(marker), os.stat(MARKER, dir_fd=fd, follow_symlinks=False)):
                raise VolumeError(f"something else was mounted at {root} just now")
            yield fd
    finally:
        os.close(marker)


@contextmanager
def opened_directory(path: Path | str, within: int | None = None) -> Iterator[int]:
    """Open a directory and yield its descriptor. One in the directory `within` must not be a link. Raises OSError."""
    fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY | (0 if within is None else os.O_NOFOLLOW), dir_fd=within)
    try:
        yield fd
    finally:
        os.close(fd)


@contextmanager
def camera_directory(root: int, camera_id: str) -> Iterator[int]:
    """Open a camera directory and yield its descriptor.

    Raises OSError, also if something is mounted there, since that may be the primary's directory.
    """
    with opened_directory(camera_id, root) as fd:
        if _mount_id(fd) != _mount_id(root):
            raise OSError(errno.EXDEV, "it is a mount of its own")
        yield fd


def _mount_id(fd: int) -> str:
    found: list[str] = MOUNT_ID.findall(Path(f"/proc/self/fdinfo/{fd}").read_text())
    return found[0]


def camera_directories(root: int) -> list[str]:
    """Return the names of the directories that are named like a camera. Raises OSError."""
    with os.scandir(root) as entries:
        return sorted(
            entry.name for entry in entries if CAMERA_ID.fullmatch(entry.name) and entry.is_dir(follow_symlinks=False)
        )


def list_footage(root: int, camera_id: str, last: Footage) -> Footage:
    """Return a camera's footage, with the sizes that were measured in its `last` listing. Raises OSError."""
    # But not that of the newest segment, which may have grown, nor that of a stub, which may have been open.
    measured = {begun: size for begun, size in zip(last.begun[:-1], last.sizes[:-1], strict=True) if size > 0}
    with camera_directory(root, camera_id) as fd, os.scandir(fd) as entries:
        found = sorted(
            begun
            for entry in entries
            if (begun := segment_begun(entry.name)) is not None and entry.is_file(follow_symlinks=False)
        )
    return Footage(array("q", found), array("q", (measured.get(begun, UNMEASURED) for begun in found)))


def measure(root: int, camera_id: str, footage: Footage, indexes: Iterable[int]) -> None:
    """Fill in the sizes of those segments at `indexes` that are not measured yet. Raises OSError.

    A segment that is not there any more stays UNMEASURED.
    """
    unmeasured = [index for index in indexes if footage.sizes[index] == UNMEASURED]
    if unmeasured:
        with camera_directory(root, camera_id) as fd:
            for index in unmeasured:
                with suppress(FileNotFoundError):
                    footage.sizes[index] = _recorded_bytes(fd, segment_name(footage.begun[index]))


def _recorded_bytes(directory: int, name: str) -> int:
    """Return a segment's bytes, or 0 if it is a stub. Raises FileNotFoundError."""
    found = os.stat(name, dir_fd=directory, follow_symlinks=False)
    if found.st_size > STUB_BYTES or not stat.S_ISREG(found.st_mode):
        return found.st_size
    try:
        return 0 if leftovers.is_stub(f"/proc/self/fd/{directory}/{name}") else found.st_size
    except OSError:
        return found.st_size  # a file that can't be read may hold a recording


def is_stub(root: int, camera_id: str, begun: int) -> bool:
    """Return whether a segment is a stub, or not there any more. Raises OSError."""
    try:
        with camera_directory(root, camera_id) as fd:
            return not _recorded_bytes(fd, segment_name(begun))
    except FileNotFoundError:
        return True


def is_recorders_directory(root: int, camera_id: str) -> bool:
    """Return whether a recorder has used a directory: its lock file then holds its name, which a copy's does not."""
    with suppress(OSError), camera_directory(root, camera_id) as fd, open_lock(fd) as lock:
        return os.read(lock, 200).partition(b"\n")[0] == camera_id.encode()
    return False


def has_recorder(root: int, camera_id: str) -> bool:
    """Return whether a recorder, of whatever instance, uses a camera directory: it holds the lock of it.

    Raises OSError, also if there is no lock file.
    """
    with camera_directory(root, camera_id) as fd, open_lock(fd) as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
    return False


def is_ours_alone(root: int, camera_id: str) -> bool:
    """Return whether a directory holds nothing but segments, named or not yet, the lock file and a trial file.

    Raises OSError.
    """
    with camera_directory(root, camera_id) as fd, os.scandir(fd) as entries:
        return all(
            entry.is_file(follow_symlinks=False)
            and (entry.name in {LOCK, TRIAL} or segment_begun(entry.name) is not None or is_numbered(entry.name))
            for entry in entries
        )


@contextmanager
def open_lock(directory: int) -> Iterator[int]:
    """Open the recorders' lock file of a camera directory and yield its descriptor. Raises OSError."""
    fd = open_plain(LOCK, within=directory)
    try:
        yield fd
    finally:
        os.close(fd)
