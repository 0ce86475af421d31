"""Who, beside root and this process's user, could change a file: what supervisord or root reads must be in no other
hands.

POSIX ACLs count too: what one of them allows to anybody at most is in the group's bits of the mode.
"""

import os
import stat
from pathlib import Path

from heldar_mirror.walk import MAX_LINKS

# Ubuntu lets the group of its log daemon write here, and sets this mode anew at each boot. That daemon could mislead
# whatever logs as root.
SYSTEM_LOGS = Path("/var/log")


def weak_spot_of_file(path: Path) -> str | None:
    """Return by which file or directory others could change or make the file `path`, and the remedy; None if there is
    none. Raises OSError if it can't be looked at."""
    return weak_spot(path.parent) or weak_spot(path)


def weak_spot(path: Path, *, holds_only_ours: bool = False, for_logs: bool = False) -> str | None:
    """Return by which file or directory others could change what `path` names, and the remedy; None if there is none.

    Each directory on the way to it counts, and so do the links. A directory with the sticky bit, such as /tmp, may be
    writable if the next component belongs to root or to us, since nobody else can rename that. The last component may
    be so only with `holds_only_ours`. With `for_logs`, a group may write to SYSTEM_LOGS. What is missing does not
    count. Raises OSError if it can't be looked at.
    """
    place, names = Path("/"), list(reversed(path.absolute().parts[1:]))
    links = 0
    if reason := _weakness(place, place.lstat(), sticky_is_enough=holds_only_ours or bool(names)):
        return reason
    while names:
        entry = Path(os.path.normpath(place / names.pop()))
        try:
            found = entry.lstat()
        except FileNotFoundError:
            return None
        ignored = stat.S_IWGRP if for_logs and entry == SYSTEM_LOGS else 0
        if reason := _weakness(entry, found, sticky_is_enough=holds_only_ours or bool(names), ignored=ignored):
            return reason
        if not stat.S_ISLNK(found.st_mode):
            place = entry
            continue
        links += 1
        if links > MAX_LINKS:
            return f"{path} has too many links"
        target = entry.readlink()
        if target.is_absolute():
            place, target = Path("/"), target.relative_to("/")
        names += reversed(target.parts)
    return None


def _weakness(entry: Path, found: os.stat_result, *, sticky_is_enough: bool, ignored: int = 0) -> str | None:
    """Return why others could change a component, and the remedy. The modes of links and of devices say nothing.

    `ignored` are bits of the mode that may be set.
    """
    us = os.geteuid()
    # In a user namespace root may have the number of all users that are not mapped.
    if found.st_uid not in {0, us, Path("/").stat().st_uid}:
        return f"{entry} belongs to user {found.st_uid}: chown it to {'root' if us == 0 else f'root or user {us}'}"
    mode = stat.S_IMODE(found.st_mode) & ~ignored
    if stat.S_ISLNK(found.st_mode) or stat.S_ISCHR(found.st_mode) or not mode & (stat.S_IWGRP | stat.S_IWOTH):
        return None
    if sticky_is_enough and mode & stat.S_ISVTX:
        return None
    who = "everybody" if mode & stat.S_IWOTH else f"group {found.st_gid}"
    return f"{entry} can be written by {who}: chmod go-w {entry}"
