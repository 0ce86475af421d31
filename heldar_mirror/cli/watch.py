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

# We end only after this long, so that supervisord counts it as a run and starts us again at once. After a shorter run
# its backoff grows by a second each time, without an end: after a month it would be hours.
WATCH_AGAIN_SECONDS = 10


@click.command("watch")
@click.option("--directory", type=click.Path(), default=".", help="Where relative paths in the settings begin.")
def command(directory: str) -> None:
    """Follow the cameras table, and start what failed when its camera answers.

    supervisord runs this as an event listener, and `up` sets that up. It is of no use on a terminal.
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
        traceback.print_exc()
        os._exit(1)  # not sys.exit(): a thread may be in a call that never ends
