"""The fragments of a file as a side tells of them, and the blocks of bytes in which they are sent."""

from array import array
from collections.abc import Sequence
from itertools import accumulate, pairwise
from operator import add

from heldar_mirror.packets.layout import Layout
from heldar_mirror.packets.tracks import Track
from heldar_mirror.sides.recorded import Fragment


def fragments_of(layout: Layout) -> list[Fragment]:
    """Return the fragments of a file by its layout."""
    tracks = layout.tracks
    return [
        Fragment(
            each.mdat.end - each.moof.offset,
            *_span(tracks, each.packets),
            alone=_decodes_alone(tracks, each.packets),
            packets=each.packets,
        )
        for each in layout.fragments
    ]


def encode(fragments: Sequence[Fragment], tracks: int) -> list[bytes | bytearray]:
    """Return fragments by columns, of which the last ones say for each track how many packets each fragment holds."""
    columns: list[array[int] | array[float]] = [
        array("q", (each.size for each in fragments)),
        array("d", (each.begin for each in fragments)),
        array("d", (each.end for each in fragments)),
        array("B", (each.alone for each in fragments)),
        *(array("q", (len(each.packets[track]) for each in fragments)) for track in range(tracks)),
    ]
    return [column.tobytes() for column in columns]


def decode(blocks: Sequence[bytes]) -> list[Fragment]:
    """Return the fragments that were encoded."""
    sizes, begins, ends, alone, *counts = blocks
    stops = [accumulate(array("q", each), initial=0) for each in counts]
    packets = zip(*((range(*each) for each in pairwise(own)) for own in stops), strict=True)
    columns = array("q", sizes), array("d", begins), array("d", ends), map(bool, alone)
    return [Fragment(*each) for each in zip(*columns, packets, strict=bool(counts))]


def _span(tracks: Sequence[Track], packets: Sequence[range]) -> tuple[float, float]:
    """Return from when to when packets last, in seconds; both 0 for none."""
    begins, ends = [], []
    for track, own in zip(tracks, packets, strict=True):
        if own:
            times, durations = track.times[own.start : own.stop], track.durations[own.start : own.stop]
            begins.append(min(times) / track.timescale)
            ends.append(max(map(add, times, durations)) / track.timescale)
    return min(begins, default=0.0), max(ends, default=0.0)


def _decodes_alone(tracks: Sequence[Track], packets: Sequence[range]) -> bool:
    """Return whether packets begin with a keyframe. Sound alone counts as one if there are no pictures at all."""
    pictures = [(track, own) for track, own in zip(tracks, packets, strict=True) if track.handler == "vide"]
    return not pictures or any(own and track.keyframes[own[0]] for track, own in pictures)
