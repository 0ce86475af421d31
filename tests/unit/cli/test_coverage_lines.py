"""What a person sees of a coverage report."""

from dataclasses import replace
from datetime import datetime
from zoneinfo import ZoneInfo

import pytest
from click import unstyle
from support.hostile import HOSTILE, is_harmless

from heldar_mirror.cli.coverage_lines import LISTED, coverage_lines
from heldar_mirror.cli.lines import shown
from heldar_mirror.coverage.report import CameraCoverage, CoverageReport, Finding, FindingKind
from heldar_mirror.coverage.timeline import Reason, State, Stretch
from heldar_mirror.footage.times import UTC, Zone

ZURICH = ZoneInfo("Europe/Zurich")
SINCE = datetime(2026, 11, 24, 12, 0, tzinfo=ZURICH).timestamp()
HOUR = 3600
DAY = 24 * HOUR

Kind = tuple[float, State] | tuple[float, State, Reason]


def camera(camera_id: str, *kinds: Kind) -> CameraCoverage:
    """A camera whose stretches are given by when they end, in hours, and what they are."""
    stretches, begin = [], SINCE
    for hours, *kind in kinds:
        stretches.append(Stretch(begin, SINCE + hours * HOUR, *kind))
        begin = stretches[-1].end
    return CameraCoverage(camera_id, stretches)


WHOLE = camera("gate", (24, State.BOTH))


def report(*cameras: CameraCoverage, problems: tuple[str, ...] = (), hours: float = 24) -> CoverageReport:
    return CoverageReport(SINCE, SINCE + hours * HOUR, 5.0, list(cameras), list(problems))


def lines(made: CoverageReport, width: int = 80, zone: Zone = ZURICH, limit: int | None = LISTED) -> list[str]:
    return [unstyle(line) for line in coverage_lines(made, width, zone, limit)]


def test_the_whole_of_it() -> None:
    """The span, the bars with their axis and legend, the gaps, the longest first, and what else is to be said."""
    gate = camera(
        "gate",
        (2, State.NEITHER, Reason.EXPIRED),
        (14.5, State.BOTH),
        (14.75, State.NEITHER),
        (20, State.BOTH),
        (23, State.ONLY_MIRROR),
        (24, State.BOTH),
    )
    gate.hidden = {"primary": 4.0, "mirror": 0.0}
    path = "/var/lib/heldar/recordings/gate/20261125_"
    gate.findings = [
        Finding(
            FindingKind.NOT_ON_DISK,
            ((SINCE + 20 * HOUR, SINCE + 23 * HOUR),),
            180,
            f"{path}0700.mp4",
            f"{path}0959.mp4",
        )
    ]
    yard = camera(
        "yard", (10, State.ONLY_MIRROR, Reason.NOT_WANTED), (23.5, State.AT_LEAST_MIRROR), (24, State.UNKNOWN)
    )
    yard.problems = ["the primary is not readable"]
    assert lines(report(gate, yard, problems=("the disk hangs",))) == [
        "2026-11-24 12:00:00+01:00 to 2026-11-25 12:00:00+01:00, 1d00h",
        "camera  |12:00   |16:00   |20:00    |11-25   |04:00   |08:00        both     any",
        "gate    ·····████████████████████████████XX███████████▄▄▄▄▄▄▄▄██   78.1%   90.6%",
        "yard    ▂▂▂▂▂▂▂▂▂▂▂▂▂▂▂▂▂▂▂▂▂▂▂mmmmmmmmmmmmmmmmmmmmmmmmmmmmmmm??       ?  ≥97.9%",
        "█ both  · neither, no gap  ▂ only mirror, no gap",
        "m mirror; the primary could not be read  ? could not be read  ▄ only mirror",
        "X neither",
        "",
        "camera  kept by     gap  from                       to",
        "gate    mirror    3h00m  2026-11-25 08:00:00+01:00  11:00:00",
        "gate    neither  15m00s  2026-11-25 02:30:00+01:00  02:45:00",
        "2 gaps in 1 of 2 cameras: only mirror 3h00m, neither 15m00s",
        "not counted as a gap: neither, expired: 2h00m; only mirror, not wanted: 10h00m",
        "not counted as a gap, since shorter than 5 s: primary: 4s",
        "could not be read: at least mirror: 13h30m; unknown: 30m00s",
        (
            "gate: indexed, and not on the disk: 180 segments, 2026-11-25 08:00:00+01:00 to 2026-11-25 11:00:00+01:00: "
            f"{path}0700.mp4 to 20261125_0959.mp4"
        ),
        "! yard: the primary is not readable",
        "! the disk hangs",
    ]


def test_all_is_well() -> None:
    """It is said, and in how many cameras."""
    assert lines(report(WHOLE, replace(WHOLE, camera_id="yard")))[1:] == [
        "camera  |12:00   |16:00   |20:00    |11-25   |04:00   |08:00        both     any",
        f"gate    {'█' * 56}    100%    100%",
        f"yard    {'█' * 56}    100%    100%",
        "█ both",
        "no gap in 2 cameras",
    ]


def test_nothing_to_look_at() -> None:
    """Without a camera there is no span and no bar."""
    assert lines(report(problems=("it hangs",))) == ["there is no camera to look at", "! it hangs"]


def test_what_could_not_be_read_is_no_gap_and_not_all_well() -> None:
    """Nobody takes it for either."""
    shown_lines = lines(report(camera("gate", (24, State.UNKNOWN)), problems=("it hangs",)))
    assert shown_lines[2] == f"gate    {'?' * 56}       ?       ?"
    assert shown_lines[4] == "no gap is known in 1 camera, but see below"


def test_a_share_is_never_rounded_up_to_all() -> None:
    """A hole of a second in a month shows in the numbers as well."""
    hours = 30 * 24
    gappy = camera("gate", (hours - 1 / HOUR, State.BOTH), (hours, State.ONLY_PRIMARY))
    assert lines(report(gappy, hours=hours), 60)[2] == f"gate    {'█' * 35}▀   99.9%    100%"


def test_times_of_gaps() -> None:
    """What is the same of both ends stands there once."""
    gaps = camera(
        "gate",
        (13, State.ONLY_MIRROR),
        (14, State.BOTH),
        (15, State.ONLY_PRIMARY),
        (16, State.BOTH),
        (40 * 24, State.NEITHER),
    )
    made = report(gaps, hours=40 * 24)
    assert [line.split("  ")[-2:] for line in lines(made)[6:9]] == [
        ["2026-11-25 04:00:00+01:00", "2027-01-03 12:00:00+01:00"],
        ["2026-11-24 12:00:00+01:00", "11-25 01:00:00"],
        ["2026-11-25 02:00:00+01:00", "03:00:00"],
    ]
    assert lines(made, zone=UTC)[8].split("  ")[-2:] == ["2026-11-25 01:00:00Z", "02:00:00"]


def test_the_clock_was_put_back() -> None:
    """The offset shows which of two equal times is meant."""
    begin = datetime(2026, 10, 25, 2, 30, tzinfo=ZURICH).timestamp()
    made = CoverageReport(
        begin, begin + 2 * HOUR, 5.0, [CameraCoverage("gate", [Stretch(begin, begin + HOUR, State.NEITHER)])]
    )
    assert lines(made)[6].endswith("2026-10-25 02:30:00+02:00  2026-10-25 02:30:00+01:00")


def test_why_the_primary_has_none() -> None:
    """A gap at a time that the primary did not want is marked."""
    gaps = camera("gate", (1, State.NEITHER, Reason.NOT_WANTED), (3, State.NEITHER), (24, State.BOTH))
    assert [line.split("  ")[-1] for line in lines(report(gaps), 100)[5:8]] == [
        "by the primary",
        "15:00:00",
        "not wanted",
    ]


def test_many_gaps() -> None:
    """The longest are listed, unless all are asked for."""
    kinds = [(n / 2, State.NEITHER if n % 2 else State.BOTH) for n in range(1, 97)]
    made = report(camera("gate", *kinds), hours=48)
    assert lines(made)[5 + LISTED + 1] == "… and 28 more; --all shows them"
    assert len(lines(made, limit=None)) == len(lines(made)) + 27
    assert "--all" not in "".join(lines(made, limit=None))


def test_many_notes_and_problems() -> None:
    """Those of a thousand cameras do not push the bars out of sight."""
    cameras = [replace(WHOLE, camera_id=f"cam{n}", notes=["damaged"], problems=["unread"]) for n in range(1000)]
    shown_lines = lines(report(*cameras))
    for text in ("cam19: damaged", "! cam19: unread"):
        assert shown_lines[shown_lines.index(text) + 1] == "… and 980 more; --all shows them"
    assert "! cam999: unread" in lines(report(*cameras), limit=None)


@pytest.mark.parametrize("width", [40, 60, 80, 120, 200])
@pytest.mark.parametrize("count", [1, 3, 1000])
def test_the_bars_fit_the_width(width: int, count: int) -> None:
    """Also with long names, which are folded, and with a thousand cameras, below which the axis stands again."""
    names = [f"camera_{number}_{'x' * (number % 90)}" for number in range(count)]
    made = report(*(replace(WHOLE, camera_id=name) for name in names))
    shown_lines = lines(made, width)
    assert all(len(line) <= max(width, 62) for line in shown_lines)
    assert all(len(line) <= width for line in shown_lines[1:])
    assert sum("█" in line for line in shown_lines) == count + 1
    assert sum(line.startswith("camera  ") for line in shown_lines) == (2 if count == 1000 else 1)


def test_no_line_holds_more_than_text_and_our_colours() -> None:
    """Names, paths and errors of others can't move the cursor, change a colour, or begin a line."""
    bad = camera(HOSTILE, (23, State.NEITHER), (24, State.UNKNOWN))
    bad.findings = [Finding(FindingKind.ELSEWHERE, ((SINCE, SINCE + 1),), 2, HOSTILE, HOSTILE)]
    bad.problems = [HOSTILE]
    for line in coverage_lines(report(bad, problems=(HOSTILE,)), 80, None):
        assert is_harmless(shown(line)), shown(line)
