"""Proving the volume, and taking a camera's directory for one writer."""

import fcntl
import posix

from .files import PRIVATE, open_plain

EROFS = 30  # loading the module errno would cost memory
MARKER = ".heldar-mirror"
LOCK = ".heldar-mirror.lock"

# No marker is longer.
MARKER_BYTES = 200

# With less free space no recording is begun, since ffmpeg crashes on a full volume and each attempt leaves a stub.
MIN_FREE_BYTES = 64 << 20

# One of these texts is in the last words of a recording that ended, or did not begin, because a write found no room.
NO_ROOM = ("is full:", "No space left on device", "Disk quota exceeded")

# After that a trial write must succeed, in a file that whoever looks into the directory knows by its name.
TRIAL = ".heldar-mirror.trial"
TRIAL_BYTES = 1 << 20


class RefusedError(Exception):
    """Recording must not start; the text says why and what to do."""


def prove_volume(root: str, volume: str, *, by_recorder: bool = False) -> int:
    """Return a descriptor of the marker, locked as in use. Raises RefusedError if the marker doesn't hold `volume`.

    The marker is narrowed on the way, except by a root that does not record: it might keep it from those who do.
    """
    path = f"{root}/{MARKER}"
    try:
        fd = open_plain(path)
    except FileNotFoundError:
        raise RefusedError(
            f"mirror root {root} has lost its marker {MARKER}: is the volume mounted? "
            "For a new volume: heldar-mirror adopt-volume"
        ) from None
    try:
        if by_recorder or posix.geteuid():
            narrow(fd)
        fcntl.flock(fd, fcntl.LOCK_SH)  # before reading, since an adoption writes under an exclusive lock
        if posix.read(fd, MARKER_BYTES).decode(errors="replace").strip() != volume:
            raise RefusedError(
                f"mirror root {root} holds the marker of another volume or instance. Mount the right one, "
                "or make this one ours: heldar-mirror adopt-volume"
            )
    except (RefusedError, OSError):
        posix.close(fd)  # or the adoption that is advised would find the volume in use
        raise
    return fd


def narrow(fd: int) -> None:
    """Leave a file of ours to us alone, since whoever may read a file may lock it. Earlier versions let the group."""
    if posix.fstat(fd).st_mode & 0o7777 != PRIVATE:
        try:
            posix.fchmod(fd, PRIVATE)
        except OSError:
            pass  # it is somebody else's, or the file system is read-only or has no modes


def is_read_only(marker: int) -> bool:
    """Return whether the file system is read-only, which a damaged ext4 becomes without showing it as an option."""
    try:
        posix.utime(marker)
    except OSError as error:
        return error.errno == EROFS
    return False


def check_room(root: str, marker: int) -> None:
    """Raise RefusedError if the volume can't be written to, or has too little room to begin a recording.

    `marker` is the descriptor of the proven marker.
    """
    volume = posix.statvfs(root)
    if is_read_only(marker):
        reason = "is read-only: expected to write there. See dmesg: a file system that is damaged becomes so"
    elif volume.f_blocks and volume.f_bavail * volume.f_frsize < MIN_FREE_BYTES:  # 0 blocks in total means unknown
        reason = f"is full: expected at least {MIN_FREE_BYTES >> 20} MiB of free space. Make room there"
    elif volume.f_files and not volume.f_favail:
        reason = "is full: it has no inode left, expected one for each segment. Make room there"
    else:
        return
    raise RefusedError(f"mirror root {root} {reason}; recording begins by itself then")


def lock_directory(directory: str) -> int:
    """Make the camera directory, but not its parents, lock it for one writer, and return the lock's descriptor.

    Raises RefusedError if it is no directory, or has a writer; OSError if it can't be used.
    """
    try:
        posix.mkdir(directory)
    except FileExistsError:
        pass
    try:
        posix.close(posix.open(directory, posix.O_RDONLY | posix.O_DIRECTORY | posix.O_NOFOLLOW))
    except OSError as error:
        raise RefusedError(
            f"{directory}: {error.strerror}: expected a directory of the recorders' user; a symbolic link would lead "
            "out of the volume that was proven"
        ) from None
    fd = open_plain(f"{directory}/{LOCK}", posix.O_RDWR | posix.O_CREAT)
    try:
        narrow(fd)
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        posix.close(fd)
        if isinstance(error, BlockingIOError):
            raise RefusedError(f"another recorder is writing to {directory}: see who holds {LOCK} there") from None
        raise
    return fd


def note_run(lock: int, directory: str, run: str) -> None:
    """Write into the lock file whose directory it is, and which run's files may lack their names; none if it is empty.

    By its first line the pruner recognizes a camera directory, and leaves a copy of it alone, since a copy's name
    differs.
    """
    content = f"{directory.rpartition('/')[2]}\n{run}".encode()
    posix.pwrite(lock, content, 0)
    posix.ftruncate(lock, len(content))


def unfinished_run(lock: int) -> str:
    """Return the run whose files may lack their names, by the lock file, or no text."""
    return posix.pread(lock, 300, 0).partition(b"\n")[2].decode(errors="replace")
