"""Settings: Heldar's own environment variables, with Heldar's own meanings, and those of the mirror.

They come from Heldar's env file, then the mirror's own, then the environment; the later one wins.
"""

import os
import pwd
import re
import urllib.parse
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from heldar_mirror.env_file import read_env_file
from heldar_mirror.errors import SettingsError

HELDAR_ENV_FILE = "/etc/heldar/heldar.env"


MIRROR_ENV_FILE = "/etc/heldar/mirror.env"


STATE_DIR = Path("/var/lib/heldar-mirror")


LOG_DIR = Path("/var/log/heldar-mirror")


RUN_DIR = Path("/run/heldar-mirror")


# The program that watches, beside those of the cameras.
WATCH = "watch"


# A Unix socket's address holds 108 bytes, its closing zero included; supervisord binds NAME.PID first.
SOCKET_PATH_BYTES = 108 - 1 - len(".4194304")


# Each setting of the mirror's own. A misspelt one would leave a default in force, unseen.
OWN = [
    f"HELDAR_MIRROR_{name}"
    for name in (
        *["RECORDINGS_DIR", "USER", "STATE_DIR", "SPECS_DIR", "LOG_DIR", "STATUS_DIR", "UMASK", "PREFIX"],
        *["MIN_FREE_GB", "DELETED_RETENTION_HOURS", "PROGRAMS_FILE", "SUPERVISOR_URL", "SUPERVISOR_USERNAME"],
        *["SUPERVISOR_PASSWORD", "ENV_FILE"],
    )
]


# In supervisord's files ' ;' and ' #' begin a comment, quoted or not; an include is a pattern; some values are expanded
# twice, and blanks at an end are cut.
AWKWARD = re.compile(r" [;#]|[*?\[]|%\(| $")


# A floor of free space below this would be at the limit under which nothing is recorded any more.
MIN_FREE_GIB = 0.125


@dataclass(frozen=True)
class Settings:
    """What was configured, with every default filled in. Paths are absolute."""

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
    min_free_bytes: int
    deleted_retention_seconds: float
    retention_interval: float
    supervisor_url: str
    supervisor_username: str | None
    supervisor_password: str | None = field(repr=False)


def load_settings(environ: Mapping[str, str]) -> Settings:
    """Return the settings in force. Raises SettingsError for a bad value, or a file that can't be read."""
    heldar_file = environ.get("HELDAR_ENV_FILE", "").strip() or HELDAR_ENV_FILE
    mirror_file = environ.get("HELDAR_MIRROR_ENV_FILE", "").strip() or MIRROR_ENV_FILE
    heldar, mirror = read_env_file(Path(heldar_file)), read_env_file(Path(mirror_file))
    if root := heldar.get("HELDAR_MIRROR_RECORDINGS_DIR", "").strip():
        raise SettingsError(
            f"HELDAR_MIRROR_RECORDINGS_DIR={root} stands in Heldar's own env file "
            f"{heldar_file}, so the kernel mirrors too, into the same files. "
            f"Move that line to {mirror_file} and restart Heldar."
        )
    layers = (heldar, mirror, environ)
    return parse_settings({name: value for layer in layers for name, value in layer.items() if value.strip()})


def parse_settings(variables: Mapping[str, str]) -> Settings:
    """Return the settings that the variables give. Raises SettingsError, which names the variable."""
    values = {name: value.strip() for name, value in variables.items() if value.strip()}

    def path(name: str, default: Path) -> Path:
        return _path(name, values[name]) if name in values else default

    def plain_path(name: str, default: Path) -> Path:
        return _plain_path(name, values[name]) if name in values else default

    data_dir = path("HELDAR_DATA_DIR", Path("data").absolute())
    secret_key = values.get("HELDAR_SECRET_KEY")
    if unknown := sorted(name for name in values if name.startswith("HELDAR_MIRROR_") and name not in OWN):
        raise SettingsError(f"{unknown[0]} is no setting: expected one of {', '.join(OWN)}")
    joined = "HELDAR_MIRROR_PROGRAMS_FILE" in values
    if "HELDAR_MIRROR_STATE_DIR" in values:
        state_dir = _plain_path("HELDAR_MIRROR_STATE_DIR", values["HELDAR_MIRROR_STATE_DIR"])
    else:
        state_dir = _default_state_dir()
    at_home = state_dir == STATE_DIR
    specs_dir = plain_path(
        "HELDAR_MIRROR_SPECS_DIR", _tmpfs_specs_dir(state_dir) if secret_key else state_dir / "specs"
    )
    socket = state_dir / "supervisor.sock"
    settings = Settings(
        mirror_root=path("HELDAR_MIRROR_RECORDINGS_DIR", Path()) if "HELDAR_MIRROR_RECORDINGS_DIR" in values else None,
        recordings_dir=path("HELDAR_RECORDINGS_DIR", data_dir / "recordings"),
        database=_database(values.get("HELDAR_DATABASE_URL", "sqlite://./data/heldar.db")),
        recorder_enabled=_boolean("HELDAR_RECORDER_ENABLED", values.get("HELDAR_RECORDER_ENABLED", "true")),
        ffmpeg=_one_line("HELDAR_FFMPEG_BIN", values.get("HELDAR_FFMPEG_BIN", "ffmpeg")),
        secret_key=secret_key,
        state_dir=state_dir,
        specs_dir=specs_dir,
        log_dir=plain_path("HELDAR_MIRROR_LOG_DIR", LOG_DIR if at_home else state_dir / "log"),
        status_file=plain_path("HELDAR_MIRROR_STATUS_DIR", _status_dir(state_dir)) / "status.json",
        programs_file=plain_path("HELDAR_MIRROR_PROGRAMS_FILE", state_dir / "programs.conf"),
        joined=joined,
        prefix=_prefix(values.get("HELDAR_MIRROR_PREFIX", "mirror-")),
        user=_user(values.get("HELDAR_MIRROR_USER")),
        umask=_umask(values.get("HELDAR_MIRROR_UMASK", "027")),
        min_free_bytes=_min_free(values),
        deleted_retention_seconds=3600
        * _number(values, ["HELDAR_MIRROR_DELETED_RETENTION_HOURS", "HELDAR_DEFAULT_RETENTION_HOURS"], 24, 0),
        retention_interval=_number(values, ["HELDAR_RETENTION_INTERVAL_S"], 300, 1),
        supervisor_url=_supervisor_url(values.get("HELDAR_MIRROR_SUPERVISOR_URL", f"unix://{socket}")),
        supervisor_username=values.get("HELDAR_MIRROR_SUPERVISOR_USERNAME"),
        supervisor_password=values.get("HELDAR_MIRROR_SUPERVISOR_PASSWORD"),
    )
    if "HELDAR_MIRROR_SUPERVISOR_URL" in values and not joined:
        raise SettingsError(
            "HELDAR_MIRROR_SUPERVISOR_URL names a supervisord to join: expected HELDAR_MIRROR_PROGRAMS_FILE as well, "
            "a file that its configuration includes"
        )
    if not joined and len(os.fsencode(socket)) > SOCKET_PATH_BYTES:
        raise SettingsError(
            f"HELDAR_MIRROR_STATE_DIR={state_dir}: expected a path short enough for a socket in it, "
            f"at most {SOCKET_PATH_BYTES - len('/supervisor.sock')} bytes"
        )
    return settings


def _default_state_dir() -> Path:
    """The machine's, for whoever can use it or asks about it; a user's own where there is none."""
    if os.geteuid() == 0 or STATE_DIR.exists():
        return STATE_DIR
    try:
        home = Path(os.environ.get("XDG_STATE_HOME") or Path.home() / ".local/state")
    except RuntimeError:
        raise SettingsError("this user has no home: expected HELDAR_MIRROR_STATE_DIR, a directory of its own") from None
    return _plain_path("XDG_STATE_HOME", str(home / "heldar-mirror"))


def _tmpfs_specs_dir(state_dir: Path) -> Path:
    """Where specs go that must not lie on a disk: a name of its own for each state directory."""
    run = RUN_DIR if os.geteuid() == 0 or RUN_DIR.exists() else Path(f"/run/user/{os.geteuid()}/heldar-mirror")
    return run / ("specs" if state_dir == STATE_DIR else urllib.parse.quote(str(state_dir), safe=""))


def _status_dir(state_dir: Path) -> Path:
    """Where anybody can read it; below the state directory where only root could make that."""
    public = RUN_DIR / "status"
    return public if state_dir == STATE_DIR and (os.geteuid() == 0 or public.exists()) else state_dir / "status"


def _one_line(name: str, value: str) -> str:
    if not value.isprintable():
        raise SettingsError(f"{name}={value!r}: expected one line of printable text")
    return value


def _path(name: str, value: str) -> Path:
    return Path(os.path.abspath(_one_line(name, value)))  # noqa: PTH100 - resolve() would follow links


def _plain_path(name: str, value: str) -> Path:
    """A path that goes into supervisord's files."""
    path = _path(name, value)
    if AWKWARD.search(str(path)):
        raise SettingsError(f"{name}={value!r}: expected a path without '*', '?', '[', '%(', ' ;', ' #', or ' ' last")
    return path


def _database(url: str) -> Path:
    """The file of a URL as Heldar's kernel reads it: `sqlite:` or `sqlite://`, a percent-encoded path, `?options`."""
    scheme, _, rest = url.partition(":")
    path = urllib.parse.unquote(rest.removeprefix("//").partition("?")[0])
    if scheme != "sqlite" or not path or path == ":memory:":
        raise SettingsError(f"HELDAR_DATABASE_URL={scheme[:20]}:…: expected sqlite:// and the path of a file")
    _one_line("HELDAR_DATABASE_URL", path)
    return Path(path).absolute()


def _boolean(name: str, value: str) -> bool:
    if value.lower() in {"1", "true", "yes", "on"}:
        return True
    if value.lower() in {"0", "false", "no", "off"}:
        return False
    raise SettingsError(f"{name}={value!r}: expected 1, true, yes, on, or 0, false, no, off")


def _number(values: Mapping[str, str], names: Sequence[str], default: float, least: float) -> float:
    """The first of the variables that is set."""
    for name in names:
        if name in values:
            if not re.fullmatch(r"[0-9]{1,9}(\.[0-9]*)?", values[name]) or float(values[name]) < least:
                raise SettingsError(f"{name}={values[name]!r}: expected a number, {least:g} or more")
            return float(values[name])
    return default


def _min_free(values: Mapping[str, str]) -> int:
    """The mirror's own floor; else the kernel's, which may be lower than ours can be."""
    if "HELDAR_MIRROR_MIN_FREE_GB" in values:
        gib = _number(values, ["HELDAR_MIRROR_MIN_FREE_GB"], 0, MIN_FREE_GIB)
    else:
        gib = max(_number(values, ["HELDAR_MIN_FREE_DISK_GB"], 5, 0), MIN_FREE_GIB)
    return int(gib * (1 << 30))


def _prefix(value: str) -> str:
    if not re.fullmatch(r"[A-Za-z0-9_-]{1,40}", value):
        raise SettingsError(f"HELDAR_MIRROR_PREFIX={value!r}: expected up to 40 letters, digits, '_' and '-'")
    if WATCH.startswith(value):
        raise SettingsError(
            f"HELDAR_MIRROR_PREFIX={value!r}: expected one that {WATCH}, the watcher, does not begin with"
        )
    return value


def _user(value: str | None) -> str | None:
    if value is None:
        return None
    try:
        pwd.getpwnam(value)
    except KeyError:
        raise SettingsError(f"HELDAR_MIRROR_USER={value!r}: expected the name of a user of this machine") from None
    return value


def _umask(value: str) -> int:
    if not re.fullmatch(r"0?[0-7]{3}", value):
        raise SettingsError(f"HELDAR_MIRROR_UMASK={value!r}: expected three octal digits, such as 027")
    return int(value, 8)


def _supervisor_url(value: str) -> str:
    if not re.fullmatch(r"unix:///.+|http://([\w.-]+|\[[0-9a-fA-F:]+\])(:\d{1,5})?/?(RPC2)?", value):
        raise SettingsError(
            f"HELDAR_MIRROR_SUPERVISOR_URL=…{value.rpartition('@')[2][-40:]!a}: expected unix:///path/of/a/socket "
            "or http://host:port; a user and a password go into HELDAR_MIRROR_SUPERVISOR_USERNAME and …_PASSWORD"
        )
    return value
