"""The state directory: launch specs, the programs file, the volume that was proven, and the lock over them."""

import fcntl
import json
import os
import pwd
import time
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

from heldar_mirror.errors import StateError
from heldar_mirror.programs import stanzas as programs
from heldar_mirror.programs.plan import Change, Saved
from heldar_mirror.programs.stanzas import LaunchSpec
from heldar_mirror.pruning.rules import Clock, Locks
from heldar_mirror.recorder import recorder
from heldar_mirror.settings import Settings, escape_env, read_env_file

LOCK_SECONDS = 60
SECRETS = "secrets.env"
RETENTION = "retention.json"
APPLIED = "applied"

Written = tuple[int, ...]

# Before a root in the list of volumes: it was about to be marked. No absolute path begins so.
INTENDED = "about to be "


def owner(settings: Settings) -> tuple[int, int] | None:
    """User and group id of who shall own what is made here, where that is not who makes it."""
    if os.geteuid() != 0 or settings.user is None:
        return None
    entry = pwd.getpwnam(settings.user)
    return entry.pw_uid, entry.pw_gid


def prepare(settings: Settings) -> None:
    """Make the directories of state, specs, logs and status. Raises StateError.

    As root for another user it makes only what no other user could have put a link into; the rest is made when called
    again as that user.
    """
    # A supervisord of root's hands specs to their user one by one: what it reads itself must stay root's.
    handed = settings.joined and owner(settings) is not None
    ids = None if handed else owner(settings)
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
                    # Others may use it as well, so its mode and owner are not ours to change.
                    if os.fstat(fd).st_uid != (ids[0] if ids else os.geteuid()):
                        raise PermissionError(f"it belongs to user {os.fstat(fd).st_uid}")
                    continue
                _claim(fd, directory, ids)
                os.fchmod(fd, mode)
            finally:
                os.close(fd)
        except OSError as error:
            if isinstance(error, PermissionError) and os.path.exists(directory):  # noqa: PTH110 - it may not be ours to see
                raise _refused(error, settings) from None
            raise StateError(
                f"cannot use {directory}: {error}. Expected a directory of the recorders' own user; "
                f"make it, or set {variable} to another"
            ) from None


def _make(directory: Path) -> bool:
    """Make a directory. Return whether it was not there."""
    try:
        directory.mkdir(mode=0o700)
    except FileExistsError:
        return False
    return True


def _make_parents(directory: Path) -> None:
    """Make what is missing above a directory for everybody to pass and for nobody else to change, under any umask."""
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


@contextmanager
def locked(settings: Settings, name: str = "lock") -> Iterator[None]:
    """Keep every other reconcile of this state waiting, or what else has a lock. Raises StateError when one does not
    end."""
    path = settings.state_dir / name
    with lock_file(path, settings) as fd:
        deadline = time.monotonic() + LOCK_SECONDS
        while not take(fd):
            if time.monotonic() > deadline:
                raise StateError(f"another one has been at work for {LOCK_SECONDS} s: see who holds {path}")
            time.sleep(0.1)
        yield


@contextmanager
def lock_file(path: Path, settings: Settings) -> Iterator[int]:
    """Open a file of the state to lock it, and return its descriptor. Raises StateError."""
    with _told(settings):
        fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o600)
    try:
        yield fd
    finally:
        os.close(fd)


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
            names = os.listdir(settings.specs_dir)
        except FileNotFoundError:
            return {}
        return {
            camera_id: _read_spec(camera_id, settings)
            for camera_id in (name.removesuffix(".spec") for name in names if name.endswith(".spec"))
        }


def read_spec(camera_id: str, settings: Settings) -> LaunchSpec | None:
    """Return the launch spec of one camera; None if there is none, or it is damaged. Raises StateError."""
    with _told(settings), suppress(FileNotFoundError):
        return _read_spec(camera_id, settings).spec
    return None


def _read_spec(camera_id: str, settings: Settings) -> Saved:
    try:
        return Saved(*programs.parse_launch_spec(recorder.read(programs.spec_path(camera_id, settings)).decode()))
    except ValueError:
        return Saved(None, read_programs(settings).get(programs.program_name(camera_id, settings), 0))


def read_programs(settings: Settings) -> dict[str, int]:
    """Return the programs of the programs file, with their generations. Raises StateError where it can't be read."""
    with _told(settings):
        try:
            return programs.parse_programs(settings.programs_file.read_text())
        except FileNotFoundError:
            return {}


def written(settings: Settings) -> Written:
    """Return what is another after any reconcile that wrote something. Raises StateError."""
    with _told(settings):
        files = settings.programs_file.stat(), settings.specs_dir.stat()
    return tuple(number for file in files for number in (file.st_ino, file.st_mtime_ns))


def write_specs(changes: tuple[Change, ...], settings: Settings) -> None:
    """Write the launch specs that a plan changes, each whole or not at all. Raises StateError."""
    with _told(settings):
        for leftover in settings.specs_dir.glob(".*.new"):  # of one that was killed
            leftover.unlink()
        for change in changes:
            spec = change.new or change.existing
            assert spec is not None  # noqa: S101 - a written change has one
            path = Path(programs.spec_path(change.camera_id, settings))
            _replace(path, spec.render(change.generation), 0o600, owner(settings))


def write_programs(text: str, settings: Settings) -> None:
    """Replace the programs file, if it says something else: then it is no longer `applied`. Raises StateError."""
    with _told(settings):
        path = settings.programs_file
        if not path.exists() or path.read_text() != text:
            (settings.state_dir / APPLIED).unlink(missing_ok=True)
            # No secret is in it, and in joined mode it is the machine's supervisord that reads it.
            _replace(path, text, 0o644, None)


def is_applied(settings: Settings) -> bool:
    """Whether supervisord was brought to what the programs file says. Raises StateError."""
    with _told(settings):
        return (settings.state_dir / APPLIED).exists()


def set_applied(settings: Settings) -> None:
    """Remember that supervisord was brought to what the programs file says. Raises StateError."""
    with _told(settings):
        (settings.state_dir / APPLIED).touch(mode=0o600)


def write_secrets(secrets: Mapping[str, str], settings: Settings) -> None:
    """Keep variables that no child may inherit for the watcher, among the launch specs. Raises StateError."""
    path = settings.specs_dir / SECRETS
    text = "".join(f"{name}={escape_env(value)}\n" for name, value in sorted(secrets.items()))
    with _told(settings):
        if text:
            _replace(path, text, 0o600, owner(settings))
        else:
            path.unlink(missing_ok=True)


def read_secrets(specs_dir: Path) -> dict[str, str]:
    """Return what `write_secrets` kept. Raises SettingsError where it can't be read."""
    return read_env_file(specs_dir / SECRETS)


def write_supervisord(text: str, settings: Settings) -> Path:
    """Write the configuration of our own supervisord and return its path. Raises StateError."""
    path = settings.state_dir / "supervisord.conf"
    with _told(settings):
        _replace(path, text, 0o644, None)
    return path


def remove_specs(changes: tuple[Change, ...], settings: Settings) -> None:
    """Remove the launch specs of cameras whose programs are gone, and those of before specs moved to a tmpfs.

    Raises StateError.
    """
    with _told(settings):
        for change in changes:
            Path(programs.spec_path(change.camera_id, settings)).unlink(missing_ok=True)
        if settings.specs_dir != settings.state_dir / "specs":
            for path in (settings.state_dir / "specs").glob("*.spec*"):
                path.unlink()


def remembered_volume(settings: Settings) -> str | None:
    """Return the id of the volume that the mirror root was proven to be; None if it never was used."""
    return _volumes(settings).get(str(settings.mirror_root))


def intended_volume(settings: Settings) -> str:
    """Return an id for a mirror root that is being marked: the same one, if that was cut off before."""
    volumes = _volumes(settings)
    intended = volumes.setdefault(f"{INTENDED}{settings.mirror_root}", str(uuid.uuid4()))
    _write_volumes(volumes, settings)
    return intended


def remember_volume(volume: str, settings: Settings) -> None:
    """Remember the volume of the mirror root, beside those of earlier roots.

    It lies on disk always: at a boot it tells a lost mount from a first use. Raises StateError.
    """
    volumes = _volumes(settings) | {str(settings.mirror_root): volume}
    volumes.pop(f"{INTENDED}{settings.mirror_root}", None)
    _write_volumes(volumes, settings)


@dataclass(frozen=True)
class Retention:
    """What pruning has to know for longer than it runs: the cameras that the table had or has, when those that it has
    no more were missed first (Unix seconds), the clock, and what was locked when that was last read."""

    known: frozenset[str] = frozenset()
    deleted: Mapping[str, float] = field(default_factory=dict)
    clock: Clock | None = None
    locks: Mapping[str, Locks] = field(default_factory=dict)


def read_retention(settings: Settings) -> Retention:
    """Return what was remembered of the cameras' retention. Raises StateError; ValueError where it is damaged."""
    with _told(settings):
        try:
            saved = json.loads((settings.state_dir / RETENTION).read_text())
            return Retention(
                frozenset(map(str, saved["known"])),
                {name: float(since) for name, since in saved["deleted"].items()},
                Clock(**saved["clock"]) if saved["clock"] else None,
                {name: Locks(map(tuple, spans)) for name, spans in saved["locks"].items()},
            )
        except FileNotFoundError:
            return Retention()
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise ValueError(f"{settings.state_dir / RETENTION} is damaged: {error}") from None


def write_retention(retention: Retention, settings: Settings) -> None:
    """Remember the cameras' retention. Raises StateError."""
    saved = {
        "known": sorted(retention.known),
        "deleted": retention.deleted,
        "clock": retention.clock and vars(retention.clock),
        "locks": {name: locks.spans for name, locks in retention.locks.items()},
    }
    with _told(settings):
        _replace(settings.state_dir / RETENTION, json.dumps(saved), 0o600, None)


def _volumes(settings: Settings) -> dict[str, str]:
    with _told(settings):
        try:
            lines = (settings.state_dir / "volumes").read_text().splitlines()
        except FileNotFoundError:
            return {}
        return {root: volume for volume, _, root in (line.partition(" ") for line in lines)}


def _write_volumes(volumes: Mapping[str, str], settings: Settings) -> None:
    text = "".join(f"{volume} {root}\n" for root, volume in sorted(volumes.items()))
    with _told(settings):
        _replace(settings.state_dir / "volumes", text, 0o600, None)


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
        raise _refused(error, settings) from None
    except OSError as error:
        raise StateError(f"cannot use the state in {settings.state_dir}: {error}") from None


def _refused(error: PermissionError, settings: Settings) -> StateError:
    return StateError(
        f"cannot use the state in {settings.state_dir}: {error}. It belongs to the recorders' user: "
        f"run this as root, or as {settings.user or 'that user'}. If another user made it: chown -R it"
    )
