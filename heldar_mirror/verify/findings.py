"""What is wrong with a segment of the mirror, in a form that can be remembered and told to a person."""

import json
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from enum import Enum
from typing import Any, NamedTuple

from heldar_mirror.verify.alignment import NEAR_SECONDS, RUN
from heldar_mirror.verify.comparison import Comparison, Run, TrackComparison, Verdict
from heldar_mirror.verify.outcomes import Outcome
from heldar_mirror.verify.windows import SKEW_SECONDS

# What the counts of a run are called, in its table and in JSON. The first four count packets, the others segments.
IDENTICAL, ONLY_PRIMARY, ONLY_MIRROR, DIFFERENT = "identical", "only_primary", "only_mirror", "different"
UNCHANGED, CHANGED = "unchanged", "changed"
NOT_COMPARABLE, UNREADABLE, NOTHING_THERE, LOOKED_AT = "not_comparable", "unreadable", "nothing_there", "looked_at"

# Why all packets of a track are only on one side.
NO_TRACK = {
    Verdict.NOT_IN_PRIMARY: "the primary records none",
    Verdict.NOT_IN_MIRROR: "the mirror records none",
}

# So many findings of one kind are remembered of a track of a segment.
MOST_RUNS = 10


class Kind(str, Enum):
    """What is wrong."""

    DIFFERENT = "different"
    ONLY_PRIMARY = "only in the primary"
    ONLY_MIRROR = "only in the mirror"
    MATCHES_NOTHING = "matches nothing of the primary"
    TIME_JUMPS = "time jumps against the primary"
    DAMAGED = "damaged"
    UNREADABLE = "unreadable"
    # By the manifests.
    CHANGED = "changed since it was listed in a manifest"
    UNLISTED = "not listed in any manifest"
    MISSING = "listed in a manifest, and gone before its time"


@dataclass(frozen=True)
class Finding:
    """Something that is wrong with a segment of the mirror, or with the primary's files of its time.

    `side` and `begun` name the file that it is about: that of the primary for what only the primary has. `begin` and
    `end` are when the first and the last of `packets` begin (Unix seconds, by the names of that side). `track` is
    `vide`, `soun` or the like. `reason` is for a person.
    """

    kind: Kind
    side: str
    begun: int
    begin: float | None = None
    end: float | None = None
    packets: int = 0
    track: str = ""
    reason: str = ""


class Judged(NamedTuple):
    """What came of looking at a segment: the outcome, what was counted, and what is wrong."""

    outcome: Outcome
    counts: Counter[str]
    findings: list[Finding]


# The primary has deleted all that it had of the time of a segment.
NOTHING = Judged(Outcome.NOTHING_THERE, Counter({LOOKED_AT: 1, NOTHING_THERE: 1}), [])


def unreadable(begun: int, reason: str) -> Judged:
    """Return what it means that a segment of the mirror can't be read."""
    finding = Finding(Kind.UNREADABLE, "mirror", begun, reason=reason)
    return Judged(Outcome.UNREADABLE, Counter({LOOKED_AT: 1, UNREADABLE: 1}), [finding])


def compared(findings: list[Finding]) -> Judged:
    """Return what it means that a file was compared as a whole."""
    counts = Counter({LOOKED_AT: 1, CHANGED if findings else UNCHANGED: 1})
    return Judged(Outcome.DIFFERENT if findings else Outcome.PROVEN, counts, findings)


class Kept(NamedTuple):
    """Since when each side keeps a camera's footage (Unix seconds). What is older was deleted in its turn."""

    primary: float
    mirror: float


def judge(comparison: Comparison, kept: Kept, alone: Sequence[int]) -> Judged:
    """Return what a comparison means for a segment. What a side has deleted in its turn is nothing that it lacks.

    `alone` are files of the primary after the segment, and before the next one, at whose time the mirror has none.
    """
    expired = _take_expired(comparison, kept)
    findings = list(_findings(comparison, [each for each in alone if each >= kept.mirror]))
    outcome = _outcome(comparison, findings)
    if expired and outcome is Outcome.PROVEN:
        outcome = Outcome.NOTHING_THERE
    counts = Counter({LOOKED_AT: 1})
    for track in comparison.tracks:
        counts[IDENTICAL] += track.identical
        counts[DIFFERENT] += sum(run.packets for run in track.differ)
        counts[ONLY_PRIMARY] += sum(run.packets for run in track.only_primary)
        counts[ONLY_MIRROR] += sum(run.packets for run in track.only_mirror)
    counts[NOT_COMPARABLE] += outcome is Outcome.UNRELATED
    counts[UNREADABLE] += bool(comparison.unreadable)
    counts[NOTHING_THERE] += outcome is Outcome.NOTHING_THERE
    return Judged(outcome, +counts, findings)


def _take_expired(comparison: Comparison, kept: Kept) -> int:
    """Take out of the tracks what one side has and the other has deleted in its turn.

    Return how many packets of the mirror can't be compared for that.
    """
    # Each side has its times by its own clock.
    offset, expired = max(-SKEW_SECONDS, min(comparison.offset() or 0.0, SKEW_SECONDS)), 0
    for track in comparison.tracks:
        until = kept.mirror + offset + NEAR_SECONDS
        track.only_primary = [run for run in track.only_primary if not _is_older(run, until)]
        until = kept.primary - offset + NEAR_SECONDS
        expired += sum(run.packets for run in track.only_mirror if _is_older(run, until))
        track.only_mirror = [run for run in track.only_mirror if not _is_older(run, until)]
    return expired


def _is_older(run: Run, until: float) -> bool:
    """Return whether packets are older than a time, but for so few that they may not have been found there.

    Packets of a run are about as far from each other.
    """
    seconds = run.end - run.begin
    return run.end < until or (run.begin < until and run.packets * (run.end - until) < RUN * seconds)


def _outcome(comparison: Comparison, findings: list[Finding]) -> Outcome:
    if any(finding.kind is not Kind.UNREADABLE for finding in findings):
        return Outcome.DIFFERENT
    if findings:
        return Outcome.UNREADABLE
    verdicts = {track.verdict for track in comparison.tracks}
    if Verdict.NOT_COMPARABLE in verdicts:
        return Outcome.UNRELATED
    if Verdict.COMPARED in verdicts:
        return Outcome.PROVEN
    return Outcome.UNRELATED if Verdict.ALIKE in verdicts else Outcome.NOTHING_THERE


def _findings(comparison: Comparison, alone: Sequence[int]) -> Iterator[Finding]:
    for kind, files in ((Kind.UNREADABLE, comparison.unreadable), (Kind.DAMAGED, comparison.damaged)):
        for (side, begun), reason in files.items():
            yield Finding(kind, side, begun, reason=reason)
    for track in comparison.tracks:
        yield from _track_findings(comparison, track)
    if alone:
        reason = f"{len(alone)} segments, at whose time the mirror has none"
        yield Finding(Kind.ONLY_PRIMARY, "primary", alone[0], alone[0], alone[-1], reason=reason)


def _track_findings(comparison: Comparison, track: TrackComparison) -> Iterator[Finding]:
    mirror, handler = comparison.begun, track.handler
    if track.verdict is Verdict.MATCHES_NOTHING:
        packets = track.unknown_mirror + sum(run.packets for run in track.only_mirror)
        begin, end = (track.only_mirror[0].begin, track.only_mirror[-1].end) if track.only_mirror else (None, None)
        yield Finding(Kind.MATCHES_NOTHING, "mirror", mirror, begin, end, packets, handler)
        return
    reason = NO_TRACK.get(track.verdict, "")
    for kind, runs in ((Kind.DIFFERENT, track.differ), (Kind.ONLY_MIRROR, track.only_mirror)):
        for run in shortened(runs):
            yield Finding(kind, "mirror", mirror, *run, handler, reason)
    for run in shortened(track.only_primary):
        # Its packets are of the last file that was begun by then.
        begun = max((each for each in comparison.primary if each <= run.begin), default=int(run.begin))
        yield Finding(Kind.ONLY_PRIMARY, "primary", begun, *run, handler, reason)
    for jump in track.jumps[:MOST_RUNS]:
        reason = f"by {jump.seconds:+.1f} s"
        yield Finding(Kind.TIME_JUMPS, "mirror", mirror, jump.at, jump.at, track=handler, reason=reason)


def shortened(runs: Sequence[Run]) -> list[Run]:
    """Return at most MOST_RUNS runs. The last one stands for all the rest, if there are more."""
    if len(runs) <= MOST_RUNS:
        return list(runs)
    rest = runs[MOST_RUNS - 1 :]
    return [*runs[: MOST_RUNS - 1], Run(rest[0].begin, rest[-1].end, sum(run.packets for run in rest))]


def joined(findings: Mapping[int, Iterable[Finding]]) -> list[tuple[Finding, int]]:
    """Return the findings of a camera's segments, with those put together that go on in the next segment.

    Each is given with when its last file begins. So a day without sound on one side is one finding, and not 1,440.
    """
    made: list[tuple[Finding, int]] = []
    latest: dict[tuple[Kind, str, str], tuple[int, int]] = {}
    for segment, own in findings.items():
        for each in own:
            key = each.kind, each.side, each.track
            before, number = latest.get(key, (segment, 0))
            if before != segment and _goes_on(made[number][0], each):
                made[number] = _put_together(made[number][0], each)
            else:
                number = len(made)
                made.append((each, each.begun))
            latest[key] = segment, number
    return made


def _goes_on(one: Finding, other: Finding) -> bool:
    if one.end is None or other.begin is None or not one.packets:
        return False
    return abs(other.begin - one.end) <= NEAR_SECONDS


def _put_together(one: Finding, other: Finding) -> tuple[Finding, int]:
    packets, reason = one.packets + other.packets, one.reason or other.reason
    return replace(one, end=other.end, packets=packets, reason=reason), other.begun


def encode(findings: Iterable[Finding]) -> str:
    """Return findings as the text that is remembered."""
    rows = [
        {name: value for name, value in asdict(each).items() if value not in (None, 0, "")} | {"kind": each.kind.value}
        for each in findings
    ]
    return json.dumps(rows) if rows else ""


def decode(text: str) -> list[Finding]:
    """Return the findings in such a text. Raises ValueError for any other one."""
    try:
        return [Finding(**{**row, "kind": Kind(row["kind"])}) for row in json.loads(text)]
    except (TypeError, KeyError, RecursionError) as error:
        raise ValueError(f"no findings: {error}") from None


def to_json(finding: Finding) -> dict[str, Any]:
    """Return a finding for JSON, with all of its fields."""
    return asdict(finding) | {"kind": finding.kind.value}
