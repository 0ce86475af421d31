"""Which packet of the mirror stands against which of the primary, and what becomes of those that stand alone.

Blocks are given. Between them packets are set against each other by their digests, where these are known, and by their
times, since a changed packet keeps its time.
"""

from bisect import bisect_right
from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import groupby, pairwise
from typing import NamedTuple

from heldar_mirror.verify.chain import Block, heaviest_chain
from heldar_mirror.verify.comparison import Held, Jump, Run, TrackComparison, Verdict
from heldar_mirror.verify.streams import Stream

# The clocks of two sessions may move against each other by some hundredths, as each hears of the camera's clock.
JUMP_SECONDS = 0.5


class Match(NamedTuple):
    """One track of a file of the mirror, and of the primary what belongs to it, with the blocks in which they match.

    `shifts` says for each file of the primary by how many seconds its times are ahead of the mirror's, or None if it is
    not known. `tolerance` is half of the usual time between two packets.
    """

    mirror: Stream
    primary: Stream
    blocks: Sequence[Block]
    shifts: Sequence[float | None]
    tolerance: float


def compare_packets(handler: str, match: Match) -> tuple[TrackComparison, list[Block]]:
    """Compare the packets that stand against each other; return what was found, and which these are."""
    mirror, primary, blocks = match.mirror, match.primary, match.blocks
    pairs = list(_paired(match))
    found = TrackComparison(handler, Verdict.COMPARED, jumps=list(_jumps(match)))
    differ: list[int] = []
    for block in pairs:
        if _equal(mirror, primary, block):
            found.identical += block.packets
            continue
        for packet in range(block.packets):
            if _equal(mirror, primary, Block(block.mirror + packet, block.primary + packet, 1)):
                found.identical += 1
            else:
                differ.append(block.mirror + packet)
    found.differ = runs_of(mirror, differ)
    found.held = list(_held(match, pairs))
    if longest := max(blocks, key=lambda block: block.packets, default=None):
        found.offset = primary.seconds[longest.primary] - mirror.seconds[longest.mirror]
    return found, pairs


def runs_of(stream: Stream, packets: Iterator[int] | Sequence[int]) -> list[Run]:
    """Return packets, which are in order, as runs of those that follow each other."""
    runs = []
    for _, group in groupby(enumerate(packets), key=lambda pair: pair[1] - pair[0]):
        each = [packet for _, packet in group]
        runs.append(Run(stream.seconds[each[0]], stream.seconds[each[-1]], len(each)))
    return runs


def _paired(match: Match) -> Iterator[Block]:
    """Yield the blocks, and between them the pairs of packets that were found by their digests and their times."""
    end = Block(match.mirror.length(), match.primary.length(), 0)
    for ours, theirs, block in _between(Block(0, 0, 0), match.blocks, end):
        same = _by_digest(match, ours, theirs) if ours and theirs else []
        for rest, others, pair in _between(Block(ours.start, theirs.start, 0), same, block):
            yield from _by_time(match, rest, others)
            if pair.packets:
                yield pair


def _between(begin: Block, blocks: Sequence[Block], end: Block) -> Iterator[tuple[range, range, Block]]:
    """Yield each block, and `end`, with the packets of both sides that lie before it."""
    before = begin
    for block in [*blocks, end]:
        ours = range(before.mirror + before.packets, block.mirror)
        yield ours, range(before.primary + before.packets, block.primary), block
        before = block


def _by_digest(match: Match, ours: range, theirs: range) -> list[Block]:
    """Return the pairs of packets with equal digests that occur once on each side."""
    one, other = _single(match.mirror.digests, ours), _single(match.primary.digests, theirs)
    return heaviest_chain([Block(packet, other[digest], 1) for digest, packet in one.items() if digest in other])


def _single(digests: bytes, packets: range) -> dict[bytes, int]:
    """Return the packets by their digests, in order, without those whose digest occurs more than once."""
    each = [digests[32 * packet : 32 * packet + 32] for packet in packets] if digests else []
    counts = Counter(each)
    return {digest: packet for digest, packet in zip(each, packets, strict=False) if counts[digest] == 1}


def _by_time(match: Match, ours: range, theirs: range) -> Iterator[Block]:
    """Yield the pairs of packets at the same time, in two ranges of packets."""
    mirror, primary = match.mirror.seconds, match.primary.seconds
    one, other = ours.start, theirs.start
    while one < ours.stop and other < theirs.stop:
        shift = match.shifts[bisect_right(match.primary.starts, other) - 1]
        if shift is None:
            # Nothing of that file matches.
            other = match.primary.end_of_file(other)
            continue
        later = primary[other] - shift - mirror[one]
        if abs(later) <= match.tolerance:
            yield Block(one, other, 1)
        one += later >= -match.tolerance
        other += later <= match.tolerance


def _held(match: Match, pairs: Sequence[Block]) -> Iterator[Held]:
    """Yield what each file of the primary holds, which is named by its number for now."""
    for file, group in groupby(pairs, key=lambda pair: bisect_right(match.primary.starts, pair.primary) - 1):
        own = list(group)
        longest = max(own, key=lambda pair: pair.packets)
        ahead = match.primary.seconds[longest.primary] - match.mirror.seconds[longest.mirror]
        yield Held(file, own[0].mirror, own[-1].mirror + own[-1].packets - 1, ahead)


def _jumps(match: Match) -> Iterator[Jump]:
    """Yield where the times of the two sides move against each other within one file of the primary."""
    mirror, primary = match.mirror.seconds, match.primary.seconds
    for before, after in pairwise(match.blocks):
        if after.primary < match.primary.end_of_file(before.primary):
            last = before.packets - 1
            old = primary[before.primary + last] - mirror[before.mirror + last]
            new = primary[after.primary] - mirror[after.mirror]
            if abs(new - old) > JUMP_SECONDS:
                yield Jump(mirror[after.mirror], new - old)


def _equal(mirror: Stream, primary: Stream, block: Block) -> bool:
    """Return whether sizes are equal, and digests where both are known."""

    def equal(ours: bytes, theirs: bytes, width: int) -> bool:
        one, other = block.mirror * width, block.primary * width
        length = block.packets * width
        return ours[one : one + length] == theirs[other : other + length]

    return equal(mirror.sizes, primary.sizes, 4) and equal(mirror.digests, primary.digests, 32)
