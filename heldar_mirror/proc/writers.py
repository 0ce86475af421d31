"""Whether a process has a file open for writing."""

import errno
import fcntl

# The answers of file systems that can't say: without leases, in files of a different user, or not allowed.
_UNKNOWN = {errno.EINVAL, errno.EACCES, errno.EPERM, errno.ENOLCK, errno.EOPNOTSUPP, errno.ENOSYS}


def has_writer(fd: int) -> bool | None:
    """Return whether any process of this machine has the file of a read-only descriptor open for writing.

    Return None if that can't be said: not every file system knows leases, and the file must be ours. Linux grants a
    lease for reading only if nobody writes. It is given back at once, so that nobody waits for us. If a process opens
    the file in that very moment, Linux sends SIGIO, which the caller must ignore.
    """
    try:
        fcntl.fcntl(fd, fcntl.F_SETLEASE, fcntl.F_RDLCK)
    except BlockingIOError:
        return True
    except OSError as error:
        if error.errno in _UNKNOWN:
            return None
        raise
    fcntl.fcntl(fd, fcntl.F_SETLEASE, fcntl.F_UNLCK)
    return False
