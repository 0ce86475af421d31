"""Find the process that listens on a Unix socket. Linux says so by itself: the process need not answer."""

import os
import socket
import struct
from pathlib import Path


def listener(path: Path) -> int | None:
    """Return the pid of the process that listens on a Unix socket, or None if certainly none does.

    Raises OSError if that can't be found out, and PermissionError for a listener that is neither ours, nor root's, nor
    that of the owner of the socket's directory.
    """
    with socket.socket(socket.AF_UNIX) as sock:
        sock.setblocking(False)  # a process that hangs may have a full backlog
        try:
            sock.connect(os.fspath(path))
        except (FileNotFoundError, ConnectionRefusedError):
            return None
        pid, user, _ = struct.unpack("3i", sock.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12))
    if user not in {0, os.geteuid(), path.parent.stat().st_uid}:
        raise PermissionError(f"user {user} listens on {path}")
    if not pid:
        raise PermissionError(f"the process that listens on {path} is in another container")
    return int(pid)
