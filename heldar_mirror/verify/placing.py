"""Where a file of the mirror lies among the primary's packets, track by track."""

import statistics
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

from heldar_mirror.verify.alignment import NOTHING, Block, Stream, align, is_varied
from heldar_mirror.verify.files import Key

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
    shifts: list[float]
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
    found: dict[Key, Place] = {}
    for key, stream in tracks.mirror.items():
        primary = tracks.primary.get(key)
        if primary is None or not stream.seconds or not primary.seconds:
            continue
        blocks = _blocks(stream, primary, tracks.tolerances[key])
        if not blocks and hashed and not is_varied(stream):
            both = hashed()
            ours, theirs = both.mirror.get(key, NOTHING), both.primary.get(key, NOTHING)
            blocks = _blocks(ours, theirs, tracks.tolerances[key], by_digests=True)
        if blocks:
            shifts = _shifts(stream, primary, blocks)
            first = _first(stream, primary, blocks[0], shifts, tracks.tolerances[key])
            found[key] = Place(first, blocks, shifts, primary.starts)
    if found:
        key, guide = next(iter(found.items()))
        file = _file_of(tracks.primary[key], guide.first)
        for other, stream in tracks.mirror.items():
            primary = tracks.primary.get(other)
            if other not in found and primary and stream.seconds and not is_varied(stream):
                at = stream.seconds[0] + guide.shifts[file] - tracks.tolerances[other]
                first = bisect_left(primary.seconds, at, primary.starts[file], primary.starts[file + 1])
                found[other] = Place(first, [], guide.shifts, primary.starts)
    return found


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


def _first(mirror: Stream, primary: Stream, block: Block, shifts: Sequence[float], tolerance: float) -> int:
    """Return where the mirror's first packet lies, by the time before the first block: packets there may be changed."""
    begin = primary.start_of_file(block.primary)
    at = mirror.seconds[0] + shifts[_file_of(primary, block.primary)] - tolerance
    return bisect_left(primary.seconds, at, begin, block.primary)


def _shifts(mirror: Stream, primary: Stream, blocks: Sequence[Block]) -> list[float]:
    """Return for each file of the primary by how many seconds it is ahead; for one without a block, as the one before.

    That of the first block is taken, since the clocks may move later.
    """
    known: dict[int, float] = {}
    for block in blocks:
        ahead = primary.seconds[block.primary] - mirror.seconds[block.mirror]
        known.setdefault(_file_of(primary, block.primary), ahead)
    usual = statistics.median(known.values())
    return [known.get(file, usual) for file in range(len(primary.starts) - 1)]


def _file_of(stream: Stream, packet: int) -> int:
    """Return in which of the files of a stream a packet lies; the last file, for the end."""
    return min(bisect_right(stream.starts, packet), len(stream.starts) - 1) - 1
