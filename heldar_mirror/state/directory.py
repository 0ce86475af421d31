"""The directories of state, specs, logs and status: how they are made, checked and written to."""

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Protocol

from heldar_mirror.errors import StateError
from heldar_mirror.settings import Settings
from heldar_mirror.state.identity import owner_ids


class StateSettings(Protocol):
    """The settings that say where the state is, and whose it is: all of `Settings`, or a part of them."""

    @property
    def state_dir(self) -> Path:
        """The state directory."""

    @property
    def user(self) -> str | None:
        """The recorders' user, if one is set."""


def prepare(settings: Settings) -> None:
    """Make the directories of state, specs, logs and status. Raises StateError.

    Called as root for a different user, it makes only directories into whose parents no other user could have put a
    link. The rest is made when it is called again as that user.
    """
    # A supervisord that root runs hands each spec to the recorders' user. What it reads itself must stay root's.
    handed = settings.joined and owner_ids(settings) is not None
    ids = None if handed else owner_ids(settings)
    for variable, directory, mode in (
        ("HELDAR_MIRROR_STATE_DIR", settings.state_dir, 0o711 if handed else 0o700),
        ("HELDAR_MIRROR_SPECS_DIR", settings.specs_dir, 0o711 if handed else 0o700),
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
                    # Others may use it too, so its mode and owner stay as they are.
                    if os.fstat(fd).st_uid != (ids[0] if ids else os.geteuid()):
                        raise PermissionError(f"it belongs to user {os.fstat(fd).st_uid}")
                    continue
                _claim(fd, directory, ids)
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
    """Make the missing parents of a directory with mode 0755, whatever the umask is."""
    for parent in reversed(directory.parents):
        with suppress(FileExistsError):
            parent.mkdir(mode=0o700)
            parent.chmod(0o755)


def _all_of_root(directory: Path) -> bool:
    return all(place.stat().st_uid == 0 for place in (directory, *directory.parents) if place.exists())


def _claim(fd: int, directory: Path, ids: tuple[int, int] | None) -> None:
    if ids:
        os.fchown(fd, *ids)
    elif os.geteuid() == 0 != os.fstat(fd).st_uid:
        raise StateError(
            f"{directory} belongs to user {os.fstat(fd).st_uid}, who could have root run anything: expected "
            "one of root's. Set HELDAR_MIRROR_USER to that user, or chown -R it"
        )


def replace_file(path: Path, text: str, mode: int, owner_ids: tuple[int, int] | None) -> None:
    temporary = path.with_name(f".{path.name}.new")
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


@contextmanager
def state_errors(settings: StateSettings) -> Iterator[None]:
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
