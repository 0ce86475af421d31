"""Find the running recorders from /proc. That takes 30 ms for a thousand; supervisord needs half a second.

Anybody can run a process whose command line looks like a recorder's. So a recorder is only what our supervisord has
started, as the user it starts recorders as.
"""

import functools
import os
import pwd
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from heldar_mirror.proc.processes import PROCESS_ENDED, children, parent_and_user
from heldar_mirror.recorder import files, recorder

RECORDER = Path(recorder.__file__).with_name("start_recorder.py").absolute()
_RECORDER = os.fsencode(RECORDER)


@dataclass(frozen=True)
class Ours:
    """The marks by which a process is a recorder of ours: its parent, the directory of its launch spec, and its user.

    `supervisord` is the parent's pid, `users` are the user ids that a recorder may have.
    """

    supervisord: int
    specs_dir: bytes
    users: frozenset[int]

    def recorder(self, pid: int) -> tuple[str, int] | None:
        """Return camera and generation of a process if it is a recorder of ours, else None."""
        if found := recorder_named(pid, self.specs_dir):
            with suppress(*PROCESS_ENDED, PermissionError):
                parent, user = parent_and_user(pid)
                if parent == self.supervisord and user in self.users:
                    return found
        return None


def ours(supervisord: int, specs_dir: Path, user: str | None) -> Ours:
    """Return what makes a process a recorder of ours. `supervisord` is its pid.

    Recorders run as `user` if the settings name one and supervisord is root's, and else as supervisord's own.
    """
    users = set()
    with suppress(*PROCESS_ENDED, PermissionError):
        users.add(parent_and_user(supervisord)[1])
    with suppress(KeyError):
        users |= {_user_id(user)} if user else set()
    return Ours(supervisord, os.fsencode(specs_dir), frozenset(users))


@functools.cache
def _user_id(user: str) -> int:
    """Return the id of a user. Raises KeyError. It is remembered, since the asking may be for a server elsewhere."""
    return pwd.getpwnam(user).pw_uid


def recorders_of(supervisord: int, specs_dir: Path, user: str | None) -> dict[str, int]:
    """Return the generations of a supervisord's recorders, by camera. `supervisord` is its pid.

    Return nothing if its children can't be seen.
    """
    mark = ours(supervisord, specs_dir, user)
    return dict(filter(None, map(mark.recorder, children(supervisord) or ())))


def recorder_named(pid: int, specs_dir: bytes) -> tuple[str, int] | None:
    """Return camera and generation of a process if its command line is that of a recorder with a launch spec in
    `specs_dir`, else None. It is a recorder's, or that of a process that a recorder forked, or a fake.

    The command line is `… start_recorder.py SPEC GENERATION`.
    """
    with suppress(*PROCESS_ENDED, PermissionError, ValueError):
        arguments = files.read(f"/proc/{pid}/cmdline").split(b"\0")
        if len(arguments) >= 4 and arguments[-4] == _RECORDER:
            directory, _, name = arguments[-3].rpartition(b"/")
            if directory == specs_dir:
                return os.fsdecode(name.removesuffix(b".spec")), int(arguments[-2])
    return None
