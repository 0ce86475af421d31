"""The user who owns the state, and how a process becomes that user."""

import os
import pwd
from collections.abc import Iterator
from contextlib import contextmanager

from heldar_mirror.errors import SettingsError
from heldar_mirror.settings import Settings
from heldar_mirror.volume.asking import dismiss


def owner_ids(settings: Settings) -> tuple[int, int] | None:
    """Return the user and group id that new files must have, or None if this process has them already."""
    if os.geteuid() != 0 or settings.user is None:
        return None
    entry = _account(settings.user)
    return entry.pw_uid, entry.pw_gid


@contextmanager
def acting_as(user: str) -> Iterator[None]:
    """Act as `user` in the block, with that user's groups, as far as files are concerned. Only root can call it, and
    only while the process has one thread."""
    entry = _account(user)
    with _acting(entry.pw_uid, entry.pw_gid, os.getgrouplist(user, entry.pw_gid)):
        yield


@contextmanager
def acting_as_owner(about: os.stat_result) -> Iterator[None]:
    """Act as the owner of a file in the block, who need not have a name here, and with the file's group.

    If we are not root, we go on as who we are. It can be called only while the process has one thread.
    """
    if os.geteuid() != 0:
        yield
        return
    name = user_name(about.st_uid)
    with _acting(about.st_uid, about.st_gid, os.getgrouplist(name, about.st_gid) if name else [about.st_gid]):
        yield


@contextmanager
def _acting(uid: int, gid: int, groups: list[int]) -> Iterator[None]:
    our_group, our_groups = os.getegid(), os.getgroups()
    try:
        os.setgroups(groups)
        os.setegid(gid)
        os.seteuid(uid)
        yield
    finally:
        os.seteuid(0)
        os.setegid(our_group)
        os.setgroups(our_groups)


def user_name(uid: int) -> str:
    """Return the name of a user of this machine, or no text if the id has none, as that of a container's user."""
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return ""


def become(user: str) -> None:
    """Become `user`, with that user's groups, for good. Raises PermissionError unless root calls it."""
    dismiss()  # the children that ask the volume would go on as root
    entry = _account(user)
    os.initgroups(user, entry.pw_gid)
    os.setgid(entry.pw_gid)
    os.setuid(entry.pw_uid)
    os.environ["HOME"] = entry.pw_dir


def _account(user: str) -> pwd.struct_passwd:
    try:
        return pwd.getpwnam(user)
    except KeyError:
        raise SettingsError(f"HELDAR_MIRROR_USER={user!r}: expected the name of a user of this machine") from None
