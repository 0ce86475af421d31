"""What people see: the status table and the plan, as lines that fit a terminal, with its colours.

The tables are aligned here, since rich takes half a second for a thousand rows.
"""

import os
import re
import time
from collections.abc import Collection, Iterator, Sequence

from click import style

from heldar_mirror.footage.names import shown_size
from heldar_mirror.programs.plan import Plan
from heldar_mirror.pruning.outcome import Pruned
from heldar_mirror.reconcile.reconcile import Revival
from heldar_mirror.status.report import CameraStatus, Report

# What was seen longer ago than this is said to be so.
SEEN_SECONDS = 3

GUTTER = "  "

ADVICE = (
    (
        r"Could not find tag for codec",
        "mp4 can't hold that: set record_audio to 0 in Heldar, or the camera's audio to AAC",
    ),
    (r"401 Unauthorized", "the camera refuses the user or the password that Heldar has for it"),
    (r"404 (Stream )?Not Found", "the camera is there, and has no such stream: see its URL, or its vendor in Heldar"),
    (
        r"Connection refused|No route to host|unreachable|timed out",
        "is the camera on, and is its address right? It is tried again",
    ),
    (r"Invalid data found when processing input", "what answers there does not speak RTSP: see address and port"),
)


def plan_lines(plan: Plan, revival: Revival | None) -> Iterator[str]:
    """Return a plan as a diff, and what was done beyond it; `revival` is None for a plan that was only shown."""
    for sign, color, changes in (("+", "green", plan.added), ("~", "yellow", plan.changed), ("-", "red", plan.removed)):
        for change in changes:
            yield style(f"{sign} {change.camera_id}", color)
            yield from (f"    {line}" for line in change.lines())
    for bad in plan.unusable:
        kept = " (what runs for it goes on)" if bad.camera_id in plan.kept else ""
        yield style(f"! {bad.camera_id}: {bad.reason}{kept}", "red")
    for camera_id in revival.held if revival else ():
        yield style(f"= {camera_id}: {_held(camera_id)}", "yellow")
    for camera_id in revival.revived if revival else ():
        yield style(f"= {camera_id}: had failed for good, and was started again", "yellow")
    counts = {
        "added": plan.added,
        "changed": plan.changed,
        "removed": plan.removed,
        "unchanged": plan.unchanged,
        "unusable": plan.unusable,
    }
    summary = ", ".join(f"{len(cameras)} {name}" for name, cameras in counts.items())
    yield style(f"{'applied' if revival else 'would be'}: {summary}", bold=True)


def _held(camera_id: str) -> str:
    return f"stopped by hand, and left so; to start it: heldar-mirror reconcile {camera_id}"


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
                _span(now - camera.since) if camera.since else "-",
                os.path.basename(segment.path) if segment else "-",  # noqa: PTH119
                shown_size(segment.size_bytes) if segment else "-",
                _span(now - segment.begun) if segment else "-",
            )
        )
    ill = {camera.camera_id for camera in report.cameras if not camera.well}
    yield from _aligned(("camera", "wanted", "state", "for", "segment", "size", "age"), "<<<<<>>", rows, width, ill)
    wanted = [camera for camera in report.cameras if camera.wanted is not False]
    recording = sum(camera.segment is not None for camera in wanted)
    seen = time.time() - now
    yield style(
        f"{recording if report.known else '?'} of {len(wanted)} mirrors record"
        + (f" (seen {_span(seen)} ago)" if seen > SEEN_SECONDS else ""),
        "green" if report.well else "red",
    )
    yield from filter(None, (_note(camera, now) for camera in report.cameras))
    yield from (style(f"! {problem}", "red") for problem in report.problems)


def prune_lines(pruned: Pruned, width: int, *, dry_run: bool) -> Iterator[str]:
    """Return what went, or would go, by camera and rule, and below it what room there is and what is wrong."""
    rows = []
    for (camera_id, rule), tally in sorted(pruned.tallies.items()):
        ends = (name.removesuffix(".mp4") for name in tally.names())
        rows.append((camera_id, rule, f"{tally.segments:,}", shown_size(tally.bytes), *ends))
    if rows:
        yield from _aligned(("camera", "rule", "segments", "size", "from", "to"), "<<>><<", rows, width)
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


def _aligned(
    head: Sequence[str], sides: str, rows: Sequence[Sequence[str]], width: int, ill: Collection[str] = ()
) -> Iterator[str]:
    """Return a table whose columns lean to the `sides` given, `<` or `>`. The names in the first one are folded where
    `width` is too small for it, and red if they are `ill`."""
    widths = [max(map(len, column)) for column in zip(head, *rows, strict=True)]
    rest = sum(widths[1:]) + len(GUTTER) * (len(head) - 1)
    first = max(min(widths[0], width - rest), len(head[0]))
    template = GUTTER.join(f"{{:{side}{size}}}" for side, size in zip(sides[1:], widths[1:], strict=True))
    yield style(f"{head[0]:{first}}{GUTTER}{template.format(*head[1:]).rstrip()}", bold=True)
    for name, *cells in rows:
        pieces = [f"{name[at : at + first]:{first}}" for at in range(0, max(len(name), 1), first)]
        if name in ill:
            pieces = [style(piece, "red") for piece in pieces]
        yield f"{pieces[0]}{GUTTER}{template.format(*cells).rstrip()}"
        yield from pieces[1:]


def _note(camera: CameraStatus, now: float) -> str | None:
    if camera.wanted and camera.state == "STOPPED":
        return style(f"{camera.camera_id}: {_held(camera.camera_id)}", "yellow")
    if camera.stalled:
        return style(f"{camera.camera_id}: its segment is open far longer than one lasts: does the camera send?", "red")
    if not camera.last_error:
        return None
    ago = f"{_span(now - camera.last_error_at)} ago, " if camera.last_error_at else ""
    hint = "" if camera.well else advice(camera.last_error)
    text = f"{camera.camera_id}: {ago}{camera.last_error}{hint}"
    return style(text, dim=True) if camera.well else style(text, "red")


def advice(error: str) -> str:
    """Return what to do about an error of ffmpeg's that does not say so itself; empty for all others."""
    return next((f" → {text}" for pattern, text in ADVICE if re.search(pattern, error)), "")


def _span(seconds: float) -> str:
    """A length of time in its two largest units at most: 7s, 3m12s, 5h03m, 2d04h."""
    total = max(int(seconds), 0)
    minutes, rest = divmod(total, 60)
    hours, minutes = divmod(minutes, 60)
    days, hours = divmod(hours, 24)
    if days:
        return f"{days}d{hours:02}h"
    if hours:
        return f"{hours}h{minutes:02}m"
    return f"{minutes}m{rest:02}s" if minutes else f"{rest}s"
