"""For which times each side has footage, and what that means for both. Pure; times are Unix seconds."""

import itertools
import math
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from enum import Enum
from operator import itemgetter
from typing import NamedTuple

from heldar_mirror.footage.spans import Spans
from heldar_mirror.sides.ends import CUT_SECONDS
from heldar_mirror.sides.recorded import Recorded

# Holes shorter than this are not worth a line unless a person asks for them. ffmpeg probes a stream for up to 5 s
# before it writes, so after the same outage the names of the two sides may begin so far apart.
MIN_GAP_SECONDS = 5.0

# A beginning and an end.
Span = tuple[float, float]


class State(str, Enum):
    """Which side has footage. With the `at least` states and `unknown`, a side could not be read."""

    BOTH = "both"
    ONLY_PRIMARY = "only primary"
    ONLY_MIRROR = "only mirror"
    NEITHER = "neither"
    AT_LEAST_PRIMARY = "at least primary"  # the mirror could not be read
    AT_LEAST_MIRROR = "at least mirror"  # the primary could not be read
    UNKNOWN = "unknown"  # a side could not be read, and the other one has none or could not be read either


class Reason(str, Enum):
    """Why a side has no footage, as far as that follows from Heldar's rows."""

    EXPIRED = "expired"  # it is older than what Heldar keeps
    NOT_WANTED = "not wanted"  # the primary does not record then, by the camera's mode and schedules
    OFF = "switched off"  # the camera is not recorded at all
    NOT_YET = "not yet added"  # Heldar did not know the camera


class Stretch(NamedTuple):
    """A time of one state. `reason` says why a side has no footage, if it is known."""

    begin: float
    end: float
    state: State
    reason: Reason | None = None

    @property
    def is_gap(self) -> bool:
        """Whether footage is missing that should be there.

        It is not if it has expired, or the camera was switched off or not added yet. What the primary does not want is
        missing only if the mirror lacks it as well, since the mirror records all the time.
        """
        if self.state is State.ONLY_MIRROR:
            return self.reason is None
        return self.state in {State.ONLY_PRIMARY, State.NEITHER} and self.reason in {None, Reason.NOT_WANTED}


class Known(NamedTuple):
    """What is known of one side: for which times it has footage, and for which it could not be read.

    Where a time is in both, the side has footage.
    """

    footage: Spans
    unread: Spans = Spans()

    @property
    def begun(self) -> float:
        """When the oldest footage begins, or may begin if it could not be read; infinite if there is none."""
        return min((spans.spans[0][0] for spans in self if spans), default=math.inf)


class Reasons(NamedTuple):
    """For which times which reason holds. The times of `not_wanted` concern the primary alone."""

    expired: Spans = Spans()
    not_wanted: Spans = Spans()
    off: Spans = Spans()
    not_yet: Spans = Spans()


# A side that could not be read at all.
UNREADABLE = Known(Spans(), Spans([(-math.inf, math.inf)]))

# The key says whether the primary and the mirror have footage; None if that is not known.
STATES = {
    (True, True): State.BOTH,
    (True, False): State.ONLY_PRIMARY,
    (False, True): State.ONLY_MIRROR,
    (False, False): State.NEITHER,
    (True, None): State.AT_LEAST_PRIMARY,
    (None, True): State.AT_LEAST_MIRROR,
}


def known(recorded: Recorded, segment_seconds: float) -> Known:
    """Return what is known of a side by its segments. A file that can't be read is taken to reach the next one, if that
    begins when it should."""
    return Known(
        Spans((begin, end) for begin, end in zip(recorded.begun, recorded.ends, strict=True) if end > begin),
        Spans((begin, _reach(recorded, begin, segment_seconds)) for begin in recorded.unread),
    )


def _reach(recorded: Recorded, begin: int, segment_seconds: float) -> float:
    following = bisect_right(recorded.begun, begin)
    usual = begin + segment_seconds + CUT_SECONDS
    return min(usual, recorded.begun[following]) if following < len(recorded.begun) else usual


def timeline(whole: Span, primary: Known, mirror: Known, reasons: Reasons, min_gap: float) -> list[Stretch]:
    """Return the stretches of `whole`, in order. Each begins where the one before it ends.

    A side's hole of less than `min_gap` seconds beside its footage counts as footage of that side.
    """
    layers = (
        Spans([*primary.footage.spans, *blips(whole, primary, min_gap)]),
        primary.unread,
        Spans([*mirror.footage.spans, *blips(whole, mirror, min_gap)]),
        mirror.unread,
        *reasons,
    )
    stretches: list[Stretch] = []
    for begin, end, (in_primary, no_primary, in_mirror, no_mirror, *holds) in sweep(whole, layers):
        has = _has(in_primary, no_primary), _has(in_mirror, no_mirror)
        found = STATES.get(has, State.UNKNOWN), _reason(has, *holds)
        if stretches and stretches[-1][2:] == found:
            stretches.append(Stretch(stretches.pop().begin, end, *found))
        else:
            stretches.append(Stretch(begin, end, *found))
    return stretches


def blips(whole: Span, side: Known, min_gap: float) -> list[Span]:
    """Return the holes of less than `min_gap` seconds in one side that are beside its footage."""
    pieces = list(sweep(whole, (side.footage, side.unread)))
    return [
        (begin, end)
        for index, (begin, end, inside) in enumerate(pieces)
        if not any(inside)
        and end - begin < min_gap
        and any(has_footage for _, _, (has_footage, _) in pieces[max(index - 1, 0) : index + 2])
    ]


def sweep(whole: Span, layers: Sequence[Spans]) -> Iterator[tuple[float, float, tuple[bool, ...]]]:
    """Yield the pieces into which the edges of the layers' spans cut `whole`, in order.

    With each piece comes for every layer whether a span of it covers the piece.
    """
    since, until = whole
    edges = [
        (min(max(edge, since), until), number)
        for number, layer in enumerate(layers)
        for span in layer.spans
        for edge in span
    ]
    edges.sort()
    inside = [False] * len(layers)
    begin = since
    for edge, crossing in itertools.groupby(edges, itemgetter(0)):
        before = tuple(inside)
        for _, number in crossing:
            inside[number] = not inside[number]
        if edge > begin and tuple(inside) != before:
            yield begin, edge, before
            begin = edge
    if until > begin:
        yield begin, until, tuple(inside)


def _has(footage: bool, unread: bool) -> bool | None:
    return True if footage else None if unread else False


def _reason(
    has: tuple[bool | None, bool | None], expired: bool, not_wanted: bool, off: bool, not_yet: bool
) -> Reason | None:
    if False not in has:
        return None
    if not_yet:
        return Reason.NOT_YET
    if expired:
        return Reason.EXPIRED
    if off:
        return Reason.OFF
    return Reason.NOT_WANTED if not_wanted and has[0] is False else None
