"""Compares the files of a camera's mirror with its primary, one at a time, in any order."""

import math
from bisect import bisect_left
from collections.abc import Iterable, Sequence

from heldar_mirror.errors import UnreadableError
from heldar_mirror.footage.spans import Spans
from heldar_mirror.verify.alignment import NEAR_SECONDS, is_varied
from heldar_mirror.verify.comparison import Comparison, TrackComparison, Verdict
from heldar_mirror.verify.files import Content, Contents, Key, Source
from heldar_mirror.verify.judging import Unclear, judge_track
from heldar_mirror.verify.pairing import Match
from heldar_mirror.verify.placing import both_have
from heldar_mirror.verify.shares import Shares, blocks_in, share_of
from heldar_mirror.verify.streams import EMPTY, joined
from heldar_mirror.verify.windows import Windows


class Comparer:
    """Compares one camera's files at one level: by their indexes, or with `hashed` by the digests of all packets."""

    def __init__(
        self,
        camera_id: str,
        primary: tuple[Source, Sequence[int]],
        mirror: tuple[Source, Sequence[int], Sequence[float]],
        *,
        hashed: bool,
    ) -> None:
        """Take where each side is read, when its files begin (Unix seconds), in order, and when the mirror's end."""
        self._primary = Contents(camera_id, "primary", *primary)
        self._mirror = Contents(camera_id, "mirror", *mirror[:2])
        self._windows = Windows(*(primary[1], *mirror[1:]))
        self._hashed = hashed
        self._shares = Shares(self._windows, self._primary, self._mirror, hashed=hashed)

    def alone(self) -> list[int]:
        """Return the beginnings of those files of the primary at whose time the mirror has none."""
        return [self._primary.begun[file] for file in self._windows.alone()]

    def compare(self, begun: int) -> Comparison:
        """Return what was found in the file of the mirror that begins at a Unix time.

        Raises HungError, and UnreadableError if that file can't be read. Of other files that can't be read nothing is
        said, and they are named in the comparison.
        """
        mirror = bisect_left(self._mirror.begun, begun)
        content = self._readable(self._mirror.content(mirror))
        window = self._windows.of(mirror)
        contents = [self._primary.content(file) for file in window]
        keys = list(dict.fromkeys(key for each in [content, *contents] for key in each.streams))
        places = self._shares.places(mirror)
        verdicts = {key: self._verdict(mirror, key, content, contents) for key in keys}
        shares = {key: [self._shares.of(mirror, file, key) for file in window] for key in keys}
        used = [any(share[number] for share in shares.values()) for number in range(len(window))]
        if self._hashed:
            content = self._readable(self._mirror.hashed(mirror))
            contents = [
                self._primary.hashed(file) if needed else each
                for file, needed, each in zip(window, used, contents, strict=True)
            ]
        tracks = []
        for key in keys:
            share, place = share_of(contents, key, shares[key]), places.get(key)
            blocks, shifts = (blocks_in(share, place, shares[key]), place.shifts) if place else ([], [])
            stream = content.streams.get(key, EMPTY)
            match = Match(stream, share, blocks, shifts, content.tolerance(key))
            track = judge_track(key[0], verdicts[key], match, self._unclear(window, contents, key, verdicts[key]))
            track.unknown_primary += sum(map(len, shares[key])) - share.length()
            track.held = [each._replace(primary=self._primary.begun[window[each.primary]]) for each in track.held]
            if key in content.streams or share.length() or track.unknown_primary:
                tracks.append(track)
        return self._comparison(mirror, content, tracks, [*zip(window, contents, used, strict=True)])

    def _comparison(
        self, mirror: int, content: Content, tracks: list[TrackComparison], files: list[tuple[int, Content, bool]]
    ) -> Comparison:
        begun = self._mirror.begun[mirror]
        found = Comparison(begun, tracks)
        if content.damage is not None:
            found.damaged["mirror", begun] = content.damage
        time = _span(self._mirror.begun, mirror)
        for file, each, used in files:
            other = _span(self._primary.begun, file)
            near = other[0] < time[1] and time[0] < other[1]
            if used:
                found.primary.append(self._primary.begun[file])
            if each.damage is not None and (used or near):
                found.damaged["primary", self._primary.begun[file]] = each.damage
            if each.unreadable is not None and (used or near):
                found.unreadable["primary", self._primary.begun[file]] = each.unreadable
        return found

    def _verdict(self, mirror: int, key: Key, content: Content, contents: Sequence[Content]) -> Verdict:
        if key not in content.streams:
            return Verdict.NOT_IN_MIRROR
        if key in self._shares.places(mirror):
            return Verdict.COMPARED
        stream = content.streams[key]
        primary = joined([each.streams.get(key) for each in contents])
        if not any(key in each.streams for each in contents) and any(each.streams for each in contents):
            return Verdict.NOT_IN_PRIMARY
        beside = Spans(primary.times(NEAR_SECONDS))
        matching = any(key in self._shares.places(each) for each in self._neighbours(self._windows.of(mirror)))
        mostly_alone = 2 * both_have(stream, primary) <= stream.length()
        if mostly_alone and (matching or not any(beside.overlap(at, at) for at in stream.seconds)):
            return Verdict.NO_COUNTERPART
        if not is_varied(stream):
            return Verdict.ALIKE
        return Verdict.MATCHES_NOTHING if matching else Verdict.NOT_COMPARABLE

    def _neighbours(self, window: range) -> list[int]:
        """Return the files of the mirror that share a file of the primary with a window."""
        return sorted({each for file in window for each in self._windows.around(file)})

    def _unclear(self, window: range, contents: Sequence[Content], key: Key, verdict: Verdict) -> Unclear:
        """Return at which times nothing can be said: those of files that can't be read, and by the verdict all footage.

        So of packets that can't be told from others only those are missing at whose time the other side has none.
        """
        neighbours = self._neighbours(window)
        ours = [self._mirror.content(each) for each in neighbours]
        told = verdict not in (Verdict.NOT_COMPARABLE, Verdict.ALIKE)
        return Unclear(
            _times(self._primary.begun, window, contents, None if told else key),
            _times(self._mirror.begun, neighbours, ours, None if told else key),
        )

    @staticmethod
    def _readable(content: Content) -> Content:
        if content.unreadable is not None:
            raise UnreadableError(content.unreadable)
        return content


def _span(begun: Sequence[int], file: int) -> tuple[float, float]:
    """Return from when to when a file lasts, by the names: until the next one begins."""
    return begun[file], begun[file + 1] if file + 1 < len(begun) else math.inf


def _times(begun: Sequence[int], files: Iterable[int], contents: Iterable[Content], key: Key | None) -> Spans:
    """Return the times of files that can't be read, and with a `key` those at which others have packets of it."""
    found: list[tuple[float, float]] = []
    for file, content in zip(files, contents, strict=True):
        if content.unreadable is not None:
            begin, end = _span(begun, file)
            found.append((begin - NEAR_SECONDS, end + NEAR_SECONDS))
        elif key is not None:
            found += content.streams.get(key, EMPTY).times(NEAR_SECONDS)
    return Spans(found)
