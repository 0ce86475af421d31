"""Whether a process has a file open for writing."""

import errno
import fcntl
import signal

# The answers of file systems that can't say: without leases, in files of a different user, or not allowed.
_UNKNOWN = {errno.EINVAL, errno.EACCES, errno.EPERM, errno.ENOLCK, errno.EOPNOTSUPP, errno.ENOSYS}

# If a process opens the file in the very moment of the question, Linux sends this, which would end us.
signal.signal(signal.SIGIO, signal.SIG_IGN)


def has_writer(fd: int) -> bool | None:
    """Return whether any process of this machine has the file of a read-only descriptor open for writing.

    Return None if that can't be said: not every file system knows leases, and the file must be ours. Linux grants a
    lease for reading only if nobody writes. It is given back at once, so that nobody waits for us.
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
