"""Which packets of the primary belong to which file of the mirror.

A packet of the primary belongs to that file of the mirror whose first packet matches at it, or most closely before it;
what comes before any match belongs to the file that matches first. So each packet of both sides is counted once over
all files of the mirror, in whatever order these are compared, and in however many runs of the program. To know the
places of the neighbours their indexes are read; one after the other, each file is read once.
"""

from bisect import bisect_right
from collections import OrderedDict
from collections.abc import Sequence
from functools import partial
from typing import NamedTuple

from heldar_mirror.verify.chain import Block
from heldar_mirror.verify.files import Content, Contents, Key
from heldar_mirror.verify.placing import Place, Tracks, place
from heldar_mirror.verify.streams import EMPTY, Stream, joined
from heldar_mirror.verify.windows import Windows

# So many places are remembered, of a file and its neighbours on both sides.
KEPT_PLACES = 1024

# A packet of the primary: the file, and its number in a track of it.
Position = tuple[int, int]


class Placed(NamedTuple):
    """Where the tracks of a file of the mirror lie: in its window, and its first packet among the primary's."""

    places: dict[Key, Place]
    first: dict[Key, Position]


class Shares:
    """The places of the files of a camera's mirror, and what of its primary belongs to each."""

    def __init__(self, windows: Windows, primary: Contents, mirror: Contents, *, hashed: bool) -> None:
        self._windows, self._primary, self._mirror, self._hashed = windows, primary, mirror, hashed
        self._placed: OrderedDict[int, Placed] = OrderedDict()

    def places(self, mirror: int) -> dict[Key, Place]:
        """Return where the tracks of a file of the mirror lie. What matches nothing is left out."""
        return self._place(mirror).places

    def of(self, mirror: int, file: int, key: Key) -> range:
        """Return which packets of a track of a file of the primary belong to a file of the mirror."""
        count = self._primary.content(file).streams.get(key, EMPTY).length()
        around = self._windows.around(file)
        first: dict[Position, int] = {}
        for each in around:
            position = self._place(each).first.get(key)
            if position is not None:
                first.setdefault(position, each)
        if not first:
            # None of them matches anything, so the time decides.
            begun = bisect_right(self._mirror.begun, self._primary.begun[file]) - 1
            return range(count if mirror == min(max(begun, around.start), around.stop - 1) else 0)
        inside = [min(each[1], count) if each[0] == file else count * (each[0] > file) for each in sorted(first)]
        edges = [0, *inside[1:], count]
        owners = [first[each] for each in sorted(first)]
        number = owners.index(mirror) if mirror in owners else None
        return range(0) if number is None else range(edges[number], edges[number + 1])

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
            stream = self._primary.content(file).streams.get(key, EMPTY)
            if packet < stream.length():
                return file, packet
            packet -= stream.length()
        return window.stop, 0


def share_of(contents: Sequence[Content], key: Key, parts: Sequence[range]) -> Stream:
    """Return parts of a track of the files of a window as one stream. What can't be read of it is left out."""
    return joined([_part(each.streams.get(key), part) for each, part in zip(contents, parts, strict=True)])


def _part(stream: Stream | None, part: range) -> Stream:
    """Return a part of the stream of one file."""
    if stream is None:
        return EMPTY
    begin, end = part.start, part.stop
    digests = stream.digests[32 * begin : 32 * end]
    return Stream(stream.sizes[4 * begin : 4 * end], digests, stream.seconds[begin:end], [0, len(part)])


def blocks_in(share: Stream, place: Place, parts: Sequence[range]) -> list[Block]:
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
