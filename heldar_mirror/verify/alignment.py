"""Which packets of a file of the mirror are which of the primary: found by runs of sizes, or of digests.

Eight sizes in a row hardly ever occur twice within a few seconds. So each run of eight that occurs once on each side,
within NEAR_SECONDS of the same time by the files' names, marks the same packets. From there on packets match as long as
their values are equal. Of matches that contradict each other's order those with the most packets stay.

All of this takes n log n, whatever the values are.
"""

from array import array
from bisect import bisect_left, bisect_right
from collections import defaultdict
from itertools import pairwise

from heldar_mirror.verify.chain import Block, heaviest_chain
from heldar_mirror.verify.streams import Stream

# So many sizes in a row are unique in real footage.
RUN = 8

# Names of the same packet differ by a second that is cut off, and by how far one session lags behind the other. It is
# less than half of ten seconds, after which test cameras repeat themselves.
NEAR_SECONDS = 4

# A run with fewer different values says too little: sound of a constant size has single odd ones.
DISTINCT = 4

# Far from its time, by the names, a run has to be longer: among many packets eight equal sizes may occur by chance.
FAR_RUN = 16

# Packets are compared so many at a time.
PIECE = 256

Occurrences = dict[bytes, list[int]]


def align(mirror: Stream, primary: Stream, tolerance: float, *, by_digests: bool = False) -> list[Block]:
    """Return the blocks that match, in the order of both sides.

    `tolerance` is half of the usual time between two packets. Within a block the two clocks move by less.
    """
    return _Aligner(mirror, primary, tolerance, by_digests=by_digests).align()


def is_varied(stream: Stream) -> bool:
    """Return whether most runs of sizes occur but once in a stream, so that they can be told from all others."""
    if stream.length() < 2 * RUN:
        return False
    places = _occurrences(stream.sizes, 4, 0, stream.length())
    return 2 * sum(len(each) == 1 and _tells(run, 4) for run, each in places.items()) > stream.length()


def _tells(values: bytes, width: int, packets: int = RUN) -> bool:
    """Return whether so many packets have enough different values to be told from others."""
    return len({values[at : at + width] for at in range(0, len(values), width)}) >= min(DISTINCT, packets)


def _occurrences(values: bytes, width: int, begin: int, end: int, run: int = RUN) -> Occurrences:
    """Return where each run lies that begins at `begin` or later and ends at `end` at the latest."""
    found: Occurrences = defaultdict(list)
    length = run * width
    for packet in range(begin, end - run + 1):
        found[values[packet * width : packet * width + length]].append(packet)
    return found


class _Aligner:
    def __init__(self, mirror: Stream, primary: Stream, tolerance: float, *, by_digests: bool) -> None:
        self._mirror, self._primary, self._tolerance = mirror, primary, tolerance
        self._width = 32 if by_digests else 4
        self._run = min(RUN, mirror.length())  # so that a file of fewer packets is found as a whole
        self._ours = mirror.digests if by_digests else mirror.sizes
        self._theirs = primary.digests if by_digests else primary.sizes

    def align(self) -> list[Block]:
        """Look near the file's time, which is soon done, and in the whole of the primary if that leaves a run open."""
        ours, theirs = self._mirror.seconds, self._primary.seconds
        if not ours or not theirs:
            return []
        begin, end = bisect_left(theirs, ours[0] - NEAR_SECONDS), bisect_right(theirs, ours[-1] + NEAR_SECONDS)
        blocks = self._blocks(begin, end)
        if len(ours) - sum(block.packets for block in blocks) >= self._run and end - begin < len(theirs):
            blocks = self._blocks(0, len(theirs))
        return blocks

    def _blocks(self, begin: int, end: int) -> list[Block]:
        count, width = self._mirror.length(), self._width
        ours = _occurrences(self._ours, width, 0, count, self._run)
        theirs = _occurrences(self._theirs, width, begin, end, self._run)
        found: list[Block] = []
        packet = 0
        while packet <= count - self._run:
            run = self._ours[packet * width : (packet + self._run) * width]
            known = run in theirs and _tells(run, width, self._run)
            place = self._match(packet, ours[run], theirs[run]) if known else None
            if place is None:
                packet += 1
            else:
                found += self._forward(packet, place, count, self._primary.length())
                packet = found[-1].mirror + found[-1].packets
        return self._grown(heaviest_chain(found))

    def _match(self, packet: int, ours: list[int], theirs: list[int]) -> int | None:
        """Return which packet of the primary begins the same run as one of the mirror, if there is but one."""
        at = self._mirror.seconds[packet]
        near = _near(theirs, self._primary.seconds, at)
        if near:
            alone = len(near) == 1 and len(_near(ours, self._mirror.seconds, at)) == 1
            return near[0] if alone else None
        alone = len(ours) == len(theirs) == 1
        return theirs[0] if alone and self._equal(packet, theirs[0], FAR_RUN) == FAR_RUN else None

    def _grown(self, chain: list[Block]) -> list[Block]:
        """Lengthen blocks in both directions, up to their neighbours."""
        grown: list[Block] = []
        mirror = primary = 0
        for after in [*chain, Block(self._mirror.length(), self._primary.length(), 0)]:
            if grown:
                shift = self._shift(mirror - 1, primary - 1)
                grown += self._forward(mirror, primary, after.mirror, after.primary, shift)
                mirror, primary = _ends(grown[-1])
            if after.packets:
                grown += [*reversed(self._backward(after, mirror, primary)), after]
                mirror, primary = _ends(after)
        return self._near_their_neighbours(grown)

    def _near_their_neighbours(self, blocks: list[Block]) -> list[Block]:
        """Leave out blocks of few packets that match by chance: those in a file whose name puts it far from the next.

        A run of eight may begin with one of them at the end of a file, and go on after a hole.
        """
        shifts = [self._shift(block.mirror, block.primary) for block in blocks]
        near = [abs(one - other) <= NEAR_SECONDS for one, other in pairwise(shifts)]
        sides = zip(blocks, [True, *near], [*near, True], strict=False)
        return [block for block, before, after in sides if block.packets >= RUN or (before and after)]

    def _shift(self, mirror: int, primary: int) -> float:
        return self._primary.seconds[primary] - self._mirror.seconds[mirror]

    def _forward(
        self, mirror: int, primary: int, mirror_end: int, primary_end: int, shift: float | None = None
    ) -> list[Block]:
        """Return the blocks from a packet of both sides on: one for each file of the primary, or move of the clocks.

        `shift` is that of the block before, which ends there.
        """
        found: list[Block] = []
        while mirror < mirror_end and primary < primary_end:
            whole = min(mirror_end - mirror, primary_end - primary, self._primary.end_of_file(primary) - primary)
            further = shift is not None and primary == self._primary.start_of_file(primary)
            equal = self._equal(mirror, primary, whole)
            count = self._steady(mirror, primary, equal, 1, None if further else shift)
            if further and count < min(RUN, whole):
                break  # so few of a further file, and not to an end, may match by chance
            if count:
                found.append(Block(mirror, primary, count))
            if count < whole and not self._goes_on(mirror + count, mirror + equal):
                break
            shift = self._shift(mirror, primary) if count == whole else None
            mirror, primary = mirror + count, primary + count
        return found

    def _backward(self, block: Block, mirror_begin: int, primary_begin: int) -> list[Block]:
        """Return the blocks before a block, the last one first."""
        found: list[Block] = []
        mirror, primary = block.mirror, block.primary
        shift: float | None = self._shift(mirror, primary)
        while mirror > mirror_begin and primary > primary_begin:
            start = self._primary.start_of_file(primary - 1)
            whole = min(mirror - mirror_begin, primary - primary_begin, primary - start)
            further = shift is not None and primary == self._primary.end_of_file(primary - 1)
            equal = 0
            while equal < whole and self._equal(mirror - equal - 1, primary - equal - 1, 1):
                equal += 1
            count = self._steady(mirror - 1, primary - 1, equal, -1, None if further else shift)
            if further and count < min(RUN, whole):
                break
            if count:
                found.append(Block(mirror - count, primary - count, count))
            if count < whole and not self._goes_on(mirror - equal, mirror - count):
                break
            shift = self._shift(mirror - 1, primary - 1) if count == whole else None
            mirror, primary = mirror - count, primary - count
        return found

    def _goes_on(self, begin: int, end: int) -> bool:
        """Return whether equal packets are the same ones on both sides though the clocks have moved before them."""
        return _tells(self._ours[begin * self._width : end * self._width], self._width)

    def _equal(self, mirror: int, primary: int, most: int) -> int:
        """Return how many packets from these on have equal values, at most so many."""
        width = self._width
        count = 0
        while count < most:
            piece = min(PIECE, most - count)
            ours = self._ours[(mirror + count) * width : (mirror + count + piece) * width]
            theirs = self._theirs[(primary + count) * width : (primary + count + piece) * width]
            if ours != theirs:
                places = range(0, piece * width, width)
                return count + next(
                    n for n, at in enumerate(places) if ours[at : at + width] != theirs[at : at + width]
                )
            count += piece
        return count

    def _steady(self, mirror: int, primary: int, count: int, step: int, shift: float | None) -> int:
        """Return how many of these packets follow before the clocks of the two files move against each other.

        `shift` is where they stood before, or None if the first of these packets says it.
        """
        if not count:
            return 0
        stood = self._shift(mirror, primary) if shift is None else shift

        def moved(number: int) -> bool:
            return abs(self._shift(mirror + step * number, primary + step * number) - stood) > self._tolerance

        return count if not moved(count - 1) else bisect_left(range(count), True, key=moved)


def _ends(block: Block) -> tuple[int, int]:
    return block.mirror + block.packets, block.primary + block.packets


def _near(places: list[int], seconds: "array[float]", at: float) -> list[int]:
    """Return which places are near a time, at most two of them."""
    begin = bisect_left(places, bisect_left(seconds, at - NEAR_SECONDS))
    end = bisect_left(places, bisect_right(seconds, at + NEAR_SECONDS))
    return places[begin : min(end, begin + 2)]
