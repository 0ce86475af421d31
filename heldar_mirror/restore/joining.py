"""When the packets are shown that were taken from recordings into one file."""

from collections.abc import Sequence
from fractions import Fraction
from math import floor
from typing import NamedTuple

from heldar_mirror.packets.layout import Fragment
from heldar_mirror.packets.tracks import Track
from heldar_mirror.restore.source import Source, UncuttableError

# Segments are named by whole seconds, so a pause that is not longer may be none.
NAME_SECONDS = 1
# ffmpeg looks at a stream for some seconds before it opens its first file. That file begins with what it saw then, so
# it is named too late, and seems to end after the beginning of the next one.
LATE_SECONDS = 10


class Part(NamedTuple):
    """Fragments of a recording that follow each other, by their numbers.

    `begun` is when the recording's time 0 was, in Unix seconds.
    """

    source: Source
    chosen: range
    begun: float

    def fragments(self) -> list[Fragment]:
        """Return the fragments."""
        return self.source.layout.fragments[self.chosen.start : self.chosen.stop]


class Plan(NamedTuple):
    """What a new file is made of, and for each part what is added to the decode times of each track, in its units.

    The file's first packet was recorded at `begun`, in Unix seconds, and the file takes `seconds`. It has `size` bytes,
    and those of its index.
    """

    parts: tuple[Part, ...]
    shifts: list[tuple[int, ...]]
    begun: float
    seconds: float
    size: int


def plan_file(parts: Sequence[Part]) -> Plan:
    """Return the plan of a file of at least one part, in the order of time. Raises UncuttableError if they don't fit.

    The earliest packet of all tracks is decoded at 0, as in a file that a recorder has just begun. In each part the
    same time is taken from all tracks, so that sound and pictures stay together. It is rounded to the units of each
    track in such a way that no packet comes earlier by more than a unit, and none before 0 or before the end of the
    part before. Parts follow each other by the clock, or at once where their names say no more.
    """
    shifts: list[tuple[int, ...]] = []
    begun, ends = Fraction(0), [Fraction(0)] * len(parts[0].source.layout.tracks)
    for number, part in enumerate(parts):
        _check_fits(parts[0].source, part)
        tracks = part.source.layout.tracks
        spans = [_span(track, own) for track, own in zip(tracks, _packets(part), strict=True)]
        earliest = min(span[0] for span in spans if span)
        if number == 0:
            begun = Fraction(part.begun) + earliest
            later = -earliest
        else:
            at_once = max(end - span[0] for end, span in zip(ends, spans, strict=True) if span)
            later = Fraction(part.begun) - begun
            if later < at_once - LATE_SECONDS:
                reason = f"it begins {float(at_once - later):.1f} s before the end of {parts[number - 1].source.path}"
                raise UncuttableError(part.source.path, reason)
            later = at_once if later < at_once + NAME_SECONDS else later
        shifts.append(tuple(floor(later * track.timescale) for track in tracks))
        ends = [span[1] + later if span else end for end, span in zip(ends, spans, strict=True)]
    size = len(parts[0].source.head) + sum(map(_size, parts))
    return Plan(tuple(parts), shifts, float(begun), float(max(ends)), size)


def _check_fits(first: Source, part: Part) -> None:
    source = part.source
    if source.codings != first.codings:
        raise UncuttableError(source.path, f"its tracks are coded differently than those of {first.path}")
    if not any(_packets(part)):
        raise UncuttableError(source.path, "there is nothing in the fragments that should be taken from it")


def _packets(part: Part) -> list[range]:
    """Return the numbers of the packets of a part, for each track."""
    fragments = part.fragments()
    if not fragments:
        return [range(0)] * len(part.source.layout.tracks)
    return [range(a.start, b.stop) for a, b in zip(fragments[0].packets, fragments[-1].packets, strict=True)]


def _span(track: Track, own: range) -> tuple[Fraction, Fraction] | None:
    """Return when the first of packets begins and the last one ends, in seconds of their recording."""
    if not own:
        return None
    times, durations = track.times[own.start : own.stop], track.durations[own.start : own.stop]
    end = max(map(int.__add__, times, durations))
    return Fraction(min(times), track.timescale), Fraction(end, track.timescale)


def _size(part: Part) -> int:
    return sum(fragment.mdat.end - fragment.moof.offset for fragment in part.fragments())
