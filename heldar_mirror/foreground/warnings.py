"""The warnings that a person should see before anything runs."""

import os
import re
import subprocess
from contextlib import suppress
from pathlib import Path

from heldar_mirror.errors import HungError
from heldar_mirror.recorder.ffmpeg import ffmpeg_environment
from heldar_mirror.settings import Settings
from heldar_mirror.volume.apart import check_apart

# Before 5.0, `-timeout` had ffmpeg listen for a connection, so recording fails at once.
OLDEST_FFMPEG = 5

PTRACE_SCOPE = Path("/proc/sys/kernel/yama/ptrace_scope")


def warnings(settings: Settings) -> list[str]:
    """Return the warnings. Raises VolumeError for a mirror root that is not apart from the primary's directory."""
    found = [_apart_warning(settings), _ffmpeg_warning(settings.ffmpeg)]
    if os.geteuid() == 0 and settings.user is None:
        found.append("recorders run as root: set HELDAR_MIRROR_USER to a user that needs to own nothing but the mirror")
    with suppress(OSError):
        if int(PTRACE_SCOPE.read_text()) > 1:
            found.append(f"{PTRACE_SCOPE} keeps ffmpeg's password from being hidden: mount /proc with hidepid=2")
    return [warning for warning in found if warning]


def _apart_warning(settings: Settings) -> str | None:
    assert settings.mirror_root is not None  # noqa: S101 - the callers check that mirroring is on
    try:
        return check_apart(settings.mirror_root, settings.recordings_dir)
    except HungError as error:
        return f"{error} So it can't be checked whether the mirror root is apart from the primary's"


def _ffmpeg_warning(ffmpeg: str) -> str | None:
    try:
        banner = subprocess.run(
            [ffmpeg, "-version"], env=ffmpeg_environment(), capture_output=True, text=True, timeout=10, check=True
        ).stdout
    except (OSError, subprocess.SubprocessError) as error:
        return f"HELDAR_FFMPEG_BIN={ffmpeg}: expected an ffmpeg that can be run: {error}"
    version = re.match(r"ffmpeg version n?(\d+)\.", banner)
    if version and int(version[1]) < OLDEST_FFMPEG:
        return (
            f"HELDAR_FFMPEG_BIN={ffmpeg} is version {version[1]}, and can't record: its -timeout makes it wait for a "
            f"caller. Expected {OLDEST_FFMPEG} or later"
        )
    return None
