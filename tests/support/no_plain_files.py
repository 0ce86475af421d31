"""What may lie where a plain file is expected."""

import os
import socket
import stat
from collections.abc import Callable
from pathlib import Path


def device(path: Path) -> None:
    """A device that never ends, or a link to one unless root makes it."""
    if os.geteuid() == 0:
        os.mknod(path, stat.S_IFCHR | 0o666, os.makedev(1, 5))
    else:
        path.symlink_to("/dev/zero")


def unheard_socket(path: Path) -> None:
    """A socket that nobody listens to."""
    with socket.socket(socket.AF_UNIX) as made:
        made.bind(str(path))


def link(path: Path) -> None:
    """A link to an empty plain file beside it."""
    target = path.with_name("target")
    target.touch()
    path.symlink_to(target.name)


# Each makes what its name says at a path where nothing is.
NO_PLAIN_FILES: dict[str, Callable[[Path], object]] = {
    "directory": Path.mkdir,
    "FIFO": os.mkfifo,
    "device": device,
    "socket": unheard_socket,
    "link": link,
}
