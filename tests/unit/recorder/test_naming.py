"""The names of segments: seconds, each taken once."""

import os
from pathlib import Path

import pytest

from heldar_mirror.footage.names import segment_begun, segment_name
from heldar_mirror.recorder.leftovers import name_leftovers
from heldar_mirror.recorder.segments import is_numbered, name_file

MOOF = (8).to_bytes(4, "big") + b"moof"
BEGUN = 1_800_000_000


def put(directory: Path, name: str, data: bytes = MOOF, written: float = BEGUN) -> None:
    """Put a file that was written last at a Unix time."""
    (directory / name).write_bytes(data)
    os.utime(directory / name, (written, written))


def named(directory: Path) -> dict[int, bytes]:
    """Return the content of each segment, by the second of its name after BEGUN."""
    found = {segment_begun(path.name): path.read_bytes() for path in directory.iterdir()}
    assert None not in found
    return {begun - BEGUN: data for begun, data in found.items() if begun is not None}


@pytest.mark.parametrize("opened", [BEGUN, BEGUN + 0.999])
def test_a_file_is_named_by_the_second_at_which_it_was_opened(tmp_path: Path, opened: float) -> None:
    """Parts of a second don't count."""
    put(tmp_path, ".new-1-0.mp4")
    path = name_file(str(tmp_path), ".new-1-0.mp4", opened)
    assert path == str(tmp_path / segment_name(BEGUN))
    assert named(tmp_path) == {0: MOOF}


@pytest.mark.parametrize("kind", ["file", "link to nothing", "directory"])
def test_a_name_that_exists_is_never_taken(tmp_path: Path, kind: str) -> None:
    """Whatever has the name, the next free second is taken."""
    existing = tmp_path / segment_name(BEGUN)
    if kind == "file":
        existing.touch()
    elif kind == "directory":
        existing.mkdir()
    else:
        existing.symlink_to("nothing")
    before = existing.lstat()
    put(tmp_path, segment_name(BEGUN + 1), b"a neighbour")
    put(tmp_path, ".new-1-0.mp4")
    assert name_file(str(tmp_path), ".new-1-0.mp4", BEGUN) == str(tmp_path / segment_name(BEGUN + 2))
    assert existing.lstat() == before


def test_leftovers_are_named_by_when_they_were_opened(tmp_path: Path) -> None:
    """A file was opened when the one before it was written last, but not before its run began."""
    put(tmp_path, segment_name(BEGUN - 500), b"an earlier run", BEGUN - 450)
    put(tmp_path, f".new-{BEGUN}-0.mp4", MOOF + b"0", BEGUN + 60)
    put(tmp_path, f".new-{BEGUN}-1.mp4", MOOF + b"1", BEGUN + 120)
    put(tmp_path, f".new-{BEGUN}-10.mp4", MOOF + b"10", BEGUN + 150)
    put(tmp_path, f".new-{BEGUN}-11.mp4", b"a stub", BEGUN + 150)
    name_leftovers(str(tmp_path))
    assert named(tmp_path) == {-500: b"an earlier run", 0: MOOF + b"0", 60: MOOF + b"1", 120: MOOF + b"10"}


def test_a_leftover_begins_where_the_segment_before_it_ended(tmp_path: Path) -> None:
    """The last segment of the same run has its name already."""
    put(tmp_path, segment_name(BEGUN), b"the one before", BEGUN + 61)
    put(tmp_path, f".new-{BEGUN - 1}-1.mp4", MOOF, BEGUN + 90)
    name_leftovers(str(tmp_path))
    assert named(tmp_path) == {0: b"the one before", 61: MOOF}


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        (".new-1-0.mp4", True),
        (".new-1800000000-123456.mp4", True),
        ("20270115_080000.mp4", False),
        (".new-1-0.mp4.part", False),
        ("new-1-0.mp4", False),
        (".heldar-mirror.lock", False),
    ],
)
def test_what_counts_as_numbered(name: str, expected: bool) -> None:
    """A numbered file is recognized by its name alone."""
    assert is_numbered(name) == expected
