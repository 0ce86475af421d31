"""Read the settings: Heldar's environment variables, with Heldar's meanings, and the mirror's own.

They come from Heldar's env file, the mirror's env file and the environment. If several set a variable, the last
wins. `setting_table.py` says what each variable means.
"""

import os
import urllib.parse
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from heldar_mirror.env_file import read_env_file
from heldar_mirror.errors import SettingsError
from heldar_mirror.setting_kinds import plain_path
from heldar_mirror.setting_table import BY_NAME, LOG_DIR, MIN_FREE_GIB, RUN_DIR, STATE_DIR
from heldar_mirror.trusted import weak_spot_of_file

# The name of the watcher's program. All other programs are cameras'.
WATCH = "watch"

# The address of a Unix socket has at most 108 bytes, including the zero at its end. supervisord first binds NAME.PID.
SOCKET_PATH_BYTES = 108 - 1 - len(".4194304")


@dataclass(frozen=True)
class Settings:
    """The settings in force, with every default filled in. Paths are absolute.

    `primary_max_bytes` and `primary_min_free_bytes` are the limits by which Heldar deletes the primary's recordings.
    `primary_timezone` is the TZ of its service, as far as Heldar's env file sets it.
    """

    mirror_root: Path | None
    recordings_dir: Path
    database: Path
    recorder_enabled: bool
    ffmpeg: str
    secret_key: str | None = field(repr=False)
    state_dir: Path
    specs_dir: Path
    log_dir: Path
    status_file: Path
    programs_file: Path
    joined: bool
    prefix: str
    user: str | None
    umask: int
    manifests: bool
    manifests_key: Path | None
    manifests_retention_seconds: float
    min_free_bytes: int
    primary_max_bytes: int
    primary_min_free_bytes: int
    primary_timezone: str | None
    deleted_retention_seconds: float
    retention_interval: float
    supervisor_url: str
    supervisor_username: str | None
    supervisor_password: str | None = field(repr=False)


def load_settings(environ: Mapping[str, str]) -> Settings:
    """Return the settings in force. Raises SettingsError for a bad value, or an env file that can't be read."""
    heldar_file, mirror_file = _env_file("HELDAR_ENV_FILE", environ), _env_file("HELDAR_MIRROR_ENV_FILE", environ)
    heldar, mirror = read_env_file(heldar_file), read_env_file(mirror_file)
    if root := heldar.get("HELDAR_MIRROR_RECORDINGS_DIR", "").strip():
        raise SettingsError(
            f"HELDAR_MIRROR_RECORDINGS_DIR={root} stands in Heldar's own env file "
            f"{heldar_file}, so Heldar's kernel mirrors too, into the same files. "
            f"Move that line to {mirror_file} and restart Heldar."
        )
    layers = (heldar, mirror, environ)
    settings = parse_settings({name: value for layer in layers for name, value in layer.items() if value.strip()})
    # The zone of Heldar's service. A TZ in the environment or in the mirror's file is that of our own times.
    settings = replace(settings, primary_timezone=heldar.get("TZ", "").strip() or None)
    if settings.joined and os.geteuid() == 0:
        _check_hands(heldar_file, mirror_file)
    return settings


def _check_hands(*env_files: Path) -> None:
    """Refuse env files that another user could change. A joined watcher stays root, and would do what they say.

    Raises SettingsError.
    """
    for path in env_files:
        try:
            weak = weak_spot_of_file(path)
        except OSError as error:
            weak = str(error)
        if weak:
            raise SettingsError(f"the settings in {path} can't be trusted, and root does what they say: {weak}")


def _env_file(name: str, environ: Mapping[str, str]) -> Path:
    setting = BY_NAME[name]
    path: Path = setting.kind(name, environ.get(name, "").strip() or str(setting.default))
    return path


def parse_settings(variables: Mapping[str, str]) -> Settings:
    """Return the settings that the variables give. Raises SettingsError for a bad value, with the variable's name."""
    texts = {name: value.strip() for name, value in variables.items() if value.strip()}
    _refuse_unknown(texts)

    def value(name: str, default: object = None) -> Any:
        """Return the value of a variable. If it is unset, return its default in the table, or else `default`."""
        setting = BY_NAME[name]
        text = texts.get(name, setting.default)
        return default if text is None else setting.kind(name, text)

    def primary_bytes(name: str) -> int:
        """Return a limit of the primary. As in Heldar, a bad value counts as unset, and must not end the recording."""
        setting = BY_NAME[name]
        try:
            gib = setting.kind(name, texts.get(name, setting.default or ""))
        except SettingsError:
            gib = setting.kind(name, setting.default or "")
        return int(gib * (1 << 30))

    joined = "HELDAR_MIRROR_PROGRAMS_FILE" in texts
    state_dir = value("HELDAR_MIRROR_STATE_DIR") or _default_state_dir()
    socket = state_dir / "supervisor.sock"
    secret_key = value("HELDAR_SECRET_KEY")
    deleted_hours = value("HELDAR_MIRROR_DELETED_RETENTION_HOURS")
    if deleted_hours is None:
        deleted_hours = value("HELDAR_DEFAULT_RETENTION_HOURS")
    settings = Settings(
        mirror_root=value("HELDAR_MIRROR_RECORDINGS_DIR"),
        recordings_dir=value("HELDAR_RECORDINGS_DIR") or value("HELDAR_DATA_DIR") / "recordings",
        database=value("HELDAR_DATABASE_URL"),
        recorder_enabled=value("HELDAR_RECORDER_ENABLED"),
        ffmpeg=value("HELDAR_FFMPEG_BIN"),
        secret_key=secret_key,
        state_dir=state_dir,
        specs_dir=value("HELDAR_MIRROR_SPECS_DIR", _tmpfs_specs_dir(state_dir) if secret_key else state_dir / "specs"),
        log_dir=value("HELDAR_MIRROR_LOG_DIR", LOG_DIR if state_dir == STATE_DIR else state_dir / "log"),
        status_file=value("HELDAR_MIRROR_STATUS_DIR", _status_dir(state_dir)) / "status.json",
        programs_file=value("HELDAR_MIRROR_PROGRAMS_FILE", state_dir / "programs.conf"),
        joined=joined,
        prefix=value("HELDAR_MIRROR_PREFIX"),
        user=value("HELDAR_MIRROR_USER"),
        umask=value("HELDAR_MIRROR_UMASK"),
        manifests=value("HELDAR_MIRROR_MANIFESTS"),
        manifests_key=value("HELDAR_MIRROR_MANIFESTS_KEY"),
        manifests_retention_seconds=86400 * value("HELDAR_MIRROR_MANIFESTS_RETENTION_DAYS"),
        # Heldar allows a lower floor than the mirror does.
        min_free_bytes=int(
            (value("HELDAR_MIRROR_MIN_FREE_GB") or max(value("HELDAR_MIN_FREE_DISK_GB"), MIN_FREE_GIB)) * (1 << 30)
        ),
        primary_max_bytes=primary_bytes("HELDAR_MAX_RECORDINGS_GB"),
        primary_min_free_bytes=primary_bytes("HELDAR_MIN_FREE_DISK_GB"),
        primary_timezone=None,
        deleted_retention_seconds=3600 * deleted_hours,
        retention_interval=value("HELDAR_RETENTION_INTERVAL_S"),
        supervisor_url=value("HELDAR_MIRROR_SUPERVISOR_URL", f"unix://{socket}"),
        supervisor_username=value("HELDAR_MIRROR_SUPERVISOR_USERNAME"),
        supervisor_password=value("HELDAR_MIRROR_SUPERVISOR_PASSWORD"),
    )
    _check(settings, socket, joins="HELDAR_MIRROR_SUPERVISOR_URL" in texts)
    return settings


def _refuse_unknown(texts: Mapping[str, str]) -> None:
    """Refuse a name that begins with HELDAR_MIRROR_ and is not in the table.

    Otherwise nobody would notice that a misspelt variable leaves a default in force. Raises SettingsError.
    """
    own = [name for name in BY_NAME if name.startswith("HELDAR_MIRROR_")]
    if unknown := sorted(name for name in texts if name.startswith("HELDAR_MIRROR_") and name not in own):
        raise SettingsError(f"{unknown[0]} is no setting: expected one of {', '.join(own)}")


def _check(settings: Settings, socket: Path, *, joins: bool) -> None:
    """Refuse settings that don't go together. `joins` says whether the URL of a supervisord to join is set.

    Raises SettingsError.
    """
    if WATCH.startswith(settings.prefix):
        raise SettingsError(
            f"HELDAR_MIRROR_PREFIX={settings.prefix!r}: expected one that {WATCH}, the watcher, does not begin with"
        )
    if joins and not settings.joined:
        raise SettingsError(
            "HELDAR_MIRROR_SUPERVISOR_URL names a supervisord to join: expected HELDAR_MIRROR_PROGRAMS_FILE as well, "
            "a file that its configuration includes"
        )
    if not settings.joined and len(os.fsencode(socket)) > SOCKET_PATH_BYTES:
        raise SettingsError(
            f"HELDAR_MIRROR_STATE_DIR={settings.state_dir}: expected a path short enough for a socket in it, "
            f"at most {SOCKET_PATH_BYTES - len('/supervisor.sock')} bytes"
        )


def _default_state_dir() -> Path:
    """Return the machine's state directory if root runs this or it exists, and otherwise the user's own."""
    if os.geteuid() == 0 or STATE_DIR.exists():
        return STATE_DIR
    try:
        home = Path(os.environ.get("XDG_STATE_HOME") or Path.home() / ".local/state")
    except RuntimeError:
        raise SettingsError("this user has no home: expected HELDAR_MIRROR_STATE_DIR, a directory of its own") from None
    return plain_path("XDG_STATE_HOME", str(home / "heldar-mirror"))


def _tmpfs_specs_dir(state_dir: Path) -> Path:
    """Return the directory on a tmpfs for launch specs that must not be on a disk. Each state directory has its own."""
    run = RUN_DIR if os.geteuid() == 0 or RUN_DIR.exists() else Path(f"/run/user/{os.geteuid()}/heldar-mirror")
    return run / ("specs" if state_dir == STATE_DIR else urllib.parse.quote(str(state_dir), safe=""))


def _status_dir(state_dir: Path) -> Path:
    """Return the directory of the status file: one that everybody can read, if root made it or can make it."""
    public = RUN_DIR / "status"
    return public if state_dir == STATE_DIR and (os.geteuid() == 0 or public.exists()) else state_dir / "status"
