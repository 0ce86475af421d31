"""The mirror root is apart from the primary's directory."""

import contextlib
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.mirror import Mirror
from support.mounts import tmpfs, unmount
from support.users import STRANGER_UID, MirrorForAll, as_root, new_mirror

MARKER = ".heldar-mirror"


@contextlib.contextmanager
def bound(directory: Path, place: Path) -> Iterator[None]:
    """Mount a directory at a second place as well."""
    subprocess.run(["mount", "--bind", str(directory), str(place)], check=True)
    try:
        yield
    finally:
        unmount(place)


@pytest.mark.parametrize("where", ["", "/..", "/deep/er"])
@pytest.mark.parametrize("linked", [False, True], ids=["plainly", "by way of a link"])
@pytest.mark.parametrize("command", ["up", "reconcile", "adopt-volume"])
def test_the_primarys_own_directory_is_refused(mirror: Mirror, where: str, linked: bool, command: str) -> None:
    """A root that equals, contains or lies in the primary's directory is refused, and nothing is made in it."""
    primary = mirror.home / "recordings"
    (primary / "deep/er").mkdir(parents=True)
    root = Path(f"{primary}{where}")
    if linked:
        link = mirror.home / "heldar/link"
        link.symlink_to(root.resolve())
        root = link
    result = mirror.run(command, code=6, HELDAR_MIRROR_RECORDINGS_DIR=str(root))
    assert f"HELDAR_MIRROR_RECORDINGS_DIR={os.path.abspath(root)} is, holds or lies in" in result.stderr  # noqa: PTH100
    assert (f"(by way of {root.resolve()})" in result.stderr) == linked
    assert [path.name for path in primary.rglob("*")] == ["deep", "er"]
    assert not (root / MARKER).exists()


@pytest.mark.parametrize("command", ["up", "reconcile", "adopt-volume"])
@pytest.mark.parametrize("where", ["", "/sub/m"])
def test_the_primarys_empty_directory_is_left_as_it_is(mirror: Mirror, where: str, command: str) -> None:
    """A root in the primary's directory that does not exist yet is refused before anything is made."""
    primary = mirror.home / "recordings"
    mirror.run(command, code=6, HELDAR_MIRROR_RECORDINGS_DIR=f"{primary}{where}")
    assert list(primary.iterdir()) == []


@as_root
@pytest.mark.parametrize("command", ["up", "reconcile", "adopt-volume"])
def test_the_primarys_empty_directory_is_given_to_nobody(command: str) -> None:
    """Refused as the mirror root, the primary's directory keeps its owner and mode, whatever user the recorders run
    as."""
    with new_mirror(MirrorForAll) as mirror:
        primary = mirror.home / "recordings"
        primary.chmod(0o751)
        os.chown(primary, STRANGER_UID, STRANGER_UID)
        mirror.run(command, code=6, HELDAR_MIRROR_RECORDINGS_DIR=str(primary), HELDAR_MIRROR_USER="games")
        found = primary.stat()
        assert (found.st_uid, found.st_gid, found.st_mode & 0o777) == (STRANGER_UID, STRANGER_UID, 0o751)
        assert list(primary.iterdir()) == []


@as_root
@pytest.mark.parametrize("command", [["up"], ["reconcile"], ["reconcile", "--dry-run"], ["adopt-volume"]])
@pytest.mark.parametrize("where", ["", "deep"])
def test_the_primarys_directory_by_way_of_a_bind_mount_is_refused(
    mirror: Mirror, where: str, command: list[str]
) -> None:
    """A root on which the primary's directory, or a part of it, is mounted as well is refused."""
    primary = mirror.home / "recordings"
    (primary / "deep").mkdir()
    mirror.root.mkdir()
    with bound(primary / where, mirror.root):
        result = mirror.run(*command, code=6)
        assert f"HELDAR_MIRROR_RECORDINGS_DIR={mirror.root} is, holds or lies in" in result.stderr
    assert [path.name for path in primary.rglob("*")] == ["deep"]


@pytest.mark.parametrize("command", [["up"], ["reconcile"], ["reconcile", "--dry-run"], ["adopt-volume"]])
@pytest.mark.parametrize("name", ["mirror", "recordings"])
def test_a_link_to_itself_is_told(mirror: Mirror, name: str, command: list[str]) -> None:
    """A link to itself as the mirror root or as the primary's directory is exit code 6, with the path and no
    traceback."""
    loop = mirror.home / name
    if name == "recordings":
        loop.rmdir()
    loop.symlink_to(loop)
    result = mirror.run(*command, code=6)
    assert result.stderr.startswith("heldar-mirror: ")
    assert str(loop) in result.stderr
    assert "Traceback" not in result.stderr


def test_the_primarys_directory_by_way_of_a_link_that_came_later_is_refused(used: Mirror) -> None:
    """A root that passed the check once is checked again each time."""
    moved = used.home / "recordings/moved"
    used.root.rename(moved)
    used.root.symlink_to(moved)
    assert f"(by way of {moved})" in used.run("reconcile", code=6).stderr


@pytest.mark.parametrize("made", [True, False], ids=["there", "not there yet"])
def test_the_primarys_file_system_is_warned_about(mirror: Mirror, made: bool) -> None:
    """If root and primary share a file system the mirror runs, and `up` warns of what that is worth."""
    if made:
        mirror.root.mkdir()
    with mirror.up():
        assert f"the mirror root {mirror.root} is on the primary's file system" in mirror.up_log()


@as_root
def test_a_volume_of_its_own_is_not_warned_about(mirror: Mirror) -> None:
    """A root on a file system of its own causes no warning."""
    mirror.root.mkdir()
    with tmpfs(mirror.root, 200), mirror.up():
        assert "file system" not in mirror.up_log()
