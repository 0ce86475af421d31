"""Whether data waits for a process in its sockets. It is imported only when media seem to have stopped."""

import posix

from .files import read


def has_unread(pid: int) -> bool:
    """Return whether a TCP socket of a process has received data that the process has not read.

    Return False if that can't be seen.
    """
    try:
        links = [posix.readlink(f"/proc/{pid}/fd/{fd}") for fd in posix.listdir(f"/proc/{pid}/fd")]
        inodes = {link[8:-1].encode() for link in links if link.startswith("socket:[")}
        for table in ("tcp", "tcp6"):
            for line in read(f"/proc/{pid}/net/{table}").splitlines()[1:]:
                fields = line.split()
                if fields[9] in inodes and int(fields[4].partition(b":")[2], 16):
                    return True
    except OSError:
        pass  # the process has ended, or a descriptor was closed meanwhile
    return False
