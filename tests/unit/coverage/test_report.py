"""What a coverage report adds up to, and what it means for the exit code."""

import json

import pytest

from heldar_mirror.coverage.report import CameraCoverage, CoverageReport, Finding, FindingKind
from heldar_mirror.coverage.timeline import Reason, State, Stretch

WELL = CameraCoverage("a", [Stretch(0, 50, State.BOTH), Stretch(50, 100, State.ONLY_MIRROR, Reason.EXPIRED)])
HOLE = CameraCoverage("b", [Stretch(0, 40, State.BOTH), Stretch(40, 70, State.NEITHER), Stretch(70, 100, State.BOTH)])
HUNG = CameraCoverage("c", [Stretch(0, 100, State.AT_LEAST_MIRROR)])
ODD = CameraCoverage("d", [Stretch(0, 100, State.BOTH)], problems=["a row has no time"])
FOUND = CameraCoverage(
    "e", [Stretch(0, 100, State.BOTH)], [Finding(FindingKind.NOT_ON_DISK, ((0, 60),), 1, "e/1.mp4", "e/1.mp4")]
)


def report(*cameras: CameraCoverage, problems: tuple[str, ...] = ()) -> CoverageReport:
    return CoverageReport(0, 100, 5, list(cameras), list(problems))


@pytest.mark.parametrize(
    ("made", "code"),
    [
        (report(), 0),
        (report(WELL), 0),
        (report(WELL, HOLE), 1),
        (report(WELL, HUNG), 8),
        (report(HUNG, HOLE), 1),
        (report(WELL, ODD), 8),
        (report(WELL, FOUND), 1),
        (report(WELL, problems=("the database can't be read",)), 8),
        (report(HOLE, problems=("the database can't be read",)), 1),
    ],
)
def test_the_exit_code_tells_gaps_from_what_could_not_be_read(made: CoverageReport, code: int) -> None:
    assert made.exit_code == code
    assert made.to_json()["well"] is (code == 0)


def test_totals_add_up() -> None:
    made = report(WELL, HOLE)
    assert made.totals == {State.BOTH: 120, State.ONLY_MIRROR: 50, State.NEITHER: 30}
    assert HOLE.totals == {State.BOTH: 70, State.NEITHER: 30}
    assert WELL.explained == {State.ONLY_MIRROR: {Reason.EXPIRED: 50}}


def test_the_longest_gap_comes_first() -> None:
    """Gaps of one length come in the order of time, and then of the cameras."""
    one = CameraCoverage("z", [Stretch(0, 10, State.NEITHER), Stretch(10, 40, State.ONLY_PRIMARY)])
    two = CameraCoverage("y", [Stretch(0, 10, State.NEITHER), Stretch(10, 20, State.NEITHER, Reason.EXPIRED)])
    assert report(one, two, WELL).gaps() == [
        ("z", Stretch(10, 40, State.ONLY_PRIMARY)),
        ("y", Stretch(0, 10, State.NEITHER)),
        ("z", Stretch(0, 10, State.NEITHER)),
    ]


def test_the_json_is_plain() -> None:
    """Names and not members of enumerations, and every field that the documentation names."""
    made = json.loads(json.dumps(report(WELL, FOUND).to_json()))
    assert made["version"] == 1
    assert made["totals"] == {"both": 150, "only mirror": 50}
    well, found = made["cameras"]
    assert well["explained"] == {"only mirror": {"expired": 50}}
    assert well["stretches"][1] == {
        "begin": 50,
        "end": 100,
        "state": "only mirror",
        "reason": "expired",
        "is_gap": False,
    }
    assert found["findings"] == [
        {"kind": "indexed, and not on the disk", "spans": [[0, 60]], "count": 1, "first": "e/1.mp4", "last": "e/1.mp4"}
    ]
