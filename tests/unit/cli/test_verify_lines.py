"""What `verify` prints for a person, and its exit codes."""

import time
from collections import Counter
from dataclasses import replace

import click
import pytest
from support.examples import settings
from support.hostile import HOSTILE, is_harmless

from heldar_mirror.cli.verify import FAR, report_lines, span
from heldar_mirror.footage.times import UTC
from heldar_mirror.verify.findings import Finding, Kind
from heldar_mirror.verify.memory import Standing
from heldar_mirror.verify.outcomes import Level
from heldar_mirror.verify.report import CameraReport, Report, Spent
from heldar_mirror.verify.run import End

BEGUN = 1_795_900_000


def report(*cameras: CameraReport, end: End = End.DONE, problems: tuple[str, ...] = ()) -> Report:
    return Report(Level.PACKETS, end, Spent(60, 2 << 30, 1 << 30), list(cameras), list(problems))


def camera(*findings: Finding, flaws: tuple[str, ...] = (), **standing: int) -> CameraReport:
    whole = {"segments": 10, "bytes": 4 << 30, "proven": 9, "proven_bytes": 3 << 30, "oldest": int(time.time())}
    found = {BEGUN: list(findings)} if findings else {}
    return CameraReport(
        "gate", Standing(**(whole | standing)), Counter(looked_at=3, identical=4000), found, list(flaws)
    )


def lines(found: Report, width: int = 200) -> list[str]:
    return list(report_lines(found, settings(HELDAR_MIRROR_RECORDINGS_DIR="/mnt/mirror"), UTC, width))


def test_a_finding_is_a_line_with_its_path_and_its_time() -> None:
    """In words. What is longer than a second has two times."""
    (one, two, three) = (
        Finding(Kind.DIFFERENT, "mirror", BEGUN, BEGUN + 5.0, BEGUN + 5.0, 1, "vide"),
        Finding(Kind.ONLY_PRIMARY, "primary", BEGUN, BEGUN + 5.0, BEGUN + 9.0, 1200, "soun"),
        Finding(Kind.DAMAGED, "mirror", BEGUN, reason="expected a box, at byte 7"),
    )
    text = "\n".join(lines(report(camera(one, two, three, flaws=("000041_2026-11-28.SHA256SUMS: lost",)))))
    assert "/mnt/mirror/gate/20261128_210640.mp4: 1 packet of picture different, 2026-11-28 21:06:45Z" in text
    assert (
        "recordings/gate/20261128_210640.mp4: 1,200 packets of sound only in the primary, 2026-11-28 21:06:45Z to "
        "2026-11-28 21:06:49Z" in text
    )
    assert "/mnt/mirror/gate/20261128_210640.mp4: damaged: expected a box, at byte 7" in text
    assert "/mnt/mirror/.manifests/gate/000041_2026-11-28.SHA256SUMS: lost" in text.splitlines()[2]


def test_a_finding_of_several_segments_is_one_line() -> None:
    """As of a file of the primary that can't be read."""
    one = Finding(Kind.UNREADABLE, "primary", BEGUN, reason="Permission denied")
    assert sum("Permission denied" in line for line in lines(report(camera(one, one)))) == 1


def test_what_goes_on_from_segment_to_segment_is_one_line() -> None:
    """Such as a day without sound. What is apart stays so."""
    found = camera()
    for begun in (BEGUN, BEGUN + 60, BEGUN + 120, BEGUN + 300):
        found.findings[begun] = [
            Finding(Kind.ONLY_MIRROR, "mirror", begun, begun, begun + 59.9, 600, "soun", "a reason")
        ]
    one, other = (line for line in lines(report(found)) if "only in the mirror" in line)
    assert click.unstyle(one) == (
        "/mnt/mirror/gate/20261128_210640.mp4 to 20261128_210840.mp4: 1,800 packets of sound only in the mirror, "
        "2026-11-28 21:06:40Z to 2026-11-28 21:09:39Z: a reason"
    )
    assert "gate/20261128_211140.mp4: 600 packets" in other


def test_a_narrow_terminal_shows_no_columns_of_zeros() -> None:
    """Those that say something are shown in any case."""
    wide, narrow = (lines(report(camera()), width)[0] for width in (200, 80))
    assert "only primary" in wide
    assert "looked at  identical  proven" in narrow


def test_it_says_how_far_it_is() -> None:
    """And how many runs get round, if the budget has ended this one."""
    text = "\n".join(lines(report(camera(), end=End.BUDGET)))
    assert "75.0% of 4.0 GiB are proven, the oldest 0s ago" in text
    assert "looked at 1.0 GiB and read 2.0 GiB in 1m00s; the budget is spent" in text
    assert "a whole round takes 4.0 runs like this one" in text
    assert "a whole round" not in "\n".join(lines(report(camera())))
    text = "\n".join(lines(report(camera(nothing_there=3, unrelated=7, proven=0))))
    assert "3 segments can't be compared: the primary has nothing of that time" in text
    assert "gate: 7 segments are not comparable: the primary has footage of that time" in text
    text = "\n".join(lines(replace(report(camera(nothing_there=1)), level=Level.FILES)))
    assert "1 segment can't be compared: in no manifest, since older than all that are listed" in text
    assert "no segment of the mirror is of that time" in "\n".join(lines(report()))
    assert "no segment of the mirror" not in "\n".join(lines(report(problems=("the primary is not there",))))


def test_names_and_reasons_of_others_can_do_nothing_to_a_terminal() -> None:
    """They are printed as they are printable."""
    found = report(camera(Finding(Kind.UNREADABLE, "mirror", BEGUN, reason=HOSTILE)), problems=(HOSTILE,))
    assert all(map(is_harmless, lines(found)))


@pytest.mark.parametrize(
    ("found", "code"),
    [
        (report(), 0),
        (report(camera()), 0),
        (report(camera(Finding(Kind.DIFFERENT, "mirror", BEGUN))), 1),
        (report(camera(flaws=("lost",)), problems=("cannot read",)), 1),
        (report(camera(Finding(Kind.UNREADABLE, "mirror", BEGUN))), 8),
        (report(camera(), problems=("cannot read",), end=End.LOST), 8),
        (report(camera(), end=End.BUDGET), 0),
        (report(camera(), end=End.INTERRUPTED), 130),
        (report(camera(Finding(Kind.DIFFERENT, "mirror", BEGUN)), end=End.INTERRUPTED), 1),
    ],
)
def test_exit_codes(found: Report, code: int) -> None:
    """A difference counts more than what could not be read, and that more than an interruption."""
    assert found.exit_code == code
    assert found.to_json()["well"] == (code == 0)


def test_a_span_is_that_of_beginnings() -> None:
    """Without limits it is all time."""
    assert span(None, None, BEGUN, UTC) == (0, FAR)
    assert span("2h", None, BEGUN, UTC) == (BEGUN - 7200, FAR)
    assert span(None, "1h", BEGUN, UTC) == (0, BEGUN - 3601)
    assert span("2h", "1h", BEGUN + 0.5, UTC) == (BEGUN - 7199, BEGUN - 3600)
