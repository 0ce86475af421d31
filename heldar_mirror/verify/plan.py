"""In which order segments are looked at."""

from collections.abc import Iterator, Sequence
from itertools import zip_longest

from heldar_mirror.verify.memory import Block


def order(blocks: Sequence[Block]) -> Iterator[Block]:
    """Yield blocks in the order in which they are looked at, given in the order of their turns.

    Findings come first. Where there are many of them, every other block is one of the rest, so that these get round.
    """
    findings = [block for block in blocks if block.turn == 0]
    for pair in zip_longest(findings, blocks[len(findings) :]):
        yield from filter(None, pair)
