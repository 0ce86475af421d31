"""Which fragments are chosen for packets that the primary lacks, of random recordings."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.made_mp4 import SYNC, TWO_TRACKS, box, full, moof, moov, opened, recording, tfdt, tfhd, trak, u32

from heldar_mirror.packets.layout import read_layout
from heldar_mirror.restore.choosing import choose_fragments
from heldar_mirror.sides.fragments import fragments_of
from heldar_mirror.sides.recorded import Fragment


def fragments(content: bytes) -> list[Fragment]:
    with opened(content) as fd:
        return fragments_of(read_layout(fd))


def of_keyframes(*keyframes: bool) -> list[Fragment]:
    """A recording of two pictures and four pieces of sound, which is 80 ms, in each fragment."""
    return fragments(recording(fragments=[(5, 3)] * len(keyframes), keyframes=keyframes))


RANGES = st.tuples(st.integers(0, 30), st.integers(0, 30)).map(lambda both: range(*sorted(both)))
TIMES = st.one_of(st.just(-math.inf), st.just(math.inf), st.floats(-0.1, 0.8))


@given(st.lists(st.booleans(), min_size=1, max_size=8), RANGES, RANGES, TIMES, TIMES)
def test_no_lacking_packet_is_left_out(
    keyframes: list[bool], pictures: range, sound: range, since: float, until: float
) -> None:
    """The choice has each lacking packet, and begins with a keyframe if there is one; at the edges it has no more."""
    made = of_keyframes(*keyframes)
    lacking = [pictures, sound]
    chosen = choose_fragments(made, lacking, since, until)
    held = [
        any(set(own) & set(wanted) for own, wanted in zip(fragment.packets, lacking, strict=True))
        and fragment.begin < until
        and fragment.end > since
        for fragment in made
    ]
    assert bool(chosen) == any(held)
    if not chosen:
        return
    assert not any(held[: chosen.start])
    assert held[chosen.stop - 1]
    assert not any(held[chosen.stop :])
    assert keyframes[chosen.start] or chosen.start == 0
    assert not any(keyframes[chosen.start + 1 : held.index(True) + 1])


def test_sound_alone() -> None:
    """Without pictures each fragment can begin a file; beside pictures one of sound alone can't."""
    video, sound = (
        moof(box("traf", tfhd(track), tfdt(0), full("trun", 0x205, u32(1, 104, SYNC, 4)))) + box("mdat", bytes(4))
        for track in (1, 2)
    )
    alone = moov(trak(2, "soun"), trex=[(2, 1, 1, SYNC)])
    assert choose_fragments(fragments(box("ftyp") + alone + 3 * sound), [range(2, 3)]) == range(2, 3)
    both = fragments(box("ftyp") + TWO_TRACKS + video + 3 * sound)
    assert choose_fragments(both, [range(0), range(2, 3)]) == range(4)


@pytest.mark.parametrize(
    ("since", "until", "chosen"),
    [
        (0, 1, range(3)),
        (0.08, 0.16, range(1, 2)),
        (0.079, 0.161, range(3)),
        (-5, 0, range(0)),
        (-5, 0.001, range(1)),
        (0.1, 0.1, range(1, 2)),
        (0.2, 9, range(2, 3)),
        (0.24, 9, range(0)),
    ],
)
def test_fragments_between_two_times(since: float, until: float, chosen: range) -> None:
    """What is under way at either time is among them."""
    every = [range(100)] * 2
    assert choose_fragments(of_keyframes(True, True, True), every, since, until) == chosen
