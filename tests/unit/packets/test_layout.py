"""The fragments of made-up mp4 files, and the files that are not made of fragments."""

import os

import pytest
from support.made_mp4 import (
    DATA,
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
)

from heldar_mirror.packets import layout
from heldar_mirror.packets.index import read_packets
from heldar_mirror.packets.layout import Layout, UnknownLayoutError, read_layout

FTYP = box("ftyp", b"isom")


def layout_of(content: bytes) -> Layout:
    with opened(content) as fd:
        return read_layout(fd)


def test_a_recording_of_ours() -> None:
    """Each fragment has its two boxes, and the numbers of its packets in each track."""
    content = recording()
    found = layout_of(content)
    assert content[found.ftyp.offset : found.ftyp.end] == FTYP
    assert content[found.moov.offset : found.moov.end] == TWO_TRACKS
    assert found.damage is None
    assert [each.packets for each in found.fragments] == [
        (range(3), range(6)),
        (range(3, 5), range(6, 10)),
        (range(5, 7), range(10, 14)),
    ]
    for fragment in found.fragments:
        assert content[fragment.moof.offset :][4:8] == b"moof"
        assert content[fragment.mdat.offset :][4:8] == b"mdat"
        assert fragment.moof.end == fragment.mdat.offset
    with opened(content) as fd:
        assert found.tracks == read_packets(fd).tracks


def test_what_lies_beside_fragments() -> None:
    """Indexes, padding and the like are no part of any fragment."""
    beside = box("styp", b"msdh") + box("sidx", DATA[:9]) + large("free", DATA[:9]) + box("skip")
    found = layout_of(recording(beside=beside))
    assert [each.packets[0] for each in found.fragments] == [range(3), range(3, 5), range(5, 7)]
    assert all(each.moof.end == each.mdat.offset for each in found.fragments)


def test_a_file_cut_at_each_byte() -> None:
    """The fragments before the cut are given, and no other."""
    content = recording()
    whole = layout_of(content)
    for cut in range(whole.moov.end, len(content)):
        found = layout_of(content[:cut])
        assert found.fragments == [each for each in whole.fragments if each.mdat.end <= cut]
        assert found.damage is None or found.damage.cut
        for fragment in found.fragments:
            for track, own in zip(found.tracks, fragment.packets, strict=True):
                assert own.stop <= len(track)


def test_damage_in_the_middle() -> None:
    """What comes after a damaged fragment is not given: whose packets these are is not known for sure."""
    content = bytearray(recording())
    second = [at for at in range(len(content)) if content[at : at + 4] == b"trun"][2]
    content[second + 8 : second + 12] = u32(1 << 31)
    found = layout_of(bytes(content))
    assert found.damage
    assert [each.packets[0] for each in found.fragments] == [range(3)]


def test_a_fragment_without_packets() -> None:
    """A fragment may have none, and a file no fragment."""
    assert layout_of(FTYP + TWO_TRACKS).fragments == []
    assert layout_of(FTYP + TWO_TRACKS + moof() + box("mdat")).fragments[0].packets == (range(0), range(0))


ONE = moov(trak(1), trex=[(1, 1, 4, SYNC)])
ONE_PACKET = moof(box("traf", tfhd(1), tfdt(0), full("trun", 0x1, u32(1, 96))))
TABLES = full("stts", 0, u32(1, 1, 1)), full("stsc", 0, u32(1, 1, 1, 1)), full("stsz", 0, u32(4, 1))


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "expected a box moov"),
        (FTYP, "expected a box moov"),
        (FTYP + box("mdat", DATA), "it has data that belongs to no fragment, as a plain mp4 has"),
        (
            FTYP + moov(trak(1, "vide", *TABLES, full("stco", 0, u32(1, 8)))) + box("mdat", DATA),
            "its moov lists packets, as that of a plain mp4 does",
        ),
        (ONE, "it has no box ftyp"),
        (
            FTYP + ONE + ONE_PACKET + box("free", DATA),
            "the fragment at byte 436 is followed by the box free, not by its data",
        ),
        (
            FTYP + ONE + ONE_PACKET + ONE_PACKET + DATA,
            "the fragment at byte 436 is followed by the box moof, not by its data",
        ),
        (
            FTYP + ONE + ONE_PACKET + box("mdat", DATA) * 2,
            "it has data that belongs to no fragment, as a plain mp4 has",
        ),
        (
            FTYP + ONE + ONE_PACKET + u32(0) + b"mdat" + DATA,
            "the fragment at byte 436 does not say how large its data is",
        ),
        (FTYP + ONE + ONE_PACKET + box("mdat", DATA[:1]) + box("free"), "outside of it"),
        (FTYP + ONE + moof(box("traf", tfhd(1, 1, u64(0)), full("trun", 0, u32(1)))) + box("mdat"), "outside of it"),
        (FTYP + ONE + box("emsg"), "the box emsg at byte 436 is not known"),
        (FTYP + ONE + FTYP, "the box ftyp at byte 436 is not known"),
    ],
)
def test_other_files(content: bytes, reason: str) -> None:
    """What is not made of fragments in the known way is refused with a reason."""
    with pytest.raises(UnknownLayoutError, match=reason):
        layout_of(content)


def test_more_fragments_than_any_recording(monkeypatch: pytest.MonkeyPatch) -> None:
    """A file of nothing but tiny fragments is refused, so that their list takes bounded memory."""
    monkeypatch.setattr(layout, "MAX_SHARES", 100)
    small = moof() + box("mdat")
    assert len(layout_of(FTYP + TWO_TRACKS + 50 * small).fragments) == 50
    with pytest.raises(UnknownLayoutError, match="more than 50 fragments"):
        layout_of(FTYP + TWO_TRACKS + 51 * small)


def test_only_boxes_are_read() -> None:
    """The data may be as large as it likes."""
    with opened(FTYP + TWO_TRACKS + moof() + u32(1) + b"mdat" + u64(16 + (1 << 40))) as fd:
        os.truncate(fd, os.fstat(fd).st_size + (1 << 40))
        assert len(read_layout(fd).fragments) == 1
