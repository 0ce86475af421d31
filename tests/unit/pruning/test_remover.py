"""What removes, on real directories, and its double for a dry run."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from heldar_mirror.footage.names import segment_name
from heldar_mirror.pruning.remover import DeletingRemover, PretendingRemover, Removal, Remover
from heldar_mirror.recorder.segments import NUMBERED
from heldar_mirror.recorder.volume import LOCK
from heldar_mirror.volume.room import Room

# A box of an mp4 file by which it is no stub.
MOOF = (8).to_bytes(4, "big") + b"moof"


class FakeRoom:
    """A volume whose room a test sets, and which gives room back only when it is settled."""

    def __init__(self) -> None:
        self.free = 100
        self.owed = 0
        self.settled = 0

    def room_of(self, _root: int) -> Room:
        return Room(1000, self.free, 50, 20)

    def settle(self, _root: int) -> None:
        self.settled += 1
        self.free, self.owed = self.free + self.owed, 0


@pytest.fixture
def volume() -> FakeRoom:
    return FakeRoom()


@pytest.fixture
def remover(volume: FakeRoom) -> DeletingRemover:
    return DeletingRemover(volume.room_of, volume.settle)


def put(root: Path, *begun: int) -> None:
    """Put segments of `gate`."""
    (root / "gate").mkdir(exist_ok=True)
    for each in begun:
        (root / "gate" / segment_name(each)).write_bytes(bytes(10))


def names(root: Path) -> set[str]:
    return {path.name for path in (root / "gate").iterdir()}


@pytest.fixture
def root(tmp_path: Path) -> Iterator[int]:
    """A descriptor of the directory of the test, with two segments of `gate`."""
    put(tmp_path, 60, 120)
    fd = os.open(tmp_path, os.O_RDONLY)
    yield fd
    os.close(fd)


def test_segments_are_removed(remover: DeletingRemover, root: int, tmp_path: Path) -> None:
    """One that is gone already is neither removed nor stuck."""
    assert remover.remove_segments(root, "gate", {60: 10, 180: 10}) == Removal({60})
    assert names(tmp_path) == {segment_name(120)}


def test_segments_that_can_not_be_removed_are_given_with_the_reason(
    remover: DeletingRemover, root: int, tmp_path: Path
) -> None:
    """Here it is a directory that has a segment's name."""
    (tmp_path / "gate" / segment_name(180)).mkdir()
    removal = remover.remove_segments(root, "gate", {60: 10, 180: 10})
    assert removal.removed == {60}
    assert list(removal.stuck.values()) == [[180]]


def test_a_directory_goes_unless_something_else_is_in_it(remover: DeletingRemover, root: int, tmp_path: Path) -> None:
    remover.remove_segments(root, "gate", {60: 10, 120: 10})
    (tmp_path / "gate" / LOCK).write_text("gate")
    (tmp_path / "gate/note.txt").touch()
    assert not remover.remove_directory(root, "gate")
    (tmp_path / "gate/note.txt").unlink()
    assert remover.remove_directory(root, "gate")
    assert not (tmp_path / "gate").exists()


def test_room_that_comes_late_is_waited_for(remover: DeletingRemover, volume: FakeRoom, root: int) -> None:
    """XFS and btrfs give it only when they have noted the removal, so they are made to."""
    assert remover.start(root).free == 100
    remover.remove_segments(root, "gate", {60: 10})
    volume.owed = 10
    assert remover.room(root).free == 110
    assert volume.settled == 1


def test_a_volume_is_not_settled_without_need(remover: DeletingRemover, volume: FakeRoom, root: int) -> None:
    """Neither if the room is there already, nor if nothing was removed and recorders write."""
    remover.start(root)
    remover.remove_segments(root, "gate", {60: 10})
    volume.free += 10
    assert remover.room(root).free == 110
    volume.free -= 50
    assert remover.room(root).free == 60
    assert volume.settled == 0


def test_a_dry_run_removes_nothing_and_counts_what_it_would_give(volume: FakeRoom, root: int, tmp_path: Path) -> None:
    remover: Remover = PretendingRemover(volume.room_of)
    assert remover.start(root) == Room(1000, 100, 50, 20)
    assert remover.remove_segments(root, "gate", {60: 10, 120: 30}) == Removal({60, 120})
    assert remover.room(root) == Room(1000, 140, 50, 22)
    assert remover.remove_directory(root, "gate")
    assert names(tmp_path) == {segment_name(60), segment_name(120)}
    (tmp_path / "gate/note.txt").touch()
    assert not remover.remove_directory(root, "gate")


def test_footage_that_has_no_name_yet_keeps_its_directory(remover: DeletingRemover, root: int, tmp_path: Path) -> None:
    """What a killed recorder left under a number is named, so that it expires like all footage. A stub is removed."""
    remover.remove_segments(root, "gate", {60: 10, 120: 10})
    (tmp_path / "gate" / LOCK).write_text("gate\n60")
    (tmp_path / "gate" / f"{NUMBERED}60-0.mp4").write_bytes(MOOF)
    (tmp_path / "gate" / f"{NUMBERED}60-1.mp4").touch()
    assert not remover.remove_directory(root, "gate")
    assert names(tmp_path) == {LOCK, segment_name(60)}
