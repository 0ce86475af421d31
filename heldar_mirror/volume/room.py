"""How much room a volume has."""

import ctypes
import os
from dataclasses import dataclass


@dataclass(frozen=True)
class Room:
    """What a volume has, in bytes and in inodes; a file system that does not say has 0 of 0."""

    total: int
    free: int
    inodes: int
    free_inodes: int


def room_of(root: int) -> Room:
    """Return what room there is."""
    found = os.fstatvfs(root)
    return Room(found.f_blocks * found.f_frsize, found.f_bavail * found.f_frsize, found.f_files, found.f_favail)


def settle(root: int) -> None:
    """Wait until the file system has noted what was removed: some give room back only then."""
    ctypes.CDLL(None).syncfs(root)
