"""What becomes of the packets of one track: identical, different, of one side only, or unknown."""

from collections.abc import Iterable
from typing import NamedTuple

from heldar_mirror.footage.spans import Spans
from heldar_mirror.verify.chain import Block
from heldar_mirror.verify.comparison import Run, TrackComparison, Verdict
from heldar_mirror.verify.pairing import Match, compare_packets, runs_of
from heldar_mirror.verify.streams import Stream


class Unclear(NamedTuple):
    """The times of each side at which it may have what the other one seems to have alone."""

    primary: Spans
    mirror: Spans


def judge_track(handler: str, verdict: Verdict, match: Match, unclear: Unclear) -> TrackComparison:
    """Return what was found in a track of a file of the mirror, and in the primary's packets that belong to it."""
    mirror, primary = match.mirror, match.primary
    found, pairs = TrackComparison(handler, verdict), list[Block]()
    if verdict == Verdict.COMPARED:
        found, pairs = compare_packets(handler, match)
    ours = _others(((pair.mirror, pair.packets) for pair in pairs), mirror.length())
    theirs = _others(((pair.primary, pair.packets) for pair in pairs), primary.length())
    found.only_mirror, found.unknown_mirror = _missing(mirror, ours, unclear.primary)
    found.only_primary, found.unknown_primary = _missing(primary, theirs, unclear.mirror)
    return found


def _others(taken: Iterable[tuple[int, int]], count: int) -> list[int]:
    """Return which packets of `count` are not in ranges, each given by its first packet and its length."""
    found: list[int] = []
    end = 0
    for first, packets in taken:
        found += range(end, first)
        end = first + packets
    return [*found, *range(end, count)]


def _missing(stream: Stream, packets: list[int], unclear: Spans) -> tuple[list[Run], int]:
    """Return packets that the other side lacks, as runs, and of how many that is not clear."""
    sure = [each for each in packets if not unclear.overlap(stream.seconds[each], stream.seconds[each])]
    return runs_of(stream, sure), len(packets) - len(sure)
