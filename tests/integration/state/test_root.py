"""What root does for the recorders' user: it gives away, reads and makes nothing that a setting or that user only
names."""

import contextlib
import os
import pwd
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.users import STRANGER_UID, MirrorForAll, as_root, identity, new_mirror, python_for_all

from heldar_mirror.walk import open_directory

pytestmark = as_root

GAMES = pwd.getpwnam("games")
VARIABLES = [f"HELDAR_MIRROR_{name}_DIR" for name in ("STATE", "SPECS", "LOG", "STATUS")]


@pytest.fixture
def mirror() -> Iterator[MirrorForAll]:
    """A mirror of the user games, which root starts. Nothing runs yet, so a reconcile that gets as far as supervisord
    ends with exit code 5."""
    with new_mirror(MirrorForAll) as made:
        made.env["HELDAR_MIRROR_USER"] = "games"
        yield made


@pytest.fixture
def joined(mirror: MirrorForAll) -> MirrorForAll:
    """The same in a supervisord of root's, which does not run."""
    mirror.env["HELDAR_MIRROR_PROGRAMS_FILE"] = str(mirror.home / "programs.conf")
    return mirror


def directory(path: Path, mode: int = 0o755, uid: int = 0, *, holds: str = "") -> Path:
    """Make a directory of a user's, with a file in it if that is named."""
    path.mkdir()
    path.chmod(mode)
    if holds:
        (path / holds).write_text("mine\n")
    os.chown(path, uid, uid)
    return path


def described(path: Path) -> tuple[int, int, int, list[str]]:
    """Return owner, group, mode and contents of a directory."""
    found = path.stat()
    return found.st_uid, found.st_gid, found.st_mode & 0o7777, sorted(os.listdir(path))


@pytest.mark.parametrize("command", ["reconcile", "up", "adopt-volume"])
@pytest.mark.parametrize("variable", VARIABLES)
def test_a_used_directory_of_roots_is_not_given_away(mirror: MirrorForAll, variable: str, command: str) -> None:
    """It is refused with what it is, what is in it and what to do."""
    used = directory(mirror.home / "used", holds="syslog")
    before = described(used)
    error = mirror.run(command, code=7, **{variable: str(used)}).stderr
    assert f"{used} belongs to user 0 and holds syslog: expected one of user games, or an empty one" in error
    assert f"Set {variable} to a directory of its own" in error
    assert f"chown -R games: {used}" in error
    assert described(used) == before


@pytest.mark.parametrize("variable", VARIABLES)
def test_a_strangers_directory_is_not_taken(mirror: MirrorForAll, variable: str) -> None:
    """Neither an empty one nor a used one."""
    for name, holds in (("empty", ""), ("used", "mine")):
        strangers = directory(mirror.home / name, uid=STRANGER_UID, holds=holds)
        before = described(strangers)
        error = mirror.run("reconcile", code=7, **{variable: str(strangers)}).stderr
        assert f"{strangers} belongs to user {STRANGER_UID} and holds {holds or 'nothing'}" in error
        assert described(strangers) == before


@pytest.mark.parametrize("inside", ["", "lost+found"])
@pytest.mark.parametrize("variable", VARIABLES)
def test_an_empty_directory_of_roots_is_given_to_the_user(mirror: MirrorForAll, variable: str, inside: str) -> None:
    """Such as the root of a new file system, or what an earlier start was killed after making."""
    empty = directory(mirror.home / "empty")
    if inside:
        directory(empty / inside, 0o700)
    for _ in range(2):
        mirror.run("reconcile", code=5, **{variable: str(empty)})
    assert described(empty)[:2] == (GAMES.pw_uid, GAMES.pw_gid)


@pytest.mark.parametrize("mode", [0o775, 0o1777])
@pytest.mark.parametrize("variable", VARIABLES)
def test_a_directory_is_made_for_the_user_where_others_can_write(
    mirror: MirrorForAll, variable: str, mode: int
) -> None:
    """Such as in a /var/log that belongs to a group. What is already there is looked at, whoever made it."""
    parent = directory(mirror.home / "parent", mode)
    mirror.run("reconcile", code=5, **{variable: str(parent / "mirror")})
    assert described(parent / "mirror")[:2] == (GAMES.pw_uid, GAMES.pw_gid)
    assert described(parent) == (0, 0, mode, ["mirror"])


@pytest.mark.parametrize("variable", VARIABLES)
def test_a_used_directory_of_the_users_passes(mirror: MirrorForAll, variable: str) -> None:
    """Whatever is in it."""
    used = directory(mirror.home / "used", uid=GAMES.pw_uid, holds="mine")
    mirror.run("reconcile", code=5, **{variable: str(used)})
    assert used.owner() == "games"


@pytest.mark.parametrize(("name", "mode"), [("STATE", 0o711), ("SPECS", 0o711), ("LOG", 0o750)])
def test_joined_root_changes_no_mode_of_a_used_directory(joined: MirrorForAll, name: str, mode: int) -> None:
    """One with which nothing is wrong is used as it is. One that others can write, or that lacks what is needed, is
    refused."""
    variable = f"HELDAR_MIRROR_{name}_DIR"
    used = directory(joined.home / "used", holds="syslog")
    for fits, found in ((True, mode), (True, 0o755), (False, 0o777), (False, 0o775), (False, 0o500)):
        used.chmod(found)
        error = joined.run("reconcile", code=5 if fits else 7, **{variable: str(used)}).stderr
        assert fits or f"{used} has mode {found:04o} and holds " in error
        assert fits or f"chmod {mode:04o} {used}" in error
        assert described(used)[:3] == (0, 0, found)


@pytest.mark.parametrize("name", ["STATE", "SPECS", "LOG", "STATUS"])
def test_joined_root_takes_no_directory_of_another_user(joined: MirrorForAll, name: str) -> None:
    """Who owns it could have root's supervisord run anything."""
    others = directory(joined.home / "others", uid=GAMES.pw_uid)
    before = described(others)
    error = joined.run("reconcile", code=7, **{f"HELDAR_MIRROR_{name}_DIR": str(others)}).stderr
    assert f"{others} belongs to user {GAMES.pw_uid}, who could have root run anything" in error
    assert described(others) == before


@pytest.mark.parametrize("variable", [*VARIABLES, "HELDAR_MIRROR_RECORDINGS_DIR"])
@pytest.mark.parametrize("is_joined", [False, True], ids=["own", "joined"])
def test_root_follows_no_link_of_the_users(mirror: MirrorForAll, variable: str, *, is_joined: bool) -> None:
    """A directory on the way that is the user's may hold a link to anywhere. Nothing is made or given away there."""
    if is_joined:
        mirror.env["HELDAR_MIRROR_PROGRAMS_FILE"] = str(mirror.home / "programs.conf")
    victim, empty = directory(mirror.home / "victim"), directory(mirror.home / "victim/empty")
    users = directory(mirror.home / "users", uid=GAMES.pw_uid)
    (users / "link").symlink_to(victim)
    for name in ("new", "empty"):
        mirror.run(
            "reconcile", code=6 if variable.endswith("RECORDINGS_DIR") else 7, **{variable: f"{users}/link/{name}"}
        )
    assert described(victim) == (0, 0, 0o755, ["empty"])
    assert described(empty) == (0, 0, 0o755, [])


# Put a directory of one's own, a link and nothing at a path in turn, as fast as can be.
SWAP = """
import contextlib, os, sys
victim, path = sys.argv[1:]
print(flush=True)
while True:
    for make in (lambda: os.symlink(victim, path), lambda: os.mkdir(path), lambda: None):
        with contextlib.suppress(OSError):
            os.rename(path, f"{path}.old")
        for remove in (os.unlink, os.rmdir):
            with contextlib.suppress(OSError):
                remove(f"{path}.old")
        with contextlib.suppress(OSError):
            make()
"""


@pytest.mark.parametrize("rest", ["", "/empty"])
def test_root_is_not_misled_while_a_stranger_swaps_directories(home: Path, rest: str) -> None:
    """In a directory that everybody can write, each step may be about to lead somewhere else. Each lasts some
    microseconds, so this is tried for a while."""
    shared, victim = directory(home / "shared", 0o777), directory(home / "victim")
    directory(victim / "empty")
    command = [python_for_all(), "-IS", "-c", SWAP, str(victim), str(shared / "new")]
    reached = 0
    with subprocess.Popen(command, **identity(STRANGER_UID), stdout=subprocess.PIPE) as stranger:
        try:
            assert stranger.stdout
            assert stranger.stdout.readline()
            for _ in range(3000):
                with contextlib.suppress(OSError):
                    fd = open_directory(Path(f"{shared}/new{rest}"), 0o711)
                    try:
                        assert not Path(f"/proc/self/fd/{fd}").readlink().is_relative_to(victim)
                        reached += 1
                    finally:
                        os.close(fd)
        finally:
            stranger.kill()
    assert reached
    assert described(victim) == (0, 0, 0o755, ["empty"])
    assert described(victim / "empty") == (0, 0, 0o755, [])


@pytest.mark.parametrize("is_joined", [False, True], ids=["own", "joined"])
def test_a_link_that_root_made_leads_to_the_mirror_root(mirror: MirrorForAll, *, is_joined: bool) -> None:
    """Such as one to where a disk is mounted, on the way or in the last place, absolute or relative."""
    if is_joined:
        mirror.env["HELDAR_MIRROR_PROGRAMS_FILE"] = str(mirror.home / "programs.conf")
    disk = directory(mirror.home / "disk")
    (mirror.home / "absolute").symlink_to(disk)
    (mirror.home / "relative").symlink_to("heldar/../disk")
    for root in (mirror.home / "absolute/first", mirror.home / "relative/second", mirror.home / "relative"):
        if root.name == "relative":
            shutil.rmtree(disk)
            directory(disk)
        mirror.run("reconcile", code=5, HELDAR_MIRROR_RECORDINGS_DIR=str(root))
        assert root.owner() == "games"
        assert (root / ".heldar-mirror").owner() == "games"


@pytest.mark.parametrize("command", [["up"], ["reconcile"], ["reconcile", "--dry-run"], ["adopt-volume"], ["prune"]])
def test_root_reads_nothing_that_the_user_may_not_read(mirror: MirrorForAll, command: list[str]) -> None:
    """A file of the user's state is another name of one that only root may read. The command is refused as the user
    would be."""
    secret = mirror.home / "secret"
    secret.write_text("mine\n")
    secret.chmod(0o600)
    directory(mirror.state, 0o700, GAMES.pw_uid)
    (mirror.state / "volumes").hardlink_to(secret)
    error = mirror.run(*command, code=7).stderr
    assert f"Permission denied: '{mirror.state}/volumes'" in error


def test_root_takes_no_marker_that_is_another_name_of_its_own_file(joined: MirrorForAll) -> None:
    """Where Linux allows that, a user can give a file of root's a further name in a directory of his own."""
    victim = joined.home / "victim"
    victim.write_text("mine\n")
    root = directory(joined.root, uid=GAMES.pw_uid)
    (root / ".heldar-mirror").hardlink_to(victim)
    error = joined.run("adopt-volume", code=6).stderr
    assert f"cannot use mirror root {root}: .heldar-mirror is another name of a file of user 0" in error
    assert (victim.read_text(), victim.stat().st_uid) == ("mine\n", 0)
