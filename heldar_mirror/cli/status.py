"""`heldar-mirror status`."""

import json
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from itertools import islice

import click

from heldar_mirror.cli.common import PIPE_WIDTH, become_user, settings_if_on, show, width
from heldar_mirror.cli.lines import shown, style
from heldar_mirror.cli.table import aligned
from heldar_mirror.errors import StateError
from heldar_mirror.recorder.waiting import NO_CONNECTION
from heldar_mirror.settings import Settings
from heldar_mirror.status.gather import gather
from heldar_mirror.status.publishing import read_report
from heldar_mirror.status.report import CameraStatus, Report
from heldar_mirror.units import shown_size, shown_span

# The age of a report in seconds is shown if it is more than this.
FRESH_SECONDS = 3


@click.command("status")
@click.option("--json", "as_json", is_flag=True, help="Print the report as JSON.")
@click.option("--watch", is_flag=True, help="Show it again every second, until Ctrl-C.")
def command(*, as_json: bool, watch: bool) -> None:
    """Show what each camera's mirror is doing, and why one is not well."""
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
    """Return the report that the watcher published, which anybody may read. Without a watcher, make one."""
    try:
        return read_report(settings)
    except StateError as error:
        become_user(settings)
        report = gather(settings)
        return replace(report, problems=(str(error), *report.problems))


def watch_report(settings: Settings) -> None:
    """Show the report again every second, until Ctrl-C ends the command."""
    from rich.console import Console
    from rich.live import Live
    from rich.text import Text

    console = Console(width=None if sys.stdout.isatty() else PIPE_WIDTH, highlight=False)
    height = console.height if sys.stdout.isatty() else None
    with Live(console=console, auto_refresh=False, screen=sys.stdout.isatty()) as live:
        try:
            while True:
                lines = islice(status_lines(latest_report(settings), width()), height)
                live.update(Text.from_ansi("\n".join(map(shown, lines))), refresh=True)
                time.sleep(1)
        except KeyboardInterrupt:
            sys.exit(0)


def status_lines(report: Report, width: int) -> Iterator[str]:
    """Yield a table with a row per camera, and below it a note on each camera that isn't well or had an error."""
    now = report.at
    rows = []
    for camera in report.cameras:
        segment = camera.segment
        rows.append(
            (
                camera.camera_id,
                {True: "yes", False: "no", None: "?"}[camera.wanted],
                camera.activity,
                shown_span(now - camera.since) if camera.since else "-",
                segment.path.rpartition("/")[2] if segment else "-",
                shown_size(segment.size_bytes) if segment else "-",
                shown_span(now - segment.begun) if segment else "-",
            )
        )
    ill = {camera.camera_id for camera in report.cameras if not camera.well}
    yield from aligned(("camera", "wanted", "state", "for", "segment", "size", "age"), "<<<<<>>", rows, width, ill)
    wanted = [camera for camera in report.cameras if camera.wanted is not False]
    recording = sum(camera.segment is not None for camera in wanted)
    age = time.time() - now
    yield style(
        f"{recording if report.known else '?'} of {len(wanted)} mirrors record"
        + (f" (seen {shown_span(age)} ago)" if age > FRESH_SECONDS else ""),
        "green" if report.well else "red",
    )
    for camera in report.cameras:
        if note := _note(camera, now):
            text = f"{camera.camera_id}: {note}"
            yield style(text, dim=True) if camera.well else style(text, _color(camera))
    yield from (style(f"! {problem}", "red") for problem in report.problems)


def _color(camera: CameraStatus) -> str:
    return "yellow" if camera.activity == "stopped" else "red"


def _note(camera: CameraStatus, now: float) -> str | None:
    """Return what a camera's mirror is doing, why, and what to do about it, or None if the table says enough."""
    activity = camera.activity
    hint = f" → {camera.advice}" if camera.advice else ""
    if activity == "stopped":
        return f"stopped by hand; {camera.advice}"
    if camera.last_error:
        return _with_error(camera, camera.last_error, now) + hint
    if activity == "recording" and camera.wanted is False:
        return "recording, though its row asks for no mirror"
    return "failed; it is tried again" if activity == "failed" else None


def _with_error(camera: CameraStatus, error: str, now: float) -> str:
    if camera.last_error_at is None:
        return error if camera.activity == "unusable" else f"what runs goes on, but its row can't be used: {error}"
    if camera.activity == "waiting":
        return f"waiting for its camera{error.partition(NO_CONNECTION)[2]}"
    ago = f"{shown_span(now - camera.last_error_at)} ago"
    if camera.activity == "failed":
        return f"failed {ago}; it is tried again: {error}"
    return f"{camera.activity}; its last error, {ago}: {error}"
