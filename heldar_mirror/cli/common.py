"""What several commands share: reading the settings, becoming the recorders' user, and printing."""

import json
import os
import shutil
import sys
import time
from collections.abc import Iterable
from contextlib import nullcontext
from typing import TextIO

import click

from heldar_mirror.cli.lines import complain, shown
from heldar_mirror.recorder.log import printable
from heldar_mirror.settings import Settings, load_settings
from heldar_mirror.state.directory import prepare
from heldar_mirror.state.identity import acting_as, become, owner_ids
from heldar_mirror.state.volumes import remembered_volume
from heldar_mirror.volume.apart import check_apart
from heldar_mirror.volume.marker import make_root

# A pipe has no width. This one is wide enough for every table.
PIPE_WIDTH = 200


def settings_if_on(*, as_json: bool = False) -> Settings:
    """Return the settings if mirroring is on. Otherwise print that it is off, and end the command with exit code 0.

    Raises SettingsError.
    """
    settings = load_settings(os.environ)
    if settings.mirror_root is None:
        reason = (
            "HELDAR_MIRROR_RECORDINGS_DIR is not set, neither in the mirror's env file nor in the environment. "
            "To mirror, set it to a directory on a second volume. What runs is left alone."
        )
        click.echo(json.dumps({"mirroring": False, "reason": reason}) if as_json else f"mirroring is off: {reason}")
        sys.exit(0)
    if not settings.recorder_enabled:
        warn("HELDAR_RECORDER_ENABLED is false, so no camera is mirrored")
    return settings


def get_ready(settings: Settings) -> None:
    """Make the directories that a command writes to, and become the recorders' user. Raises MirrorError."""
    assert settings.mirror_root is not None  # noqa: S101 - settings_if_on() has checked it
    prepare(settings)
    user = _user_to_become(settings)
    # That user could have put anything into the state directory, such as a link to what only root may read.
    with acting_as(user) if user else nullcontext():
        is_new = remembered_volume(settings) is None
    if is_new:
        check_apart(settings.mirror_root, settings.recordings_dir)
        make_root(settings, owner_ids(settings))
    become_user(settings)
    prepare(settings)


def become_user(settings: Settings) -> None:
    """Become HELDAR_MIRROR_USER for good, if root started the command and no supervisord is joined."""
    if user := _user_to_become(settings):
        become(user)


def _user_to_become(settings: Settings) -> str | None:
    return None if settings.joined or os.geteuid() != 0 else settings.user


def warn(message: str) -> None:
    """Print a message on standard error."""
    for line in message.split("\n"):
        complain(f"heldar-mirror: {printable(line)}")


def log(message: str) -> None:
    """Print a message on standard error, as lines of a log that begin with the time."""
    stamp = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
    for line in message.split("\n"):
        complain(f"{stamp} {printable(line)}")


def show(lines: Iterable[str]) -> None:
    """Print lines on standard output, in colour on a terminal unless NO_COLOR is set."""
    click.echo("\n".join(map(shown, lines)), color=False if os.environ.get("NO_COLOR") else None)


def width() -> int:
    """Return how many columns wide a table may be."""
    return shutil.get_terminal_size().columns if is_terminal(sys.stdout) else PIPE_WIDTH


def is_terminal(stream: TextIO | None) -> bool:
    """Return whether standard output or standard error is a terminal. Either is None if it was closed for us."""
    return stream is not None and stream.isatty()
