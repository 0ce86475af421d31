"""How much room a volume has, and how to have it count what was removed."""

import ctypes
import os
from dataclasses import dataclass


@dataclass(frozen=True)
class Room:
    """A volume's bytes and inodes, in total and free. If a file system does not count them, both numbers are 0."""

    total: int
    free: int
    inodes: int
    free_inodes: int


def room_of(root: int) -> Room:
    """Return the room of the volume on which the descriptor `root` is open. Raises OSError."""
    found = os.fstatvfs(root)
    return Room(found.f_blocks * found.f_frsize, found.f_bavail * found.f_frsize, found.f_files, found.f_favail)


def settle(root: int) -> None:
    """Have the file system write what was removed, since XFS and btrfs free the room only then."""
    ctypes.CDLL(None).syncfs(root)
