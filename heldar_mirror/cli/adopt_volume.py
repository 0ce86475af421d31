"""`heldar-mirror adopt-volume`."""

import click

from heldar_mirror.cli.common import get_ready, settings_if_on
from heldar_mirror.reconcile.adopt import adopt_volume
from heldar_mirror.state.locks import locked


@click.command("adopt-volume")
def command() -> None:
    """Make the mirror root ours, such as a new disk or the volume of a different instance."""
    settings = settings_if_on()
    get_ready(settings)
    with locked(settings):
        adopt_volume(settings, take_over=True)
    click.echo(
        f"{settings.mirror_root} is ours now. The watcher starts to record there; "
        "if no watcher runs: heldar-mirror reconcile"
    )
