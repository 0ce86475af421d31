"""What the child answers, asked within this process, of made-up files."""

import hashlib
import os
import tempfile
import time
from array import array
from collections.abc import Iterator
from itertools import accumulate, pairwise
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.made_mp4 import SYNC, TWO_TRACKS, box, full, moof, moov, recording, tfhd, trak, u32, u64
from support.recordings import digests_of

from heldar_mirror.footage.names import segment_name
from heldar_mirror.packets.index import read_packets
from heldar_mirror.sides import hashing, limits
from heldar_mirror.sides.answers import Answers
from heldar_mirror.sides.fragments import decode
from heldar_mirror.sides.indexes import Indexes
from heldar_mirror.sides.limits import TooCostlyError, limited_cpu
from heldar_mirror.sides.recorded import Fragments

EVER = {"since": 0, "until": 2**40}


class Asked:
    """Answers about a root, which is a directory of this test."""

    def __init__(self, root: Path, fd: int) -> None:
        self.root = root
        self.answers = Answers(fd, lambda: None, Indexes())

    def put(self, begun: int, content: bytes, mtime: float = 10.0) -> Path:
        path = self.root / "gate" / segment_name(begun)
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(content)
        os.utime(path, (mtime, mtime))
        return path

    def recorded(self, usual: float = 60) -> tuple[list[int], list[float], dict[int, str], dict[int, str]]:
        fields, (begun, ends) = self.answers.recorded("gate", segment_seconds=usual, **EVER)
        assert not fields["missing"]
        return array("q", begun).tolist(), array("d", ends).tolist(), fields["damaged"], fields["unread"]


@pytest.fixture
def asked(tmp_path: Path) -> Iterator[Asked]:
    fd = os.open(tmp_path, os.O_RDONLY)
    yield Asked(tmp_path, fd)
    os.close(fd)


def test_ends_are_read_where_they_matter(asked: Asked) -> None:
    """A file that was written until the next one began is not even opened, and the others are."""
    for at in (1000, 1060, 1120):
        asked.put(at, bytes(5000), mtime=at + 60.2)
    asked.put(1180, recording(), mtime=1180.3)
    asked.put(1300, recording(), mtime=1300.3)
    begun, ends, damaged, unread = asked.recorded()
    assert (begun, ends) == ([1000, 1060, 1120, 1180, 1300], [1060, 1120, 1120, 1180.28, 1300.28])
    assert (list(damaged), unread) == ([1120], {}), "it is followed by less than a minute"


def test_short_holes_are_told_only_who_asks_for_them(asked: Asked) -> None:
    """An end that was read is joined to the next beginning, unless that is not wanted."""
    for at in (1000, 1001):
        asked.put(at, recording())
    assert asked.recorded()[1] == [1001, 1001.28]
    _, (_, ends) = asked.answers.recorded("gate", segment_seconds=60, join_seconds=0, **EVER)
    assert array("d", ends).tolist() == [1000.28, 1001.28]


@given(st.lists(st.integers(20, 100), max_size=12), st.integers(-100, 1300), st.integers(0, 400))
@settings(max_examples=60)
def test_a_part_of_a_time_has_the_same_ends(distances: list[int], since: int, length: int) -> None:
    """Whatever time is asked for, a segment has the end that it has when everything is."""
    content = recording(fragments=[(5000, 1)])
    with tempfile.TemporaryDirectory() as name:
        fd = os.open(name, os.O_RDONLY)
        try:
            asked = Asked(Path(name), fd)
            for at, end in pairwise(accumulate(distances, initial=1000)):
                asked.put(at, content, mtime=end + 0.2)
            if distances:
                everything = dict(zip(*asked.recorded()[:2], strict=True))
                _, blocks = asked.answers.recorded("gate", since, since + length, 60)
                begun, ends = array("q", blocks[0]), array("d", blocks[1])
                assert {each: everything[each] for each in begun} == dict(zip(begun, ends, strict=True))
        finally:
            os.close(fd)


def test_damaged_files(asked: Asked) -> None:
    """What can be read of a file counts, and what is wrong with it is said; of the newest one a cut is no damage."""
    whole = recording()
    asked.put(1000, b"")
    asked.put(2000, box("ftyp") + TWO_TRACKS)
    asked.put(3000, os.urandom(5000))
    asked.put(4000, whole[: whole.rindex(b"mdat")])
    asked.put(5000, recording(mfra=False).replace(b"tfhd", b"what", 1))
    asked.put(6000, whole[: whole.rindex(b"mdat")])
    begun, ends, damaged, unread = asked.recorded()
    assert begun == [1000, 2000, 3000, 4000, 5000, 6000]
    assert ends == pytest.approx([1000, 2000, 3000, 4000.2, 5000.16, 6000.2])
    assert sorted(damaged) == [1000, 2000, 3000, 4000, 5000]
    assert damaged[1000] == "it ends too early: expected a box moov, at byte 0"
    assert damaged[2000] == "nothing was recorded in it"
    assert unread == {}


def test_the_newest_stub_is_no_damage(asked: Asked) -> None:
    """A segment that was just begun holds nothing yet. Nor need the open one be the newest, if the clock was set."""
    asked.put(1000, box("ftyp") + TWO_TRACKS, mtime=time.time())
    asked.put(2000, b"")
    assert asked.recorded() == ([1000, 2000], [1000, 2000], {}, {})


def test_a_file_that_costs_too_much(asked: Asked, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is damaged, and the next one is read."""
    monkeypatch.setattr(limits, "FILE_CPU_SECONDS", 0.05)
    asked.put(1000, moov(trak(1)) + 1_000_000 * box("free"))
    asked.put(2000, recording())
    begun, ends, damaged, _ = asked.recorded()
    assert (begun, ends) == ([1000, 2000], [1000, 2000.28])
    assert damaged == {1000: "to read it takes more than 0.05 s of processor time"}
    fields, blocks = asked.answers.packets("gate", 1000, hashes=True)
    assert (fields["damage"], fields["tracks"], blocks) == (damaged[1000], [], [])


def test_the_limit_ends_with_its_block(monkeypatch: pytest.MonkeyPatch) -> None:
    """What comes after a file is not limited by it."""
    monkeypatch.setattr(limits, "FILE_CPU_SECONDS", 0.05)
    with pytest.raises(TooCostlyError), limited_cpu():
        work(600)
    with limited_cpu():
        pass
    work(0.1)


def work(seconds: float) -> None:
    """Use the processor for so long."""
    spent = time.process_time()
    while time.process_time() - spent < seconds:
        pass


def test_a_file_that_is_gone_meanwhile(asked: Asked, monkeypatch: pytest.MonkeyPatch) -> None:
    """It was pruned after the directory was listed, so it is left out."""
    asked.put(1000, recording())
    gone = asked.put(1100, recording())
    odd = asked.put(1200, recording())
    asked.put(1300, recording())

    def progress() -> None:
        gone.unlink(missing_ok=True)
        if odd.is_file():
            odd.unlink()
            odd.mkdir()

    monkeypatch.setattr(asked.answers, "_progress", progress)
    assert asked.recorded()[:2] == ([1000, 1300], [1000.28, 1300.28])


def test_packets_and_their_digests(asked: Asked) -> None:
    """All columns of all tracks are given, and digests if they are asked for."""
    content = recording()
    path = asked.put(1000, content)
    with path.open("rb") as file:
        tracks, _ = read_packets(file.fileno())
        digests = list(map(b"".join, digests_of(file.fileno(), tracks)))
    columns = [
        [each.sizes.tobytes(), each.times.tobytes(), each.durations.tobytes(), each.keyframes] for each in tracks
    ]
    fields, blocks = asked.answers.packets("gate", 1000, hashes=True)
    assert fields["tracks"] == [[1, "vide", 1000], [2, "soun", 8000]]
    assert (fields["damage"], fields["cut"], fields["identity"][0]) == (None, False, len(content))
    assert blocks == [*columns[0], digests[0], *columns[1], digests[1]]
    _, blocks = asked.answers.packets("gate", 1000, hashes=False)
    assert blocks == [*columns[0], b"", *columns[1], b""]
    _, (whole,) = asked.answers.sha256("gate", 1000)
    assert whole == hashlib.sha256(content).digest()


def test_packets_that_overlap(asked: Asked) -> None:
    """Packets that all lie at one place could be hashed for ever."""
    run = full("trun", 0, u32(200))
    again = [moof(box("traf", tfhd(1, 1, u64(0)), run)) for _ in range(3)]
    asked.put(1000, moov(trak(1), trex=[(1, 1, 8, SYNC)]) + b"".join(again) + bytes(1200))
    fields, blocks = asked.answers.packets("gate", 1000, hashes=True)
    assert (fields["damage"], fields["tracks"], blocks) == ("its packets overlap", [], [])


def test_a_file_that_is_larger_than_any(asked: Asked) -> None:
    """A sparse file may be larger than the volume, so it is not hashed."""
    path = asked.put(1000, recording())
    os.truncate(path, 3 << 40)
    with pytest.raises(OSError, match="larger than any recording"):
        asked.answers.sha256("gate", 1000)
    with pytest.raises(OSError, match="larger than any recording"):
        asked.answers.packets("gate", 1000, hashes=True)


def test_what_was_read_is_dropped_at_times(asked: Asked, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each time that so much was read, and at the end; packets also before. The hash is that of the whole file.

    What follows is not dropped before the end, since Linux has read some of it ahead.
    """
    content = recording(fragments=[(1000, 900), (800, 3), (1200,)])
    path = asked.put(1000, content)
    drops: list[int] = []
    monkeypatch.setattr(hashing, "DROP_BYTES", 1000)
    monkeypatch.setattr(hashing, "DROP_PACKETS", 5)
    monkeypatch.setattr(hashing, "READ_BYTES", 500)
    monkeypatch.setattr(os, "posix_fadvise", lambda _, begin, length, __: drops.append(begin + length))
    _, (digest,) = asked.answers.sha256("gate", 1000)
    assert digest == hashlib.sha256(content).digest()
    assert drops == [*range(1000, len(content), 1000), 0]
    drops.clear()
    asked.answers.packets("gate", 1000, hashes=True)
    with path.open("rb") as file:
        tracks, _ = read_packets(file.fileno())
    places = sorted(offset for track in tracks for offset in track.offsets)
    assert drops == [0, *places[4::5], 0]


def test_all_files(asked: Asked) -> None:
    """Each has its size and the time of its last write."""
    assert asked.answers.files("gate") == ({"missing": True}, [b"", b"", b""])
    asked.put(2000, b"12345", mtime=7.5)
    asked.put(1000, b"1", mtime=8)
    fields, blocks = asked.answers.files("gate")
    assert not fields["missing"]
    assert [array("q", block).tolist() for block in blocks] == [[1000, 2000], [1, 5], [8 * 10**9, 75 * 10**8]]


def test_a_cut_file(asked: Asked) -> None:
    """Its whole packets are given, and the damage."""
    whole = recording()
    asked.put(1000, whole[: whole.rindex(b"moof") + 10])
    fields, blocks = asked.answers.packets("gate", 1000, hashes=True)
    assert fields["cut"]
    assert "is not whole, at byte" in fields["damage"]
    assert len(blocks[0]) == 5 * 4


def test_the_fragments_of_a_segment(asked: Asked) -> None:
    """Each has its bytes, its time, and its packets; of a damaged file the whole ones are given."""
    whole = recording(keyframes=[True, False, True])
    asked.put(1000, whole)
    asked.put(2000, whole[:-1].rpartition(b"mdat")[0] + b"mdat and a part of the data")
    found = fragments(asked, 1000)
    assert [each.packets for each in found.fragments] == [
        (range(3), range(6)),
        (range(3, 5), range(6, 10)),
        (range(5, 7), range(10, 14)),
    ]
    assert [each[1:4] for each in found.fragments] == [(0, 0.12, True), (0.12, 0.2, False), (0.2, 0.28, True)]
    assert sum(each.size for each in found.fragments) == whole.rindex(b"mfra") - whole.index(b"moof")
    assert (found.damage, found.unknown) == (None, None)
    cut = fragments(asked, 2000)
    assert cut.fragments == found.fragments[:2]
    assert cut.coding == found.coding
    assert cut.damage is not None
    assert cut.damage.startswith("it ends too early: ")


def test_segments_that_can_not_be_cut(asked: Asked) -> None:
    """The reason is said, and no fragment is given."""
    asked.put(1000, box("ftyp") + moov(trak(1, duration=7), trex=[(1, 1, 4, SYNC)]))
    asked.put(2000, b"")
    found = fragments(asked, 1000)
    assert found == Fragments([], "", None, "its moov says how long it is, in a box tkhd")
    assert fragments(asked, 2000).unknown == "expected a box moov"


def test_segments_that_can_be_joined(asked: Asked) -> None:
    """Their tracks are coded in the same way, whatever else differs."""
    asked.put(1000, recording())
    asked.put(2000, recording(fragments=[(5,)], mfra=False))
    asked.put(3000, box("ftyp") + moov(trak(1), trex=[(1, 1, 4, SYNC)]))
    one, two, three = (fragments(asked, begun).coding for begun in (1000, 2000, 3000))
    assert one == two != three


def fragments(asked: Asked, begun: int) -> Fragments:
    fields, blocks = asked.answers.layout("gate", begun)
    return Fragments(decode([bytes(block) for block in blocks]), **fields)


@pytest.mark.parametrize("camera_id", ["..", ".", "", "a/b", "/", "gate/..", ".heldar-mirror", "x" * 200, "a\0b"])
def test_what_is_no_camera(asked: Asked, camera_id: str) -> None:
    """No other directory is read than a camera's."""
    with pytest.raises(OSError, match="no camera is called so"):
        asked.answers.names(camera_id, **EVER)


def test_a_camera_without_a_directory(asked: Asked) -> None:
    """That is said. It is not an error."""
    assert asked.answers.names("gate", **EVER) == ({"missing": True}, [b""])
    fields, blocks = asked.answers.recorded("gate", segment_seconds=60, **EVER)
    assert (fields["missing"], blocks) == (True, [b"", b""])


def test_what_is_in_a_cameras_place(asked: Asked) -> None:
    """A link or a file there is an error."""
    (asked.root / "elsewhere").mkdir()
    (asked.root / "gate").symlink_to("elsewhere")
    (asked.root / "yard").write_bytes(b"")
    for camera_id in ("gate", "yard"):
        with pytest.raises(OSError, match="it is no directory, or a link"):
            asked.answers.names(camera_id, **EVER)
    assert asked.answers.cameras() == ({"cameras": ["elsewhere"]}, [])


@pytest.mark.parametrize("about", ["packets", "layout", "sha256", "identity"])
def test_what_is_in_a_segments_place(asked: Asked, about: str) -> None:
    """A link, a directory or a FIFO is not read; nothing there is a matter of its own."""
    question = {"hashes": True} if about == "packets" else {}
    ask = getattr(asked.answers, about)
    path = asked.put(1, recording())
    path.with_name(segment_name(2)).symlink_to(path)
    path.with_name(segment_name(3)).mkdir()
    os.mkfifo(path.with_name(segment_name(4)))
    ask("gate", 1, **question)
    for begun in (2, 3, 4):
        with pytest.raises(OSError, match="expected a plain file"):
            ask("gate", begun, **question)
    with pytest.raises(FileNotFoundError):
        ask("gate", 5, **question)
