"""What a comparison means for a segment, and how that is remembered."""

from collections import Counter
from typing import Any

import pytest

from heldar_mirror.verify.comparison import Comparison, Jump, Run, TrackComparison, Verdict
from heldar_mirror.verify.findings import MOST_RUNS, Finding, Kept, Kind, decode, encode, judge, shortened, unreadable
from heldar_mirror.verify.outcomes import Outcome

BEGUN = 1000
ALWAYS = Kept(0, 0)


def comparison(verdict: Verdict = Verdict.COMPARED, /, *, handler: str = "vide", **track: Any) -> Comparison:
    return Comparison(BEGUN, [TrackComparison(handler, verdict, **track)], primary=[990, 1050])


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
