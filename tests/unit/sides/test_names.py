"""Names are read as `footage.names` reads them, and only regular files count."""

import os
from array import array
from dataclasses import dataclass
from pathlib import Path
from typing import cast

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from heldar_mirror.footage.names import segment_begun, segment_name
from heldar_mirror.sides import names
from heldar_mirror.sides.names import begun_in, list_segments, span_of

DAY = 86_400
LAST = 253_402_300_799  # the last second of the year 9999


@dataclass
class Entry:
    """A regular file in a directory."""

    name: str

    def is_file(self, *, follow_symlinks: bool) -> bool:
        return not follow_symlinks


def begun_of(name: str) -> int | None:
    """When the segment of a name begins, or None if it is no segment's."""
    return next(iter(begun_in([cast("os.DirEntry[str]", Entry(name))])), None)


def listed(directory: Path) -> list[int]:
    fd = os.open(directory, os.O_RDONLY)
    try:
        return list_segments(fd, lambda: None).tolist()
    finally:
        os.close(fd)


@given(st.integers(0, LAST))
def test_every_name_of_a_segment(begun: int) -> None:
    """A name gives the second that it was made of."""
    assert begun_of(segment_name(begun)) == begun


def digits(most: int, length: int) -> st.SearchStrategy[str]:
    return st.integers(0, most).map(lambda number: f"{number:0{length}}"[:length])


NEARLY = st.tuples(
    *(digits(9999, 4), digits(13, 2), digits(32, 2), st.sampled_from("_-.0")),
    *(digits(25, 2), digits(61, 2), digits(61, 2), st.sampled_from([".mp4", ".mp", ".mp4x", "_mp4", ".MP4"])),
).map("".join)


@given(st.text(max_size=24) | NEARLY)
@example("20260230_000000.mp4")
@example("19691231_235959.mp4")
@example("20261129_235960.mp4")
@example("\uff120261129_235959.mp4")
@example("20261129_235959.mp4\n")
@example("")
def test_any_other_name(name: str) -> None:
    """A name that is no segment's is none here either."""
    assert begun_of(name) == segment_begun(name)


def test_hours_do_not_pile_up(monkeypatch: pytest.MonkeyPatch) -> None:
    """Names of any number of hours are read in bounded memory."""
    monkeypatch.setattr(names, "MAX_HOURS", 10)
    assert [begun_of(segment_name(3600 * hour)) for hour in range(100)] == list(range(0, 360_000, 3600))
    assert len(names._hours) <= 10


def test_only_regular_files_count(tmp_path: Path) -> None:
    """Not links, directories, FIFOs and sockets that are named like a segment."""
    (tmp_path / "elsewhere.mp4").write_bytes(b"x")
    (tmp_path / segment_name(600)).write_bytes(b"x")
    (tmp_path / segment_name(60)).touch()
    (tmp_path / segment_name(1)).symlink_to("elsewhere.mp4")
    (tmp_path / segment_name(2)).symlink_to("nowhere")
    (tmp_path / segment_name(3)).mkdir()
    os.mkfifo(tmp_path / segment_name(4))
    os.mknod(tmp_path / segment_name(5), 0o140600)
    (tmp_path / f"{segment_name(6)}.part").touch()
    assert listed(tmp_path) == [60, 600]


def test_a_directory_is_read_in_pieces(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """All segments are found in order, each once, with a sign of life after each piece."""
    monkeypatch.setattr(names, "ENTRIES", 7)
    for begun in range(0, 3000, 60):
        (tmp_path / segment_name(begun)).touch()
    signs: list[None] = []
    fd = os.open(tmp_path, os.O_RDONLY)
    try:
        assert list_segments(fd, lambda: signs.append(None)) == array("q", range(0, 3000, 60))
    finally:
        os.close(fd)
    assert len(signs) == 8


def test_a_directory_without_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One that has more entries than any is an error, and is not taken for a part of it."""
    monkeypatch.setattr(names, "ENTRIES", 7)
    monkeypatch.setattr(names, "MAX_ENTRIES", 20)
    for begun in range(22):
        (tmp_path / segment_name(begun)).touch()
    with pytest.raises(OSError, match="more than 20 entries"):
        listed(tmp_path)


@given(
    st.lists(st.integers(0, 100), unique=True).map(sorted),
    st.floats(-10, 110),
    st.floats(0, 50),
)
def test_the_segments_of_a_time(begun: list[int], since: float, length: float) -> None:
    """They are those that begin in it, and the last one before it."""
    until = since + length
    chosen = [begun[index] for index in span_of(array("q", begun), since, until)]
    within = [each for each in begun if since <= each < until]
    before = [each for each in begun if each < since][-1:]
    assert chosen == before + within
