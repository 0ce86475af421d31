"""Two made-up recordings of a camera are compared, whatever was cut, lost or changed."""

from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from random import Random
from typing import NamedTuple

import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st
from support.made_packets import (
    BEGUN,
    CAMERA,
    RATES,
    TIMESCALES,
    Made,
    MadeSide,
    Size,
    aac,
    compared,
    comparer,
    counts,
    cut,
    flipped,
    in_order,
    late,
    made_packets,
    pcm,
    resized,
    two_sides,
    video,
)

from heldar_mirror.errors import UnreadableError
from heldar_mirror.verify.alignment import RUN
from heldar_mirror.verify.comparer import Comparer
from heldar_mirror.verify.comparison import Verdict
from heldar_mirror.verify.windows import surroundings

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
def sides(draw: st.DrawFn, seconds: float = 90) -> tuple[MadeSide, MadeSide]:
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


@settings(max_examples=15, phases=PHASES)
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


class Change(NamedTuple):
    """What became of a packet of the mirror, and how many packets there are then of each class, beside before."""

    make: Callable[[Made], list[Made]]
    identical: int
    differ: int
    only_primary: int
    only_mirror: int


CHANGES = {
    "lost": Change(lambda _: [], -1, 0, 1, 0),
    "flipped": Change(lambda packet: [flipped(packet)], -1, 1, 0, 0),
    "of another size": Change(lambda packet: [resized(packet)], -1, 1, 0, 0),
    "there twice": Change(lambda packet: [packet, packet], 0, 0, 0, 1),
}


@settings(max_examples=15, phases=PHASES)
@given(
    st.integers(0, 1000),
    st.sampled_from([aac, pcm]),
    st.lists(st.tuples(st.sampled_from(list(CHANGES)), st.integers(0, 2), st.integers(0, 1 << 16)), max_size=4),
)
def test_each_change_is_found(seed: int, sound: Size, changes: list[tuple[str, int, int]]) -> None:
    """Single packets that were lost, changed or doubled are counted as such, and all others are identical."""
    packets = made_packets(seed, 90, {"vide": video, "soun": sound})
    primary = cut(packets, [0, 31, 59], late(seed))
    mirror = cut(packets, [0, 20.5, 41, 61.5], late(seed + 1))
    expected, changed = Counter[str](), set[Made]()
    for name, number, place_of in changes:
        own = mirror.files[mirror.begun()[number]]
        # Eight packets of each track come before it: fewer at an edge can't be told from others.
        place = 24 + place_of % (len(own) - 24)
        packet = own[place]
        if packet in changed or any(abs(packet.at - each.at) < 1 for each in changed):
            continue  # so that eight packets between two changes can be found
        changed.add(packet)
        change = CHANGES[name]
        own[place : place + 1] = change.make(packet)
        expected.update(change._asdict() | {"make": 0})
    found = counts(compared(primary, mirror))
    for name in ("differ", "only_primary", "only_mirror"):
        assert sum(found[name, handler] for handler in TIMESCALES) == expected[name]


@pytest.mark.parametrize("sound", [aac, pcm])
@pytest.mark.parametrize("hashed", [True, False])
def test_sizes_show_what_is_lost(sound: Size, *, hashed: bool) -> None:
    """A lost packet is found without digests as well; that one was flipped is not seen then."""
    primary, mirror = two_sides(sound)
    own = mirror.files[mirror.begun()[1]]
    gone = own.pop(700)
    own[300] = flipped(own[300])
    (track,) = (
        track
        for each in compared(primary, mirror, hashed=hashed)
        for track in each.tracks
        if track.only_primary and each.begun == mirror.begun()[1]
    )
    assert track.handler == gone.handler
    assert [run.packets for run in track.only_primary] == [1]
    found = counts(compared(primary, mirror, hashed=hashed))
    assert found["differ", "vide"] + found["differ", "soun"] == hashed


def test_a_swapped_file_matches_nothing() -> None:
    """One file of another camera among others that match is named, and its own packets are missing."""
    primary, mirror = two_sides()
    other = cut(made_packets(2, 90, {"vide": video, "soun": aac}), [0])
    second = mirror.begun()[1]
    number = len(mirror.files[second])
    mirror.files[second] = other.files[BEGUN][:number]
    mirror.begin_times[second] = 0
    verdicts = {each.begun: {track.verdict for track in each.tracks} for each in compared(primary, mirror)}
    assert [begun for begun, each in verdicts.items() if each == {Verdict.MATCHES_NOTHING}] == [second]
    assert all(each == {Verdict.COMPARED} for begun, each in verdicts.items() if begun != second)
    found = counts(compared(primary, mirror))
    assert sum(found["only_mirror", handler] for handler in TIMESCALES) == number
    assert sum(found["only_primary", handler] for handler in TIMESCALES) == number


def test_a_camera_that_encodes_for_each_reader_is_not_comparable() -> None:
    """If no file matches though both have footage, nothing is said of single packets."""
    kinds = {"vide": video, "soun": aac}
    primary = cut(made_packets(1, 90, kinds), [0, 31, 59])
    mirror = cut(made_packets(2, 90, kinds), [0, 20.5, 41, 61.5])
    found = compared(primary, mirror)
    assert {track.verdict for each in found for track in each.tracks} == {Verdict.NOT_COMPARABLE}
    assert counts(found)["unknown_primary", "vide"] == counts(found)["unknown_mirror", "vide"] == 90 * 25


@pytest.mark.parametrize("sound", [aac, pcm])
@pytest.mark.parametrize(
    ("theirs", "ours"), [((0, 90), (0, 120)), ((0, 120), (0, 100)), ((0, 120), (30, 120)), ((50, 120), (0, 120))]
)
def test_a_camera_that_encodes_for_each_reader_where_one_side_has_nothing(
    theirs: tuple[int, int], ours: tuple[int, int], sound: Size
) -> None:
    """Only what lies more than a few seconds from all that the other side has is missing there."""
    kinds = {"vide": video, "soun": sound}

    def side(seed: int, span: tuple[int, int], every: float) -> MadeSide:
        packets = [each for each in made_packets(seed, 120, kinds) if span[0] <= each.at < span[1]]
        return cut(packets, [span[0] + every * number for number in range(8)], late(seed))

    found = compared(side(1, theirs, 31), side(2, ours, 20.5), hashed=False)
    counted = counts(found)
    for handler, rate in RATES.items():
        assert counted["identical", handler] == counted["differ", handler] == 0
        for name, own, other in (("only_primary", theirs, ours), ("only_mirror", ours, theirs)):
            alone = max(other[0] - own[0], own[1] - other[1], 0)
            assert rate * max(alone - 6, 0) <= counted[name, handler] <= rate * max(alone - 2, 0)
    spans = [
        (run.begin - BEGUN, run.end - BEGUN) for each in found for track in each.tracks for run in track.only_mirror
    ]
    assert all(begin > theirs[1] or end < theirs[0] for begin, end in spans)


def test_a_hole_on_a_side_of_a_camera_that_encodes_for_each_reader() -> None:
    """It is found, though no packet can be compared."""
    kinds = {"vide": video, "soun": aac}
    packets = [
        [each for each in made_packets(seed, 240, kinds) if not hole < each.at < hole + 40]
        for seed, hole in ((1, 60), (2, 150))
    ]
    primary, mirror = cut(packets[0], range(0, 240, 60), late(1)), cut(packets[1], range(0, 240, 50), late(2))
    found = counts(compared(primary, mirror))
    for name in ("only_primary", "only_mirror"):
        assert 25 * 30 <= found[name, "vide"] <= 25 * 38


def test_sound_that_is_encoded_for_each_reader() -> None:
    """The video is compared all the same."""
    packets, others = (made_packets(seed, 90, {"vide": video, "soun": aac}) for seed in (1, 2))
    sound = [packet for packet in others if packet.handler == "soun"]
    primary = cut(packets, [0, 31, 59])
    mirror = cut(in_order([packet for packet in packets if packet.handler == "vide"] + sound), [0, 20.5, 41, 61.5])
    for each in compared(primary, mirror):
        assert [track.verdict for track in each.tracks] == [Verdict.COMPARED, Verdict.NOT_COMPARABLE]


def test_sound_of_one_size_without_video_needs_digests() -> None:
    """Sizes that are all alike say nothing, and digests say all."""
    packets = made_packets(1, 90, {"soun": pcm})
    primary, mirror = cut(packets, [0, 31, 59], late(1)), cut(packets, [0, 20.5, 41, 61.5], late(2))
    found = compared(primary, mirror, hashed=False)
    assert {track.verdict for each in found for track in each.tracks} == {Verdict.ALIKE}
    assert all(each.proven() for each in compared(primary, mirror))


def test_silence_is_compared_by_the_time_of_the_video() -> None:
    """If even all digests are alike, the packets of both sides are set against each other by their times."""
    packets = made_packets(1, 90, {"vide": video, "soun": pcm})
    packets = [replace(each, content=b"silence") if each.handler == "soun" else each for each in packets]
    primary, mirror = cut(packets, [0, 31, 59], late(1)), cut(packets, [0, 20.5, 41, 61.5], late(2))
    assert all(each.proven() for each in compared(primary, mirror))


def test_a_stream_that_repeats_itself() -> None:
    """A camera that sends the same ten seconds again and again is compared by when it sends them."""
    packets = made_packets(1, 10, {"vide": video})
    packets = [replace(each, at=each.at + 10 * turn) for turn in range(9) for each in packets]
    primary, mirror = cut(packets, [0, 31, 59], late(1)), cut(packets, [0, 20.5, 41, 61.5], late(2))
    assert all(each.proven() for each in compared(primary, mirror))


@pytest.mark.parametrize("side", ["primary", "mirror"])
def test_a_track_of_one_side(side: str) -> None:
    """A track that one side lacks is one finding, and the other track is compared."""
    primary, mirror = two_sides()
    without = primary if side == "primary" else mirror
    for own in without.files.values():
        own[:] = [packet for packet in own if packet.handler == "vide"]
    expected = Verdict.NOT_IN_PRIMARY if side == "primary" else Verdict.NOT_IN_MIRROR
    found = compared(primary, mirror)
    for each in found:
        assert [track.verdict for track in each.tracks] in ([Verdict.COMPARED, expected], [Verdict.COMPARED])
        assert each.tracks[0].proven()
    lacking = [track for each in found for track in each.tracks[1:]]
    assert lacking
    assert all(len(track.only_mirror) + len(track.only_primary) == 1 for track in lacking)


def test_a_hole_in_the_primary() -> None:
    """What the primary lacks is only in the mirror, with its times; a file beside nothing has no counterpart."""
    primary, mirror = two_sides(seconds=300, every=60)
    for begun in primary.begun()[1:3]:
        del primary.files[begun]
    found = compared(primary, mirror)
    runs = [run for each in found for run in each.tracks[0].only_mirror]
    assert sum(run.packets for run in runs) == 120 * 25
    assert runs[0].begin == pytest.approx(BEGUN + 60, abs=1.1)
    assert runs[-1].end == pytest.approx(BEGUN + 180, abs=1.1)
    assert Verdict.NO_COUNTERPART in {track.verdict for each in found for track in each.tracks}


def test_a_hole_in_the_mirror() -> None:
    """What the mirror lacks is only in the primary; a file far from any of the mirror is one of its own."""
    primary, mirror = two_sides(seconds=900, every=60)
    for begun in mirror.begun()[2:12]:
        del mirror.files[begun]
    made, found = comparer(primary, mirror), compared(primary, mirror)
    alone = sum(len(primary.files[begun]) for begun in made.alone())
    assert alone
    missing = sum(run.packets for each in found for track in each.tracks for run in track.only_primary)
    assert alone + missing == len(common(primary, mirror)[1])
    assert sum(run.packets for each in found for track in each.tracks for run in track.only_mirror) == 0


def test_an_unreadable_file_of_the_primary() -> None:
    """What may be in a file that can't be read is unknown, not missing."""
    primary, mirror = two_sides(seconds=300, every=60)
    lost = primary.begun()[2]
    primary.unreadable.add(lost)
    found = compared(primary, mirror)
    assert {key for each in found for key in each.unreadable} == {("primary", lost)}
    assert counts(found)["only_mirror", "vide"] == 0
    assert counts(found)["unknown_mirror", "vide"] >= 60 * 25


def test_an_unreadable_file_of_the_mirror() -> None:
    """It can't be compared, and what the primary has at its time is not said to be missing."""
    primary, mirror = two_sides(seconds=300, every=60)
    lost = mirror.begun()[2]
    mirror.unreadable.add(lost)
    with pytest.raises(UnreadableError):
        comparer(primary, mirror).compare(lost)
    found = compared(primary, mirror)
    assert counts(found)["only_primary", "vide"] == 0
    assert counts(found)["unknown_primary", "vide"] >= 40 * 25


def test_damage_is_named() -> None:
    """A damaged file of either side is named with what is wrong, even if all that can be read of it is identical."""
    primary, mirror = two_sides()
    primary.damaged[primary.begun()[1]] = "one reason"
    mirror.damaged[mirror.begun()[1]] = "another one"
    found = compared(primary, mirror)
    assert found[1].damaged["mirror", mirror.begun()[1]] == "another one"
    assert any(each.damaged.get(("primary", primary.begun()[1])) == "one reason" for each in found)
    assert not found[1].proven()


def test_a_jump_of_the_time_on_one_side() -> None:
    """If one side's time jumps within a file, all packets are identical, and the jump is told."""
    primary, mirror = two_sides()
    begun = mirror.begun()[1]
    mirror.files[begun] = [
        replace(packet, at=packet.at + 5 * (number > 700)) for number, packet in enumerate(mirror.files[begun])
    ]
    found = {each.begun: each for each in compared(primary, mirror)}
    for track in found[begun].tracks:
        (jump,) = track.jumps
        assert jump.seconds == pytest.approx(-5, abs=0.01)
        assert not track.proven()
    assert all(each.proven() for each in found.values() if each.begun != begun)


@pytest.mark.parametrize("sound", [aac, pcm])
def test_what_each_file_of_the_primary_holds(sound: Size) -> None:
    """For each track it is said which packets, and how far that file's clock is ahead, though names are late."""
    primary, mirror = two_sides(sound)
    del primary.files[primary.begun()[1]]
    for found in compared(primary, mirror):
        for track in found.tracks:
            own = [each for each in mirror.files[found.begun] if each.handler == track.handler]
            expected: list[tuple[object, ...]] = []
            for begun in primary.begun():
                theirs = set(primary.files[begun])
                both = [number for number, each in enumerate(own) if each in theirs]
                late = (begun - primary.begin_times[begun]) - (found.begun - mirror.begin_times[found.begun])
                if both:
                    expected.append((begun, both[0], both[-1], pytest.approx(late, abs=0.02)))
            assert list(track.held) == expected


@pytest.mark.parametrize("offset", [-20, -3, 3, 20])
def test_the_offset_of_the_clocks(offset: float) -> None:
    """Clocks that differ by seconds are told, and change nothing else."""
    packets = made_packets(1, 300, {"vide": video, "soun": aac})
    primary = cut(packets, [0, 60, 120, 180, 240], lambda time: time + 100 + offset)
    mirror = cut(packets, [0, 50, 100, 150, 200, 250], lambda time: time + 100)
    for each in compared(primary, mirror):
        assert each.proven()
        assert each.offset() == pytest.approx(offset, abs=0.1)


@pytest.mark.parametrize("hashed", [True, False])
def test_each_file_is_compared_alone_as_among_others(*, hashed: bool) -> None:
    """A file gives the same, whatever was compared before it."""
    primary, mirror = two_sides(seconds=200, every=30)
    del primary.files[primary.begun()[3]]
    mirror.files[mirror.begun()[4]][100:200] = []
    together = comparer(primary, mirror, hashed=hashed)
    for begun in mirror.begun():
        assert together.compare(begun) == comparer(primary, mirror, hashed=hashed).compare(begun)


def test_each_file_is_read_once() -> None:
    """One after the other, each file is read once for its index, and once for its digests."""
    primary, mirror = two_sides(seconds=900, every=60)
    made = comparer(primary, mirror)
    for begun in mirror.begun():
        assert made.compare(begun).proven()
    for side in (primary, mirror):
        assert sorted(side.read) == sorted(side.hashed) == side.begun()


def test_a_file_that_is_changed_while_it_is_read() -> None:
    """Its packets can't be counted by an index that is old."""
    primary, mirror = two_sides()
    mirror.changed = mirror.begun()[1]
    with pytest.raises(UnreadableError, match=r"gate/20270115_080021\.mp4 of the mirror was changed while it was read"):
        comparer(primary, mirror).compare(mirror.changed)
    assert comparer(primary, mirror).compare(mirror.begun()[2]).proven()


@settings(max_examples=12, phases=PHASES)
@given(st.integers(0, 1000), st.sampled_from([3, 10, 30, 60]))
def test_the_surroundings_suffice(seed: int, every: int) -> None:
    """With only those files that `surroundings` names, a file gives the same as with all."""
    random = Random(seed)
    packets = [packet for packet in made_packets(seed, 400, {"vide": video}) if not 100 < packet.at < 100 + seed % 90]
    primary = cut(packets, [each + random.random() for each in range(0, 400, every)], late(seed))
    mirror = cut(packets, [each + random.random() for each in range(0, 400, every)], late(seed + 1))
    for begun in random.sample(primary.begun(), len(primary.files) // 8):
        del primary.files[begun]
    for begun in random.sample(mirror.begun(), len(mirror.files) // 8):
        del mirror.files[begun]
    whole = comparer(primary, mirror, hashed=False)
    for begun in random.sample(mirror.begun(), min(2, len(mirror.files))):
        theirs, ours = surroundings(primary.begun(), mirror.begun(), begun, begun)
        some = Comparer(
            CAMERA,
            (primary, primary.begun()[theirs.start : theirs.stop]),
            (mirror, mirror.begun()[ours.start : ours.stop], mirror.ends()[ours.start : ours.stop]),
            hashed=False,
        )
        assert some.compare(begun) == whole.compare(begun)
