"""`heldar-mirror up`."""

import sys

import click

from heldar_mirror.cli.common import get_ready, settings_if_on, warn
from heldar_mirror.foreground.up import up
from heldar_mirror.foreground.warnings import warnings


@click.command("up")
def command() -> None:
    """Run the mirror in the foreground, with its own supervisord, until SIGTERM or Ctrl-C."""
    settings = settings_if_on()
    if settings.joined:
        raise click.UsageError(
            "HELDAR_MIRROR_PROGRAMS_FILE is set, so an existing supervisord runs the mirror. To have it do so: "
            "heldar-mirror reconcile"
        )
    get_ready(settings)
    for warning in warnings(settings):
        warn(f"warning: {warning}")
    sys.exit(up(settings, warn))
