"""Gathers the coverage of cameras from both sides and from Heldar's database. Nothing is written anywhere.

What can't be read is a problem in the report, and everything else is still answered for.
"""

from collections.abc import Sequence

from heldar_mirror.coverage.findings import Compared, directory_of, findings
from heldar_mirror.coverage.one_side import known_of, notes_of
from heldar_mirror.coverage.reading import Progress, Read, Reading, Wanted, opened
from heldar_mirror.coverage.report import CameraCoverage, CoverageReport, Finding
from heldar_mirror.coverage.timeline import Span, blips, timeline
from heldar_mirror.heldar.recordings import IndexedSegment
from heldar_mirror.settings import Settings


def gather(settings: Settings, asked: Sequence[str], whole: Span, min_gap: float, progress: Progress) -> CoverageReport:
    """Return the coverage of the cameras that were `asked` for, or else of all mirrored ones, over a span.

    Raises UnknownCameraError.
    """
    report = CoverageReport(*whole, min_gap)
    with opened(settings, asked, Wanted(whole), report.problems, progress) as reading:
        report.cameras += (_cover(read, reading, min_gap) for read in reading.each())
    return report


def _cover(read: Read, reading: Reading, min_gap: float) -> CameraCoverage:
    """Return what follows for a camera from what was read."""
    whole, rows = reading.wanted.whole, reading.rows
    seconds = rows.segment_seconds(read.camera_id)
    primary, mirror = known_of(read.primary, seconds), known_of(read.mirror, seconds)
    begun = min(primary.begun, mirror.begun)
    reasons = rows.reasons(read.camera_id, read.indexed.ends, reading.free, begun)
    return CameraCoverage(
        read.camera_id,
        timeline(whole, primary, mirror, reasons, min_gap),
        _findings(read, reading),
        list(read.problems()),
        [*notes_of(read.primary, "primary"), *notes_of(read.mirror, "mirror")],
        {
            name: sum(end - begin for begin, end in blips(whole, known, min_gap))
            for name, known in (("primary", primary), ("mirror", mirror))
        },
    )


def _findings(read: Read, reading: Reading) -> list[Finding]:
    index, ends, disk = read.indexed.index, read.indexed.ends, read.primary.recorded
    if index is None or ends is None or disk is None:
        return []

    def read_again() -> list[IndexedSegment] | None:
        again = reading.indexed(read.camera_id).index
        return again.segments if again else None

    compared = Compared(reading.wanted.whole, read.primary.read_at, directory_of(read.camera_id, ends.newest))
    return findings(compared, disk, index.segments, read_again)
