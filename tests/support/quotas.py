"""Volumes that refuse writes for want of room though they show room, mounted as a mirror root and adopted."""

import contextlib
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from support.made_footage import MIB, adopt
from support.mirror import Mirror
from support.mounts import mounted, tmpfs, unmount


def run(*command: object) -> None:
    subprocess.run([str(part) for part in command], check=True, capture_output=True)


@contextlib.contextmanager
def btrfs_quota(mirror: Mirror, mebibytes: int = 120, of: int = 600) -> Iterator[Path]:
    """Mount a subvolume as the mirror root that may hold so much, of a btrfs that is larger. Yields the mirror root."""
    image, whole = mirror.home / "image.btrfs", mirror.home / "btrfs"
    with image.open("xb") as file:
        file.truncate(of * MIB)
    run("mkfs.btrfs", "-q", image)
    with mounted(whole, "-o", "loop", image):
        run("btrfs", "subvolume", "create", whole / "mirror")
        run("btrfs", "quota", "enable", whole)
        limit_btrfs(mirror, mebibytes)
        with mounted(mirror.root, "--bind", whole / "mirror"):
            adopt(mirror)
            yield mirror.root


def limit_btrfs(mirror: Mirror, mebibytes: int) -> None:
    """Set the quota of such a mirror root."""
    run("btrfs", "qgroup", "limit", f"{mebibytes}M", mirror.home / "btrfs/mirror")


@contextlib.contextmanager
def user_quota(home: Path, kind: str, uid: int, mebibytes: int) -> Iterator[Path]:
    """Mount an ext4 or XFS of 400 MiB, on which a user may hold so much. Yields a directory of that user.

    The test is skipped if Linux was built without quotas for that file system.
    """
    image, directory = home / f"image.{kind}", home / "of-user"
    with image.open("xb") as file:
        file.truncate(400 * MIB)
    run(f"mkfs.{kind}", "-q", *(["-O", "quota"] if kind == "ext4" else []), image)
    directory.mkdir()
    found = subprocess.run(["mount", "-o", "loop,usrquota", image, directory], capture_output=True, check=False)
    if found.returncode:
        pytest.skip(f"this Linux has no quotas of users on {kind}: {found.stderr.decode().strip()}")
    try:
        run("xfs_quota", "-f", "-x", "-c", f"limit -u bhard={mebibytes}m {uid}", directory)
        os.chown(directory, uid, uid)
        yield directory
    finally:
        unmount(directory)


@contextlib.contextmanager
def union(mirror: Mirror, *, small: int = 100, large: int = 600, needs: int = 20) -> Iterator[tuple[Path, Path]]:
    """Mount a union of two file systems, of so many MiB, as the mirror root. Yields both of them.

    A camera is recorded where its directory is. A file system with less than `needs` MiB of free space gets no new one.
    """
    parts = mirror.home / "small", mirror.home / "large"
    with tmpfs(parts[0], small), tmpfs(parts[1], large):
        mirror.root.mkdir(exist_ok=True)
        options = f"minfreespace={needs}M,category.create=epmfs"
        # Relative paths, so that its process is not found by the test's directory and taken for one of the mirror.
        command = ["mergerfs", "-o", options, f"{parts[0].name}:{parts[1].name}", mirror.root.name]
        subprocess.run(command, cwd=mirror.home, check=True, capture_output=True)
        try:
            adopt(mirror)
            yield parts
        finally:
            unmount(mirror.root)
