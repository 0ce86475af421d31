"""`heldar-mirror verify`."""

import json
import math
import os
import signal
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import click

from heldar_mirror.cli.common import become_user, is_terminal, settings_if_on, show, width
from heldar_mirror.cli.lines import style
from heldar_mirror.cli.table import aligned
from heldar_mirror.errors import INTERRUPTED, HungError
from heldar_mirror.footage.names import segment_name
from heldar_mirror.footage.times import UTC, TimeError, Zone, parse_length, parse_span, shown_time
from heldar_mirror.manifests.check import IsSigned
from heldar_mirror.manifests.form import DIRECTORY
from heldar_mirror.settings import Settings
from heldar_mirror.units import shown_size, shown_span
from heldar_mirror.verify.budget import Budget, parse_budget
from heldar_mirror.verify.findings import (
    CHANGED,
    DIFFERENT,
    IDENTICAL,
    LOOKED_AT,
    NOT_COMPARABLE,
    ONLY_MIRROR,
    ONLY_PRIMARY,
    UNCHANGED,
    UNREADABLE,
    Finding,
    joined,
)
from heldar_mirror.verify.memory import Scope
from heldar_mirror.verify.outcomes import Level
from heldar_mirror.verify.report import Report
from heldar_mirror.verify.run import End
from heldar_mirror.verify.verify import Request, Verify
from heldar_mirror.volume.apart import check_apart

# More threads would only compete for the disks.
MOST_JOBS = 4
# The list of findings ends after so many lines; `--json` has all of them.
MOST_LINES = 200

# Why a segment can't be compared, by level.
NOTHING_BESIDE = dict.fromkeys(Level, "the primary has nothing of that time") | {
    Level.FILES: "in no manifest, since older than all that are listed, not hashed yet, or a stub"
}

# No time is later.
FAR = 1 << 40

# The next step if nothing is the same.
NEXT = "If the camera does not encode for each reader: do both sides record the same stream, and do their clocks agree?"

# Each column has a head, and shows one of the counts.
COLUMNS = (
    ("looked at", LOOKED_AT),
    ("identical", IDENTICAL),
    ("only primary", ONLY_PRIMARY),
    ("only mirror", ONLY_MIRROR),
    ("different", DIFFERENT),
    ("not comparable", NOT_COMPARABLE),
    ("unreadable", UNREADABLE),
)
COLUMNS_OF = {
    Level.NAMES: (("looked at", LOOKED_AT), ("unreadable", UNREADABLE)),
    Level.FILES: (
        ("looked at", LOOKED_AT),
        ("unchanged", UNCHANGED),
        ("changed", CHANGED),
        ("unreadable", UNREADABLE),
    ),
}


@click.command("verify")
@click.argument("camera_ids", metavar="[ID]...", nargs=-1)
@click.option(
    "--level",
    type=click.Choice([level.name.lower() for level in Level]),
    default="packets",
    show_default=True,
    help="How closely to look.",
)
@click.option("--since", metavar="TIME", help="Only segments that begin then or later, such as 2h, yesterday, 02:10.")
@click.option("--until", metavar="TIME", help="Only segments that begin before.")
@click.option("--budget", metavar="AMOUNT", help="End after a time (30m), a size (20GiB), or a share (10%).")
@click.option("--older-than", metavar="LENGTH", help="Leave out what was looked at since, such as 10d, and is proven.")
@click.option(
    "--jobs", type=click.IntRange(1, 64), help="So many segments at a time; by default one per core, up to 4."
)
@click.option("--public-key", type=click.Path(), help="The key that the manifests are signed with, for --level files.")
@click.option("--utc", is_flag=True, help="Show times in UTC, not in local time.")
@click.option("--json", "as_json", is_flag=True, help="Print the report as JSON.")
def command(  # noqa: PLR0913 - one for each option
    *,
    camera_ids: tuple[str, ...],
    level: str,
    since: str | None,
    until: str | None,
    budget: str | None,
    older_than: str | None,
    jobs: int | None,
    public_key: str | None,
    utc: bool,
    as_json: bool,
) -> None:
    """Prove that the mirror holds what the primary holds, some at a time. Nothing is repaired.

    What was never looked at comes first, then what was looked at longest ago.
    """
    settings = settings_if_on(as_json=as_json)
    if level == "names" and (budget or older_than):
        raise click.UsageError("--level names looks at all each time: expected no --budget and no --older-than")
    if public_key and level != "files":
        raise click.UsageError(f"--level {level} checks no signature: expected --level files with --public-key")
    become_user(settings)
    zone = UTC if utc else None
    now = time.time()
    try:
        begin, end = span(since, until, now, zone)
        before = now - parse_length(older_than) if older_than else now
        request = Request(
            Scope(Level[level.upper()], begin, end, int(before)),
            camera_ids,
            parse_budget(budget) if budget else Budget(),
            jobs or min(MOST_JOBS, len(os.sched_getaffinity(0))),
            interrupted(),
            signed_by(settings, public_key) if level == "files" else None,
        )
        report = run(settings, request)
    except (TimeError, ValueError) as error:
        raise click.UsageError(str(error)) from None
    except LookupError as error:
        raise click.UsageError(f"{error}: the mirror has no camera of that name") from None
    if as_json:
        click.echo(json.dumps(report.to_json(), indent=2))
    else:
        show(report_lines(report, settings, zone, width()))
    sys.exit(report.exit_code)


def span(since: str | None, until: str | None, now: float, zone: Zone) -> tuple[int, int]:
    """Return the first and the last time at which a segment may begin. Without limits it is all time."""
    begin, end = parse_span(since, until, now, zone)
    return math.ceil(begin) if since else 0, math.ceil(end) - 1 if until else FAR


def signed_by(settings: Settings, public_key: str | None) -> IsSigned | None:
    """Return what checks signatures: by a public key, or the mirror's own key, or None if there is no key.

    Raises SettingsError.
    """
    if public_key is None and settings.manifests_key is None:
        return None
    from heldar_mirror.manifests.signature import is_signed, load_private_key, load_public_key

    if public_key is not None:
        key = load_public_key(Path(public_key))
    else:
        assert settings.manifests_key is not None  # noqa: S101 - one of the two is there
        key = load_private_key(settings.manifests_key).public_key()
    return lambda content, signature: is_signed(content, signature, key)


def interrupted() -> threading.Event:
    """Return what Ctrl-C and SIGTERM set. A second one ends the process at once."""
    event = threading.Event()

    def interrupt(*_: object) -> None:
        if event.is_set():
            os._exit(INTERRUPTED)
        event.set()

    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, interrupt)
    return event


def run(settings: Settings, request: Request) -> Report:
    """Run it with a progress bar, at low priority."""
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

    assert settings.mirror_root is not None  # noqa: S101 - settings_if_on() has checked it
    if request.scope.level is not Level.FILES:
        with suppress(HungError):  # what hangs is reported when it is read
            check_apart(settings.mirror_root, settings.recordings_dir)
    with suppress(OSError):  # what is forbidden there is set already, as by systemd
        os.nice(19)
    columns = TextColumn("{task.description}"), BarColumn(), TextColumn("{task.percentage:.0f}%"), TimeRemainingColumn()
    with Progress(*columns, console=Console(stderr=True), transient=True, disable=not is_terminal(sys.stderr)) as bar:
        task = bar.add_task("", total=1.0)
        return Verify(settings, request, lambda what, done: bar.update(task, description=what, completed=done)).run()


def report_lines(report: Report, settings: Settings, zone: Zone, width: int) -> Iterator[str]:
    """Yield a table of what was looked at, then all findings that stand, and how far the mirror is proven.

    If the table would be too wide, it has no columns of zeros.
    """
    columns = COLUMNS_OF.get(report.level, COLUMNS)
    if len("  ".join(["camera", *(name for name, _ in columns), "proven"])) > width:
        counted = set().union(*(camera.counts for camera in report.cameras))
        columns = tuple(column for column in columns if column[1] in {LOOKED_AT, *counted})
    rows = []
    for camera in report.cameras:
        standing = camera.standing
        counts = (camera.counts[key] for _, key in columns)
        share = f"{standing.proven / standing.segments:.1%}" if standing.segments else "-"
        rows.append((camera.camera_id, *(f"{count:,}" for count in counts), share))
    head = ("camera", *(name for name, _ in columns), "proven")
    ill = {camera.camera_id for camera in report.cameras if not camera.well}
    yield from aligned(head, "<" + ">" * (len(head) - 1), rows, width, ill)
    lines = list(dict.fromkeys(finding_lines(report, settings, zone)))  # a file may concern several segments
    yield from (style(line, "red") for line in lines[:MOST_LINES])
    if len(lines) > MOST_LINES:
        yield style(f"and {len(lines) - MOST_LINES:,} more: see --json", "red")
    yield from standing_lines(report)
    yield from (style(f"! {problem}", "red") for problem in report.problems)


def finding_lines(report: Report, settings: Settings, zone: Zone) -> Iterator[str]:
    """Yield a line for each thing that is wrong. Those of manifests come first, since they explain many others."""
    for camera in report.cameras:
        yield from (f"{settings.mirror_root}/{DIRECTORY}/{camera.camera_id}/{flaw}" for flaw in camera.flaws)
    for camera in report.cameras:
        for finding, last in joined(camera.findings):
            yield finding_line(camera.camera_id, finding, last, settings, zone)


def standing_lines(report: Report) -> Iterator[str]:
    """Yield how far the mirror is proven, and what this run did."""
    if not report.bytes:
        none = "no segment of the mirror is of that time, or none is closed yet"
        yield style("nothing can be said" if report.problems else none, bold=True)
        return
    yield style(
        f"{report.proven:.1%} of {shown_size(report.bytes)} are proven"
        + (f", the oldest {shown_span(time.time() - report.oldest)} ago" if report.oldest is not None else ""),
        "green" if report.exit_code == 0 else None,
        bold=True,
    )
    seconds, read, looked = report.spent
    ended = "" if report.end is End.DONE else f"; {report.end.value}"
    yield f"looked at {shown_size(looked)} and read {shown_size(read)} in {shown_span(seconds)}{ended}"
    if report.runs is not None:
        yield f"a whole round takes {report.runs:.1f} runs like this one"
    nothing = sum(camera.standing.nothing_there for camera in report.cameras)
    if nothing:
        yield f"{nothing:,} segment{'s' * (nothing != 1)} can't be compared: {NOTHING_BESIDE[report.level]}"
    for camera in report.cameras:
        if unrelated := camera.standing.unrelated:
            yield (
                f"{camera.camera_id}: {unrelated:,} segment{'s are' if unrelated != 1 else ' is'} not comparable: "
                f"the primary has footage of that time, and the packets can't be matched. {NEXT}"
            )


def finding_line(camera_id: str, finding: Finding, last: int, settings: Settings, zone: Zone) -> str:
    """Return a finding as a line, with its file, or the first and the last one, its time and what is wrong."""
    root = settings.recordings_dir if finding.side == "primary" else settings.mirror_root
    what = finding.kind.value
    if finding.packets:
        track = {"vide": " of picture", "soun": " of sound"}.get(finding.track, "")
        what = f"{finding.packets:,} packet{'s' * (finding.packets != 1)}{track} {what}"
    if finding.begin is not None and finding.end is not None:
        what += f", {shown_time(finding.begin, zone)}"
        if finding.end - finding.begin >= 1:
            what += f" to {shown_time(finding.end, zone)}"
    files = segment_name(finding.begun) + (f" to {segment_name(last)}" if last != finding.begun else "")
    return f"{root}/{camera_id}/{files}: {what}" + (f": {finding.reason}" * bool(finding.reason))
