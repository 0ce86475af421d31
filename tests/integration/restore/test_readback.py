"""A restored file is read back from the disk and compared with the mirror's, packet by packet or as a whole."""

import struct
import subprocess
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from support.applying import BEGUN, CAMERA, opened, whole
from support.made_footage import adopt, camera_directory, settings_of
from support.mirror import Mirror
from support.mounts import mounted
from support.two_copies import NEWEST, SEGMENT_SECONDS, drop, film, flip, segment
from support.two_sides import primary_root
from support.users import as_root

from heldar_mirror.errors import GoneError
from heldar_mirror.footage.names import segment_name
from heldar_mirror.restore.plan import NewFile, Piece
from heldar_mirror.restore.readback import DifferentError, read_back
from heldar_mirror.restore.writing import Writer
from heldar_mirror.sides.side import Side

MIB = 1 << 20

Opened = tuple[Writer, Side, Side]


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What a camera sends: a keyframe a second, and sound."""
    return film(tmp_path_factory.mktemp("film") / "film.mp4", 3 * SEGMENT_SECONDS)


@pytest.fixture
def segments(mirror: Mirror, source: Path) -> list[Path]:
    """The mirror's segments of it, of four fragments each."""
    adopt(mirror)
    return segment(NEWEST, source, camera_directory(mirror, CAMERA), BEGUN)


@pytest.fixture
def sides(mirror: Mirror, segments: list[Path]) -> Iterator[Opened]:
    """The writer, the primary and the mirror."""
    with ExitStack() as stack:
        yield opened(settings_of(mirror), stack)


def trimmed(segments: list[Path]) -> NewFile:
    """Return the plan of a file of the last fragments of a segment, and the first ones of the next."""
    begun = [BEGUN + number * SEGMENT_SECONDS for number in range(2)]
    pieces = Piece(begun[0], (2, 4), begun[0]), Piece(begun[1], (0, 3), begun[1])
    return NewFile(CAMERA, BEGUN + 2, pieces, BEGUN + 2, BEGUN + 7, segments[0].stat().st_size)


def write(sides: Opened, new: NewFile) -> Path:
    return sides[0].write(new, fresh_until=BEGUN).path


def move_times(path: Path, track_id: int, by: int, *, all_of_them: bool) -> None:
    """Move the decode times of a track's fragments, or of the last one alone, by so many units."""
    content = bytearray(path.read_bytes())
    places = []
    at = 0
    while (at := content.find(b"tfhd", at + 1)) > 0:
        if struct.unpack_from(">I", content, at + 8)[0] == track_id:
            places.append(content.index(b"tfdt", at))
    for place in places if all_of_them else places[-1:]:
        assert content[place + 4] == 1  # a version with 64 bits
        (time,) = struct.unpack_from(">Q", content, place + 8)
        struct.pack_into(">Q", content, place + 8, time + by)
    path.write_bytes(content)


@pytest.mark.parametrize("make", [trimmed, lambda segments: whole(segments[0])], ids=["trimmed", "whole"])
def test_what_was_written_is_what_the_mirror_has(
    sides: Opened, segments: list[Path], make: Callable[[list[Path]], NewFile]
) -> None:
    """Nothing is said of it."""
    new = make(segments)
    write(sides, new)
    read_back(new, *sides[1:])


@pytest.mark.parametrize(
    ("harm", "reason"),
    [
        (lambda path: flip(path, 20), "packets of track 1 differ"),
        (lambda path: flip(path, 20, "soun"), "packets of track 2 differ"),
        (lambda path: drop(path, 20), "the sizes of the packets of track 1 differ"),
        (lambda path: path.write_bytes(path.read_bytes()[:-3000]), "it ends too early"),
        (lambda path: path.write_bytes(b""), "."),
        (lambda path: move_times(path, 1, 700, all_of_them=False), "the times of track 1 were not all shifted alike"),
        (lambda path: move_times(path, 1, 700, all_of_them=True), "its tracks were shifted against each other"),
        (lambda path: move_times(path, 2, 5, all_of_them=True), "its tracks were shifted against each other"),
    ],
    ids=["a picture", "a sound", "a packet", "cut", "empty", "a fragment's time", "the pictures' times", "five units"],
)
def test_what_differs_is_found(
    sides: Opened, segments: list[Path], harm: Callable[[Path], object], reason: str
) -> None:
    """It is said how, and what to do."""
    new = trimmed(segments)
    path = write(sides, new)
    harm(path)
    with pytest.raises(DifferentError, match=rf"{path} is not what the mirror has: .*{reason}.*delete the file, and"):
        read_back(new, *sides[1:])


def test_fragments_too_many_and_too_few_are_found(sides: Opened, segments: list[Path]) -> None:
    """A file that holds more than is wanted is not what was planned either."""
    new = trimmed(segments)
    write(sides, new)
    first, second = new.pieces
    for pieces in ((first, second._replace(chosen=(0, 2))), (first, second._replace(chosen=(0, 4))), (first,)):
        with pytest.raises(DifferentError, match=r"is not what the mirror has"):
            read_back(new._replace(pieces=pieces), *sides[1:])


def test_a_whole_file_is_compared_as_a_whole(sides: Opened, segments: list[Path]) -> None:
    """One byte is enough, wherever it is."""
    new = whole(segments[0])
    path = write(sides, new)
    path.write_bytes(path.read_bytes()[:-1] + b"?")
    with pytest.raises(DifferentError, match=r"its SHA-256 is \w+, expected \w+"):
        read_back(new, *sides[1:])


def test_what_is_not_there_can_not_be_proven(sides: Opened, segments: list[Path]) -> None:
    """That is no difference."""
    new = trimmed(segments)
    path = write(sides, new)
    segments[1].unlink()
    with pytest.raises(GoneError, match=f"the mirror's recording {segments[1]} is not there any more"):
        read_back(new, *sides[1:])
    path.unlink()
    with pytest.raises(GoneError, match=f"the primary's recording {path} is not there any more"):
        read_back(new, *sides[1:])


@as_root
@pytest.mark.parametrize("make", [trimmed, lambda segments: whole(segments[0])], ids=["trimmed", "whole"])
def test_it_is_read_from_the_disk(mirror: Mirror, segments: list[Path], make: Callable[[list[Path]], NewFile]) -> None:
    """The disk has something else than it was given, and the page cache still has what was written."""
    image = mirror.home / "image"
    with image.open("xb") as file:
        file.truncate(64 * MIB)
    subprocess.run(["mkfs.ext4", "-q", str(image)], check=True, capture_output=True)
    with mounted(primary_root(mirror), "-o", "loop", image), ExitStack() as stack:
        sides = opened(settings_of(mirror), stack)
        new = make(segments)
        path = write(sides, new)
        written = path.read_bytes()
        some = written[len(written) // 2 :][:64]
        disk = image.read_bytes()
        assert disk.count(some) == 1
        with image.open("r+b") as file:
            file.seek(disk.index(some) + 10)
            file.write(bytes([some[10] ^ 1]))
        assert path.read_bytes() == written
        with pytest.raises(DifferentError, match=segment_name(new.name)):
            read_back(new, *sides[1:])
