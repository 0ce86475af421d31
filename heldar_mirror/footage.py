"""The segments in the mirror root: listed and removed.

All is reached from the proven root's own descriptor. No link is followed, no mount entered, and no file touched that is
not named like a segment, but for what recorders put there themselves.
"""

import ctypes
import fcntl
import os
import stat
from array import array
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from heldar_mirror import mounts, recorder
from heldar_mirror.cameras import ID
from heldar_mirror.errors import VolumeError
from heldar_mirror.recorder import LOCK, MARKER
from heldar_mirror.segments import Footage, segment_begun, segment_name

DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW

# The stubs of ffmpeg that were seen have 0, 28 and 4,096 bytes; what is longer is not looked into.
STUB_BYTES = 4096


@dataclass(frozen=True)
class Room:
    """What a volume has, in bytes and in inodes; a file system that does not say has 0 of 0."""

    total: int
    free: int
    inodes: int
    free_inodes: int


@contextmanager
def opened(root: Path, volume: str) -> Iterator[int]:
    """Return a descriptor of the mirror root, proven and kept from being adopted by another. Raises VolumeError."""
    try:
        marker = recorder.prove_volume(str(root), volume)
        try:
            fd = os.open(root, os.O_RDONLY | os.O_DIRECTORY)
            try:
                if not os.path.samestat(os.fstat(marker), os.stat(MARKER, dir_fd=fd, follow_symlinks=False)):
                    raise VolumeError(f"something else was mounted at {root} just now")
                yield fd
            finally:
                os.close(fd)
        finally:
            os.close(marker)
    except (recorder.RefusedError, OSError) as error:
        raise VolumeError(f"cannot prune mirror root {root}: {error}") from None


def room(root: int) -> Room:
    """Return what room there is."""
    found = os.fstatvfs(root)
    return Room(found.f_blocks * found.f_frsize, found.f_bavail * found.f_frsize, found.f_files, found.f_favail)


def settle(root: int) -> None:
    """Wait until the file system has noted what was removed: some give room back only then."""
    ctypes.CDLL(None).syncfs(root)


def directories(root: int, path: Path) -> tuple[list[str], list[str]]:
    """Return the directories that are named like a camera, and those of them on which something is mounted."""
    mounted = mounts.points_in(Path(os.path.realpath(path)))
    with os.scandir(root) as entries:
        names = sorted(
            entry.name for entry in entries if ID.fullmatch(entry.name) and entry.is_dir(follow_symlinks=False)
        )
    return [name for name in names if name not in mounted], [name for name in names if name in mounted]


def look(root: int, camera_id: str, last: Footage) -> Footage:
    """Return a camera's footage. What was closed when `last` was made is not looked into again. Raises OSError."""
    # The newest was growing, and what was empty may have been open.
    known = {begun: size for begun, size in zip(last.begun[:-1], last.sizes[:-1], strict=True) if size}
    found = []
    with _directory(root, camera_id) as fd, os.scandir(fd) as entries:
        for entry in entries:
            begun = segment_begun(entry.name)
            if begun is None or not entry.is_file(follow_symlinks=False):
                continue
            try:
                found.append((begun, known.get(begun) or _recorded(fd, entry.name, entry.stat(follow_symlinks=False))))
            except FileNotFoundError:
                continue
    found.sort()
    return Footage(array("q", (begun for begun, _ in found)), array("q", (size for _, size in found)))


def _recorded(directory: int, name: str, seen: os.stat_result) -> int:
    """A segment's bytes, 0 where nothing was recorded in it."""
    size = seen.st_size
    return 0 if 0 < size <= STUB_BYTES and recorder.is_stub(f"/proc/self/fd/{directory}/{name}") else size


def is_stub(root: int, camera_id: str, begun: int) -> bool:
    """Whether nothing was recorded in a segment. Raises OSError."""
    name = segment_name(begun)
    with _directory(root, camera_id) as fd:
        return not _recorded(fd, name, os.stat(name, dir_fd=fd, follow_symlinks=False))


def remove(root: int, camera_id: str, begun: Iterable[int]) -> tuple[set[int], dict[str, list[int]]]:
    """Remove segments. Returns those that are gone, and by reason those that are not."""
    gone, kept = set[int](), dict[str, list[int]]()
    try:
        with _directory(root, camera_id) as fd:
            for each in begun:
                try:
                    os.unlink(segment_name(each), dir_fd=fd)
                    gone.add(each)
                except FileNotFoundError:
                    gone.add(each)
                except OSError as error:
                    kept.setdefault(str(error.strerror), []).append(each)
    except OSError as error:
        kept[str(error.strerror)] = [each for each in begun if each not in gone]
    return gone, kept


def is_recorders(root: int, camera_id: str) -> bool:
    """Whether a recorder of ours has ever used a directory."""
    with suppress(OSError), _directory(root, camera_id) as fd:
        return stat.S_ISREG(os.stat(LOCK, dir_fd=fd, follow_symlinks=False).st_mode)
    return False


def remove_directory(root: int, camera_id: str) -> bool:
    """Remove a camera's directory if nothing is in it but what recorders put there, and none is at work. Returns
    whether it is gone."""
    with suppress(FileNotFoundError, BlockingIOError), _directory(root, camera_id) as fd:
        if os.listdir(fd) == [LOCK]:
            lock = os.open(LOCK, os.O_RDONLY | os.O_NOFOLLOW, dir_fd=fd)
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                os.unlink(LOCK, dir_fd=fd)
            finally:
                os.close(lock)
        if os.listdir(fd):
            return False
        os.rmdir(camera_id, dir_fd=root)
        return True
    return False


@contextmanager
def _directory(root: int, camera_id: str) -> Iterator[int]:
    fd = os.open(camera_id, DIRECTORY, dir_fd=root)
    try:
        yield fd
    finally:
        os.close(fd)
