"""Making, checking and writing to the directories of state, launch specs, logs and status."""

import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Protocol

from heldar_mirror.errors import StateError
from heldar_mirror.settings import Settings
from heldar_mirror.state.hands import check_hands
from heldar_mirror.state.identity import owner_ids


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

    If root calls it for HELDAR_MIRROR_USER, it makes only directories into whose parents no other user could have put
    a link. The others are made when it is called again as that user.
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
            if ids and not _all_of_root(directory.parent):
                continue
            _make_parents(directory)
            made = _make(directory)
            fd = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
            try:
                if variable == "HELDAR_MIRROR_STATUS_DIR" and not made:
                    # Other programs may use it too, so its mode and owner stay as they are.
                    if os.fstat(fd).st_uid != (ids[0] if ids else os.geteuid()):
                        raise PermissionError(f"it belongs to user {os.fstat(fd).st_uid}")
                    continue
                _claim(fd, directory, ids)
                if stat.S_IMODE(os.fstat(fd).st_mode) != mode:  # a read-only file system refuses even the same mode
                    os.fchmod(fd, mode)
            finally:
                os.close(fd)
        except OSError as error:
            if isinstance(error, PermissionError) and os.path.exists(directory):  # noqa: PTH110 - Path.exists() raises if we may not look there
                raise _refused(error, settings) from None
            raise StateError(
                f"cannot use {directory}: {error}. Expected a directory of the recorders' own user; "
                f"make it, or set {variable} to another"
            ) from None


def _make(directory: Path) -> bool:
    """Make a directory. Return whether it was missing."""
    try:
        directory.mkdir(mode=0o700)
    except FileExistsError:
        return False
    return True


def _make_parents(directory: Path) -> None:
    """Make the missing parents of a directory, with mode 0755 whatever the umask is."""
    for parent in reversed(directory.parents):
        with suppress(FileExistsError):
            parent.mkdir(mode=0o700)
            parent.chmod(0o755)


def _all_of_root(directory: Path) -> bool:
    return all(path.stat().st_uid == 0 for path in (directory, *directory.parents) if path.exists())


def _claim(fd: int, directory: Path, ids: tuple[int, int] | None) -> None:
    if ids:
        if (os.fstat(fd).st_uid, os.fstat(fd).st_gid) != ids:
            os.fchown(fd, *ids)
    elif os.geteuid() == 0 != os.fstat(fd).st_uid:
        raise StateError(
            f"{directory} belongs to user {os.fstat(fd).st_uid}, who could have root run anything: expected "
            "one of root's. Set HELDAR_MIRROR_USER to that user, or chown -R it"
        )


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
