"""What `heldar-mirror coverage` prints: bars with an axis, the gaps, and what else was found."""

import math
from collections.abc import Iterator, Sequence

from heldar_mirror.cli.axis import Scale, axis
from heldar_mirror.cli.bars import ROUNDING, Mark, bar, cells, legend
from heldar_mirror.cli.lines import Styled, style
from heldar_mirror.cli.table import GUTTER, aligned, folded
from heldar_mirror.coverage.report import UNSURE, CameraCoverage, CoverageReport, Finding
from heldar_mirror.coverage.timeline import State, Stretch
from heldar_mirror.footage.times import Zone, shown_time
from heldar_mirror.units import shown_span

# Without `--all`, no more lines of each kind are shown below the bars.
LISTED = 20

# With more cameras the head stands below the bars as well.
SCREEN_CAMERAS = 20

# A narrower bar, on a very narrow terminal, would show nothing.
MIN_BAR = 10

# Shorter sums are left out. With a retention of 24 hours, as long as the default span, there are some.
SHOWN_SECONDS = 1.0


def coverage_lines(report: CoverageReport, width: int, zone: Zone, limit: int | None = LISTED) -> Iterator[str]:
    """Yield a bar for each camera, the gaps, the longest first, then what else is to be said, and the problems.

    At most `limit` lines of each kind are shown below the bars, or all if it is None.
    """
    if report.cameras:
        whole = shown_span(report.until - report.since)
        yield f"{shown_time(report.since, zone)} to {shown_time(report.until, zone)}, {whole}"
        yield from _bars(report, width, zone)
    gaps = report.gaps()
    yield from _gap_table(gaps[:limit], width, zone)
    yield from _more(len(gaps), limit)
    yield _summary(report, gaps)
    yield from (style(text, dim=True) for text in _notes(report))
    for lines in (
        [
            style(f"{each.camera_id}: {_finding(found, zone)}", "yellow")
            for each in report.cameras
            for found in each.findings
        ],
        [style(f"{each.camera_id}: {note}", dim=True) for each in report.cameras for note in each.notes],
        [style(f"! {each.camera_id}: {problem}", "red") for each in report.cameras for problem in each.problems],
    ):
        yield from lines[:limit]
        yield from _more(len(lines), limit)
    yield from (style(f"! {problem}", "red") for problem in report.problems)


def _more(number: int, limit: int | None) -> Iterator[str]:
    if limit is not None and number > limit:
        yield style(f"… and {number - limit:,} more; --all shows them", dim=True)


def _bars(report: CoverageReport, width: int, zone: Zone) -> Iterator[str]:
    """Yield the bars, with an axis above them and a legend below."""
    longest = max(len(camera.camera_id) for camera in report.cameras)
    first = max(min(longest, width // 4), len("camera"))
    shares = f"{GUTTER}{{:>6}}{GUTTER}{{:>6}}"
    size = max(width - first - len(GUTTER) - len(shares.format("", "")), MIN_BAR)
    times = axis(Scale(report.since, report.until, zone, size))
    head = style(f"{'camera':{first}}{GUTTER}{times:{size}}{shares.format('both', 'any')}", bold=True)
    met = {Mark.BOTH}
    yield head
    for camera in report.cameras:
        marks = cells(camera.stretches, report.since, report.until, size)
        met.update(marks)
        name, *rest = folded(camera.camera_id, first)
        yield Styled(f"{name}{GUTTER}{bar(marks)}{shares.format(*_shares(camera, report))}")
        yield from rest
    if len(report.cameras) > SCREEN_CAMERAS:
        yield head
    yield from legend(met, width)


def _shares(camera: CameraCoverage, report: CoverageReport) -> tuple[str, str]:
    """Return for how much of the time both sides have footage, and for how much any of them has some."""
    totals = camera.totals
    whole, unknown = report.until - report.since, totals.get(State.UNKNOWN, 0)
    one_known = totals.get(State.AT_LEAST_PRIMARY, 0) + totals.get(State.AT_LEAST_MIRROR, 0)
    of_any = whole - totals.get(State.NEITHER, 0) - unknown
    return _percent(totals.get(State.BOTH, 0), whole, unknown + one_known), _percent(of_any, whole, unknown)


def _percent(part: float, whole: float, unknown: float) -> str:
    """Return a share in per cent. It is rounded down, so that 100% means all of it."""
    if unknown and not part:
        return "?"
    share = part / whole + ROUNDING
    text = "100%" if share >= 1 else f"{math.floor(share * 1000) / 10:.1f}%"
    return f"≥{text}" if unknown else text


def _gap_table(gaps: Sequence[tuple[str, Stretch]], width: int, zone: Zone) -> Iterator[str]:
    if not gaps:
        return
    yield ""
    head, sides = ["camera", "kept by", "gap", "from", "to"], "<<><<"
    rows = [
        [name, gap.state.value.removeprefix("only "), shown_span(gap.end - gap.begin), *_from_to(gap, zone)]
        for name, gap in gaps
    ]
    if any(gap.reason for _, gap in gaps):
        head, sides = [*head, "by the primary"], f"{sides}<"
        rows = [[*row, gap.reason.value if gap.reason else ""] for row, (_, gap) in zip(rows, gaps, strict=True)]
    yield from aligned(head, sides, rows, width)


def _from_to(gap: Stretch, zone: Zone) -> tuple[str, str]:
    """Return when a gap begins, and when it ends, without what is the same of both."""
    begin, end = shown_time(gap.begin, zone), shown_time(gap.end, zone)
    if begin[19:] != end[19:] or begin[:4] != end[:4]:
        return begin, end
    return begin, end[11:19] if begin[:10] == end[:10] else end[5:19]


def _summary(report: CoverageReport, gaps: Sequence[tuple[str, Stretch]]) -> str:
    """Return the line that says how many gaps there are, and of how many cameras."""
    cameras = len(report.cameras)
    if not cameras:
        return style("there is no camera to look at", bold=True)
    if gaps:
        lengths = {state: sum(gap.end - gap.begin for _, gap in gaps if gap.state is state) for state in State}
        parts = ", ".join(f"{state.value} {shown_span(seconds)}" for state, seconds in lengths.items() if seconds)
        gappy = len({name for name, _ in gaps})
        return style(
            f"{_count(len(gaps), 'gap')} in {gappy:,} of {_count(cameras, 'camera')}: {parts}", "red", bold=True
        )
    if report.exit_code:
        return style(f"no gap is known in {_count(cameras, 'camera')}, but see below", "yellow", bold=True)
    return style(f"no gap in {_count(cameras, 'camera')}", "green", bold=True)


def _notes(report: CoverageReport) -> Iterator[str]:
    """Yield what is missing and no gap, and what could not be read, in sums over all cameras."""
    meant: dict[str, float] = {}
    holes: dict[str, float] = {}
    for camera in report.cameras:
        for stretch in camera.stretches:
            if stretch.reason and not stretch.is_gap:
                what = f"{stretch.state.value}, {stretch.reason.value}"
                meant[what] = meant.get(what, 0) + stretch.end - stretch.begin
        for side, seconds in camera.hidden.items():
            holes[side] = holes.get(side, 0) + seconds
    unsure = {state.value: report.totals.get(state, 0.0) for state in UNSURE}
    for title, sums in (
        ("not counted as a gap", meant),
        (f"not counted as a gap, since shorter than {report.min_gap:g} s", holes),
        ("could not be read", unsure),
    ):
        if parts := [f"{name}: {shown_span(seconds)}" for name, seconds in sums.items() if seconds >= SHOWN_SECONDS]:
            yield f"{title}: {'; '.join(parts)}"


def _finding(found: Finding, zone: Zone) -> str:
    """Return a finding in a line."""
    times = f"{shown_time(found.spans[0][0], zone)} to {shown_time(found.spans[-1][1], zone)}"
    paths = found.first if found.count == 1 else f"{found.first} to {found.last.rpartition('/')[2]}"
    return f"{found.kind.value}: {_count(found.count, 'segment')}, {times}: {paths}"


def _count(number: int, what: str) -> str:
    return f"{number:,} {what}{'' if number == 1 else 's'}"
