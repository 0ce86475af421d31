"""Runs of packet sizes are found again, and hostile sizes cost bounded time."""

import itertools
from array import array
from itertools import pairwise
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from heldar_mirror.verify.alignment import align
from heldar_mirror.verify.chain import Block, heaviest_chain
from heldar_mirror.verify.streams import Stream

MANY = 30_000


def stream(sizes: list[int], begun: float = 0, files: int = 1) -> Stream:
    """A stream of 25 packets a second, in files of equal length."""
    seconds = array("d", (begun + number / 25 for number in range(len(sizes))))
    starts = [len(sizes) * number // files for number in range(files + 1)]
    return Stream(array("I", sizes).tobytes(), b"", seconds, starts)


def random_sizes(seed: int, count: int) -> list[int]:
    random = Random(seed)
    return [random.randrange(500, 9000) for _ in range(count)]


def test_a_part_is_found_in_the_whole() -> None:
    """The blocks of a file say where it lies, one for each file of the primary."""
    sizes = random_sizes(1, 3000)
    found = align(stream(sizes[700:1700], 28.3), stream(sizes, files=3), 0.02)
    assert found == [Block(0, 700, 300), Block(300, 1000, 700)]


def test_a_part_is_found_far_from_its_time() -> None:
    """If the clocks differ by more than usual, the rest of the primary is searched as well."""
    sizes = random_sizes(1, 3000)
    assert align(stream(sizes[700:1700], 400), stream(sizes), 0.02) == [Block(0, 700, 1000)]


def test_nothing_is_found_of_something_else() -> None:
    assert align(stream(random_sizes(1, 1000)), stream(random_sizes(2, 1000)), 0.02) == []


@pytest.mark.parametrize("sizes", [[], [7], [7] * 9])
def test_few_packets(sizes: list[int]) -> None:
    """Too few packets, or equal ones, match nothing by chance."""
    assert align(stream(sizes), stream(random_sizes(1, 1000)), 0.02) == []
    assert align(stream(random_sizes(1, 1000)), stream(sizes), 0.02) == []


HOSTILE = {
    "one size": [160] * MANY,
    "two sizes in turn": [160, 161] * (MANY // 2),
    "a short period": list(range(9)) * (MANY // 9),
    "a period of eight seconds": list(range(200)) * (MANY // 200),
    "few sizes": [Random(number).randrange(4) for number in range(MANY)],
    "a change in each run": [size * (number % 8 > 0) for number, size in enumerate(random_sizes(3, MANY))],
}


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_sizes_cost_bounded_time(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """However often runs repeat themselves, the steps are few for each packet."""
    sizes = HOSTILE[name]
    steps = itertools.count()
    real = Stream.end_of_file

    def counted(self: Stream, packet: int) -> int:
        next(steps)
        return real(self, packet)

    monkeypatch.setattr(Stream, "end_of_file", counted)
    found = align(stream(sizes, 0.4), stream(sizes[10:] + sizes[:10], files=7), 0.02)
    assert next(steps) <= len(sizes)
    assert all(one.mirror + one.packets <= other.mirror for one, other in pairwise(found))
    assert all(one.primary + one.packets <= other.primary for one, other in pairwise(found))


@given(st.lists(st.tuples(st.integers(0, 30), st.integers(1, 5)), max_size=7))
def test_the_heaviest_chain(places: list[tuple[int, int]]) -> None:
    """Of all chains in the order of both sides, it is one with the most packets."""
    blocks: list[Block] = []
    for primary, packets in places:
        before = blocks[-1].mirror + blocks[-1].packets if blocks else 0
        blocks.append(Block(before, primary, packets))

    def in_order(chain: tuple[Block, ...] | list[Block]) -> bool:
        return all(one.primary + one.packets <= other.primary for one, other in pairwise(chain))

    def weight(chain: tuple[Block, ...] | list[Block]) -> int:
        return sum(block.packets for block in chain)

    chains = (chain for count in range(len(blocks) + 1) for chain in itertools.combinations(blocks, count))
    found = heaviest_chain(blocks)
    assert in_order(found)
    assert weight(found) == max(weight(chain) for chain in chains if in_order(chain))
