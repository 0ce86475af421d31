"""Where a file of the mirror lies among the primary's packets, track by track."""

from bisect import bisect_left, bisect_right
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

from heldar_mirror.verify.alignment import align, is_varied
from heldar_mirror.verify.chain import Block
from heldar_mirror.verify.files import Key
from heldar_mirror.verify.streams import EMPTY, Stream

# For each file of the primary in a window: by how many seconds its times are ahead of the mirror's, if it is known.
Shifts = list[float | None]

# A file matches if at least this share of the packets do that both sides have at its time. A camera that encodes for
# each reader has single runs that match by chance, and a swapped file has none.
MATCHING_SHARE = 0.05


class Place(NamedTuple):
    """Where a track of a file of the mirror lies in its window.

    `first` is the packet of the primary which its first one matches, counted within the window. `blocks` are empty if
    it was found by time alone. `shifts` says for each file of the window by how many seconds its times are ahead, and
    `starts` which packet is its first one.
    """

    first: int
    blocks: list[Block]
    shifts: Shifts
    starts: list[int]


class Tracks(NamedTuple):
    """The tracks of a file of the mirror, and of its window: each file's streams, joined."""

    mirror: Mapping[Key, Stream]
    primary: Mapping[Key, Stream]
    tolerances: Mapping[Key, float]


def place(tracks: Tracks, hashed: Callable[[], Tracks] | None = None) -> dict[Key, Place]:
    """Return where each track lies; what matches nothing is left out.

    A track whose sizes are all alike is found by its digests, if `hashed` gives them, or by the time of another track.
    """
    blocks = {key: found for key in tracks.mirror if (found := _found(key, tracks, hashed))}
    own = {key: _shifts(tracks.mirror[key], tracks.primary[key], found) for key, found in blocks.items()}
    others = [next((shift for shift in each if shift is not None), None) for each in zip(*own.values(), strict=True)]
    guide = next(((tracks.primary[key], found[0].primary) for key, found in blocks.items()), None)
    if guide is None:
        return {}
    places = {}
    for key, stream in tracks.mirror.items():
        primary = tracks.primary.get(key, EMPTY)
        if key in blocks or (stream.seconds and primary.seconds and not is_varied(stream)):
            shifts = [
                other if shift is None else shift for shift, other in zip(own.get(key, others), others, strict=True)
            ]
            block = blocks[key][0] if key in blocks else None
            file = _file_of(primary, block.primary) if block else _file_of(*guide)
            first = until = block.primary if block else primary.starts[file + 1]
            if block is None or block.mirror:
                at = stream.seconds[0] - tracks.tolerances[key]
                first = _first_at(at, primary, shifts, file, until)
            places[key] = Place(first, blocks.get(key, []), shifts, primary.starts)
    return places


def _first_at(at: float, primary: Stream, shifts: Shifts, file: int, until: int) -> int:
    """Return which packet of the primary is the first one at a time of the mirror or later, at most `until`.

    Packets before the first block may have been changed, so their times say where they begin. `file` is where they end;
    it goes on in the file before if that has some at that time as well.
    """
    first = until
    while (shift := shifts[file]) is not None:
        start = primary.starts[file]
        first = bisect_left(primary.seconds, at + shift, start, first)
        if first > start or not file:
            break
        file -= 1
    return first


def _found(key: Key, tracks: Tracks, hashed: Callable[[], Tracks] | None) -> list[Block]:
    """Return the blocks of a track, found by its sizes; or by its digests, if the sizes are alike."""
    mirror, primary = tracks.mirror[key], tracks.primary.get(key, EMPTY)
    blocks = _blocks(mirror, primary, tracks.tolerances[key])
    if not blocks and hashed and mirror.seconds and primary.seconds and not is_varied(mirror):
        both = hashed()
        ours, theirs = both.mirror.get(key, EMPTY), both.primary.get(key, EMPTY)
        if ours.length() == mirror.length() and theirs.length() == primary.length():  # so that all could be read
            blocks = _blocks(ours, theirs, tracks.tolerances[key], by_digests=True)
    return blocks


def both_have(mirror: Stream, primary: Stream) -> int:
    """Return of how many packets of the mirror the primary has some at the same time, by the names."""
    if not mirror.seconds:
        return 0
    begin = bisect_left(primary.seconds, mirror.seconds[0])
    end = bisect_right(primary.seconds, mirror.seconds[-1])
    return min(mirror.length(), max(0, end - begin))


def _blocks(mirror: Stream, primary: Stream, tolerance: float, *, by_digests: bool = False) -> list[Block]:
    blocks = align(mirror, primary, tolerance, by_digests=by_digests)
    matching = sum(block.packets for block in blocks)
    return blocks if matching > MATCHING_SHARE * both_have(mirror, primary) else []


def _shifts(mirror: Stream, primary: Stream, blocks: Sequence[Block]) -> Shifts:
    """Return by how many seconds each file of the primary is ahead, in its longest block."""
    known: Shifts = [None] * (len(primary.starts) - 1)
    for block in sorted(blocks, key=lambda block: block.packets):
        ahead = primary.seconds[block.primary] - mirror.seconds[block.mirror]
        known[_file_of(primary, block.primary)] = ahead
    return known


def _file_of(stream: Stream, packet: int) -> int:
    """Return in which of the files of a stream a packet lies; the last file, for the end."""
    return min(bisect_right(stream.starts, packet), len(stream.starts) - 1) - 1
