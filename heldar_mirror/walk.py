"""Opening a directory and making it: as root without following a link that a different user could have made."""

import errno
import os
from contextlib import suppress
from pathlib import Path

# Linux follows as many links on the way to a file.
MAX_LINKS = 40

_LOOK = os.O_PATH | os.O_DIRECTORY | os.O_NOFOLLOW


class OthersError(PermissionError):
    """A directory on the way belongs to a different user, and root was not to go on there."""


def open_directory(path: Path, mode: int | None = None, *, through_others: bool = True, last_link: bool = True) -> int:
    """Return a descriptor of a directory.

    If it is missing it is made with `mode`, unless that is None, and its parents with mode 0755, whatever the umask is.
    Root follows a link only if nobody else could have made it, and without `through_others` enters no directory of a
    different user. Without `last_link`, nobody follows a link in the last place.

    Raises OthersError, or OSError with the path that it is about.
    """
    names, at, links = list(reversed(path.parts[1:])), Path("/"), 0
    fd = os.open("/", _LOOK)
    try:
        while names:
            if not through_others and os.geteuid() == 0 != (uid := os.fstat(fd).st_uid):
                raise OthersError(f"{at} belongs to user {uid}")
            name = names.pop()
            at /= name
            try:
                found = _enter(fd, name, 0o755 if names and mode is not None else mode)
            except NotADirectoryError:
                links += 1
                if links > MAX_LINKS or not (names or last_link):
                    raise
                target = _target(fd, name)
                names += reversed(target.parts[target.is_absolute() :])
                found = os.open("/" if target.is_absolute() else ".", _LOOK, dir_fd=fd)
            os.close(fd)
            fd = found
        return _readable(fd)
    except OSError as error:
        if error.errno:
            error.filename = str(at)
        raise
    finally:
        os.close(fd)


def _enter(directory: int, name: str, mode: int | None) -> int:
    """Return a descriptor of a directory in another one, made with `mode` if it is missing. Raises OSError."""
    try:
        return os.open(name, _LOOK, dir_fd=directory)
    except FileNotFoundError:
        if mode is None:
            raise
    with suppress(FileExistsError):
        os.mkdir(name, mode, dir_fd=directory)
    found = os.open(name, _LOOK, dir_fd=directory)
    try:
        fd = _readable(found)
        try:
            # Unless somebody has put a different one into its place, it is ours and empty.
            if os.fstat(fd).st_uid == os.geteuid() and not contents(fd):
                os.fchmod(fd, mode)
        finally:
            os.close(fd)
    except OSError:
        os.close(found)
        raise
    return found


def _target(directory: int, name: str) -> Path:
    """Return where a link leads. Raises OSError if it is none, or if root must not follow it."""
    try:
        target = os.readlink(name, dir_fd=directory)
    except OSError:
        raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR)) from None
    if os.geteuid() == 0:
        parent, link = os.fstat(directory), os.stat(name, dir_fd=directory, follow_symlinks=False)
        if parent.st_uid or parent.st_mode & 0o022 or link.st_uid:
            raise OSError(errno.ELOOP, "root does not follow a link that a different user could have made")
    return Path(target)


def _readable(directory: int) -> int:
    """Return a descriptor by which a directory can be listed and changed. Raises OSError."""
    return os.open(".", os.O_RDONLY | os.O_DIRECTORY, dir_fd=directory)


def contents(directory: int) -> list[str]:
    """Return the names in an open directory, without what a new file system has by itself. Raises OSError."""
    return sorted(set(os.listdir(directory)) - {"lost+found"})
