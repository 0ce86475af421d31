"""Which fragments of a segment hold the packets that the primary lacks."""

import math
from collections.abc import Sequence

from heldar_mirror.sides.recorded import Fragment


def choose_fragments(
    fragments: Sequence[Fragment], lacking: Sequence[range], since: float = -math.inf, until: float = math.inf
) -> range:
    """Return the numbers of the fragments to restore. `lacking` has for each track the numbers of the lacking packets.

    Only fragments that are under way between `since` and `until` count, in seconds of the segment's own decode times.

    They are the fragments from that of the first lacking packet to that of the last one, and before them those up to
    the keyframe without which the first pictures could not be decoded. So a keyframe's distance at either edge may be
    there twice in the end, but nothing is missing. The range is empty if no fragment holds a lacking packet.
    """
    holding = [
        number
        for number, fragment in enumerate(fragments)
        if fragment.begin < until and fragment.end > since
        if any(
            own and wanted and own[0] <= wanted[-1] and wanted[0] <= own[-1]
            for own, wanted in zip(fragment.packets, lacking, strict=True)
        )
    ]
    if not holding:
        return range(0)
    first = holding[0]
    while first > 0 and not fragments[first].alone:
        first -= 1
    return range(first, holding[-1] + 1)
