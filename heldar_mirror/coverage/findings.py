"""Where Heldar's index and the primary's disk differ. Pure; times are Unix seconds.

Segments are compared by the names of their files, since the directory may have a different path for Heldar than for the
mirror, in a container for example.
"""

import itertools
import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from heldar_mirror.coverage.report import Finding, FindingKind
from heldar_mirror.coverage.timeline import Span
from heldar_mirror.footage.names import segment_begun, segment_name
from heldar_mirror.footage.spans import Spans
from heldar_mirror.heldar.recordings import IndexedSegment
from heldar_mirror.sides.recorded import Recorded

# Heldar indexes a file when there is a later one, or 75 s after its last write. It looks every 10 s, and takes one file
# after the other, of all cameras. It deletes a file that is not in its index after an hour.
INDEXING_SECONDS = 300.0

# Heldar has the length from ffprobe, in which it may differ by some frames from the one that packets give. Where it
# cuts a row short, it has whole seconds.
LENGTH_SECONDS = 2.0

# A file that is shorter is never indexed.
SHORTEST_SECONDS = 0.05


@dataclass(frozen=True)
class Compared:
    """What of a camera is compared: the segments that begin in `whole`, as they were at `now` (Unix seconds).

    `directory` is where Heldar records them now, as Heldar calls it, or None if that is not known.
    """

    whole: Span
    now: float
    directory: str | None

    def holds(self, begun: float) -> bool:
        """Return whether a segment that began then is compared."""
        return self.whole[0] <= begun < self.whole[1]

    def begun(self, path: str) -> int | None:
        """Return when the segment of a path began, as Heldar calls it, or None if that is not in the directory."""
        directory, _, name = path.rpartition("/")
        return segment_begun(name) if directory == self.directory else None

    def path(self, begun: int) -> str:
        """Return the path, as Heldar calls it, of the segment that began then."""
        return f"{self.directory}/{segment_name(begun)}" if self.directory else segment_name(begun)


class Difference(NamedTuple):
    """A segment in which the index and the disk differ."""

    kind: FindingKind
    path: str
    begin: float
    end: float


def directory_of(camera_id: str, newest: str | None) -> str | None:
    """Return the directory in which Heldar records a camera, by the path of its newest row, or None if that path is not
    like Heldar's own."""
    directory = (newest or "").rpartition("/")[0]
    return directory if directory.rpartition("/")[2] == camera_id else None


def findings(
    compared: Compared,
    disk: Recorded,
    rows: Sequence[IndexedSegment],
    read_again: Callable[[], Sequence[IndexedSegment] | None],
) -> list[Finding]:
    """Return how the index differs from the disk, one finding for each kind.

    The rows must have been read before the disk. While both are read, Heldar may index and delete segments. So if they
    differ, the rows are read again, and only what differs from both readings counts: nothing if the second one fails.
    """
    found = set(_differences(compared, disk, rows))
    if found:
        again = read_again()
        found &= set() if again is None else set(_differences(compared, disk, again))
    kinds = {kind: sorted((each for each in found if each.kind is kind), key=_begin) for kind in FindingKind}
    return [
        Finding(
            kind,
            tuple(Spans((each.begin, each.end) for each in ours).spans),
            len(ours),
            ours[0].path,
            ours[-1].path,
        )
        for kind, ours in kinds.items()
        if ours
    ]


def lost_rows(
    compared: Compared, disk: Recorded, rows: Sequence[IndexedSegment]
) -> Iterator[tuple[int, IndexedSegment]]:
    """Yield the rows whose files are not on the disk, each with the second in the file's name."""
    settled, on_disk = compared.now - INDEXING_SECONDS, set(disk.begun)
    for row in rows:
        begun = compared.begun(row.path)
        if begun is not None and begun not in on_disk and compared.holds(begun) and row.end <= settled:
            yield begun, row


def _differences(compared: Compared, disk: Recorded, rows: Sequence[IndexedSegment]) -> Iterator[Difference]:
    for _, row in lost_rows(compared, disk, rows):
        yield Difference(FindingKind.NOT_ON_DISK, row.path, row.begin, row.end)
    settled = compared.now - INDEXING_SECONDS
    # Heldar cuts a row short where a segment begins that it indexes later. It may or may not be the next one: their
    # order may be another than that of their names, after the clock was set back or a recording was restored.
    cuts = map(min, disk.ends, itertools.chain(disk.begun[1:], [math.inf]))
    ends = {
        begun: (cut, end) for begun, cut, end in zip(disk.begun, cuts, disk.ends, strict=True) if compared.holds(begun)
    }
    unindexed = dict(ends)
    for path, begin, end, *_ in rows:
        begun = compared.begun(path)
        if begun is None:
            if compared.holds(begin):
                yield Difference(FindingKind.ELSEWHERE, path, begin, end)
        elif begun in ends:
            unindexed.pop(begun, None)
            cut, whole = ends[begun]
            differs = not cut - LENGTH_SECONDS <= end <= whole + LENGTH_SECONDS and begun not in disk.unread
            if differs and max(end, whole) <= settled:
                yield Difference(FindingKind.LENGTH_DIFFERS, path, begin, max(end, whole))
    for begun, (cut, _) in unindexed.items():
        if begun not in disk.unread and cut <= settled and cut - begun > SHORTEST_SECONDS:
            yield Difference(FindingKind.NOT_INDEXED, compared.path(begun), begun, cut)


def _begin(difference: Difference) -> float:
    return difference.begin
