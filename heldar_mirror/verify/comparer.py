"""Compares the files of a camera's mirror with its primary, one at a time.

A packet of the primary belongs to that file of the mirror whose first packet matches at it, or most closely before it;
what comes before any match belongs to the file that matches first. So each packet of both sides is counted once over
all files of the mirror, in whatever order these are compared, and in however many runs of the program. To know the
places of the neighbours their indexes are read; one after the other, each file is read once.
"""

import math
from bisect import bisect_left, bisect_right
from collections import OrderedDict
from collections.abc import Sequence
from functools import partial
from typing import NamedTuple

from heldar_mirror.errors import UnreadableError
from heldar_mirror.footage.spans import Spans
from heldar_mirror.verify.alignment import NEAR_SECONDS, NOTHING, Block, Stream, is_varied, joined
from heldar_mirror.verify.comparison import Comparison, TrackComparison, Verdict
from heldar_mirror.verify.files import Content, Files, Key, Side, Source
from heldar_mirror.verify.judging import Unread, judge
from heldar_mirror.verify.pairing import Match
from heldar_mirror.verify.placing import Place, Tracks, both_have, place
from heldar_mirror.verify.windows import Windows

# So many places are remembered, of a file and its neighbours on both sides.
KEPT_PLACES = 1024

# A packet of the primary: the file, and its number in a track of it.
Position = tuple[int, int]


class Placed(NamedTuple):
    """Where the tracks of a file of the mirror lie: in its window, and its first packet among the primary's."""

    places: dict[Key, Place]
    first: dict[Key, Position]


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
        self._primary_begun, self._mirror_begun = primary[1], mirror[1]
        self._primary = Files(camera_id, Side("primary", *primary))
        self._mirror = Files(camera_id, Side("mirror", *mirror[:2]))
        self._windows = Windows(*(primary[1], *mirror[1:]))
        self._hashed = hashed
        self._placed: OrderedDict[int, Placed] = OrderedDict()

    def alone(self) -> list[int]:
        """Return the beginnings of those files of the primary at whose time the mirror has none."""
        return [self._primary_begun[file] for file in self._windows.alone()]

    def compare(self, begun: int) -> Comparison:
        """Return what was found in the file of the mirror that begins at a Unix time.

        Raises HungError, and UnreadableError if that file can't be read. Of other files that can't be read nothing is
        said, and they are named in the comparison.
        """
        mirror = bisect_left(self._mirror_begun, begun)
        content = self._readable(self._mirror.content(mirror))
        window = self._windows.of(mirror)
        contents = [self._primary.content(file) for file in window]
        keys = list(dict.fromkeys(key for each in [content, *contents] for key in each.streams))
        placed = self._place(mirror)
        verdicts = {key: self._verdict(mirror, key, content, contents, placed) for key in keys}
        shares = {key: [self._share(mirror, file, key) for file in window] for key in keys}
        used = [any(share[number] for share in shares.values()) for number in range(len(window))]
        if self._hashed:
            content = self._readable(self._mirror.hashed(mirror))
            contents = [
                self._primary.hashed(file) if needed else each
                for file, needed, each in zip(window, used, contents, strict=True)
            ]
        unread = self._unread(window, contents)
        tracks = []
        for key in keys:
            share = joined(
                [_part(each.streams.get(key), part) for each, part in zip(contents, shares[key], strict=True)]
            )
            stream, place = content.streams.get(key, NOTHING), placed.places.get(key)
            blocks, shifts = (_cut(place, shares[key], share), place.shifts) if place else ([], [])
            track = judge(key[0], verdicts[key], Match(stream, share, blocks, shifts, content.tolerance(key)), unread)
            track.unknown_primary += sum(map(len, shares[key])) - share.length()
            if key in content.streams or share.length() or track.unknown_primary:
                tracks.append(track)
        return self._comparison(mirror, content, tracks, [*zip(window, contents, used, strict=True)])

    def _comparison(
        self, mirror: int, content: Content, tracks: list[TrackComparison], files: list[tuple[int, Content, bool]]
    ) -> Comparison:
        begun = self._mirror_begun[mirror]
        found = Comparison(begun, tracks)
        if content.damage is not None:
            found.damaged["mirror", begun] = content.damage
        time = self._span(self._mirror_begun, mirror)
        for file, each, used in files:
            other = self._span(self._primary_begun, file)
            near = other[0] < time[1] and time[0] < other[1]
            if used:
                found.primary.append(self._primary_begun[file])
            if each.damage is not None and (used or near):
                found.damaged["primary", self._primary_begun[file]] = each.damage
            if each.unreadable is not None and (used or near):
                found.unreadable["primary", self._primary_begun[file]] = each.unreadable
        return found

    def _place(self, mirror: int) -> Placed:
        """Return where the tracks of a file of the mirror lie; one that can't be read has no place."""
        if mirror in self._placed:
            self._placed.move_to_end(mirror)
        else:
            window = self._windows.of(mirror)
            places = place(
                self._tracks(mirror, hashed=False), partial(self._tracks, mirror, hashed=True) if self._hashed else None
            )
            first = {key: self._position(window, key, each.first) for key, each in places.items()}
            self._placed[mirror] = Placed(places, first)
            if len(self._placed) > KEPT_PLACES:
                self._placed.popitem(last=False)
        return self._placed[mirror]

    def _tracks(self, mirror: int, *, hashed: bool) -> Tracks:
        read_ours, read_theirs = (side.hashed if hashed else side.content for side in (self._mirror, self._primary))
        ours, theirs = read_ours(mirror), [read_theirs(file) for file in self._windows.of(mirror)]
        keys = {key for each in theirs for key in each.streams}
        primary = {key: joined([each.streams.get(key) for each in theirs]) for key in keys}
        return Tracks(ours.streams, primary, {key: ours.tolerance(key) for key in ours.streams})

    def _position(self, window: range, key: Key, packet: int) -> Position:
        """Return the position of a packet that is counted within a window."""
        for file in window:
            stream = self._primary.content(file).streams.get(key, NOTHING)
            if packet < stream.length():
                return file, packet
            packet -= stream.length()
        return window.stop, 0

    def _share(self, mirror: int, file: int, key: Key) -> range:
        """Return which packets of a track of a file of the primary belong to a file of the mirror."""
        count = self._primary.content(file).streams.get(key, NOTHING).length()
        around = self._windows.around(file)
        first: dict[Position, int] = {}
        for each in around:
            position = self._place(each).first.get(key)
            if position is not None:
                first.setdefault(position, each)
        if not first:
            # None of them matches anything, so the time decides.
            begun = bisect_right(self._mirror_begun, self._primary_begun[file]) - 1
            return range(count if mirror == min(max(begun, around.start), around.stop - 1) else 0)
        inside = [min(each[1], count) if each[0] == file else count * (each[0] > file) for each in sorted(first)]
        edges = [0, *inside[1:], count]
        owners = [first[each] for each in sorted(first)]
        number = owners.index(mirror) if mirror in owners else None
        return range(0) if number is None else range(edges[number], edges[number + 1])

    def _verdict(self, mirror: int, key: Key, content: Content, contents: Sequence[Content], placed: Placed) -> Verdict:
        if key not in content.streams:
            return Verdict.NOT_IN_MIRROR
        if key in placed.places:
            return Verdict.COMPARED
        stream = content.streams[key]
        primary = joined([each.streams.get(key) for each in contents])
        if not any(key in each.streams for each in contents) and any(each.streams for each in contents):
            return Verdict.NOT_IN_PRIMARY
        if 2 * both_have(stream, primary) <= stream.length():
            return Verdict.NO_COUNTERPART
        if not is_varied(stream):
            return Verdict.ALIKE
        neighbours = {each for file in self._windows.of(mirror) for each in self._windows.around(file)}
        matching = any(key in self._place(each).places for each in neighbours)
        return Verdict.MATCHES_NOTHING if matching else Verdict.NOT_COMPARABLE

    def _unread(self, window: range, contents: Sequence[Content]) -> Unread:
        """Return the times of files that can't be read, in a window and around it."""
        primary = [
            self._span(self._primary_begun, file)
            for file, each in zip(window, contents, strict=True)
            if each.unreadable
        ]
        neighbours = {each for file in window for each in self._windows.around(file)}
        mirror = [self._span(self._mirror_begun, each) for each in neighbours if self._mirror.content(each).unreadable]
        return Unread(
            *(Spans((begin - NEAR_SECONDS, end + NEAR_SECONDS) for begin, end in each) for each in (primary, mirror))
        )

    @staticmethod
    def _span(begun: Sequence[int], number: int) -> tuple[float, float]:
        """Return from when to when a file lasts, by the names: until the next one begins."""
        return begun[number], begun[number + 1] if number + 1 < len(begun) else math.inf

    @staticmethod
    def _readable(content: Content) -> Content:
        if content.unreadable is not None:
            raise UnreadableError(content.unreadable)
        return content


def _part(stream: Stream | None, part: range) -> Stream:
    """Return a part of the stream of one file."""
    if stream is None:
        return NOTHING
    begin, end = part.start, part.stop
    digests = stream.digests[32 * begin : 32 * end]
    return Stream(stream.sizes[4 * begin : 4 * end], digests, stream.seconds[begin:end], [0, len(part)])


def _cut(place: Place, parts: Sequence[range], share: Stream) -> list[Block]:
    """Return the blocks of a place, counted within a share of its window, which has some packets of each file."""
    found = []
    for block in place.blocks:
        file = bisect_right(place.starts, block.primary) - 1
        first = block.primary - place.starts[file]
        begin, end = max(first, parts[file].start), min(first + block.packets, parts[file].stop)
        if begin < end and share.starts[file] < share.starts[file + 1]:
            at = share.starts[file] + begin - parts[file].start
            found.append(Block(block.mirror + begin - first, at, end - begin))
    return found
