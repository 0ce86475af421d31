"""Two made-up recordings of a camera are compared, whatever was cut, lost or changed."""

from random import Random

from hypothesis import Phase, given, settings
from hypothesis import strategies as st
from support.made_packets import (
    RATES,
    TIMESCALES,
    Made,
    MadeSide,
    aac,
    compared,
    counts,
    cut,
    made_packets,
    pcm,
    video,
)

from heldar_mirror.verify.alignment import RUN

# An example is long, so it is not made shorter.
PHASES = set(Phase) - {Phase.shrink, Phase.explain}


@st.composite
def cuts(draw: st.DrawFn, seconds: float) -> list[float]:
    """Return times at which files begin: from some second on, every few seconds."""
    at = draw(st.floats(0, 10))
    found = [at]
    while at < seconds:
        at += draw(st.floats(2, 40))
        found.append(at)
    return found


@st.composite
def sides(draw: st.DrawFn, seconds: float = 120) -> tuple[MadeSide, MadeSide]:
    packets = made_packets(
        draw(st.integers(0, 1000)), seconds, {"vide": video, "soun": draw(st.sampled_from([aac, pcm]))}
    )

    def side() -> MadeSide:
        random, lag = Random(draw(st.integers(0, 1000))), draw(st.floats(0, 1.5))
        return cut(packets, draw(cuts(seconds)), lambda time: time + lag + random.random())

    return side(), side()


def common(primary: MadeSide, mirror: MadeSide) -> tuple[set[Made], set[Made], set[Made]]:
    """Return the packets of both sides, of the primary alone, and of the mirror alone."""
    theirs = {packet for own in primary.files.values() for packet in own}
    ours = {packet for own in mirror.files.values() for packet in own}
    return theirs & ours, theirs - ours, ours - theirs


def number(packets: set[Made], handler: str) -> int:
    return sum(packet.handler == handler for packet in packets)


@settings(max_examples=40, deadline=None, phases=PHASES)
@given(sides())
def test_what_was_not_changed_is_identical(both: tuple[MadeSide, MadeSide]) -> None:
    """Wherever two recordings are cut, the packets that both have are identical, and the others are of one side."""
    found = counts(compared(*both))
    same, theirs, ours = common(*both)
    # So few packets at the edge of a recording can't be told from others.
    few = sum(0 < len(set(own) & same) < RATES["vide"] for own in both[1].files.values())
    for handler in TIMESCALES:
        missed = number(same, handler) - found["identical", handler]
        assert 0 <= missed < RUN * few if few else missed == 0
        assert found["only_primary", handler] == number(theirs, handler) + missed
        assert found["only_mirror", handler] == number(ours, handler) + missed
