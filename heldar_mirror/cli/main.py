"""Where every command begins: the names of the commands, and the one place where an error is reported."""

import importlib
import socket
import sys
from typing import Any

import click

from heldar_mirror import __version__
from heldar_mirror.errors import MirrorError

# A supervisord that hangs must not hang us.
RPC_SECONDS = 60

COMMANDS = ("adopt-volume", "prune", "reconcile", "status", "up", "watch")

EXIT_CODES = """\b
Exit codes:
  0  all well
  1  something is not as it should be; status and reconcile show what
  2  wrong usage
  3  a setting can't be used
  4  the database can't be read (what runs goes on)
  5  supervisord does not answer, or refuses
  6  the mirror root is not the volume that it should be
  7  the state directory can't be used
"""


class Commands(click.Group):
    """The commands, each in a module of its own name that is imported when it is called: half of a `status` would be
    the imports of the others."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - click's own signature
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002
        if cmd_name not in COMMANDS:
            return None
        command: click.Command = importlib.import_module(f"heldar_mirror.cli.{cmd_name.replace('-', '_')}").command
        return command

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except MirrorError as error:
            click.echo(f"heldar-mirror: {error}", err=True)
            sys.exit(error.exit_code)


@click.group(cls=Commands, epilog=EXIT_CODES, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="heldar-mirror")
def main() -> None:
    """Keep a second, independent recording of every Heldar camera that asks for one."""
    socket.setdefaulttimeout(RPC_SECONDS)
