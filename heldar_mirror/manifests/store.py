"""Writing the manifests: listing segments, sealing days, and removing manifests whose time is over.

The lines of an open manifest are not fsynced: what a crash takes of them is listed anew, since those segments are then
found unlisted. Sealing fsyncs the manifest and the directory before it removes the open one.
"""

import errno
import fcntl
import os
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress

from heldar_mirror.manifests.form import (
    DAY_SECONDS,
    DIRECTORY,
    SIGNATURE_SUFFIX,
    DamagedError,
    Heading,
    Link,
    SealedName,
    Sums,
    day_begins,
    day_of,
    open_name,
    render_sealed,
    render_sums,
    sha256,
)
from heldar_mirror.manifests.reading import Found, content_of, find, opened, parse
from heldar_mirror.recorder.files import open_plain, read_all
from heldar_mirror.recorder.volume import LOCK, narrow

# A day is sealed this long after its end. Its last segments are closed up to an hour later (Heldar's longest segment),
# and what a recorder that was killed left without a name gets one when the next recorder starts.
SEAL_AFTER_SECONDS = 3 * 3600

# A day that begins this far in the future was named by a clock that has been set right since, so nothing more is to
# come for it. Names may lie some minutes in the future with the right clock, too.
FUTURE_SECONDS = DAY_SECONDS

# An open manifest of this size is sealed at once, so that a manifest is always small enough to be read as a whole. It
# is four times what a day of segments of two seconds has.
FULL_BYTES = 16 << 20

# No more lines are written at once, so that no manifest grows far beyond that.
LINES_AT_ONCE = 10_000

# A sealed manifest or a signature is written under this name first.
NEW = ".new"

Sign = Callable[[bytes], bytes]


class BusyError(OSError):
    """Another process writes the manifests."""


@contextmanager
def opened_store(root: int, umask: int) -> Iterator["Store"]:
    """Yield the manifests in a mirror root for writing; `root` is its descriptor.

    Raises OSError if the directory of the manifests can't be made or used, and BusyError if another process has it.
    """
    _make(root, DIRECTORY, umask)
    with opened(root, DIRECTORY) as directory:
        lock = open_plain(LOCK, os.O_RDWR | os.O_CREAT, within=directory)
        try:
            narrow(lock)
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError as error:
                raise BusyError(error.errno, f"another process writes there: see who holds {LOCK}", DIRECTORY) from None
            yield Store(directory, umask)
        finally:
            os.close(lock)


def _make(parent: int, name: str, umask: int) -> None:
    """Make a directory if it is missing. Raises OSError."""
    with suppress(FileExistsError):
        os.mkdir(name, 0o777 & ~umask, dir_fd=parent)
        with opened(parent, name) as made:
            _set_mode(made, 0o777 & ~umask)  # the process may have a narrower umask
        _sync_names(parent)


class Store:
    """The manifests in a mirror root, for the one process that writes them."""

    def __init__(self, directory: int, umask: int) -> None:
        self._directory = directory
        self._umask = umask

    @contextmanager
    def _opened(self, camera_id: str) -> Iterator[int]:
        """Open a camera's directory and yield its descriptor. An OSError in the block names the file by its path."""
        try:
            with opened(self._directory, camera_id) as camera:
                yield camera
        except OSError as error:
            inside = "" if error.filename in {None, camera_id} else f"/{error.filename}"
            error.filename = f"{DIRECTORY}/{camera_id}{inside}"
            raise

    def append(self, camera_id: str, sums: Iterable[tuple[int, bytes]], now: float) -> None:
        """List segments of a camera, given by when each began (Unix seconds) and its SHA-256.

        A segment is listed in the manifest of its day, or if that is sealed, in the one of today. The caller sees to it
        that none of them is open any more, and that none is listed already. Raises OSError: then some may be listed.
        """
        by_day = defaultdict(list)
        for begun, digest in sums:
            by_day[day_of(begun)].append((begun, digest))
        _make(self._directory, camera_id, self._umask)
        with self._opened(camera_id) as camera:
            for day, of_day in by_day.items():
                for start in range(0, len(of_day), LINES_AT_ONCE):
                    lines = render_sums(camera_id, of_day[start : start + LINES_AT_ONCE])
                    fd = self._open_for(camera, camera_id, day, now)
                    try:
                        _append_lines(fd, lines)
                    finally:
                        os.close(fd)

    def _open_for(self, camera: int, camera_id: str, day: str, now: float) -> int:
        """Return a descriptor of the open manifest that what is found of a day now is listed in."""
        try:
            fd = open_plain(open_name(day), os.O_RDWR | os.O_APPEND, within=camera)
        except FileNotFoundError:
            if any(name.day == day for name in find(camera).sealed):
                day = day_of(now)
            fd = open_plain(open_name(day), os.O_RDWR | os.O_APPEND | os.O_CREAT, within=camera)
            _set_mode(fd, 0o666 & ~self._umask)
        if os.fstat(fd).st_size < FULL_BYTES:
            return fd
        os.close(fd)
        self._seal_day(camera, camera_id, day, now)
        return self._open_for(camera, camera_id, day, now)

    def seal(self, camera_id: str, now: float, sign: Sign | None) -> list[str]:
        """Seal the days of a camera that have been over for SEAL_AFTER_SECONDS. Return the names of the new manifests.

        Call it when all closed segments of those days are listed. With `sign`, each new manifest is signed, and so is
        the newest one if it is not signed yet: its signature covers all those before. Raises OSError.
        """
        if not _exists(self._directory, camera_id):
            return []  # nothing was listed yet
        with self._opened(camera_id) as camera:
            days = [day for day in find(camera).open_days if is_over(day, now)]
            sealed = [name for day in days if (name := self._seal_day(camera, camera_id, day, now, sign))]
            for newest in map(str, find(camera).sealed[-1:]):
                if sign and not _exists(camera, newest + SIGNATURE_SUFFIX):
                    self._write(camera, newest + SIGNATURE_SUFFIX, sign(content_of(camera, newest)))
            return sealed

    def _seal_day(self, camera: int, camera_id: str, day: str, now: float, sign: Sign | None = None) -> str | None:
        """Seal the open manifest of a day. Return its new name, or None if there was nothing left in it to seal.

        Its signature is written before it, so that nobody finds it without.
        """
        found, name = find(camera), None
        sums = _unsealed(camera, camera_id, found, day)
        if sums:
            last = found.sealed[-1] if found.sealed else None
            sealed = SealedName(last.number + 1 if last else 1, day)
            previous = Link(str(last), sha256(content_of(camera, str(last)))) if last else None
            name = str(sealed)
            content = render_sealed(Heading(camera_id, sealed, int(now), previous), sums)
            with suppress(FileNotFoundError):  # of an attempt that ended before its manifest was there
                os.unlink(name + SIGNATURE_SUFFIX, dir_fd=camera)
            if sign:
                self._write(camera, name + SIGNATURE_SUFFIX, sign(content))
            self._write(camera, name, content)
        os.unlink(open_name(day), dir_fd=camera)
        return name

    def _write(self, camera: int, name: str, content: bytes) -> None:
        """Write a file as a whole, for reading only. Raises FileExistsError if there is one of this name.

        Only we write here, so nobody takes the name between the look and the rename. Neither links nor a rename that
        refuses to replace are known to each file system.
        """
        if _exists(camera, name):
            raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), name)
        with suppress(FileNotFoundError):  # one that was left by a killed process
            os.unlink(NEW, dir_fd=camera)
        try:
            with open(os.open(NEW, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600, dir_fd=camera), "wb") as file:
                file.write(content)
                _set_mode(file.fileno(), 0o444 & ~self._umask)
                file.flush()
                os.fsync(file.fileno())
            os.rename(NEW, name, src_dir_fd=camera, dst_dir_fd=camera)
        except OSError:
            with suppress(OSError):  # what was written of it would take up room on a full disk
                os.unlink(NEW, dir_fd=camera)
            raise
        _sync_names(camera)

    def expire(self, camera_id: str, before: float, now: float, *, is_gone: bool) -> list[str]:
        """Remove the sealed manifests of days that ended before a Unix time, the oldest first. Return their names.

        The newest one is kept, so that the next can name it, unless the camera `is_gone`. Raises OSError.
        """
        if not _exists(self._directory, camera_id):
            return []
        with self._opened(camera_id) as camera:
            sealed = find(camera).sealed
            names = [str(name) for name in expired(sealed if is_gone else sealed[:-1], before, now)]
            for name in names:
                with suppress(FileNotFoundError):
                    os.unlink(name + SIGNATURE_SUFFIX, dir_fd=camera)
                os.unlink(name, dir_fd=camera)
            is_empty = not os.listdir(camera)
        if is_gone and is_empty:
            os.rmdir(camera_id, dir_fd=self._directory)
        return names


def is_over(day: str, now: float) -> bool:
    """Return whether a day is to be sealed: nothing more is expected for it."""
    return not day_begins(day) - FUTURE_SECONDS <= now < day_begins(day) + DAY_SECONDS + SEAL_AFTER_SECONDS


def expired(sealed: Sequence[SealedName], before: float, now: float) -> Sequence[SealedName]:
    """Return which of a camera's sealed manifests are older than a Unix time: the first ones, so that no link is lost.

    One whose day lies in the future goes with those around it.
    """
    count = 0
    for number, name in enumerate(sealed, 1):
        begins = day_begins(name.day)
        if begins > now + FUTURE_SECONDS:
            continue
        if begins + DAY_SECONDS > before:
            break
        count = number
    return sealed[:count]


def _unsealed(camera: int, camera_id: str, found: Found, day: str) -> Sums:
    """Return what the open manifest of a day lists, in order, without what a sealed one of that day lists already.

    There is one if we were killed before the open one was removed, or if the clock was set back to a sealed day.
    """
    pairs = set(parse(camera_id, open_name(day), content_of(camera, open_name(day)))[1])
    for name in found.sealed:
        if name.day == day:
            with suppress(DamagedError):
                pairs.difference_update(parse(camera_id, str(name), content_of(camera, str(name)))[1])
    sums = Sums()
    for begun, digest in sorted(pairs):
        sums.add(begun, digest)
    return sums


def _append_lines(fd: int, lines: bytes) -> None:
    """Append whole lines, or none. What is left of a torn line, which a crash or a full volume has cut, is removed."""
    size = os.fstat(fd).st_size
    if size and os.pread(fd, 1, size - 1) != b"\n":
        size = read_all(fd, "an open manifest").rfind(b"\n") + 1
        os.ftruncate(fd, size)
    try:
        written = os.write(fd, lines)
        if written < len(lines):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    except OSError:
        os.ftruncate(fd, size)
        raise


def _sync_names(directory: int) -> None:
    """Have the names in a directory written to the disk. Raises OSError."""
    try:
        os.fsync(directory)
    except OSError as error:
        if error.errno != errno.EINVAL:  # some network file systems don't know this for directories
            raise


def _set_mode(fd: int, mode: int) -> None:
    with suppress(OSError):  # some file systems have no modes
        os.fchmod(fd, mode)


def _exists(directory: int, name: str) -> bool:
    try:
        os.stat(name, dir_fd=directory, follow_symlinks=False)
    except FileNotFoundError:
        return False
    return True
