"""`heldar-mirror coverage`."""

import json
import sys
import time

import click

from heldar_mirror.cli.common import become_user, is_terminal, settings_if_on, show, width
from heldar_mirror.cli.coverage_lines import LISTED, coverage_lines
from heldar_mirror.coverage.choice import UnknownCameraError
from heldar_mirror.coverage.gather import gather
from heldar_mirror.coverage.timeline import MIN_GAP_SECONDS
from heldar_mirror.errors import INTERRUPTED
from heldar_mirror.footage.times import UTC, TimeError, parse_length, parse_span


def length(_context: click.Context, _parameter: click.Parameter, text: str) -> float:
    """Return the seconds that an option's text means. Raises BadParameter."""
    try:
        return parse_length(text)
    except TimeError as error:
        raise click.BadParameter(str(error)) from None


@click.command("coverage")
@click.argument("camera_ids", metavar="[CAMERA]...", nargs=-1)
@click.option(
    "--since", metavar="TIME", help="Look from then on: 2h, yesterday, 02:10, 2026-11-28 02:10. Default: 24h."
)
@click.option("--until", metavar="TIME", help="Look until then. Default: now.")
@click.option("--utc", is_flag=True, help="Read and show times in UTC, not in local time.")
@click.option(
    "--min-gap",
    metavar="LENGTH",
    default=f"{MIN_GAP_SECONDS:g}s",
    show_default=True,
    callback=length,
    help="Ignore gaps that are shorter, such as 30s or 1m.",
)
@click.option("--all", "list_all", is_flag=True, help=f"List every gap, not only the {LISTED} longest, and all else.")
@click.option("--json", "as_json", is_flag=True, help="Print it as JSON.")
def command(  # noqa: PLR0913 - one for each option
    camera_ids: tuple[str, ...],
    *,
    since: str | None,
    until: str | None,
    utc: bool,
    min_gap: float,
    list_all: bool,
    as_json: bool,
) -> None:
    """Show for which times the primary and the mirror have footage, and where there are gaps.

    Without a CAMERA, all mirrored ones are looked at. Nothing is written.
    """
    from rich.console import Console
    from rich.progress import Progress

    zone = UTC if utc else None
    try:
        whole = parse_span(since, until, time.time(), zone)
    except TimeError as error:
        raise click.UsageError(str(error)) from None
    settings = settings_if_on(as_json=as_json)
    become_user(settings)
    try:
        with Progress(console=Console(stderr=True), transient=True, disable=not is_terminal(sys.stderr)) as bar:
            task = bar.add_task("")

            def progress(what: str, done: int, total: int) -> None:
                bar.update(task, description=what, completed=done, total=total)

            report = gather(settings, camera_ids, whole, min_gap, progress)
    except UnknownCameraError as error:
        raise click.UsageError(str(error)) from None
    except KeyboardInterrupt:
        sys.exit(INTERRUPTED)
    if as_json:
        click.echo(json.dumps(report.to_json(), indent=2))
    else:
        show(coverage_lines(report, width(), zone, None if list_all else LISTED))
    sys.exit(report.exit_code)
