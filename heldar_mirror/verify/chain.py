"""Blocks of packets that match, and those among them that do not contradict each other."""

from bisect import bisect_left, bisect_right
from itertools import pairwise, repeat
from operator import itemgetter
from typing import NamedTuple


class Block(NamedTuple):
    """Packets with equal values, within one file of either side: the first of the mirror and the primary, and how many.

    From its first to its last packet the clocks of the two files don't move against each other.
    """

    mirror: int
    primary: int
    packets: int


def heaviest_chain(blocks: list[Block]) -> list[Block]:
    """Return those blocks, in the order of both sides, that have the most packets together.

    The blocks are in the order of the mirror, and none overlaps another one there.
    """
    if all(one.primary + one.packets <= other.primary for one, other in pairwise(blocks)):
        return blocks
    ends = sorted({block.primary + block.packets for block in blocks})
    # A Fenwick tree: for all ends up to some place, the heaviest chain (its packets, and its last block).
    tree: list[tuple[int, int]] = list(repeat((0, -1), len(ends) + 1))
    before: list[int] = []
    heaviest = (0, -1)
    for number, block in enumerate(blocks):
        at, best = bisect_right(ends, block.primary), (0, -1)
        while at:
            best = max(best, tree[at], key=itemgetter(0))
            at &= at - 1
        before.append(best[1])
        own = best[0] + block.packets, number
        heaviest = max(heaviest, own, key=itemgetter(0))
        at = bisect_left(ends, block.primary + block.packets) + 1
        while at < len(tree):
            tree[at] = max(tree[at], own, key=itemgetter(0))
            at += at & -at
    chain: list[Block] = []
    number = heaviest[1]
    while number >= 0:
        chain.append(blocks[number])
        number = before[number]
    return chain[::-1]
