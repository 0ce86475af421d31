"""What a comparison means for a segment, and how that is remembered."""

from collections import Counter
from dataclasses import replace
from typing import Any

import pytest

from heldar_mirror.verify.comparison import Comparison, Jump, Run, TrackComparison, Verdict
from heldar_mirror.verify.findings import (
    MOST_RUNS,
    Finding,
    Kept,
    Kind,
    decode,
    encode,
    joined,
    judge,
    shortened,
    unreadable,
)
from heldar_mirror.verify.outcomes import Outcome

BEGUN = 1000
ALWAYS = Kept(0, 0)


def comparison(verdict: Verdict = Verdict.COMPARED, /, **track: Any) -> Comparison:
    return Comparison(BEGUN, [TrackComparison(**{"handler": "vide", "verdict": verdict} | track)], primary=[990, 1050])


def test_identical_packets_are_a_proof() -> None:
    """They are counted."""
    judged = judge(comparison(identical=9), ALWAYS, [])
    assert judged == (Outcome.PROVEN, Counter(looked_at=1, identical=9), [])


@pytest.mark.parametrize(
    ("track", "kind", "side", "begun"),
    [
        ({"differ": [Run(1010, 1011, 2)]}, Kind.DIFFERENT, "mirror", BEGUN),
        ({"only_mirror": [Run(1010, 1011, 2)]}, Kind.ONLY_MIRROR, "mirror", BEGUN),
        ({"only_primary": [Run(1049, 1049, 2)]}, Kind.ONLY_PRIMARY, "primary", 990),
        ({"only_primary": [Run(1050, 1051, 2)]}, Kind.ONLY_PRIMARY, "primary", 1050),
        ({"jumps": [Jump(1010, -2.5)]}, Kind.TIME_JUMPS, "mirror", BEGUN),
    ],
)
def test_what_differs_is_a_finding_with_its_file(track: dict[str, Any], kind: Kind, side: str, begun: int) -> None:
    """That of the primary for what only the primary has."""
    outcome, counts, (finding,) = judge(comparison(identical=9, **track), ALWAYS, [])
    assert outcome is Outcome.DIFFERENT
    assert (finding.kind, finding.side, finding.begun, finding.track) == (kind, side, begun, "vide")
    assert counts.total() == 10 + finding.packets


def test_what_has_expired_is_no_finding() -> None:
    """What the primary has deleted can't be compared, and what the pruner has deleted need not be."""
    kept = Kept(primary=1010, mirror=1010)
    assert judge(comparison(identical=9, only_mirror=[Run(1000, 1009, 5)]), kept, []) == (
        Outcome.NOTHING_THERE,
        Counter(looked_at=1, identical=9, nothing_there=1),
        [],
    )
    assert judge(comparison(identical=9, only_primary=[Run(1000, 1009, 5)]), kept, []).outcome is Outcome.PROVEN
    assert judge(comparison(only_mirror=[Run(1020, 1029, 5)]), kept, []).outcome is Outcome.DIFFERENT
    assert judge(comparison(only_primary=[Run(1020, 1029, 5)]), kept, [1005]).outcome is Outcome.DIFFERENT
    assert judge(comparison(identical=1), kept, [1005]).outcome is Outcome.PROVEN
    (hole,) = judge(comparison(identical=1), kept, [1015, 1020]).findings
    assert (hole.kind, hole.begun, hole.reason[:11]) == (Kind.ONLY_PRIMARY, 1015, "2 segments,")


@pytest.mark.parametrize("verdict", [Verdict.COMPARED, Verdict.NOT_IN_PRIMARY, Verdict.NO_COUNTERPART])
def test_what_reaches_beyond_what_has_expired_is_a_finding(verdict: Verdict) -> None:
    """As a file without sound on one side, of which one part is older than what that side keeps."""
    kept = Kept(primary=1010, mirror=1010)
    for side in ("only_mirror", "only_primary"):
        judged = judge(comparison(verdict, **{side: [Run(1000, 1059, 600)]}), kept, [])
        assert judged.outcome is Outcome.DIFFERENT
        (finding,) = judged.findings
        assert (finding.begin, finding.end, finding.packets) == (1000, 1059, 600)
        # Fewer than eight packets beyond the edge may be on both sides, and were not found.
        assert judge(comparison(verdict, **{side: [Run(1000, 1018, 19)]}), kept, []).findings == []


@pytest.mark.parametrize("offset", [-20.0, 20.0])
def test_each_side_has_expired_by_its_own_clock(offset: float) -> None:
    """The primary's names are ahead by the offset."""
    kept = Kept(primary=1060 + offset, mirror=1060)
    (ours, theirs) = [Run(1000, 1059, 600)], [Run(1000 + offset, 1059 + offset, 600)]
    judged = judge(comparison(identical=9, only_mirror=ours, only_primary=theirs, offset=offset), kept, [])
    assert judged.findings == []
    kept = Kept(primary=1030 + offset, mirror=1030)
    judged = judge(comparison(identical=9, only_mirror=ours, only_primary=theirs, offset=offset), kept, [])
    assert len(judged.findings) == 2


@pytest.mark.parametrize(("verdict", "side"), [(Verdict.NOT_IN_PRIMARY, "primary"), (Verdict.NOT_IN_MIRROR, "mirror")])
def test_a_track_that_one_side_does_not_record_is_a_finding_with_its_reason(verdict: Verdict, side: str) -> None:
    other = {"primary": "only_mirror", "mirror": "only_primary"}[side]
    (finding,) = judge(comparison(verdict, handler="soun", **{other: [Run(1000, 1059, 600)]}), ALWAYS, []).findings
    assert finding.reason == f"the {side} records none"


def test_findings_that_go_on_in_the_next_segment_are_joined() -> None:
    """By their kind, side and track, if no time lies between them."""

    def lacking(begun: int, begin: float, end: float, handler: str = "soun", reason: str = "") -> Finding:
        return Finding(Kind.ONLY_MIRROR, "mirror", begun, begin, end, 10, handler, reason)

    damaged = Finding(Kind.DAMAGED, "mirror", 60, reason="expected a box")
    found = {
        0: [lacking(0, 1, 2), lacking(0, 4, 59)],  # two of one segment stay apart
        60: [damaged, lacking(60, 60, 119, reason="why"), lacking(60, 60, 119, "vide")],
        120: [lacking(120, 120, 130), lacking(120, 150, 179)],
        180: [lacking(180, 190, 239)],
        240: [lacking(240, 240, 299, "vide")],
    }
    assert joined(found) == [
        (lacking(0, 1, 2), 0),
        (replace(lacking(0, 4, 130, reason="why"), packets=30), 120),
        (damaged, 60),
        (lacking(60, 60, 119, "vide"), 60),
        (lacking(120, 150, 179), 120),
        (lacking(180, 190, 239), 180),
        (lacking(240, 240, 299, "vide"), 240),
    ]
    assert sum(each.packets for each, _ in joined(found)) == 80


@pytest.mark.parametrize(
    ("verdict", "outcome"),
    [
        (Verdict.NO_COUNTERPART, Outcome.NOTHING_THERE),
        (Verdict.NOT_COMPARABLE, Outcome.UNRELATED),
        (Verdict.ALIKE, Outcome.UNRELATED),
        (Verdict.MATCHES_NOTHING, Outcome.DIFFERENT),
    ],
)
def test_what_can_t_be_compared_is_no_proof(verdict: Verdict, outcome: Outcome) -> None:
    """Only a file that matches nothing, while others do, is a finding."""
    judged = judge(comparison(verdict, unknown_mirror=7), ALWAYS, [])
    assert judged.outcome is outcome
    assert bool(judged.findings) == (outcome is Outcome.DIFFERENT)
    both = comparison(identical=3)
    both.tracks.append(TrackComparison("soun", Verdict.ALIKE, unknown_mirror=7, unknown_primary=7))
    assert judge(both, ALWAYS, []).outcome is Outcome.PROVEN  # silence beside a picture that is proven


def test_what_can_t_be_read_is_apart_from_what_differs() -> None:
    """A difference that was found beside it counts more."""
    found = comparison(identical=3)
    found.unreadable["primary", 990] = "Input/output error"
    assert judge(found, ALWAYS, []).outcome is Outcome.UNREADABLE
    found.damaged["mirror", BEGUN] = "expected a box"
    judged = judge(found, ALWAYS, [])
    assert judged.outcome is Outcome.DIFFERENT
    assert {finding.kind for finding in judged.findings} == {Kind.UNREADABLE, Kind.DAMAGED}
    assert unreadable(BEGUN, "Input/output error").outcome is Outcome.UNREADABLE


def test_findings_are_remembered_as_they_are() -> None:
    """And anything else is no text of ours."""
    findings = [
        Finding(Kind.DIFFERENT, "mirror", BEGUN, 1010.5, 1011.0, 2, "vide"),
        Finding(Kind.DAMAGED, "primary", 990, reason="expected a box"),
    ]
    assert decode(encode(findings)) == findings
    assert encode([]) == ""
    for text in ("", "{", "1", "[1]", '[{"kind": "bad"}]', '[{"kind": "different"}]', '[{"side": "mirror"}]'):
        with pytest.raises(ValueError):  # noqa: PT011 - that of json, or ours
            decode(text)


def test_many_runs_are_shortened() -> None:
    """The last one stands for the rest, and no packet is lost."""
    runs = [Run(at, at + 0.5, 2) for at in range(100)]
    short = shortened(runs)
    assert len(short) == MOST_RUNS
    assert sum(run.packets for run in short) == 200
    assert (short[-1].begin, short[-1].end) == (MOST_RUNS - 1, 99.5)
    assert shortened(runs[:MOST_RUNS]) == runs[:MOST_RUNS]
