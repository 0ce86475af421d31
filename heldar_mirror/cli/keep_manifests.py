"""`heldar-mirror keep-manifests`."""

from contextlib import suppress

import click

from heldar_mirror.keeping.protocol import receive_settings
from heldar_mirror.manifests.child import run_child
from heldar_mirror.manifests.settings import ManifestSettings


@click.command("keep-manifests")
def command() -> None:
    """List each segment in a manifest when it is closed; the watcher runs this, with settings over a pipe.

    It can't be used on a terminal.
    """
    try:
        settings = receive_settings(0, ManifestSettings)
    except (OSError, ValueError, KeyboardInterrupt) as error:
        raise click.UsageError(f"this is for the watcher alone: {error}") from None
    with suppress(BrokenPipeError):  # the watcher has ended
        run_child(settings)
