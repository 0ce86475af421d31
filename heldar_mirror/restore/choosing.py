"""Which fragments of a recording hold the packets that the primary lacks."""

from bisect import bisect_left, bisect_right
from collections.abc import Sequence

from heldar_mirror.packets.layout import Fragment, Layout
from heldar_mirror.packets.tracks import Track


def choose_fragments(layout: Layout, lacking: Sequence[range]) -> range:
    """Return the numbers of the fragments to restore. `lacking` has for each track the numbers of the lacking packets.

    They are the fragments from that of the first lacking packet to that of the last one, and before them those up to
    the keyframe without which the first pictures could not be decoded. So a keyframe's distance at either edge may be
    there twice in the end, but nothing is missing. The range is empty if no fragment holds a lacking packet.
    """
    holding = [
        number
        for number, fragment in enumerate(layout.fragments)
        if any(
            own and wanted and own[0] <= wanted[-1] and wanted[0] <= own[-1]
            for own, wanted in zip(fragment.packets, lacking, strict=True)
        )
    ]
    if not holding:
        return range(0)
    first = holding[0]
    while first > 0 and not _decodes_alone(layout.tracks, layout.fragments[first]):
        first -= 1
    return range(first, holding[-1] + 1)


def packets_between(tracks: Sequence[Track], begin: float, end: float) -> list[range]:
    """Return for each track the numbers of the packets that are under way between two times.

    The times are seconds of the recording's own decode times.
    """
    return [_packets_between(track, begin * track.timescale, end * track.timescale) for track in tracks]


def _packets_between(track: Track, begin: float, end: float) -> range:
    if begin >= end:
        return range(0)
    first = max(0, bisect_right(track.times, begin) - 1)
    if first < len(track) and track.times[first] + track.durations[first] <= begin:
        first += 1
    return range(first, bisect_left(track.times, end))


def _decodes_alone(tracks: Sequence[Track], fragment: Fragment) -> bool:
    """Return whether a fragment begins with a keyframe. Sound alone counts as one if there are no pictures at all."""
    pictures = [(track, own) for track, own in zip(tracks, fragment.packets, strict=True) if track.handler == "vide"]
    return not pictures or any(own and track.keyframes[own[0]] for track, own in pictures)
