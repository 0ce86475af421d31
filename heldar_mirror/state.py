"""The state directory: launch specs, the programs file, the volume that was proven, and the lock over them."""

import fcntl
import os
import pwd
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from heldar_mirror import programs
from heldar_mirror.errors import StateError
from heldar_mirror.plan import Change, Saved
from heldar_mirror.settings import Settings

LOCK_SECONDS = 60


def owner(settings: Settings) -> tuple[int, int] | None:
    """User and group id of who shall own what is made here, where that is not who makes it."""
    if os.geteuid() != 0 or settings.user is None:
        return None
    entry = pwd.getpwnam(settings.user)
    return entry.pw_uid, entry.pw_gid


def prepare(settings: Settings) -> None:
    """Make the directories of state, specs and logs, for the recorders' user. Raises StateError."""
    for variable, directory, mode in (
        ("HELDAR_MIRROR_STATE_DIR", settings.state_dir, 0o700),
        ("HELDAR_MIRROR_SPECS_DIR", settings.specs_dir, 0o700),
        ("HELDAR_MIRROR_LOG_DIR", settings.log_dir, 0o750),
    ):
        try:
            directory.parent.mkdir(parents=True, exist_ok=True)
            directory.mkdir(exist_ok=True)
            if ids := owner(settings):
                os.chown(directory, *ids)
            directory.chmod(mode)
        except OSError as error:
            raise StateError(
                f"cannot use {directory}: {error}. Expected a directory of the recorders' own user; "
                f"make it, or set {variable} to another"
            ) from None


@contextmanager
def locked(settings: Settings) -> Iterator[None]:
    """Keep every other reconcile of this state waiting. Raises StateError when one does not end."""
    path = settings.state_dir / "lock"
    with _told(settings), path.open("a") as lock:
        deadline = time.monotonic() + LOCK_SECONDS
        while not take(lock.fileno()):
            if time.monotonic() > deadline:
                raise StateError(f"another reconcile has been at work for {LOCK_SECONDS} s: see who holds {path}")
            time.sleep(0.1)
        yield


def take(fd: int) -> bool:
    """Take the lock of a file, if it can be had at once."""
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def read_saved(settings: Settings) -> dict[str, Saved]:
    """Return the launch specs of the state, by camera. Raises StateError where they can't be read."""
    with _told(settings):
        try:
            settings.state_dir.stat()
            names = os.listdir(settings.specs_dir)
        except FileNotFoundError:
            return {}
        return {
            name.removesuffix(".spec"): _read_spec(settings.specs_dir / name)
            for name in names
            if name.endswith(".spec")
        }


def _read_spec(path: Path) -> Saved:
    try:
        return Saved(*programs.parse_launch_spec(path.read_bytes().decode()))
    except ValueError:
        return Saved(None, 0)


def write_specs(changes: tuple[Change, ...], settings: Settings) -> None:
    """Write the launch specs that a plan changes, each whole or not at all. Raises StateError."""
    with _told(settings):
        for leftover in settings.specs_dir.glob(".*.new"):  # of one that was killed
            leftover.unlink()
        for change in changes:
            assert change.new is not None  # noqa: S101 - a written change has one
            path = programs.spec_path(change.camera_id, settings)
            _replace(path, change.new.render(change.generation), 0o600, owner(settings))


def write_programs(text: str, settings: Settings) -> None:
    """Replace the programs file, if it says something else. Raises StateError."""
    with _told(settings):
        path = settings.programs_file
        if not path.exists() or path.read_text() != text:
            # No secret is in it, and in joined mode it is the machine's supervisord that reads it.
            _replace(path, text, 0o644, None)


def write_supervisord(text: str, settings: Settings) -> Path:
    """Write the configuration of our own supervisord and return its path. Raises StateError."""
    path = settings.state_dir / "supervisord.conf"
    with _told(settings):
        _replace(path, text, 0o644, None)
    return path


def remove_specs(changes: tuple[Change, ...], settings: Settings) -> None:
    """Remove the launch specs of cameras whose programs are gone. Raises StateError."""
    with _told(settings):
        for change in changes:
            programs.spec_path(change.camera_id, settings).unlink(missing_ok=True)


def remembered_volume(settings: Settings) -> str | None:
    """Return the id of the volume that the mirror root held when it was adopted; None if it never was."""
    with _told(settings):
        try:
            volume, _, root = (settings.state_dir / "volume").read_text().rstrip("\n").partition(" ")
        except FileNotFoundError:
            return None
        return volume if root == str(settings.mirror_root) else None


def remember_volume(volume: str, settings: Settings) -> None:
    """Remember the volume of the mirror root. It lies on disk always: at a boot it tells a lost mount from a first use.

    Raises StateError.
    """
    with _told(settings):
        _replace(settings.state_dir / "volume", f"{volume} {settings.mirror_root}\n", 0o600, owner(settings))


def _replace(path: Path, text: str, mode: int, owner_ids: tuple[int, int] | None) -> None:
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
def _told(settings: Settings) -> Iterator[None]:
    try:
        yield
    except PermissionError as error:
        raise StateError(
            f"cannot use the state in {settings.state_dir}: {error}. It belongs to the recorders' user: "
            f"run this as root, or as {settings.user or 'that user'}. If another user made it: chown -R it"
        ) from None
    except OSError as error:
        raise StateError(f"cannot use the state in {settings.state_dir}: {error}") from None
