"""Proving the mirror by names and times alone: whether both sides have footage at the same times.

Nothing is remembered, since all of it is looked at each time. What is read of a file is at most its end.
"""

import time
from array import array
from bisect import bisect_right
from collections import Counter
from collections.abc import Iterator, Sequence
from operator import sub
from statistics import median

from heldar_mirror.coverage.timeline import MIN_GAP_SECONDS, Reasons, State, Stretch, known, timeline
from heldar_mirror.footage.spans import Spans
from heldar_mirror.sides.recorded import NOTHING_RECORDED, Recorded
from heldar_mirror.sides.side import Side
from heldar_mirror.units import shown_span
from heldar_mirror.verify.beside import Beside
from heldar_mirror.verify.findings import LOOKED_AT, UNREADABLE, Finding, Kind
from heldar_mirror.verify.looker import Names, following
from heldar_mirror.verify.memory import Scope, Standing, Stocked
from heldar_mirror.verify.report import CameraReport

KINDS = {State.ONLY_PRIMARY: (Kind.ONLY_PRIMARY, "primary"), State.ONLY_MIRROR: (Kind.ONLY_MIRROR, "mirror")}


def by_names(camera_id: str, scope: Scope, beside: Beside, mirror: Side) -> CameraReport:
    """Return what is found of a camera. Raises UnreadableError, and VolumeError if a volume hangs or is not there."""
    stocked, _ = beside.take_stock(camera_id, mirror.files(camera_id))
    segments = [each for each in stocked if scope.since <= each.begun <= scope.until]
    if not segments:
        return CameraReport(camera_id, Standing())
    names = beside.names[camera_id]
    # What one side has deleted in its turn is left out.
    begin = max(segments[0].begun, names.kept.primary, names.kept.mirror)
    end = following(names.mirror, segments[-1].begun)
    if begin >= end:
        return CameraReport(camera_id, _standing(segments, [], len(segments)), Counter({LOOKED_AT: len(segments)}))
    usual = float(median(map(sub, names.mirror[1:], names.mirror))) if len(names.mirror) > 1 else 0.0
    primary, ours = (side.recorded(camera_id, begin, end, usual) for side in (beside.primary, mirror))
    times = timeline((begin, end), known(primary, usual), known(ours, usual), Reasons(), MIN_GAP_SECONDS)
    # After an outage of the camera, one side may begin or end a little before the other.
    stretches = [each for each in times if each.end - each.begin >= MIN_GAP_SECONDS]
    findings: dict[int, list[Finding]] = {}
    for finding in [*_of_files("primary", primary), *_of_files("mirror", ours), *_of_times(stretches, names)]:
        findings.setdefault(finding.begun, []).append(finding)
    compared = [each for each in segments if following(names.mirror, each.begun) > begin]
    apart = Spans(each[:2] for each in stretches if each.state not in {State.BOTH, State.NEITHER})
    # Spans that only touch a segment are its neighbours'.
    proven = [each for each in compared if not apart.overlap(each.begun + 1, following(names.mirror, each.begun) - 1)]
    counts = Counter({LOOKED_AT: len(segments), UNREADABLE: len(primary.unread) + len(ours.unread)})
    return CameraReport(camera_id, _standing(segments, proven, len(segments) - len(compared)), +counts, findings)


def _standing(segments: Sequence[Stocked], proven: Sequence[Stocked], nothing_there: int) -> Standing:
    return Standing(
        segments=len(segments),
        bytes=sum(each.size for each in segments),
        proven=len(proven),
        proven_bytes=sum(each.size for each in proven),
        nothing_there=nothing_there,
        oldest=int(time.time()),
    )


def _of_files(side: str, recorded: Recorded) -> Iterator[Finding]:
    damaged = {begun: reason for begun, reason in recorded.damaged.items() if reason != NOTHING_RECORDED}
    for kind, files in ((Kind.UNREADABLE, recorded.unread), (Kind.DAMAGED, damaged)):
        yield from (Finding(kind, side, begun, reason=reason) for begun, reason in files.items())


def _of_times(stretches: Sequence[Stretch], names: Names) -> Iterator[Finding]:
    for stretch in stretches:
        if stretch.state in KINDS:
            kind, side = KINDS[stretch.state]
            begun = _file_at(names.primary if side == "primary" else names.mirror, stretch.begin)
            length = shown_span(stretch.end - stretch.begin)
            yield Finding(kind, side, begun, stretch.begin, stretch.end, reason=length)


def _file_at(begun: "array[int]", at: float) -> int:
    """Return the last segment that began by a time."""
    return begun[max(0, bisect_right(begun, at) - 1)]
