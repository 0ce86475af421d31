"""Two made-up recordings of a camera are compared, whatever was cut, lost or changed."""

from random import Random

from hypothesis import Phase, given, settings
from hypothesis import strategies as st
from support.made_packets import (
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


def common(primary: MadeSide, mirror: MadeSide) -> tuple[list[Made], list[Made], list[Made]]:
    """Return the packets of both sides, of the primary alone, and of the mirror alone."""
    theirs = [packet for own in primary.files.values() for packet in own]
    ours = [packet for own in mirror.files.values() for packet in own]
    both = set(ours) & set(theirs)
    return list(both), [each for each in theirs if each not in both], [each for each in ours if each not in both]


@settings(max_examples=40, deadline=None, phases=PHASES)
@given(sides())
def test_what_was_not_changed_is_identical(both: tuple[MadeSide, MadeSide]) -> None:
    """Wherever two recordings are cut, the packets that both have are identical, and the others are of one side."""
    found = counts(compared(*both))
    same, theirs, ours = common(*both)
    identical = len(same)
    assert found["identical", "vide"] + found["identical", "soun"] == identical
    assert found["only_primary", "vide"] + found["only_primary", "soun"] == len(theirs)
    assert found["only_mirror", "vide"] + found["only_mirror", "soun"] == len(ours)
