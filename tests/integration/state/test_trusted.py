"""Files that root or a supervisord reads are in no other hands. Root looks, since only root can make what is wrong."""

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from support.booted_host import unavailable
from support.users import STRANGER_UID, as_root

from heldar_mirror.trusted import weak_spot, weak_spot_of_file

pytestmark = as_root


@pytest.fixture
def directory(home: Path) -> Path:
    """A directory that only root can change, two levels below one that everybody can enter."""
    made = home / "etc/conf.d"
    made.mkdir(parents=True)
    return made


def chown(path: Path, uid: int = STRANGER_UID) -> None:
    os.chown(path, uid, -1, follow_symlinks=False)


def test_roots_own_are_trusted(directory: Path) -> None:
    """Missing or not, behind root's links, and below a directory like /tmp."""
    file = directory / "programs.conf"
    assert weak_spot_of_file(file) is None
    file.touch()
    assert weak_spot_of_file(file) is None
    (directory.parent / "link").symlink_to("../etc/conf.d")
    assert weak_spot_of_file(directory.parent / "link/programs.conf") is None
    directory.parent.chmod(0o1777)
    assert weak_spot_of_file(file) is None
    assert weak_spot_of_file(Path("/dev/null")) is None


def linked_by_another(directory: Path) -> None:
    real = directory.with_name("real")
    directory.rename(real)
    directory.symlink_to(real)
    chown(directory)


def linked_to_anothers(directory: Path) -> None:
    away = directory.parents[1] / "away"
    away.mkdir()
    directory.rename(away / "conf.d")
    directory.symlink_to("../away/conf.d")
    chown(away)


def linked_to_itself(directory: Path) -> None:
    shutil.rmtree(directory)
    directory.symlink_to("conf.d")


def given_by_acl(directory: Path) -> None:
    if not shutil.which("setfacl"):
        unavailable("needs setfacl, of the package acl")
    subprocess.run(["setfacl", "-m", f"u:{STRANGER_UID}:rwx", str(directory)], check=True)


@pytest.mark.parametrize(
    ("spoil", "weak"),
    [
        (chown, "etc/conf.d belongs to user 65534: chown it to root"),
        (lambda directory: chown(directory.parent), "etc belongs to user 65534: chown it to root"),
        (lambda directory: directory.chmod(0o775), "etc/conf.d can be written by group 0: chmod go-w /"),
        (lambda directory: directory.chmod(0o757), "etc/conf.d can be written by everybody: chmod go-w /"),
        (lambda directory: directory.chmod(0o1777), "etc/conf.d can be written by everybody: chmod go-w /"),
        (lambda directory: directory.parent.chmod(0o777), "etc can be written by everybody: chmod go-w /"),
        (lambda directory: (directory / "programs.conf").chmod(0o666), "programs.conf can be written by everybody"),
        (lambda directory: chown(directory / "programs.conf"), "programs.conf belongs to user 65534"),
        (linked_by_another, "etc/conf.d belongs to user 65534"),
        (linked_to_anothers, "away belongs to user 65534"),
        (linked_to_itself, "has too many links"),
        (given_by_acl, "etc/conf.d can be written by group 0"),
    ],
)
def test_what_others_could_change_is_found(directory: Path, spoil: Callable[[Path], object], weak: str) -> None:
    """The file, its directory, each directory above it and each link on the way; the message names it, and says how to
    mend it."""
    (directory / "programs.conf").touch(0o644)
    spoil(directory)
    assert weak in (weak_spot_of_file(directory / "programs.conf") or "")


def test_a_directory_that_holds_only_ours_may_be_like_tmp(directory: Path) -> None:
    """Others can't replace what is there, so only a file that may be missing needs more."""
    directory.chmod(0o1777)
    assert weak_spot(directory, holds_only_ours=True) is None
    directory.chmod(0o777)
    assert weak_spot(directory, holds_only_ours=True)


def test_the_log_daemons_group_may_write_to_the_systems_logs(home: Path) -> None:
    """Ubuntu sets that at each boot. Root's own logs may lie there, and nothing else of it."""
    logs = home / "var-log"
    logs.mkdir()
    logs.chmod(0o775)
    looks = """
from pathlib import Path
from heldar_mirror.trusted import weak_spot
for path in "/var/log", "/var/log/heldar":
    print(weak_spot(Path(path), holds_only_ours=True, for_logs=True))
    print(weak_spot(Path(path), holds_only_ours=True))
Path("/var/log").chmod(0o777)
print(weak_spot(Path("/var/log"), holds_only_ours=True, for_logs=True))
"""
    mounted = ["unshare", "--mount", "sh", "-c", 'mount --bind "$0" /var/log && exec "$@"', str(logs)]
    found = subprocess.run([*mounted, sys.executable, "-c", looks], capture_output=True, text=True, check=True).stdout
    refused = "/var/log can be written by group 0: chmod go-w /var/log"
    assert found.splitlines() == ["None", refused, "None", refused, refused.replace("group 0", "everybody")]
