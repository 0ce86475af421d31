"""`heldar-mirror watch`."""

import asyncio
import os
import time
import traceback
from contextlib import suppress

import click

from heldar_mirror.cli.common import log
from heldar_mirror.errors import MirrorError, SettingsError
from heldar_mirror.settings import load_settings
from heldar_mirror.state.directory import prepare
from heldar_mirror.state.secrets import environment
from heldar_mirror.watcher.watcher import watch

# After an error the watcher ends only after this long, so that supervisord counts it as a run and restarts it at once.
# After shorter runs, supervisord waits a second longer each time, without a limit: after a month it would wait hours.
WATCH_AGAIN_SECONDS = 10


@click.command("watch")
@click.option("--directory", type=click.Path(), default=".", help="The directory that relative settings begin at.")
def command(directory: str) -> None:
    """Follow the cameras table, and start what failed when its camera answers.

    supervisord runs this as an event listener, and `up` sets that up. It can't be used on a terminal.
    """
    if "SUPERVISOR_SERVER_URL" not in os.environ:
        raise click.UsageError(
            "only supervisord can run the watcher, over a pipe: heldar-mirror up brings a watcher along"
        )
    with suppress(OSError):
        os.chdir(directory)
    try:
        settings = load_settings(environment())
        if settings.mirror_root is None:
            raise SettingsError("HELDAR_MIRROR_RECORDINGS_DIR is not set: mirroring is off. What runs is left alone")
        prepare(settings)
        asyncio.run(watch(settings, log))
    except MirrorError:
        time.sleep(WATCH_AGAIN_SECONDS)
        raise
    except Exception:
        log(traceback.format_exc().rstrip("\n"))
        os._exit(1)  # sys.exit() would wait for a thread whose call may never end
