"""The command line: parse, one call, print. What one command alone needs is imported there: half of a `status` would
be imports."""

import json
import os
import shutil
import socket
import sys
import time
import traceback
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import replace
from itertools import islice
from typing import Any

import click

from heldar_mirror import __version__
from heldar_mirror.cli import table as tables
from heldar_mirror.errors import MirrorError, SettingsError, StateError
from heldar_mirror.foreground import up as foreground
from heldar_mirror.programs.plan import Plan
from heldar_mirror.reconcile import reconcile
from heldar_mirror.settings import Settings, load_settings
from heldar_mirror.state import directory as state
from heldar_mirror.status import report as status
from heldar_mirror.volume import asking as volume

RPC_SECONDS = 60
PIPE_WIDTH = 200
WATCH_AGAIN_SECONDS = 10

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


class _Group(click.Group):
    """Tells every error of ours once, here, with its exit code."""

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except MirrorError as error:
            click.echo(f"heldar-mirror: {error}", err=True)
            sys.exit(error.exit_code)


@click.group(cls=_Group, epilog=EXIT_CODES, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="heldar-mirror")
def main() -> None:
    """Keep a second, independent recording of every Heldar camera that asks for one."""
    # A supervisord that hangs must not hang us.
    socket.setdefaulttimeout(RPC_SECONDS)


@main.command()
def up() -> None:
    """Run the mirror in the foreground, with a supervisord of its own, until SIGTERM or Ctrl-C."""
    settings = _settings()
    if settings.joined:
        raise click.UsageError(
            "HELDAR_MIRROR_PROGRAMS_FILE is set, so an existing supervisord runs the mirror: heldar-mirror reconcile"
        )
    _enter(settings)
    for warning in foreground.warnings(settings):
        _tell(f"warning: {warning}")
    sys.exit(foreground.up(settings, _tell))


@main.command(name="reconcile")
@click.argument("camera_ids", metavar="[ID]...", nargs=-1)
@click.option("--dry-run", is_flag=True, help="Show the plan, and change nothing.")
@click.option("--json", "as_json", is_flag=True, help="Print the plan as JSON.")
def reconcile_command(camera_ids: tuple[str, ...], *, dry_run: bool, as_json: bool) -> None:
    """Bring what is mirrored to what the cameras table asks for; restart the cameras that are named."""
    settings = _settings(as_json=as_json)
    if dry_run:
        plan, revival = reconcile.dry_run(settings, camera_ids), None
    else:
        _enter(settings)
        done = reconcile.reconcile(settings, camera_ids)
        plan, revival = done.plan, reconcile.Revival() if done.complete else reconcile.revive(settings)
    if as_json:
        click.echo(json.dumps(_plan_json(plan, revival), indent=2))
    else:
        _show(tables.plan_lines(plan, revival))
    sys.exit(1 if plan.unusable else 0)


@main.command(name="status")
@click.option("--json", "as_json", is_flag=True, help="Print it as JSON.")
@click.option("--watch", is_flag=True, help="Show it anew every second, until Ctrl-C.")
def status_command(*, as_json: bool, watch: bool) -> None:
    """Show what each camera's mirror is doing: one row a camera."""
    settings = _settings(as_json=as_json)
    if watch:
        _watch(settings)
    report = _report(settings)
    if as_json:
        click.echo(json.dumps(report.to_json(), indent=2))
    else:
        _show(tables.status_lines(report, _width()))
    sys.exit(0 if report.well else 1)


@main.command(name="watch")
@click.option("--directory", type=click.Path(), default=".", help="Where relative paths of the settings begin.")
def watch_command(directory: str) -> None:
    """Follow the cameras table, and start what failed when its camera answers.

    An event listener of supervisord's, which `up` brings along; of no use on a terminal.
    """
    if "SUPERVISOR_SERVER_URL" not in os.environ:
        raise click.UsageError(
            "expected supervisord on the other side of a pipe: heldar-mirror up brings a watcher along"
        )
    import asyncio

    from heldar_mirror.watcher import watcher as watching

    with suppress(OSError):
        os.chdir(directory)
    try:
        settings = load_settings(watching.environment())
        if settings.mirror_root is None:
            raise SettingsError("HELDAR_MIRROR_RECORDINGS_DIR is not set: mirroring is off. What runs is left alone")
        state.prepare(settings)
        asyncio.run(watching.watch(settings, _log))
    except MirrorError:
        # Long enough for supervisord to take it for a run: its backoff would have no end, and be hours after a month.
        time.sleep(WATCH_AGAIN_SECONDS)
        raise
    except Exception:
        traceback.print_exc()
        os._exit(1)  # a thread may be at a call that never ends


@main.command(name="prune")
@click.option("--dry-run", is_flag=True, help="Show what would go, and delete nothing.")
@click.option("--json", "as_json", is_flag=True, help="Print it as JSON.")
@click.option("--forever", is_flag=True, hidden=True, help="As the watcher has it: settings and end on standard input.")
def prune_command(*, dry_run: bool, as_json: bool, forever: bool) -> None:
    """Delete what is over its time or its quota, and the oldest where the volume would fill.

    The watcher does it by itself; what is locked in Heldar stays.
    """
    import pickle

    from heldar_mirror.pruning import pruner as prune

    if forever:
        with suppress(BrokenPipeError), open(0, "rb", buffering=0, closefd=False) as pipe:
            try:
                settings = pickle.load(pipe)  # noqa: S301 - the watcher's own
            except (pickle.UnpicklingError, EOFError, KeyboardInterrupt):
                raise click.UsageError("expected the watcher on the other side of a pipe") from None
            prune.keep_pruning(settings, _log)
        os._exit(0)  # a thread may be at a read that never ends
    from rich.console import Console
    from rich.progress import Progress

    settings = _settings(as_json=as_json)
    _become(settings)
    with Progress(console=Console(stderr=True), transient=True, disable=not sys.stderr.isatty()) as bar:
        task = bar.add_task("")

        def progress(what: str, done: int, total: int) -> None:
            bar.update(task, description=what, completed=done, total=total)

        pruned = prune.Pruner(settings, dry_run=dry_run, progress=progress).prune()
    if as_json:
        click.echo(json.dumps({"dry_run": dry_run, **pruned.to_json()}, indent=2))
    else:
        _show(tables.prune_lines(pruned, _width(), dry_run=dry_run))
    if pruned.database_error:
        raise pruned.database_error
    sys.exit(1 if pruned.problems or pruned.shortages else 0)


@main.command()
def adopt_volume() -> None:
    """Make the mirror root ours: for a new disk, or one that was another instance's."""
    settings = _settings()
    _enter(settings)
    with state.locked(settings):
        reconcile.adopt_volume(settings, take_over=True)
    click.echo(
        f"{settings.mirror_root} is ours now; the watcher records there, or without one: heldar-mirror reconcile"
    )


def _settings(*, as_json: bool = False) -> Settings:
    """The settings, where mirroring is on; else says that it is off, and ends."""
    settings = load_settings(os.environ)
    if settings.mirror_root is None:
        reason = (
            "HELDAR_MIRROR_RECORDINGS_DIR is not set, neither in the mirror's env file nor in the environment. "
            "To mirror, set it to a directory on a second volume. What runs is left alone."
        )
        click.echo(json.dumps({"mirroring": False, "reason": reason}) if as_json else f"mirroring is off: {reason}")
        sys.exit(0)
    if not settings.recorder_enabled:
        _tell("HELDAR_RECORDER_ENABLED is false: no camera is to be mirrored")
    return settings


def _enter(settings: Settings) -> None:
    """Get ready to write: make the directories, and become the recorders' user."""
    assert settings.mirror_root is not None  # noqa: S101 - _settings() saw to it
    state.prepare(settings)
    if state.remembered_volume(settings) is None:
        volume.check_apart(settings.mirror_root, settings.recordings_dir)
        volume.make_root(settings.mirror_root, settings.umask, state.owner(settings))
    _become(settings)
    state.prepare(settings)


def _report(settings: Settings) -> status.Report:
    """What the watcher published, which anybody can read; else what can be learnt without one."""
    try:
        return status.read(settings)
    except StateError as error:
        _become(settings)
        report = status.gather(settings)
        return replace(report, problems=(str(error), *report.problems))


def _become(settings: Settings) -> None:
    if os.geteuid() == 0 and settings.user and not settings.joined:
        foreground.become(settings.user)


def _tell(message: str) -> None:
    click.echo(f"heldar-mirror: {message}", err=True)


def _log(message: str) -> None:
    stamp = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
    for line in message.splitlines():
        click.echo(f"{stamp} {line}", err=True)


def _show(lines: Iterable[str]) -> None:
    click.echo("\n".join(lines), color=False if os.environ.get("NO_COLOR") else None)


def _width() -> int:
    return shutil.get_terminal_size().columns if sys.stdout.isatty() else PIPE_WIDTH


def _plan_json(plan: Plan, revival: reconcile.Revival | None) -> dict[str, Any]:
    groups = {"added": plan.added, "changed": plan.changed, "removed": plan.removed}
    return {
        "applied": revival is not None,
        **{name: {c.camera_id: list(c.lines()) for c in changes} for name, changes in groups.items()},
        "unchanged": plan.unchanged,
        "unusable": {bad.camera_id: bad.reason for bad in plan.unusable},
        "kept": sorted(plan.kept),
        "revived": revival.revived if revival else [],
        "stopped_by_hand": revival.held if revival else [],
    }


def _watch(settings: Settings) -> None:
    from rich.console import Console
    from rich.live import Live
    from rich.text import Text

    console = Console(width=None if sys.stdout.isatty() else PIPE_WIDTH, highlight=False)
    height = console.height if sys.stdout.isatty() else None
    with Live(console=console, auto_refresh=False, screen=sys.stdout.isatty()) as live:
        try:
            while True:
                lines = islice(tables.status_lines(_report(settings), _width()), height)
                live.update(Text.from_ansi("\n".join(lines)), refresh=True)
                time.sleep(1)
        except KeyboardInterrupt:
            sys.exit(0)
