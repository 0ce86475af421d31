"""`heldar-mirror status`."""

import json
import os
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from itertools import islice

import click
from click import style

from heldar_mirror.cli.common import PIPE_WIDTH, become_user, settings_if_on, show, width
from heldar_mirror.cli.table import aligned
from heldar_mirror.errors import StateError
from heldar_mirror.settings import Settings
from heldar_mirror.status.advice import advice, stopped_by_hand
from heldar_mirror.status.gather import gather
from heldar_mirror.status.publishing import read_report
from heldar_mirror.status.report import CameraStatus, Report
from heldar_mirror.units import shown_size, shown_span


@click.command("status")
@click.option("--json", "as_json", is_flag=True, help="Print it as JSON.")
@click.option("--watch", is_flag=True, help="Show it anew every second, until Ctrl-C.")
def command(*, as_json: bool, watch: bool) -> None:
    """Show what each camera's mirror is doing: one row a camera."""
    settings = settings_if_on(as_json=as_json)
    if watch:
        watch_report(settings)
    report = latest_report(settings)
    if as_json:
        click.echo(json.dumps(report.to_json(), indent=2))
    else:
        show(status_lines(report, width()))
    sys.exit(0 if report.well else 1)


def latest_report(settings: Settings) -> Report:
    """Return what the watcher published, which anybody can read; else what can be found out without one."""
    try:
        return read_report(settings)
    except StateError as error:
        become_user(settings)
        report = gather(settings)
        return replace(report, problems=(str(error), *report.problems))


def watch_report(settings: Settings) -> None:
    """Show the report anew every second, until Ctrl-C ends the command."""
    from rich.console import Console
    from rich.live import Live
    from rich.text import Text

    console = Console(width=None if sys.stdout.isatty() else PIPE_WIDTH, highlight=False)
    height = console.height if sys.stdout.isatty() else None
    with Live(console=console, auto_refresh=False, screen=sys.stdout.isatty()) as live:
        try:
            while True:
                lines = islice(status_lines(latest_report(settings), width()), height)
                live.update(Text.from_ansi("\n".join(lines)), refresh=True)
                time.sleep(1)
        except KeyboardInterrupt:
            sys.exit(0)


# What was seen longer ago than this is said to be so.
SEEN_SECONDS = 3


def status_lines(report: Report, width: int) -> Iterator[str]:
    """Return one row a camera, and below the table what ails one, or ailed it last."""
    now = report.at
    rows = []
    for camera in report.cameras:
        segment = camera.segment
        rows.append(
            (
                camera.camera_id,
                {True: "yes", False: "no", None: "?"}[camera.wanted],
                (camera.state or "-").lower(),
                shown_span(now - camera.since) if camera.since else "-",
                os.path.basename(segment.path) if segment else "-",  # noqa: PTH119
                shown_size(segment.size_bytes) if segment else "-",
                shown_span(now - segment.begun) if segment else "-",
            )
        )
    ill = {camera.camera_id for camera in report.cameras if not camera.well}
    yield from aligned(("camera", "wanted", "state", "for", "segment", "size", "age"), "<<<<<>>", rows, width, ill)
    wanted = [camera for camera in report.cameras if camera.wanted is not False]
    recording = sum(camera.segment is not None for camera in wanted)
    seen = time.time() - now
    yield style(
        f"{recording if report.known else '?'} of {len(wanted)} mirrors record"
        + (f" (seen {shown_span(seen)} ago)" if seen > SEEN_SECONDS else ""),
        "green" if report.well else "red",
    )
    yield from filter(None, (_note(camera, now) for camera in report.cameras))
    yield from (style(f"! {problem}", "red") for problem in report.problems)


def _note(camera: CameraStatus, now: float) -> str | None:
    if camera.wanted and camera.state == "STOPPED":
        return style(f"{camera.camera_id}: {stopped_by_hand(camera.camera_id)}", "yellow")
    if camera.stalled:
        return style(f"{camera.camera_id}: its segment is open far longer than one lasts: does the camera send?", "red")
    if not camera.last_error:
        return None
    ago = f"{shown_span(now - camera.last_error_at)} ago, " if camera.last_error_at else ""
    hint = "" if camera.well else advice(camera.last_error)
    text = f"{camera.camera_id}: {ago}{camera.last_error}{hint}"
    return style(text, dim=True) if camera.well else style(text, "red")
