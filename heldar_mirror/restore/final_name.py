"""Giving a new file its name in such a way that no other file can be replaced, at whatever moment it appears."""

import ctypes
import errno
import os

RENAME_NOREPLACE = 1
# What `link` and `renameat2` give on a file system that can't do them.
UNKNOWN = {errno.EPERM, errno.EOPNOTSUPP, errno.ENOSYS, errno.EINVAL}


def give_name(fd: int, directory: int, temporary: str, name: str) -> None:
    """Name an open file, which is called `temporary` in an open directory. It may keep that name as well.

    Raises FileExistsError if the name is taken, and other kinds of OSError.
    """
    try:
        # By its descriptor, so that it is this file whatever has happened to the other name.
        os.link(f"/proc/self/fd/{fd}", name, dst_dir_fd=directory, follow_symlinks=True)
    except OSError as error:
        if error.errno not in UNKNOWN:
            raise
        _rename(directory, temporary, name)


def _rename(directory: int, old: str, new: str) -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.renameat2(directory, os.fsencode(old), directory, os.fsencode(new), RENAME_NOREPLACE):
        code = ctypes.get_errno()
        reason = "its file system knows neither links nor a rename that replaces nothing"
        raise OSError(code, reason if code in UNKNOWN else os.strerror(code))
