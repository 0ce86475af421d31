"""The packets of made-up mp4 files: whole, cut, damaged and hostile ones."""

import hashlib
import os
import struct
import tracemalloc
from array import array
from collections.abc import Iterator
from itertools import chain

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from support.made_mp4 import (
    DATA,
    NO_TABLES,
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

from heldar_mirror.packets import index, walk
from heldar_mirror.packets.boxes import Damage
from heldar_mirror.packets.index import Index, Length, read_length, read_packets
from heldar_mirror.packets.tracks import Packet, Track


def index_of(content: bytes) -> Index:
    with opened(content) as fd:
        return read_packets(fd)


def length_of(content: bytes) -> Length:
    with opened(content) as fd:
        return read_length(fd)


def packets_of(content: bytes) -> dict[int, list[Packet]]:
    """The packets of a file without damage, by track."""
    tracks, damage = index_of(content)
    assert damage is None
    return {track.id: list(track) for track in tracks}


def test_a_recording_of_ours() -> None:
    """Video and sound of three fragments follow each other, with their sizes, times and hashes."""
    content = recording()
    with opened(content) as fd:
        tracks, damage = read_packets(fd)
        digests = digests_of(fd, tracks)
    assert damage is None
    assert [(track.id, track.handler, track.timescale) for track in tracks] == [(1, "vide", 1000), (2, "soun", 8000)]
    video, sound = map(list, tracks)
    assert [each.size for each in video] == [90, 20, 30, 70, 5, 60, 1]
    assert [each.time for each in video] == [0, 40, 80, 120, 160, 200, 240]
    assert {each.duration for each in video} == {40}
    assert [each.keyframe for each in video] == [True, False, False, True, False, True, False]
    assert [(each.size, each.time, each.keyframe) for each in sound] == [(10, 160 * at, True) for at in range(14)]
    for track, hashes in zip(tracks, digests, strict=True):
        assert hashes == [hashlib.sha256(content[each.offset :][: each.size]).digest() for each in track]
    first = content.index(b"mdat") + 4
    assert [(each.offset, each.size) for each in (video[0], video[1], sound[0])] == [
        (first, 90),
        (first + 90, 20),
        (first + 140, 10),
    ]


def test_fields_of_a_fragment() -> None:
    """Whatever `tfhd` and `trun` may say: each field is found behind the ones before it."""
    before = moov(trak(7), trex=[(7, 1, 2, SYNC)])
    run = u32(2, -8) + u32(11, 5, NON_SYNC, -3, 12, 6, SYNC, 4)
    fields = 0x38 | 0x2 | 0x1
    content = before + moof(
        box(
            "traf",
            tfhd(7, fields, u64(108), u32(1), u32(21, 3, NON_SYNC)),
            full("tfdt", 0, u32(50)),
            full("trun", 0xF01, run, version=1),
            full("trun", 0x800, u32(2, 9, 0xFFFFFFFF)),
            full("trun", 0x4, u32(2, SYNC)),
        )
    )
    assert packets_of(content)[7] == [
        Packet(100, 5, 50, 11, -3, keyframe=False),
        Packet(105, 6, 61, 12, 4, keyframe=True),
        Packet(111, 3, 73, 21, 9, keyframe=False),
        Packet(114, 3, 94, 21, 0xFFFFFFFF, keyframe=False),
        Packet(117, 3, 115, 21, 0, keyframe=True),
        Packet(120, 3, 136, 21, 0, keyframe=False),
    ]


def test_data_that_follows_that_of_the_traf_before() -> None:
    """Without a base, data begins at the `moof`, or where the last `traf` ends; so does time, without a `tfdt`."""
    begin = len(TWO_TRACKS)
    trun = full("trun", 0x1, u32(3, 20))
    content = TWO_TRACKS + moof(
        box("traf", tfhd(2, 0), trun, full("trun", 0, u32(1))), box("traf", tfhd(2, 0), full("trun", 0, u32(1)))
    )
    content += moof(box("traf", tfhd(2, 0), trun))
    assert [each.offset - begin for each in packets_of(content)[2]][:5] == [20, 30, 40, 50, 60]
    assert [each.time for each in packets_of(content)[2]] == [160 * at for at in range(8)]


def test_sizes_and_kinds_of_boxes() -> None:
    """Boxes have sizes of 32 or 64 bits, or go on to the end of the file; unknown ones are skipped at every level."""
    whole = recording(mfra=False)
    expected = packets_of(whole)
    start = whole.rindex(b"mdat")
    assert packets_of(whole[: start - 4] + u32(0) + whole[start:]) == expected
    odd = box("what", DATA[:9]) + large("uuid", DATA[:16])
    for track_id, found in packets_of(odd + whole.replace(TWO_TRACKS, odd + TWO_TRACKS + odd)).items():
        assert found == [each._replace(offset=each.offset + 3 * len(odd)) for each in expected[track_id]]
    within = moov(odd, large("trak", trak(1)[8:]), odd, trex=[(1, 1, 4, SYNC)]) + odd
    content = within + large("moof", odd, box("traf", odd, tfhd(1), odd, full("trun", 0, u32(3)), odd)) + odd
    assert [each.offset - len(within) for each in packets_of(content)[1]] == [0, 4, 8]


SIZES = [3, 15, 9, 1, 7]
CHUNKS = [1000, 1500, 1200]


def plain(*tables: bytes, sizes: bytes = full("stsz", 0, u32(0, 5, *SIZES)), offsets: bytes = b"") -> bytes:
    """A plain mp4: of five packets two are in each of the first two chunks, and one is in the last."""
    tables = (
        full("stts", 0, u32(2, 3, 10, 9, 20)),
        full("stsc", 0, u32(2, 1, 2, 1, 3, 1, 1)),
        sizes,
        offsets or full("stco", 0, u32(3, *CHUNKS)),
        *tables,
    )
    return box("mdat", DATA) + moov(trak(1, "vide", *tables))


def test_a_plain_mp4() -> None:
    """The sample tables give every packet."""
    assert packets_of(plain())[1] == [
        Packet(1000, 3, 0, 10, 0, keyframe=True),
        Packet(1003, 15, 10, 10, 0, keyframe=True),
        Packet(1500, 9, 20, 10, 0, keyframe=True),
        Packet(1509, 1, 30, 20, 0, keyframe=True),
        Packet(1200, 7, 50, 20, 0, keyframe=True),
    ]
    assert length_of(plain()) == Length(0, 0.07, None)


@pytest.mark.parametrize("version", [0, 1])
def test_composition_offsets_and_keyframes_of_a_plain_mp4(version: int) -> None:
    """Composition offsets have a sign in version 1; `stss` names the keyframes."""
    ctts = full("ctts", 0, u32(2, 1, 7, 4, -2), version=version)
    found = packets_of(plain(ctts, full("stss", 0, u32(3, 1, 4, 900))))[1]
    assert [each.shift for each in found] == [7] + [-2 if version else 0xFFFFFFFE] * 4
    assert [each.keyframe for each in found] == [True, False, False, True, False]


@pytest.mark.parametrize(
    ("sizes", "expected"),
    [
        (full("stsz", 0, u32(6, 5)), [6] * 5),
        (full("stz2", 0, u32(4, 5), b"\x3f\x91\x70"), SIZES),
        (full("stz2", 0, u32(8, 5), bytes(SIZES)), SIZES),
        (full("stz2", 0, u32(16, 5), struct.pack(">5H", *SIZES)), SIZES),
    ],
)
def test_forms_of_sizes(sizes: bytes, expected: list[int]) -> None:
    """Sizes may be one for all, or have 4, 8, 16 or 32 bits each."""
    assert [each.size for each in packets_of(plain(sizes=sizes))[1]] == expected


def test_offsets_of_64_bits() -> None:
    """`co64` is read like `stco`."""
    assert packets_of(plain(offsets=full("co64", 0, u32(3), u64(*CHUNKS)))) == packets_of(plain())


def test_a_file_cut_at_each_byte() -> None:
    """What is whole before the cut is given, with the same times; the damage says that the file was cut."""
    content = recording()
    whole = packets_of(content)
    moofs = {at + size: count for (at, size), count in zip(boxes_of(content, b"moof"), (3, 2, 2), strict=True)}
    for cut in range(len(content)):
        tracks, damage = index_of(content[:cut])
        given = {track.id: list(track) for track in tracks}
        for track_id, times in ((1, 1), (2, 2)):
            read = sum(count for end, count in moofs.items() if end <= cut) * times
            assert given.get(track_id, []) == [e for e in whole[track_id][:read] if e.offset + e.size <= cut]
        assert damage is None or damage.cut
        assert damage is not None or cut in box_ends(content)
        length = length_of(content[:cut])
        assert length.damage == damage
        ends = [(track.times[-1] + track.durations[-1]) / track.timescale for track in tracks if track]
        assert length.end == max(ends, default=0)


def boxes_of(content: bytes, kind: bytes) -> Iterator[tuple[int, int]]:
    """Where each box of a kind begins, and its size."""
    at = content.find(kind)
    while at >= 0:
        yield at - 4, int.from_bytes(content[at - 4 : at], "big")
        at = content.find(kind, at + 1)


def box_ends(content: bytes) -> set[int]:
    """Where boxes at the top end, once there is a moov."""
    ends, at = set(), 0
    while at < len(content):
        at += int.from_bytes(content[at : at + 4], "big")
        ends.add(at)
    return ends - {min(ends)}


def test_a_plain_mp4_cut_at_each_byte() -> None:
    """With its tables at the end a cut file has no packets; with them at the beginning it has those that are whole."""
    content = plain()
    for cut in range(len(DATA), len(content)):
        tracks, damage = index_of(content[:cut])
        assert damage is not None
        assert damage.cut
        assert not any(tracks)
    tables = full("stts", 0, u32(1, 5, 10)), full("stsc", 0, u32(1, 1, 5, 1)), full("stsz", 0, u32(0, 5, *SIZES))
    begin = len(moov(trak(1, "vide", *tables, full("stco", 0, u32(1, 0))))) + 8
    content = moov(trak(1, "vide", *tables, full("stco", 0, u32(1, begin)))) + box("mdat", DATA[: sum(SIZES)])
    whole = packets_of(content)[1]
    for cut in range(begin, len(content)):
        (track,), damage = index_of(content[:cut])
        assert list(track) == [each for each in whole if each.offset + each.size <= cut]
        assert damage is not None
        assert damage.cut


def test_damage_in_one_fragment() -> None:
    """A damaged fragment costs its own packets; those before and after it are given."""
    content = bytearray(recording())
    second = [at for at, _ in boxes_of(bytes(content), b"trun")][2]
    content[second + 12 : second + 16] = u32(1 << 31)
    tracks, damage = index_of(bytes(content))
    assert damage == Damage(second, "the box trun is too short for 2147483648 entries")
    assert [each.size for each in tracks[0]] == [90, 20, 30, 60, 1]
    assert [each.time for each in tracks[0]] == [0, 40, 80, 200, 240]


def test_a_time_that_is_not_known_after_damage() -> None:
    """A fragment without a time of its own has none after one that was damaged."""
    good, bad = (moof(box("traf", tfhd(2), full("trun", flags, u32(2)))) for flags in (0, 0x100))
    tracks, damage = index_of(TWO_TRACKS + good + bad + good)
    assert damage
    assert [each.time for each in tracks[1]] == [0, 160]


def test_a_second_moov_is_skipped() -> None:
    """There is one `moov`, as for ffmpeg."""
    whole = recording(mfra=False)
    assert packets_of(whole + TWO_TRACKS) == packets_of(whole)


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "expected a box moov"),
        (box("ftyp") + box("mdat", DATA), "expected a box moov"),
        (bytes(100), "expected a box"),
        (DATA, "expected a box"),
        (b"\0\0\0\3free", "the box free is smaller than its header"),
        (moov(trak(1)) + u32(1) + b"free" + u64(15), "the box free is smaller than its header"),
        (moov(trak(1)) + u32(1) + b"free" + u64(1 << 63), "the box free is not whole"),
        (moov(trak(1), trak(1)), "track 1 is there twice, or more than 100 tracks are"),
        (moov(*map(trak, range(101))), "track 100 is there twice, or more than 100 tracks are"),
        (moov(trak(1), *[box("free")] * (1 << 16)), "the box moov holds more than 65536 boxes"),
        (moov(trak(1, timescale=0)), "the timescale is 0"),
        (moov(box("trak")), "the box trak holds no tkhd"),
        (moov(trak(1, "vide", *NO_TABLES[:3])), "the box stbl holds no stco or co64"),
        (moov(trak(1)) + moof(box("traf", tfhd(2))), "there is no track 2"),
        (moov(trak(1)) + moof(box("traf", tfhd(1), full("trun", 0, u32(1)))), "the sizes of the packets are not known"),
        (moov(trak(1)) + moof(box("traf", tfhd(1), tfdt(1 << 63))), "the decode time is too large"),
        (
            TWO_TRACKS + moof(box("traf", tfhd(2, 1, u64(1 << 63)), full("trun", 0, u32(1)))),
            "the place of the data is too far away",
        ),
        (moov(trak(1)) + moof(box("traf", tfhd(1, 0x20008))), "the box tfhd is too short for its fields"),
        (plain(sizes=full("stsz", 0, u32(0, 6, *SIZES, 1))), "expected 6 packets, and found only 5 in the tables"),
        (plain(sizes=full("stsz", 0, u32(0, 1 << 31))), "the box stsz is too short for 2147483648 entries"),
        (plain(sizes=full("stz2", 0, u32(5, 5))), "expected a field size of 4, 8 or 16, and found 5"),
        (plain(full("ctts", 0, u32(1, 4, 1))), "expected 5 packets, and found only 4 in the tables"),
    ],
)
def test_damage_is_named(content: bytes, reason: str) -> None:
    """What can't be read has a reason."""
    damage = index_of(content).damage
    assert damage is not None
    assert damage.reason == reason
    assert 0 <= damage.offset <= len(content)


def test_a_stub_has_no_packets_and_no_damage() -> None:
    """A file in which nothing was recorded is whole."""
    assert length_of(box("ftyp") + TWO_TRACKS) == Length(0, 0, None)


@pytest.mark.parametrize("plain_file", [False, True], ids=["moof", "stbl"])
def test_every_field_with_every_hostile_number(*, plain_file: bool) -> None:
    """Numbers of 0, 1, 2^31, 2^32 - 1, 2^63 and the like at any byte end soon, and give only packets of the file."""
    tables = full("ctts", 0, u32(1, 5, 1), version=1), full("stss", 0, u32(1, 1))
    content, tail = recording(fragments=[(9, 2), (4,)]), b""
    begin = content.index(b"mvex") - 4  # the boxes before it are those of a plain file
    if plain_file:
        content, begin, tail = plain(*tables)[len(DATA) + 8 :], 0, box("mdat", DATA)
        assert len(packets_of(content + tail)[1]) == 5
    numbers = [u32(0), u32(1), u32(1 << 31), u32(0xFFFFFFFF), u64(1 << 63), u64((1 << 64) - 1)]
    for changed in with_each_number(content, begin, numbers):
        check_sound(changed + tail)


def check_sound(content: bytes) -> None:
    with opened(content) as fd:
        tracks, damage = read_packets(fd)
        digests = digests_of(fd, tracks)
        length = read_length(fd)
    assert damage is None or 0 <= damage.offset <= len(content)
    assert list(map(len, tracks)) == list(map(len, digests))
    assert all(0 <= each.offset <= each.offset + each.size <= len(content) for each in chain(*tracks))
    assert length.begin <= length.end


@settings(max_examples=400)
@given(st.lists(st.tuples(st.integers(0, 10_000), st.binary(min_size=1, max_size=8)), max_size=5), st.integers(0))
@example([], 0)
@example([(692, b"\1"), (1952, b"\0")], 0)
def test_random_damage(changes: list[tuple[int, bytes]], cut: int) -> None:
    """Any bytes at any place, in a file that may be cut, end soon, and give only packets of the file."""
    for content in (bytearray(recording()), bytearray(plain())):
        for at, new in changes:
            begin = at % len(content)
            content[begin : begin + len(new)] = new
        check_sound(bytes(content[: len(content) - cut % len(content)]))


@pytest.mark.parametrize("count", [1000, 1001, 0xFFFFFFFF])
def test_more_packets_than_any_recording(monkeypatch: pytest.MonkeyPatch, count: int) -> None:
    """A count of 2^32 that needs no bytes in a box costs no memory."""
    monkeypatch.setattr(walk, "MAX_PACKETS", 1000)
    run = full("trun", 0, u32(count))
    fragmented = moov(trak(1), trex=[(1, 1, 1, SYNC)]) + moof(box("traf", tfhd(1), run))
    tables = full("stts", 0, u32(1, count, 1)), full("stsc", 0, u32(1, 1, count, 1)), full("stsz", 0, u32(1, count))
    for content in (fragmented, moov(trak(1, "vide", *tables, full("stco", 0, u32(1, 0))))):
        (track,), damage = index_of(content + box("mdat", DATA))
        assert len(track) == 1000
        assert (damage is None) == (count == 1000)


def test_a_count_in_a_small_file_costs_no_memory() -> None:
    """A count of 2^32 is believed as far as the file has bytes."""
    run = full("trun", 0, u32(0xFFFFFFFF))
    with opened(moov(trak(1), trex=[(1, 1, 1, SYNC)]) + moof(box("traf", tfhd(1), run, run, run))) as fd:
        tracemalloc.start()
        try:
            assert read_packets(fd).damage
            assert tracemalloc.get_traced_memory()[1] < 1 << 20
        finally:
            tracemalloc.stop()


def test_more_boxes_than_any_recording(monkeypatch: pytest.MonkeyPatch) -> None:
    """A file of nothing but tiny boxes is left after so many."""
    monkeypatch.setattr(walk, "MAX_BOXES", 100)
    damage = index_of(moov(trak(1)) + 200 * box("free")).damage
    assert damage is not None
    assert damage.reason == "more than 100 boxes"


def test_an_index_larger_than_any_recording() -> None:
    """A huge `moov` is not read into memory."""
    with opened(u32(200 << 20) + b"moov") as fd:
        os.truncate(fd, 200 << 20)
        assert read_packets(fd).damage == Damage(0, "the box moov is larger than 128 MiB")


def test_a_file_that_becomes_shorter() -> None:
    """Packets that are gone are not hashed as if they were there."""
    with opened(recording()) as fd:
        tracks, _ = read_packets(fd)
        os.truncate(fd, 1000)
        with pytest.raises(OSError, match="has become shorter"):
            digests_of(fd, tracks)


@given(
    st.lists(st.lists(st.tuples(st.integers(0, 900), st.integers(0, 90)), max_size=12), min_size=1, max_size=3),
    st.integers(20, 200),
)
def test_hashes_wherever_packets_lie(places: list[list[tuple[int, int]]], read_bytes: int) -> None:
    """In any order, next to each other or not: each is hashed as it is, and hardly more is read than the packets."""
    content = DATA[:1000]
    tracks = [
        Track(number, "vide", 1, array("q", [at for at, _ in each]), array("I", [size for _, size in each]))
        for number, each in enumerate(places)
    ]
    read = []

    def pread(fd: int, size: int, offset: int) -> bytes:
        read.append(size)
        return os_pread(fd, size, offset)

    def preadv(fd: int, buffers: list[memoryview], offset: int) -> int:
        read.append(sum(map(len, buffers)))
        return os_preadv(fd, buffers, offset)

    os_pread, os_preadv = os.pread, os.preadv
    with opened(content) as fd, pytest.MonkeyPatch.context() as patch:
        patch.setattr(index, "READ_BYTES", read_bytes)
        patch.setattr(os, "pread", pread)
        patch.setattr(os, "preadv", preadv)
        digests = digests_of(fd, tracks)
    for each, hashes in zip(places, digests, strict=True):
        assert hashes == [hashlib.sha256(content[at : at + size]).digest() for at, size in each]
    assert sum(read) <= 3 * len(content) + sum(size for each in places for _, size in each)


def test_the_length_needs_only_the_first_and_the_last_fragment() -> None:
    """Where `mfra` names the last fragment, no other one is read. Where it lies, all are."""
    content = recording()
    assert length_of(content) == Length(0, 0.28, None)
    assert length_of(recording(mfra=False)) == Length(0, 0.28, None)
    first, second, third = (at for at, _ in boxes_of(content, b"moof"))
    for version in (0, 1):
        whole = recording(version=version)
        spoilt = whole[:second] + whole[second:].replace(b"tfhd", b"what", 1)
        assert index_of(spoilt).damage
        assert length_of(spoilt) == Length(0, 0.28, None)
    for lie in (0, second + 1, third + 4, len(content), 0xFFFFFFFF):
        assert length_of(content.replace(u32(200, third), u32(200, lie))) == Length(0, 0.28, None)
    assert length_of(content.replace(u32(200, third), u32(200, first))) == Length(0, 0.28, None)


def test_the_length_without_times_in_the_last_fragment() -> None:
    """A last fragment that doesn't say its own time is read after all the others."""
    one = moof(box("traf", tfhd(2), full("trun", 0, u32(50))))
    content = TWO_TRACKS + one + one + one + box("mdat", DATA)
    table = full("tfra", 0, u32(2, 0x3F, 1), u64(0, len(TWO_TRACKS) + 2 * len(one)), bytes(12), version=1)
    content += box("mfra", table, full("mfro", 0, u32(len(table) + 24)))
    assert length_of(content) == Length(0, 3, None)
