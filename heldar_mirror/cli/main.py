"""The entry point: it finds the command, runs it, and prints the error that ends it."""

import importlib
import socket
import sys
from typing import Any

import click

from heldar_mirror import __version__
from heldar_mirror.cli.lines import complain
from heldar_mirror.cli.output import checked_output
from heldar_mirror.errors import MirrorError
from heldar_mirror.recorder.log import printable

# A supervisord that hangs must not make a command hang.
RPC_SECONDS = 60

# `--help` says this of each command. It is here, so that `--help` imports none of them.
COMMANDS = {
    "up": "Run the mirror in the foreground, until SIGTERM or Ctrl-C.",
    "status": "Show what each camera's mirror is doing.",
    "reconcile": "Apply what the cameras table asks for.",
    "coverage": "Show when the primary and the mirror have footage.",
    "prune": "Delete footage that is over its time or its quota.",
    "verify": "Prove that the mirror holds what the primary holds.",
    "adopt-volume": "Make the mirror root ours, such as a new disk.",
    "watch": "Follow the cameras table; supervisord runs this.",
}

# No person runs these, so `--help` leaves them out.
HIDDEN = ("keep-manifests",)

EXIT_CODES = """\b
Exit codes:
  0  all well
  1  something is not as it should be; the command shows what
  2  wrong usage
  3  a setting can't be used
  4  the database can't be read; what runs goes on
  5  supervisord does not answer, or refuses
  6  the mirror root is not the volume that it should be
  7  the state directory can't be used
  8  recordings can't be read
  10  the output can't be written
  130  Ctrl-C ended it
  141  nobody reads the output any more
"""


class Commands(click.Group):
    """The commands. Each is in the module of its name, which is imported only if the command is called: importing all
    of them would take as long as the rest of a `status`."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - click's own signature
        """Return the names of the commands, the most used first."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002
        """Import a command and return it, or None if there is no command of that name."""
        if cmd_name not in (*COMMANDS, *HIDDEN):
            return None
        command: click.Command = importlib.import_module(f"heldar_mirror.cli.{cmd_name.replace('-', '_')}").command
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Return the command that the arguments name. Raises UsageError, which suggests a command, if there is none."""
        if args[0] not in (*COMMANDS, *HIDDEN) and not args[0].startswith("-"):
            import difflib

            meant = difflib.get_close_matches(args[0], COMMANDS, n=1) or COMMANDS
            ctx.fail(f"No such command '{args[0]}': expected {', '.join(meant)}.")
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002
        """Write what `--help` says of the commands."""
        with formatter.section("Commands"):
            formatter.write_dl(list(COMMANDS.items()))

    def main(self, *args: Any, **kwargs: Any) -> Any:
        """Run a command line. If its output can't be written, that decides the exit code."""
        with checked_output():
            return super().main(*args, **kwargs)

    def invoke(self, ctx: click.Context) -> Any:
        """Run a command. Print a MirrorError that ends it, and exit with its exit code."""
        try:
            return super().invoke(ctx)
        except click.UsageError as error:
            raise click.UsageError(printable(error.format_message()), error.ctx) from None
        except MirrorError as error:
            complain(f"heldar-mirror: {error}")
            sys.exit(error.exit_code)


@click.group(cls=Commands, epilog=EXIT_CODES, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="heldar-mirror")
def main() -> None:
    """Keep a second, independent recording of every Heldar camera that asks for one."""
    socket.setdefaulttimeout(RPC_SECONDS)
