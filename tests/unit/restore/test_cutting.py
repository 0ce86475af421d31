"""New files of the fragments of made-up recordings: whole ones, cut ones, damaged and hostile ones."""

import contextlib
import os
from collections.abc import Callable, Iterator
from fractions import Fraction
from itertools import accumulate

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from support.made_mp4 import (
    DATA,
    NON_SYNC,
    SYNC,
    TWO_TRACKS,
    box,
    full,
    large,
    moof,
    moov,
    opened,
    recording,
    tfdt,
    tfhd,
    trak,
    u32,
    u64,
    with_each_number,
)
from support.recordings import digests_of

from heldar_mirror.packets.index import read_length, read_packets
from heldar_mirror.packets.tracks import Packet
from heldar_mirror.restore import copying
from heldar_mirror.restore.cutting import write_file
from heldar_mirror.restore.joining import Part, Plan, plan_file
from heldar_mirror.restore.source import Source, UncuttableError, read_source

BEGUN = 1_700_000_000
SIZES = [(90, 20, 30), (70, 5), (60, 1), (8, 9, 7, 2)]


@contextlib.contextmanager
def source_of(content: bytes, path: str = "a.mp4") -> Iterator[Source]:
    with opened(content) as fd:
        yield read_source(fd, path)


@contextlib.contextmanager
def written(plan: Plan) -> Iterator[int]:
    """Write the file of a plan."""
    with opened(b"") as out:
        size = write_file(plan, out)
        assert size == os.fstat(out).st_size
        yield out


def packets_of(part: Part) -> list[range]:
    held = part.fragments()
    return [range(one.start, last.stop) for one, last in zip(held[0].packets, held[-1].packets, strict=True)]


def check_written(plan: Plan, out: int) -> None:
    """The new file has exactly the packets of its parts, bit for bit, at the times of the plan."""
    tracks, damage = read_packets(out)
    assert damage is None
    expected: list[list[Packet]] = [[] for _ in tracks]
    hashes: list[list[bytes]] = [[] for _ in tracks]
    for part, shifts in zip(plan.parts, plan.shifts, strict=True):
        theirs = part.source.layout.tracks
        digests = digests_of(part.source.fd, theirs)
        for number, own in enumerate(packets_of(part)):
            packets = list(theirs[number])[own.start : own.stop]
            expected[number] += [each._replace(offset=0, time=each.time + shifts[number]) for each in packets]
            hashes[number] += digests[number][own.start : own.stop]
    assert [[each._replace(offset=0) for each in track] for track in tracks] == expected
    assert digests_of(out, tracks) == hashes


def check_length(plan: Plan, out: int) -> None:
    """The new file tells the length of the plan."""
    begin, end, damage = read_length(out)
    assert (begin, damage) == (0, None)
    assert end == pytest.approx(plan.seconds)


FORMS = {
    "ours": recording(fragments=SIZES),
    "killed": recording(fragments=SIZES, mfra=False),
    "narrow times": recording(fragments=SIZES, wide=False),
    "places in the file": recording(fragments=SIZES, absolute=True),
    "indexes and padding": recording(fragments=SIZES, beside=box("styp") + box("sidx", DATA[:9]) + large("free")),
    "a later beginning": recording(fragments=SIZES, begin=123_457),
}


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("chosen", [range(a, b) for a in range(4) for b in range(a + 1, 5)], ids=repr)
def test_any_fragments_that_follow_each_other(form: str, chosen: range) -> None:
    """The new file has their packets, begins at 0, has a right index at its end, and tells its true length."""
    begins = list(accumulate((0.04 * len(sizes) for sizes in SIZES), initial=123.457 if "later" in form else 0))
    with source_of(FORMS[form]) as source:
        plan = plan_file([Part(source, chosen, BEGUN)])
        assert plan.begun == pytest.approx(BEGUN + begins[chosen.start])
        assert plan.seconds == pytest.approx(begins[chosen.stop] - begins[chosen.start])
        with written(plan) as out:
            check_written(plan, out)
            check_length(plan, out)
            content = os.pread(out, 1 << 20, 0)
    assert [kind for kind, _ in boxes_of(content)] == ["ftyp", "moov", *["moof", "mdat"] * len(chosen), "mfra"]
    assert plan.size == content.rindex(b"mfra") - 4
    assert content.startswith(box("ftyp", b"isom") + TWO_TRACKS)
    moofs = [at for kind, at in boxes_of(content) if kind == "moof"]
    assert [content[at + 20 : at + 24] for at in moofs] == [u32(number) for number in range(1, len(chosen) + 1)]
    starts = [round(1000 * (begin - begins[chosen.start])) for begin in begins[chosen.start : chosen.stop]]
    tables = [
        full(
            "tfra",
            0,
            u32(track, 0x3F, len(moofs)),
            *(u64(start * scale, at) + u32(track, 1, 1) for start, at in zip(starts, moofs, strict=True)),
            version=1,
        )
        for track, scale in ((1, 1), (2, 8))
    ]
    assert content.endswith(box("mfra", *tables, full("mfro", 0, u32(24 + sum(map(len, tables))))))


def boxes_of(content: bytes) -> list[tuple[str, int]]:
    """The boxes at the top, and where they begin."""
    found, at = [], 0
    while at < len(content):
        found.append((content[at + 4 : at + 8].decode(), at))
        at += int.from_bytes(content[at : at + 4], "big")
    return found


def test_the_whole_file_is_as_it_was() -> None:
    """With all fragments of a file that begins at 0 nothing changes but the index at the end and the numbers."""
    content = recording(mfra=False, fragments=SIZES)
    with source_of(content) as source, written(plan_file([Part(source, range(4), BEGUN)])) as out:
        made = bytearray(os.pread(out, 1 << 20, 0))
    for at in [at for kind, at in boxes_of(bytes(made)) if kind == "moof"]:
        made[at + 20 : at + 24] = u32(1)
    assert made.startswith(content)


@given(
    st.integers(1, 100_000), st.integers(1, 100_000), st.integers(0, 1 << 40), st.integers(0, 1 << 40), st.integers(0)
)
def test_no_track_comes_before_the_others(one: int, two: int, first: int, second: int, begun: int) -> None:
    """Both tracks move by one time, to less than one unit of each, and the earlier one to 0."""
    content = box("ftyp") + moov(
        trak(1, timescale=one), trak(2, "soun", timescale=two), trex=[(1, 9, 1, 0), (2, 9, 1, 0)]
    )
    trafs = [box("traf", tfhd(n), tfdt(at), full("trun", 0x1, u32(1, 160))) for n, at in ((1, first), (2, second))]
    with source_of(content + moof(*trafs) + box("mdat", DATA)) as source:
        plan = plan_file([Part(source, range(1), begun % (1 << 31))])
        with written(plan) as out:
            check_written(plan, out)
            video, sound = read_packets(out).tracks
    earliest = min(Fraction(first, one), Fraction(second, two))
    assert plan.begun == float(begun % (1 << 31) + earliest)
    assert min(video.times[0], sound.times[0]) == 0
    for track, at in ((video, first), (sound, second)):
        assert -1 < track.times[0] - (at - earliest * track.timescale) <= 0


def test_composition_offsets() -> None:
    """Pictures are shown as long after their decode times as before, and the index has the times at which they are."""
    run = full("trun", 0xA05, u32(2, 120, SYNC), u32(10, 80, 11, -5), version=1)
    made = moof(box("traf", tfhd(1, 0x20008, u32(40)), tfdt(500), run)) + box("mdat", DATA)
    content = box("ftyp") + moov(trak(1), trex=[(1, 1, 0, NON_SYNC)]) + made + made.replace(u64(500), u64(580))
    with source_of(content) as source:
        plan = plan_file([Part(source, range(1, 2), BEGUN)])
        with written(plan) as out:
            check_written(plan, out)
            assert [each.shift for each in read_packets(out).tracks[0]] == [80, -5]
            assert u64(80) + u64(len(content) - 2 * len(made)) in os.pread(out, 1 << 20, 0)[-60:]


def test_a_file_that_is_cut() -> None:
    """Of the file of a killed recorder the whole fragments can be taken."""
    content = recording(fragments=SIZES)
    begin = len(box("ftyp", b"isom") + TWO_TRACKS)
    for cut in range(begin, len(content) + 1, 7):
        with source_of(content[:cut]) as source:
            count = len(source.layout.fragments)
            if not count:
                continue
            plan = plan_file([Part(source, range(count), BEGUN)])
            with written(plan) as out:
                check_written(plan, out)
                check_length(plan, out)
    assert count == 4


def test_parts_of_two_recordings() -> None:
    """The second part comes at its time by the clock."""
    with (
        source_of(recording(fragments=SIZES)) as one,
        source_of(recording(fragments=SIZES, wide=False), "b.mp4") as two,
    ):
        plan = plan_file([Part(one, range(1, 4), BEGUN), Part(two, range(3), BEGUN + 60.5)])
        with written(plan) as out:
            check_written(plan, out)
            tracks = read_packets(out).tracks
    assert plan.begun == BEGUN + 0.12
    assert tracks[0].times[8] == 60_380
    assert tracks[1].times[16] == 60_380 * 8
    assert plan.seconds == pytest.approx(60.38 + 0.28)


@pytest.mark.parametrize("off", [-9.99, -0.5, 0, 0.5, 0.99])
def test_a_part_that_follows_at_once(off: float) -> None:
    """A part that seems to begin less than a second after the end of the one before, or before it, follows at once."""
    with source_of(recording(fragments=SIZES)) as one, source_of(recording(fragments=SIZES)) as two:
        parts = [Part(one, range(4), BEGUN), Part(two, range(4), BEGUN + 0.44 + off), Part(one, range(4), BEGUN + 0.88)]
        plan = plan_file(parts)
        with written(plan) as out:
            check_written(plan, out)
            video, sound = read_packets(out).tracks
    assert list(video.times) == [40 * number for number in range(33)]
    assert list(sound.times) == [160 * number for number in range(66)]
    assert plan.seconds == pytest.approx(1.32)


@given(st.lists(st.tuples(st.integers(0, 3), st.floats(0, 5)), min_size=1, max_size=5))
def test_many_parts_stay_in_order(parts: list[tuple[int, float]]) -> None:
    """No packet is decoded before the end of the one before it, and none is more than a second away from its time."""
    begun, made = float(BEGUN), []
    with source_of(recording(fragments=SIZES)) as source:
        for first, pause in parts:
            begun += pause + 0.45
            made.append(Part(source, range(first, 4), begun))
        plan = plan_file(made)
        with written(plan) as out:
            check_written(plan, out)
            tracks = read_packets(out).tracks
    for track in tracks:
        ends = [packet.time + packet.duration for packet in track]
        assert all(end <= begin for end, begin in zip(ends, track.times[1:], strict=False))
    for part, shifts in zip(plan.parts, plan.shifts, strict=True):
        for track, shift in zip(tracks, shifts, strict=True):
            assert abs(plan.begun + shift / track.timescale - part.begun) < 1.001


def test_parts_that_overlap() -> None:
    """A part that begins long before the end of the one before is refused."""
    expected = pytest.raises(UncuttableError, match=r"b.mp4 can't be cut: it begins 10.5 s before the end of a.mp4")
    with source_of(FORMS["ours"]) as one, source_of(FORMS["ours"], "b.mp4") as two, expected:
        plan_file([Part(one, range(4), BEGUN), Part(two, range(4), BEGUN + 0.44 - 10.5)])


@pytest.mark.parametrize(
    "head",
    [
        moov(trak(1), trak(2, "soun", timescale=8001, version=1), trex=[(1, 40, 0, NON_SYNC), (2, 160, 10, SYNC)]),
        moov(trak(1), trak(2, "soun", timescale=8000), trex=[(1, 40, 0, NON_SYNC), (2, 160, 10, SYNC)]),
        moov(trak(1), trak(2, "soun", timescale=8000, version=1), trex=[(1, 40, 0, NON_SYNC), (2, 160, 9, SYNC)]),
        TWO_TRACKS[:-1] + b"x",
    ],
)
def test_parts_that_are_coded_differently(head: bytes) -> None:
    """Recordings with different tracks don't go into one file."""
    expected = pytest.raises(UncuttableError, match=r"b.mp4 can't be cut: its tracks are coded differently .* a.mp4")
    with source_of(recording()) as one, source_of(recording(head=head), "b.mp4") as two, expected:
        plan_file([Part(one, range(1), BEGUN), Part(two, range(1), BEGUN + 9)])


def test_recordings_of_two_programs() -> None:
    """The program's name and the like may differ."""
    head = box("moov", full("mvhd", 0, u32(9, 9, 1000, 0)), TWO_TRACKS[8 + 108 :], box("udta", b"another"))
    with source_of(recording()) as one, source_of(recording(head=head)) as two:
        plan = plan_file([Part(one, range(3), BEGUN), Part(two, range(3), BEGUN + 9)])
        with written(plan) as out:
            check_written(plan, out)


@pytest.mark.parametrize("chosen", [range(0), range(3, 9), range(1, 1)])
def test_nothing_to_take(chosen: range) -> None:
    """A plan without packets is refused."""
    with source_of(recording()) as source, pytest.raises(UncuttableError, match="there is nothing in the fragments"):
        plan_file([Part(source, chosen, BEGUN)])


FTYP = box("ftyp")
TREX = [(1, 1, 4, SYNC)]
DURATION = "its moov says how long it is, in a box"


def with_mvex(*more: bytes, mvhd: bytes = u32(0, 0, 1000, 0), version: int = 0) -> bytes:
    mvex = box("mvex", full("trex", 0, u32(1, 1, 1, 4, SYNC)), *more)
    return FTYP + box("moov", full("mvhd", 0, mvhd, version=version), trak(1), mvex)


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "expected a box moov"),
        (FTYP + moov(trak(1)), "the box moov holds no mvex"),
        (with_mvex(full("mehd", 0, u32(7))), f"{DURATION} mehd"),
        (with_mvex(mvhd=u32(0, 0, 1000, 7)), f"{DURATION} mvhd"),
        (with_mvex(mvhd=u64(0, 0) + u32(1000) + u64(7), version=1), f"{DURATION} mvhd"),
        (FTYP + moov(trak(1, duration=7), trex=TREX), f"{DURATION} tkhd"),
        (FTYP + moov(trak(1, duration=7, version=1), trex=TREX), f"{DURATION} tkhd"),
        (FTYP + moov(box("trak", box("edts"), trak(1)[8:]), trex=TREX), "it has an edit list"),
        (FTYP + moov(trak(1), box("free", bytes(1 << 20)), trex=TREX), "its moov has more than 1024 KiB"),
    ],
)
def test_heads_that_would_not_fit(content: bytes, reason: str) -> None:
    """What says a time of the whole recording is refused."""
    with pytest.raises(UncuttableError, match=reason) as caught, source_of(content, "/mirror/a/b.mp4"):
        pass
    assert str(caught.value).startswith("/mirror/a/b.mp4 can't be cut: ")


def test_unknown_durations() -> None:
    """A duration of all ones says that it is not known."""
    content = with_mvex(mvhd=u32(0, 0, 1000, 0xFFFFFFFF))
    with source_of(content) as source:
        assert source.head == content


def sample(*boxes: bytes) -> bytes:
    return FTYP + moov(trak(1), trex=TREX) + moof(*boxes) + box("mdat", DATA)


RUN = full("trun", 0x1, u32(1, 200))


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (sample(box("traf", tfhd(1), RUN)), "the box traf holds no tfdt"),
        (
            sample(box("traf", tfhd(1), tfdt(0), RUN, box("uuid", bytes(16)))),
            "the fragment's box uuid at byte",
        ),
        (
            sample(box("traf", tfhd(1), tfdt(0), RUN, full("saio", 0))),
            "the fragment's box saio at byte",
        ),
        (sample(box("traf", tfhd(1), tfdt(0), RUN), box("pssh")), "the fragment's box pssh at byte .* is not known"),
    ],
)
def test_fragments_that_can_not_be_moved(content: bytes, reason: str) -> None:
    """What may say a place or a time in an unknown way is refused."""
    expected = pytest.raises(UncuttableError, match=f"a.mp4 can't be cut: {reason}")
    with source_of(content) as source, opened(b"") as out, expected:
        write_file(plan_file([Part(source, range(1), BEGUN)]), out)


def test_a_time_that_has_no_room() -> None:
    """A time of 32 bits stays one, and is refused where it does not suffice."""
    with source_of(recording(wide=False)) as one, opened(b"") as out:
        plan = plan_file([Part(one, range(1), BEGUN), Part(one, range(1), BEGUN + 600_000)])
        with pytest.raises(UncuttableError, match=r"the box tfdt at byte .* has no room for the decode time 48"):
            write_file(plan, out)


@pytest.mark.parametrize("change", [lambda fd: os.truncate(fd, 1100), lambda fd: os.pwrite(fd, bytes(300), 700)])
def test_a_source_that_changes(change: Callable[[int], object]) -> None:
    """What is no longer there is not written as if it were."""
    with source_of(recording()) as source, opened(b"") as out:
        plan = plan_file([Part(source, range(3), BEGUN)])
        change(source.fd)
        with pytest.raises((OSError, UncuttableError)):
            write_file(plan, out)


def test_a_disk_that_is_full() -> None:
    """The error of the disk comes through."""
    expected = pytest.raises(OSError, match="No space left")
    with source_of(recording()) as source, open("/dev/full", "wb", buffering=0) as full_disk, expected:
        write_file(plan_file([Part(source, range(3), BEGUN)]), full_disk.fileno())


@pytest.mark.parametrize("supported", [True, False])
def test_bytes_are_copied_in_pieces(monkeypatch: pytest.MonkeyPatch, *, supported: bool) -> None:
    """Progress is told after each piece, also where a file system can't copy by itself."""
    if not supported:
        monkeypatch.setattr(copying, "_copy_file_range", lambda *_: 0)
    monkeypatch.setattr(copying, "PIECE", 1000)
    told: list[int] = []
    with opened(DATA) as source, opened(b"") as out:
        copying.copy_bytes(source, 10, 4010, out, told.append)
        assert os.pread(out, 5000, 0) == DATA[10:4010]
        assert [each for each in told if each] == [1000] * 4
        with pytest.raises(OSError, match="has become shorter: expected 1 more bytes at 4096"):
            copying.copy_bytes(source, 4000, 4097, out)


def check_sound(content: bytes) -> None:
    """Whatever is written of a hostile file has the packets that the file has."""
    try:
        with source_of(content) as source:
            for chosen in (range(4), range(1, 2)):
                try:
                    plan = plan_file([Part(source, chosen, BEGUN)])
                    with written(plan) as out:
                        check_written(plan, out)
                except UncuttableError:
                    continue
    except UncuttableError:
        pass


def test_every_field_with_every_hostile_number() -> None:
    """Numbers of 0, 1, 2^31 and 2^64 - 1 at any byte of a fragment give a right file or none."""
    content = recording(fragments=[(9, 2), (4,)], mfra=False)
    numbers = [u32(0), u32(1), u32(1 << 31), u64((1 << 64) - 1)]
    for changed in with_each_number(content, content.index(b"moof") - 4, numbers):
        check_sound(changed)


@settings(max_examples=100)
@given(st.lists(st.tuples(st.integers(0, 10_000), st.binary(min_size=1, max_size=8)), max_size=5), st.integers(0))
@example([], 0)
def test_random_damage(changes: list[tuple[int, bytes]], cut: int) -> None:
    """Any bytes at any place, in a file that may be cut, give a right file or none."""
    content = bytearray(recording(fragments=SIZES, absolute=bool(cut % 2)))
    for at, new in changes:
        begin = at % len(content)
        content[begin : begin + len(new)] = new
    check_sound(bytes(content[: len(content) - cut % len(content)]))
