"""Looking at segments of the mirror by their packets, beside those of the primary."""

import math
import time
from array import array
from bisect import bisect_right
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from itertools import zip_longest
from operator import sub
from statistics import median
from typing import NamedTuple

from heldar_mirror.errors import GoneError, UnreadableError, VolumeError
from heldar_mirror.sides.recorded import Identity, Packets
from heldar_mirror.sides.side import Side
from heldar_mirror.verify.comparer import Comparer
from heldar_mirror.verify.findings import IDENTICAL, NOTHING, Judged, Kept, encode, judge, unreadable
from heldar_mirror.verify.memory import Look, Stocked
from heldar_mirror.verify.outcomes import Outcome
from heldar_mirror.verify.run import Looked
from heldar_mirror.verify.windows import SKEW_SECONDS, surroundings

# A segment ends when the next one begins, unless that is so much later than usual (seconds).
GAP_SECONDS = 10
# What is read of a file for the index of a packet, in bytes.
INDEX_BYTES = 16


class Names(NamedTuple):
    """When a camera's segments begin on both sides (Unix seconds), in order, and since when each side keeps them."""

    primary: "array[int]"
    mirror: "array[int]"
    kept: Kept


class Reader:
    """Reads the packets of one side for a comparison, and counts what it reads. `gone` are files that went meanwhile.

    If the root or the camera's directory of a side is not there any more, it raises VolumeError, since what is not
    there can't be told from what was deleted.
    """

    def __init__(self, side: Side) -> None:
        self._side = side
        self.read = 0
        self.gone: set[int] = set()

    def packets(self, camera_id: str, begun: int) -> Packets:
        """Return the packets of a segment by the index of its file, without digests. It has none if it is gone."""
        found = self._ask(camera_id, begun, self._side.packets)
        self.read += INDEX_BYTES * sum(map(len, found.tracks))
        return found

    def hashes(self, camera_id: str, begun: int) -> Packets:
        """Return the packets of a segment with their digests. It has none if it is gone."""
        found = self._ask(camera_id, begun, self._side.hashes)
        self.read += sum(sum(track.sizes) for track in found.tracks)
        return found

    def _ask(self, camera_id: str, begun: int, ask: Callable[[str, int], Packets]) -> Packets:
        try:
            return ask(camera_id, begun)
        except GoneError:
            self._check(camera_id)
            self.gone.add(begun)
            return Packets([], None, False, Identity(0, 0, 0))
        except UnreadableError:
            self._check(camera_id)
            raise

    def _check(self, camera_id: str) -> None:
        """Check that the camera's directory is there. Raises VolumeError."""
        try:
            if camera_id in self._side.cameras():
                return
        except UnreadableError as error:
            raise VolumeError(str(error)) from None
        raise VolumeError(
            f"the {self._side.name}'s {self._side.root / camera_id} is not there any more: is its volume mounted?"
        )


class Readers(NamedTuple):
    """The readers of both sides."""

    primary: Reader
    mirror: Reader


class PacketLooker(AbstractContextManager["PacketLooker"]):
    """Looks at segments by their packets: at sizes and times, or with `hashed` at the digests as well."""

    def __init__(self, primary: Side, mirror: Side, names: Mapping[str, Names], *, hashed: bool) -> None:
        self._primary, self._mirror = primary, mirror
        self._names = names
        self._hashed = hashed

    def __exit__(self, *_: object) -> None:
        self._primary.close()
        self._mirror.close()

    def look(self, camera_id: str, segments: Sequence[Stocked]) -> Iterator[Looked]:
        """Yield what came of looking at segments that follow each other. Those that are gone are left out.

        Raises VolumeError, which is a HungError if a volume does not answer.
        """
        names = around(self._names[camera_id], segments)
        readers = Readers(Reader(self._primary), Reader(self._mirror))
        sides = (
            (readers.primary, names.primary),
            (readers.mirror, names.mirror, _ends(readers.mirror, camera_id, names.mirror)),
        )
        comparer = Comparer(camera_id, *sides, hashed=self._hashed)
        alone = _by_segment(comparer.alone(), names.mirror)
        spent = 0
        for segment in segments:
            if is_expired(names, segment.begun):
                judged = NOTHING
            else:
                judged = _judged(comparer, segment.begun, names, readers, alone.get(segment.begun, []))
            if segment.begun not in readers.mirror.gone:
                look = Look(segment.begun, int(time.time()), judged.outcome, encode(judged.findings))
                read = readers.primary.read + readers.mirror.read
                matched = judged.counts[IDENTICAL] > 0 or judged.outcome not in (Outcome.UNRELATED, Outcome.DIFFERENT)
                yield Looked(look, segment.size, read - spent, judged.counts, matched)
                spent = read


def around(names: Names, segments: Sequence[Stocked]) -> Names:
    """Return the part of a camera's names that concerns some of its segments, which follow each other."""
    primary, mirror = surroundings(names.primary, names.mirror, segments[0].begun, segments[-1].begun)
    return names._replace(
        primary=names.primary[primary.start : primary.stop], mirror=names.mirror[mirror.start : mirror.stop]
    )


def is_expired(names: Names, segment: int) -> bool:
    """Return whether a segment is older than all that the primary has, so that it need not be read."""
    return not bisect_right(names.primary, following(names.mirror, segment) + SKEW_SECONDS)


def following(begun: "array[int]", segment: int) -> float:
    """Return when the next segment begins."""
    number = bisect_right(begun, segment)
    return begun[number] if number < len(begun) else segment + 1


def _judged(comparer: Comparer, segment: int, names: Names, readers: Readers, alone: Sequence[int]) -> Judged:
    before = len(readers.primary.gone)
    try:
        comparison = comparer.compare(segment)
    except UnreadableError as error:
        # A file that goes while it is read counts as changed.
        return NOTHING if len(readers.primary.gone) > before else unreadable(segment, str(error))
    # What went meanwhile was the oldest.
    kept = Kept(
        max(names.kept.primary, *(following(names.primary, each) for each in readers.primary.gone), 0),
        max(names.kept.mirror, *(following(names.mirror, each) for each in readers.mirror.gone), 0),
    )
    return judge(comparison, kept, alone)


def _ends(mirror: Reader, camera_id: str, begun: "array[int]") -> list[float]:
    """Return when files end. That is read only where the next one begins later than usual."""
    usual = median(map(sub, begun[1:], begun)) if len(begun) > 1 else 0
    ends: list[float] = []
    for each, after in zip_longest(begun, begun[1:], fillvalue=math.inf):
        late = after > each + usual + GAP_SECONDS
        ends.append(each + _length(mirror, camera_id, int(each), usual) if late else after)
    return ends


def _length(mirror: Reader, camera_id: str, begun: int, usual: float) -> float:
    try:
        tracks = [track for track in mirror.packets(camera_id, begun).tracks if track]
    except UnreadableError:
        return usual
    return max(((track.times[-1] + track.durations[-1]) / track.timescale for track in tracks), default=0.0)


def _by_segment(alone: Sequence[int], mirror: "array[int]") -> dict[int, list[int]]:
    """Return files of the primary at whose time the mirror has none, by the segment of the mirror that lies before.

    Those before all segments of the mirror, and after all, are left out: they are no hole in it.
    """
    found: dict[int, list[int]] = {}
    for each in alone:
        number = bisect_right(mirror, each)
        if 0 < number < len(mirror):
            found.setdefault(mirror[number - 1], []).append(each)
    return found
