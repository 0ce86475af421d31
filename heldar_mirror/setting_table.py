"""The table of settings: each variable with its kind, its default and its meaning.

The parsing (`settings.py`), the set of allowed names and the tables of `docs/settings.md` all come from it. Run
`script/settings-docs` after a change.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from heldar_mirror import setting_kinds as kinds

STATE_DIR = Path("/var/lib/heldar-mirror")
LOG_DIR = Path("/var/log/heldar-mirror")
RUN_DIR = Path("/run/heldar-mirror")

# With a lower floor the volume could become so full that no recorder starts.
MIN_FREE_GIB = 0.125


@dataclass(frozen=True)
class Setting:
    """A variable. `default` is the text that is used if it is unset.

    If `default` is None, `settings.py` works the default out, and `shown_default` describes it to people, in Markdown.
    """

    name: str
    owner: Literal["Heldar", "mirror"]
    kind: Callable[[str, str], Any]
    default: str | None = None
    shown_default: str = "none"
    meaning: str = ""
    # False if the variable is read only from the environment.
    in_env_file: bool = True


SETTINGS = (
    Setting(
        "HELDAR_DATABASE_URL",
        "Heldar",
        kinds.database,
        default="sqlite://./data/heldar.db",
        meaning="Heldar's database. A relative path is relative to where the command runs, which must be no directory "
        "that others could have filled",
    ),
    Setting("HELDAR_DATA_DIR", "Heldar", kinds.path, default="./data", meaning="where Heldar keeps its data"),
    Setting(
        "HELDAR_RECORDINGS_DIR",
        "Heldar",
        kinds.path,
        shown_default="`recordings` in `HELDAR_DATA_DIR`",
        meaning="the primary's directory. The mirror must lie apart from it",
    ),
    Setting(
        "HELDAR_RECORDER_ENABLED",
        "Heldar",
        kinds.boolean,
        default="true",
        meaning="with `false`, nothing is mirrored, and what runs is stopped",
    ),
    Setting(
        "HELDAR_FFMPEG_BIN",
        "Heldar",
        kinds.program,
        default="ffmpeg",
        meaning="the ffmpeg to record with. It inherits `PATH` and the locale alone; what else a build of it needs, "
        "such as `LD_LIBRARY_PATH`, must be set by a wrapper. A wrapper must `exec` it, and must leave it in the "
        "network namespace in which the recorder started it: recorder and watcher try there whether a camera answers",
    ),
    Setting(
        "HELDAR_SECRET_KEY",
        "Heldar",
        kinds.secret,
        meaning="the key that opens sealed passwords and URLs. If it is set, launch specs lie on a tmpfs. "
        "If `up` has it in its environment, a copy of the key for the watcher lies on a tmpfs as well",
    ),
    Setting(
        "HELDAR_RETENTION_INTERVAL_S",
        "Heldar",
        kinds.at_least(1),
        default="300",
        meaning="the time between two sweeps of the pruner, in seconds",
    ),
    Setting(
        "HELDAR_MIN_FREE_DISK_GB",
        "Heldar",
        kinds.at_least(0),
        default="5",
        meaning="the floor of free space in GiB, if the mirror has none of its own. For the mirror, a value below "
        f"{MIN_FREE_GIB:g} counts as {MIN_FREE_GIB:g}",
    ),
    Setting(
        "HELDAR_MAX_RECORDINGS_GB",
        "Heldar",
        kinds.at_least(0),
        default="20",
        meaning="the most that Heldar keeps of all cameras' recordings, in GiB. `coverage` tells by it whether the "
        "primary's footage has expired; it does not bind the mirror",
    ),
    Setting(
        "HELDAR_DEFAULT_RETENTION_HOURS",
        "Heldar",
        kinds.at_least(0),
        default="24",
        meaning="how long the footage of a deleted camera stays, if the mirror has no time of its own for it",
    ),
    Setting(
        "HELDAR_ENV_FILE",
        "Heldar",
        kinds.path,
        default="/etc/heldar/heldar.env",
        meaning="Heldar's env file. It is read only from the environment",
        in_env_file=False,
    ),
    Setting(
        "HELDAR_MIRROR_RECORDINGS_DIR",
        "mirror",
        kinds.path,
        shown_default="none: mirroring is off",
        meaning="the mirror root, a directory on a second volume. Heldar's kernel reads this variable too, and mirrors "
        "by itself if it is set, so it must not stand in Heldar's own env file",
    ),
    Setting(
        "HELDAR_MIRROR_USER",
        "mirror",
        kinds.user,
        meaning="the user that the recorders run as. Commands that root starts go on as this user, unless the mirror "
        "joins a supervisord",
    ),
    Setting(
        "HELDAR_MIRROR_STATE_DIR",
        "mirror",
        kinds.plain_path,
        shown_default=f"`{STATE_DIR}`; for a user on a machine without it, `~/.local/state/heldar-mirror`",
        meaning="the state directory: launch specs, programs file, supervisord's configuration and socket. Mode 0700",
    ),
    Setting(
        "HELDAR_MIRROR_SPECS_DIR",
        "mirror",
        kinds.plain_path,
        shown_default="`specs` in the state directory; with a secret key, below "
        f"`{RUN_DIR}` (for a user, `/run/user/UID/heldar-mirror`)",
        meaning="launch specs, which hold credentials. The directory has mode 0700, the files 0600. If the "
        "mirror joins a supervisord that root runs, the directory has 0711",
    ),
    Setting(
        "HELDAR_MIRROR_LOG_DIR",
        "mirror",
        kinds.plain_path,
        shown_default=f"`{LOG_DIR}`; `log` in a state directory of your own",
        meaning="supervisord's log, and a log of at most 3 MB for each camera",
    ),
    Setting(
        "HELDAR_MIRROR_STATUS_DIR",
        "mirror",
        kinds.plain_path,
        shown_default=f"`{RUN_DIR}/status` if root starts the mirror, or has made that directory; else `status` in the "
        "state directory",
        meaning="holds `status.json`, the report that the watcher publishes for everybody. The file has mode 0644, the "
        "directory 0755; it holds no secrets",
    ),
    Setting(
        "HELDAR_MIRROR_MIN_FREE_GB",
        "mirror",
        kinds.at_least(MIN_FREE_GIB),
        shown_default="`HELDAR_MIN_FREE_DISK_GB`",
        meaning=f"the floor of free space in GiB, at least {MIN_FREE_GIB:g}. On a volume that is smaller than twice "
        "the floor, half of the volume is kept free instead",
    ),
    Setting(
        "HELDAR_MIRROR_DELETED_RETENTION_HOURS",
        "mirror",
        kinds.at_least(0),
        shown_default="`HELDAR_DEFAULT_RETENTION_HOURS`",
        meaning="how long the footage of a camera stays after the camera was deleted from Heldar's table",
    ),
    Setting(
        "HELDAR_MIRROR_UMASK",
        "mirror",
        kinds.umask,
        default="027",
        meaning="the umask for directories and segments: 0750 and 0640",
    ),
    Setting(
        "HELDAR_MIRROR_MANIFESTS",
        "mirror",
        kinds.boolean,
        default="true",
        meaning="whether manifests are kept: each segment is hashed once, soon after it is closed",
    ),
    Setting(
        "HELDAR_MIRROR_MANIFESTS_KEY",
        "mirror",
        kinds.path,
        shown_default="none: nothing is signed",
        meaning="the key that signs manifests: a file with an Ed25519 private key in PEM, which the mirror's user "
        "can read and nobody else",
    ),
    Setting(
        "HELDAR_MIRROR_MANIFESTS_RETENTION_DAYS",
        "mirror",
        kinds.at_least(0),
        default="365",
        meaning="how long a manifest stays after the footage that it lists was deleted, in days. A year takes 52 MB "
        "for a camera with segments of a minute",
    ),
    Setting(
        "HELDAR_MIRROR_PREFIX",
        "mirror",
        kinds.prefix,
        default="mirror-",
        meaning="a program's name is this and the camera's id",
    ),
    Setting(
        "HELDAR_MIRROR_PROGRAMS_FILE",
        "mirror",
        kinds.plain_path,
        shown_default="`programs.conf` in the state directory",
        meaning="if it is set, the mirror joins the machine's supervisord, whose configuration must include this file, "
        "and `up` is not used",
    ),
    Setting(
        "HELDAR_MIRROR_SUPERVISOR_URL",
        "mirror",
        kinds.supervisor_url,
        shown_default="the socket in the state directory",
        meaning="the supervisord to join: `unix:///path` or `http://host:port`",
    ),
    Setting(
        "HELDAR_MIRROR_SUPERVISOR_USERNAME",
        "mirror",
        kinds.one_line,
        meaning="the user name that the supervisord to join asks for",
    ),
    Setting(
        "HELDAR_MIRROR_SUPERVISOR_PASSWORD",
        "mirror",
        kinds.secret,
        meaning="the password that the supervisord to join asks for",
    ),
    Setting(
        "HELDAR_MIRROR_ENV_FILE",
        "mirror",
        kinds.path,
        default="/etc/heldar/mirror.env",
        meaning="the mirror's own env file. It is read only from the environment",
        in_env_file=False,
    ),
)

BY_NAME = {setting.name: setting for setting in SETTINGS}
