"""`heldar-mirror prune`."""

import json
import os
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from functools import partial
from typing import NoReturn

import click

from heldar_mirror.cli.common import become_user, is_terminal, log, settings_if_on, show, width
from heldar_mirror.cli.lines import style
from heldar_mirror.cli.table import aligned
from heldar_mirror.keeping.protocol import receive_settings
from heldar_mirror.pruning.child import run_child
from heldar_mirror.pruning.outcome import Pruned
from heldar_mirror.pruning.pruner import make_pruner
from heldar_mirror.pruning.settings import PruningSettings
from heldar_mirror.supervisord.gateway import find_ours
from heldar_mirror.units import shown_size


@click.command("prune")
@click.option("--dry-run", is_flag=True, help="Show what would go, and delete nothing.")
@click.option("--json", "as_json", is_flag=True, help="Print it as JSON.")
@click.option("--forever", is_flag=True, hidden=True, help="Run as the watcher's child, with settings from it.")
def command(*, dry_run: bool, as_json: bool, forever: bool) -> None:
    """Delete what is over its time or its quota, and the oldest if the volume would fill.

    The watcher does that by itself. What is locked in Heldar stays.
    """
    if forever:
        _prune_for_watcher()
    from rich.console import Console
    from rich.progress import Progress

    settings = settings_if_on(as_json=as_json)
    become_user(settings)
    with Progress(console=Console(stderr=True), transient=True, disable=not is_terminal(sys.stderr)) as bar:
        task = bar.add_task("")

        def progress(what: str, done: int, total: int) -> None:
            bar.update(task, description=what, completed=done, total=total)

        find = partial(find_ours, settings)
        pruner = make_pruner(PruningSettings.of(settings), find, dry_run=dry_run, progress=progress)
        pruned = pruner.prune()
    if as_json:
        click.echo(json.dumps({"dry_run": dry_run, **pruned.to_json()}, indent=2))
    else:
        show(prune_lines(pruned, width(), dry_run=dry_run))
    if pruned.database_error:
        raise pruned.database_error
    sys.exit(1 if pruned.problems or pruned.shortages else 0)


def _prune_for_watcher() -> NoReturn:
    """Prune until the watcher closes standard input. Raises UsageError if the input is not from a watcher."""
    try:
        settings = receive_settings(0, PruningSettings)
    except (OSError, ValueError, KeyboardInterrupt) as error:
        raise click.UsageError(f"--forever is for the watcher alone: {error}") from None
    with suppress(BrokenPipeError):  # the watcher has ended
        run_child(settings, log)
    os._exit(0)  # a thread may be reading the database and never end


def prune_lines(pruned: Pruned, width: int, *, dry_run: bool) -> Iterator[str]:
    """Yield a table of what was or would be deleted, and below it how much is free and what is wrong."""
    rows = []
    for (camera_id, rule), tally in sorted(pruned.tallies.items()):
        ends = (name.removesuffix(".mp4") for name in tally.names())
        rows.append((camera_id, rule, f"{tally.segments:,}", shown_size(tally.bytes), *ends))
    if rows:
        yield from aligned(("camera", "rule", "segments", "size", "from", "to"), "<<>><<", rows, width)
    yield from (f"{name}: its directory as well, since the camera was deleted" for name in pruned.directories)
    for name, until in sorted(pruned.waiting.items()):
        stamp = time.strftime("%Y-%m-%d %H:%MZ", time.gmtime(until))
        yield f"{name}: deleted from the table; its footage stays until {stamp}"
    yield style(
        f"{'would delete' if dry_run else 'deleted'} {pruned.segments:,} segments, {shown_size(pruned.bytes)}; "
        f"{shown_size(pruned.free)} {'would be' if dry_run else 'are'} free, the floor is {shown_size(pruned.floor)}",
        bold=True,
    )
    yield from (style(f"! {problem}", "red") for problem in pruned.problems + pruned.shortages)
