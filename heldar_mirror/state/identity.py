"""Who owns the state, and becoming that user."""

import os
import pwd

from heldar_mirror.settings import Settings
from heldar_mirror.volume.asking import dismiss


def owner_ids(settings: Settings) -> tuple[int, int] | None:
    """User and group id of who shall own what is made here, where that is not who makes it."""
    if os.geteuid() != 0 or settings.user is None:
        return None
    entry = pwd.getpwnam(settings.user)
    return entry.pw_uid, entry.pw_gid


def become(user: str) -> None:
    """Go on as `user`, for good, with that user's groups. Only root can."""
    dismiss()  # who becomes somebody else may not ask as root
    entry = pwd.getpwnam(user)
    os.initgroups(user, entry.pw_gid)
    os.setgid(entry.pw_gid)
    os.setuid(entry.pw_uid)
    os.environ["HOME"] = entry.pw_dir
