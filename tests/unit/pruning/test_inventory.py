"""What lies on the volume, on real directories."""

import fcntl
import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from support.pruning_fakes import FakeTime

from heldar_mirror.errors import MirrorError
from heldar_mirror.footage.footage import UNMEASURED
from heldar_mirror.footage.names import segment_name
from heldar_mirror.pruning.inventory import LISTING_SHARE, USEFUL_LISTING_SHARE, Inventory
from heldar_mirror.pruning.outcome import Pruned, Tally
from heldar_mirror.pruning.remover import DeletingRemover
from heldar_mirror.recorder.volume import LOCK

FRAGMENT = b"\0\0\0\x08moof"


class Stand:
    """An inventory of a real mirror root."""

    def __init__(self, path: Path, *, list_once: bool = False) -> None:
        self.path = path
        self.root = os.open(path, os.O_RDONLY)
        self.time = FakeTime()
        self.open: dict[str, int] = {}
        self.on_open: Callable[[], None] = lambda: None
        self.inventory = Inventory(
            path, DeletingRemover(), self.find_open, self.time.clocks.monotonic, list_once=list_once
        )

    def find_open(self) -> dict[str, int]:
        self.on_open()
        return self.open

    def put(self, camera_id: str, *begun: int, content: bytes = FRAGMENT) -> None:
        directory = self.path / camera_id
        directory.mkdir(exist_ok=True)
        (directory / LOCK).write_text(camera_id)
        for each in begun:
            (directory / segment_name(each)).write_bytes(content)

    def list_all(self, known: str = "", between: Callable[[], None] = lambda: None) -> Pruned:
        """List the cameras, of which those of `known`, each of a single letter, are known."""
        pruned = Pruned()
        self.inventory.list_all(self.root, set(known), pruned, lambda *_: between())
        return pruned

    def begun(self) -> dict[str, list[int]]:
        return {camera_id: list(footage.begun) for camera_id, footage in self.inventory.footage.items()}

    def remove(self, camera_id: str, *chosen: tuple[int, str]) -> Pruned:
        pruned = Pruned()
        self.inventory.remove(self.root, camera_id, chosen, pruned)
        return pruned


@pytest.fixture
def stand(tmp_path: Path) -> Iterator[Stand]:
    stand = Stand(tmp_path)
    yield stand
    os.close(stand.root)


def test_cameras_are_listed_oldest_first(stand: Stand) -> None:
    """A camera's directory is one of a known camera, or one whose lock file holds its name."""
    stand.put("a", 120, 60)
    stand.put("b", 60)
    for name in ("c", "d"):
        stand.put(name, 60)
        (stand.path / name / LOCK).unlink()
    shutil.copytree(stand.path / "a", stand.path / "copy")
    assert stand.list_all(known="c").problems == []
    assert stand.begun() == {"a": [60, 120], "b": [60], "c": [60]}
    assert stand.inventory.directories == {"a", "b", "c", "d", "copy"}


def test_a_directory_that_can_not_be_listed_is_a_problem(stand: Stand) -> None:
    """Here a link takes its place. The others are listed."""
    for camera_id in "abc":
        stand.put(camera_id, 60)
    replaced = stand.path / "b"

    def replace() -> None:
        if not replaced.is_symlink():
            shutil.rmtree(replaced)
            replaced.symlink_to(stand.path / "a")

    pruned = stand.list_all(known="b", between=replace)
    assert len(pruned.problems) == 1
    assert pruned.problems[0].startswith(f"cannot look into {replaced}: ")
    assert stand.begun() == {"a": [60], "c": [60]}


def test_a_directory_that_vanishes_is_no_problem(stand: Stand) -> None:
    """Heldar removes the directory of a camera that is deleted there, at any time."""
    for camera_id in "abc":
        stand.put(camera_id, 60)
    vanish = lambda: shutil.rmtree(stand.path / "b", ignore_errors=True)  # noqa: E731
    assert stand.list_all(known="b", between=vanish).problems == []
    assert stand.begun() == {"a": [60], "c": [60]}


def test_what_is_open_after_the_listing_is_kept(stand: Stand) -> None:
    """It is looked for only then: what was closed before the listing was complete is closed for good."""
    stand.put("a", 60, 120)
    stand.open = {"a": 120}
    listed = list[str]()
    stand.on_open = lambda: listed.append("open")
    stand.list_all(between=lambda: listed.append("directory"))
    assert listed == ["directory", "open"]
    assert stand.inventory.kept["a"] == {120}
    assert stand.inventory.kept["b"] == set()


def test_if_open_segments_can_not_be_seen_the_listing_of_before_stays(stand: Stand) -> None:
    stand.put("a", 60)
    stand.list_all()
    stand.put("a", 120)

    def refuse() -> None:
        raise MirrorError("they can't be seen")

    stand.on_open = refuse
    with pytest.raises(MirrorError):
        stand.list_all()
    assert stand.begun() == {"a": [60]}


def test_sizes_are_learned_when_they_are_needed(stand: Stand) -> None:
    """Of a stub the size is 0. A later listing keeps the sizes, but of the newest, which was growing, and of stubs."""
    stand.put("a", 60, 180)
    stand.put("a", 120, content=b"")
    stand.list_all()
    footage = stand.inventory.footage["a"]
    assert list(footage.sizes) == [UNMEASURED] * 3
    stand.inventory.measure(stand.root, "a", [0])
    assert list(footage.sizes) == [8, UNMEASURED, UNMEASURED]
    stand.inventory.measure(stand.root, "a")
    assert list(footage.sizes) == [8, 0, 8]
    stand.list_all()
    assert list(stand.inventory.footage["a"].sizes) == [8, UNMEASURED, UNMEASURED]


def test_a_camera_that_can_not_be_measured_is_forgotten(stand: Stand) -> None:
    """That is a problem unless its directory is just gone."""
    stand.put("a", 60)
    stand.put("b", 60)
    stand.list_all()
    shutil.rmtree(stand.path / "a")
    shutil.rmtree(stand.path / "b")
    (stand.path / "b").touch()
    pruned = Pruned()
    for camera_id in "ab":
        stand.inventory.measure_or_forget(stand.root, camera_id, [0], pruned)
    assert stand.inventory.footage == {}
    assert pruned.problems == [f"cannot look into {stand.path / 'b'}: Not a directory"]


def test_what_is_removed_is_counted_by_camera_and_rule_and_forgotten(stand: Stand) -> None:
    """What was gone already is forgotten without being counted."""
    stand.put("a", 60, 120, 180, 240)
    stand.list_all()
    stand.inventory.measure(stand.root, "a")
    (stand.path / "a" / segment_name(120)).unlink()
    pruned = stand.remove("a", (0, "age"), (1, "age"), (2, "quota"))
    assert pruned.tallies == {("a", "age"): Tally(1, 8, 60, 60), ("a", "quota"): Tally(1, 8, 180, 180)}
    assert stand.begun() == {"a": [240]}


def test_a_stub_that_was_filled_meanwhile_is_kept(stand: Stand) -> None:
    """It was open when it was measured, and was closed since with all that was recorded."""
    stand.put("a", 60, 120, content=b"")
    stand.list_all()
    stand.inventory.measure(stand.root, "a")
    stand.put("a", 60)
    assert stand.remove("a", (0, "stub"), (1, "stub")).segments == 1
    assert stand.begun() == {"a": [60]}
    assert stand.inventory.kept["a"] == {60}


def test_what_can_not_be_removed_is_kept_and_named_until_the_next_listing(stand: Stand) -> None:
    """Each camera and reason has a line with the number and an example."""
    stand.put("a", 60, 120)
    stand.list_all()
    stand.inventory.measure(stand.root, "a")
    for begun in (60, 120):
        (stand.path / "a" / segment_name(begun)).unlink()
        (stand.path / "a" / segment_name(begun)).mkdir()
    assert stand.remove("a", (0, "age"), (1, "age")).segments == 0
    assert stand.inventory.kept["a"] == {60, 120}
    (line,) = stand.inventory.stuck()
    assert line.startswith(f"cannot delete 2 segments, such as {stand.path / 'a' / segment_name(60)}: ")
    stand.list_all()
    assert stand.inventory.stuck() == []


def test_an_empty_directory_is_removed_and_one_with_segments_is_not(stand: Stand) -> None:
    stand.put("a")
    stand.put("b", 60)
    stand.list_all()
    pruned = Pruned()
    for camera_id in "ab":
        stand.inventory.remove_directory(stand.root, camera_id, pruned)
    assert pruned.directories == ["a"]
    assert stand.begun() == {"b": [60]}


def test_it_is_listed_again_after_a_time_that_depends_on_how_long_that_takes(stand: Stand) -> None:
    """The share of the time is larger if something was removed since."""
    stand.put("a", 60)
    assert stand.inventory.may_list_again()
    stand.list_all(between=lambda: stand.time.advance(1))
    stand.time.advance(1 / USEFUL_LISTING_SHARE + 1)
    assert not stand.inventory.may_list_again()
    stand.remove("a", (0, "age"))
    assert stand.inventory.may_list_again()
    stand.list_all(between=lambda: stand.time.advance(1))
    stand.time.advance(1 / LISTING_SHARE + 1)
    assert stand.inventory.may_list_again()


def test_a_dry_run_lists_once(tmp_path: Path) -> None:
    """A second listing would find what was only pretended to be removed."""
    stand = Stand(tmp_path, list_once=True)
    stand.list_all()
    stand.time.advance(1e6)
    assert not stand.inventory.may_list_again()
    os.close(stand.root)


def test_a_segment_is_closed_if_its_camera_has_another_one_open_or_no_recorder(stand: Stand) -> None:
    """A recorder of a different checkout is known by the lock that it holds. Without a lock file nothing is known."""
    for name in "abcd":
        stand.put(name, 60, 120)
    stand.open = {"a": 60}
    (stand.path / "c" / LOCK).unlink()
    stand.list_all("abcd")
    with (stand.path / "d" / LOCK).open() as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        is_closed = {name: [stand.inventory.is_closed(stand.root, name, index) for index in (0, 1)] for name in "abcd"}
    assert is_closed == {"a": [False, True], "b": [True, True], "c": [False, False], "d": [False, False]}
