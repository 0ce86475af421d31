"""File systems of every kind that can be had here, each mounted as a mirror root."""

import contextlib
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from support.booted_host import unavailable
from support.made_footage import MIB
from support.mirror import Mirror
from support.mounts import bindfs_volume, mounted, tmpfs, unmount
from support.quotas import union

# The least with which mkfs.xfs makes a file system. The images are sparse.
IMAGE_MIB = 400


def had(*command: object, cwd: Path) -> str:
    """Return what a command prints. The test is skipped if it fails: then this machine lacks the file system."""
    words = [str(word) for word in command]
    try:
        return subprocess.run(words, cwd=cwd, capture_output=True, text=True, check=True).stdout.strip()
    except FileNotFoundError as error:
        unavailable(str(error))
        raise
    except subprocess.CalledProcessError as error:
        pytest.skip(f"{' '.join(words)}: {error.stderr.strip()}")


def image(mirror: Mirror, *mkfs: str) -> str:
    """Make a file system in a file of the mirror's home. Return the file's name."""
    with (mirror.home / "image").open("xb") as file:
        file.truncate(IMAGE_MIB * MIB)
    had(*mkfs, "image", cwd=mirror.home)
    return "image"


@contextlib.contextmanager
def of_linux(mirror: Mirror, *mkfs: str) -> Iterator[None]:
    """A file system that Linux itself knows, in a file."""
    made = mirror.home / image(mirror, *mkfs)
    with mounted(mirror.root, "-o", "loop", made):
        yield


@contextlib.contextmanager
def mounted_by(mirror: Mirror, *command: str) -> Iterator[None]:
    """What a program mounts at the mirror root. It must have relative paths, so that its process is not found by the
    test's directory and taken for one of the mirror."""
    mirror.root.mkdir()
    had(*command, mirror.root.name, cwd=mirror.home)
    try:
        yield
    finally:
        unmount(mirror.root)


@contextlib.contextmanager
def ntfs(mirror: Mirror) -> Iterator[None]:
    with mounted_by(mirror, "ntfs-3g", image(mirror, "mkfs.ntfs", "--quick", "--force", "--quiet")):
        yield


@contextlib.contextmanager
def exfat(mirror: Mirror) -> Iterator[None]:
    device = had("losetup", "--find", "--show", image(mirror, "mkfs.exfat"), cwd=mirror.home)
    try:
        with mounted_by(mirror, "mount.exfat-fuse", device):
            yield
    finally:
        subprocess.run(["losetup", "--detach", device], check=True)


@contextlib.contextmanager
def default_acl(mirror: Mirror) -> Iterator[None]:
    """A directory in which files are born with modes that no umask has a say in."""
    with tmpfs(mirror.root, IMAGE_MIB):
        had("setfacl", "--default", "--modify", "u:nobody:rX", mirror.root, cwd=mirror.home)
        yield


FROZEN = ["ext4", "xfs", "btrfs"]

FILE_SYSTEMS: dict[str, Callable[[Mirror], contextlib.AbstractContextManager[object]]] = {
    "ext4": lambda mirror: of_linux(mirror, "mkfs.ext4", "-q"),
    "xfs": lambda mirror: of_linux(mirror, "mkfs.xfs", "-q"),
    "btrfs": lambda mirror: of_linux(mirror, "mkfs.btrfs", "-q"),
    "tmpfs": lambda mirror: tmpfs(mirror.root, IMAGE_MIB),
    "acl": default_acl,
    "ntfs-3g": ntfs,
    "exfat": exfat,
    "mergerfs": union,
    "bindfs": bindfs_volume,
}
