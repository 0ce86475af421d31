"""Making, checking and writing to the directories of state, launch specs, logs and status."""

import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from heldar_mirror.errors import StateError
from heldar_mirror.settings import Settings
from heldar_mirror.state.hands import check_hands
from heldar_mirror.state.identity import owner_ids
from heldar_mirror.walk import OthersError, contents, open_directory


class StateSettings(Protocol):
    """The settings that say where the state directory is and who owns it. `Settings` has them, and more."""

    @property
    def state_dir(self) -> Path:
        """The state directory."""

    @property
    def user(self) -> str | None:
        """The recorders' user, if one is set."""


def prepare(settings: Settings) -> None:
    """Make the directories of state, launch specs, logs and status. Raises StateError.

    If root calls it for HELDAR_MIRROR_USER, it makes only directories whose parents are all root's. The others are made
    when it is called again as that user. Root gives that user what is empty, and nothing else.
    """
    check_hands(settings)
    # If root's supervisord is joined, root keeps the directories, which that supervisord reads. Only each launch spec
    # belongs to the recorders' user.
    root_keeps = settings.joined and owner_ids(settings) is not None
    ids = None if root_keeps else owner_ids(settings)
    for variable, directory, mode in (
        ("HELDAR_MIRROR_STATE_DIR", settings.state_dir, 0o711 if root_keeps else 0o700),
        ("HELDAR_MIRROR_SPECS_DIR", settings.specs_dir, 0o711 if root_keeps else 0o700),
        ("HELDAR_MIRROR_LOG_DIR", settings.log_dir, 0o750),
        ("HELDAR_MIRROR_STATUS_DIR", settings.status_file.parent, 0o755),
    ):
        try:
            fd = open_directory(directory, mode, through_others=ids is None, last_link=False)
            try:
                _claim(fd, Claim(variable, directory, mode, settings.user, ids))
            finally:
                os.close(fd)
        except OthersError:
            continue
        except OSError as error:
            if isinstance(error, PermissionError) and os.path.exists(directory):  # noqa: PTH110 - Path.exists() raises if we may not look there
                raise _refused(error, settings) from None
            raise StateError(
                f"cannot use {directory}: {error}. Expected a directory of the recorders' own user; "
                f"make it, or set {variable} to another"
            ) from None


@dataclass(frozen=True)
class Claim:
    """Which variable names a directory, the mode that it should have, and whom root gives it to: a user, with the user
    and group id. `ids` is None if it should be ours."""

    variable: str
    directory: Path
    mode: int
    user: str | None
    ids: tuple[int, int] | None


def _claim(fd: int, claim: Claim) -> None:
    """Give an open directory the owner and the mode that it should have. Raises StateError or OSError.

    Root changes only what is empty, or belongs to the user already: a setting may name a directory of the system's.
    """
    found, inside = os.fstat(fd), contents(fd)
    is_new = not inside and found.st_uid == os.geteuid()
    owner, group = claim.ids or (os.geteuid(), found.st_gid)
    if found.st_uid != owner and not is_new:
        raise _belongs_to_others(claim, found.st_uid, inside)
    # Other programs may use the directory of the status too, so its mode and its group stay as they are.
    is_shared = claim.variable == "HELDAR_MIRROR_STATUS_DIR"
    if found.st_uid != owner or (found.st_gid != group and not is_shared):
        os.fchown(fd, owner, group)
    mode = stat.S_IMODE(found.st_mode)
    if is_shared or mode == claim.mode:  # a read-only file system refuses even the same mode
        return
    if os.geteuid() == 0 and not claim.ids and not is_new:
        if mode & 0o022 or claim.mode & ~mode:
            raise StateError(
                f"{claim.directory} has mode {mode:04o} and holds {_shown(inside)}: expected mode {claim.mode:04o}. "
                f"Set {claim.variable} to a directory of its own, or, if all in it is the mirror's: "
                f"chmod {claim.mode:04o} {claim.directory}"
            )
        return
    os.fchmod(fd, claim.mode)


def _belongs_to_others(claim: Claim, uid: int, inside: list[str]) -> OSError | StateError:
    if claim.ids:
        return StateError(
            f"{claim.directory} belongs to user {uid} and holds {_shown(inside)}: expected one of "
            f"user {claim.user}, or an empty one of root's. Set {claim.variable} to a directory of its own, or, if all "
            f"in it is the mirror's: chown -R {claim.user}: {claim.directory}"
        )
    if os.geteuid() == 0:
        return StateError(
            f"{claim.directory} belongs to user {uid}, who could have root run anything: expected "
            "one of root's. Set HELDAR_MIRROR_USER to that user, or chown -R it"
        )
    return PermissionError(f"{claim.directory} belongs to user {uid}")


def _shown(names: list[str]) -> str:
    """Return what a directory holds, for a message."""
    return ", ".join(names[:3]) + (f" and {len(names) - 3} more" if names[3:] else "") or "nothing"


def replace_file(path: Path, text: str, mode: int, owner_ids: tuple[int, int] | None) -> None:
    """Replace a file as a whole, with a mode and an owner (user and group id, or None for ours). Raises OSError."""
    temporary = path.with_name(f".{path.name}.new")
    try:
        temporary.unlink(missing_ok=True)
        fd = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
        with open(fd, "wb") as file:
            os.fchmod(fd, mode)
            if owner_ids:
                os.fchown(fd, *owner_ids)
            file.write(text.encode())
            file.flush()
            os.fsync(fd)
        temporary.rename(path)
    except OSError as error:
        error.filename = error.filename or str(path)  # a write that fails names no file
        with suppress(OSError):  # what was written of it would take up room on a full disk
            temporary.unlink()
        raise


@contextmanager
def state_errors(settings: StateSettings) -> Iterator[None]:
    """Turn each OSError in the block into a StateError."""
    try:
        yield
    except PermissionError as error:
        raise _refused(error, settings) from None
    except OSError as error:
        raise StateError(f"cannot use the state in {settings.state_dir}: {error}") from None


def _refused(error: PermissionError, settings: StateSettings) -> StateError:
    return StateError(
        f"cannot use the state in {settings.state_dir}: {error}. It belongs to the recorders' user: "
        f"run this as root, or as {settings.user or 'that user'}. If another user made it: chown -R it"
    )
