"""Which indexes of files are remembered, tried on made-up recordings."""

import os
from pathlib import Path

import pytest
from support.made_mp4 import recording

from heldar_mirror.packets.index import Index
from heldar_mirror.sides import indexes
from heldar_mirror.sides.indexes import Indexes


def put(path: Path, content: bytes = recording(), mtime: float = 10.0) -> Path:
    path.write_bytes(content)
    os.utime(path, (mtime, mtime))
    return path


def read(made: Indexes, path: Path) -> Index:
    with path.open("rb") as file:
        return made.read(file.fileno())


def test_a_file_is_read_once(tmp_path: Path) -> None:
    """A file that is opened again as it was is not read again. Others have their own index."""
    made = Indexes()
    one, other = put(tmp_path / "1.mp4"), put(tmp_path / "2.mp4", recording(fragments=[(1000, 900)]))
    first = read(made, one)
    assert len(read(made, other).tracks[0]) < len(first.tracks[0])
    assert read(made, one) is first


def test_a_changed_file_is_read_again(tmp_path: Path) -> None:
    """That is seen by the time of the last write alone, too."""
    made = Indexes()
    path = put(tmp_path / "1.mp4")
    first = read(made, path)
    put(path, mtime=11.0)
    again = read(made, path)
    assert again is not first
    path.write_bytes(path.read_bytes()[:500])
    assert read(made, path).damage


def test_what_changes_while_it_is_read_is_not_remembered(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its index may be of neither state, so it is read again."""
    made = Indexes()
    path = put(tmp_path / "1.mp4")
    pread = os.pread

    def pread_and_write(fd: int, size: int, offset: int) -> bytes:
        os.utime(path, (12.0 + offset, 12.0 + offset))
        return pread(fd, size, offset)

    with monkeypatch.context() as patch:
        patch.setattr(os, "pread", pread_and_write)
        first = read(made, path)
    again = read(made, path)
    assert again is not first
    assert read(made, path) is again


@pytest.mark.parametrize(("limit", "most"), [("KEPT_FILES", 2), ("KEPT_PACKETS", 50)])
def test_the_oldest_is_forgotten(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, limit: str, most: int) -> None:
    """That is so with too many files, and with too many packets. Each of these files has 21."""
    monkeypatch.setattr(indexes, limit, most)
    made = Indexes()
    paths = [put(tmp_path / f"{number}.mp4") for number in range(3)]
    found = [read(made, path) for path in paths]
    assert read(made, paths[2]) is found[2]
    assert read(made, paths[1]) is found[1]
    assert read(made, paths[0]) is not found[0]


def test_one_of_too_many_packets_is_not_remembered(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is given all the same."""
    monkeypatch.setattr(indexes, "KEPT_PACKETS", 5)
    made, path = Indexes(), put(tmp_path / "1.mp4")
    assert read(made, path) == read(made, path)
    assert read(made, path) is not read(made, path)
