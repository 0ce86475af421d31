"""How much room a volume has."""

import ctypes
import os
from dataclasses import dataclass


@dataclass(frozen=True)
class Room:
    """The bytes and inodes of a volume, in all and free. A file system that does not count them has 0 of 0."""

    total: int
    free: int
    inodes: int
    free_inodes: int


def room_of(root: int) -> Room:
    """Return the room of the volume that a descriptor is open on."""
    found = os.fstatvfs(root)
    return Room(found.f_blocks * found.f_frsize, found.f_bavail * found.f_frsize, found.f_files, found.f_favail)


def settle(root: int) -> None:
    """Wait until the file system has written what was removed: XFS and btrfs give the room back only then."""
    ctypes.CDLL(None).syncfs(root)
