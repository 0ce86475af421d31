"""Which fragments are chosen for packets that the primary lacks, of random recordings."""

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.made_mp4 import SYNC, TWO_TRACKS, box, full, moof, moov, opened, recording, tfdt, tfhd, trak, u32

from heldar_mirror.packets.layout import Layout, read_layout
from heldar_mirror.restore.choosing import choose_fragments, packets_between


def layout_of(*keyframes: bool) -> Layout:
    """A recording of two pictures and four pieces of sound in each fragment."""
    with opened(recording(fragments=[(5, 3)] * len(keyframes), keyframes=keyframes)) as fd:
        return read_layout(fd)


RANGES = st.tuples(st.integers(0, 30), st.integers(0, 30)).map(lambda both: range(*sorted(both)))


@given(st.lists(st.booleans(), min_size=1, max_size=8), RANGES, RANGES)
def test_no_lacking_packet_is_left_out(keyframes: list[bool], pictures: range, sound: range) -> None:
    """The choice has each lacking packet, and begins with a keyframe if there is one; at the edges it has no more."""
    layout = layout_of(*keyframes)
    lacking = [pictures, sound]
    chosen = choose_fragments(layout, lacking)
    held = [
        any(set(own) & set(wanted) for own, wanted in zip(fragment.packets, lacking, strict=True))
        for fragment in layout.fragments
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
    with opened(box("ftyp") + alone + 3 * sound) as fd:
        assert choose_fragments(read_layout(fd), [range(2, 3)]) == range(2, 3)
    with opened(box("ftyp") + TWO_TRACKS + video + 3 * sound) as fd:
        assert choose_fragments(read_layout(fd), [range(0), range(2, 3)]) == range(4)


@pytest.mark.parametrize(
    ("begin", "end", "pictures", "sound"),
    [
        (0, 1, range(6), range(12)),
        (0.04, 0.08, range(1, 2), range(2, 4)),
        (0.05, 0.09, range(1, 3), range(2, 5)),
        (-5, 0, range(0), range(0)),
        (-5, 0.001, range(1), range(1)),
        (0.1, 0.1, range(0), range(0)),
        (0.2, 9, range(5, 6), range(10, 12)),
        (0.24, 9, range(0), range(0)),
    ],
)
def test_packets_between_two_times(begin: float, end: float, pictures: Sequence[int], sound: Sequence[int]) -> None:
    """Pictures take 40 ms here, and sound 20 ms. What is under way at the beginning is among them."""
    assert packets_between(layout_of(True, True, True).tracks, begin, end) == [pictures, sound]


@given(st.floats(-0.1, 0.3), st.floats(-0.1, 0.3))
def test_no_packet_between_two_times_is_left_out(begin: float, end: float) -> None:
    """Each packet that is under way between the two is given, and no other."""
    tracks = layout_of(True, True, True).tracks
    for track, found in zip(tracks, packets_between(tracks, begin, end), strict=True):
        for number, packet in enumerate(track):
            scaled = begin * track.timescale, end * track.timescale
            between = packet.time < scaled[1] and packet.time + packet.duration > scaled[0]
            assert (number in found) == (between and begin < end)
