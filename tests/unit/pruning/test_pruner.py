"""A whole prune of a real mirror root, with a table of the test's own and no process."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest
from support.pruning_fakes import HOUR, NOW, FakeTime

from heldar_mirror.errors import DatabaseError, HungError, StateError, VolumeError
from heldar_mirror.footage.names import segment_name
from heldar_mirror.heldar.cameras import Row
from heldar_mirror.pruning.memory import read_retention
from heldar_mirror.pruning.outcome import Pruned
from heldar_mirror.pruning.policies import Policies
from heldar_mirror.pruning.pruner import APART_SECONDS, Pruner, make_pruner
from heldar_mirror.pruning.settings import PruningSettings
from heldar_mirror.recorder.volume import LOCK, MARKER

FRAGMENT = b"\0\0\0\x08moof"
VOLUME = "0b9f"


class Stand:
    """A mirror root that is proven, and a table that a test fills."""

    def __init__(self, path: Path) -> None:
        self.time = FakeTime()
        self.root, self.cameras, self.broken = path / "mirror", dict[str, Row](), False
        self.runs, self.apart_checks, self.apart_error = 0, 0, ""
        for name in ("mirror", "state", "specs"):
            (path / name).mkdir()
        (self.root / MARKER).write_text(f"{VOLUME}\n")
        (path / "state/volumes").write_text(f"{VOLUME} {self.root}\n")
        self.settings = PruningSettings(
            mirror_root=self.root,
            recordings_dir=path / "recordings",
            database=path / "heldar.db",
            state_dir=path / "state",
            specs_dir=path / "specs",
            min_free_bytes=0,
            deleted_retention_seconds=HOUR,
        )

    def pruner(self, *, dry_run: bool = False) -> Pruner:
        """Return a pruner of that root, with the table and the clocks of the test."""
        made = make_pruner(self.settings, lambda: None, dry_run=dry_run, clocks=self.time.clocks)
        policies = Policies(self.settings.database, self.time.clocks.monotonic, self.read_cameras, lambda _: [])
        return replace(
            made,
            policies=policies,
            floor_keeper=replace(made.floor_keeper, policies=policies),
            check_apart=self.check_apart,
            alone=made.alone if dry_run else self.alone,
        )

    def read_cameras(self, _path: Path) -> list[Row]:
        if self.broken:
            raise DatabaseError("the table can't be read")
        return list(self.cameras.values())

    def check_apart(self) -> None:
        self.apart_checks += 1
        if self.apart_error:
            raise HungError(self.apart_error)

    @contextmanager
    def alone(self) -> Iterator[None]:
        self.runs += 1
        yield

    def add(self, camera_id: str, hours: int = 1000, quota: int | None = None) -> None:
        self.cameras[camera_id] = {
            "id": camera_id,
            "segment_seconds": 60,
            "retention_hours": hours,
            "storage_quota_bytes": quota,
        }

    def put(self, camera_id: str, *hours: float, content: bytes = FRAGMENT) -> None:
        """Put segments of a camera that began so many hours ago."""
        directory = self.root / camera_id
        directory.mkdir(exist_ok=True)
        (directory / LOCK).write_text(camera_id)
        for each in hours:
            (directory / segment_name(int(NOW - each * HOUR))).write_bytes(content)

    def count(self, camera_id: str) -> int:
        return len(list((self.root / camera_id).glob("*.mp4")))


@pytest.fixture
def stand(tmp_path: Path) -> Stand:
    return Stand(tmp_path)


def removed(pruned: Pruned) -> dict[tuple[str, str], int]:
    return {key: tally.segments for key, tally in pruned.tallies.items()}


def fill(stand: Stand) -> None:
    """Put footage to which every rule but the floor applies."""
    stand.add("aged", hours=10)
    stand.put("aged", 30, 20, 8, 1)
    stand.add("capped", quota=20)
    stand.put("capped", 4, 3, 2, 1)
    stand.add("stubs")
    stand.put("stubs", 4, 3, content=b"")
    stand.put("gone", 3, 2)


def test_a_sweep_applies_the_rules_of_each_camera(stand: Stand) -> None:
    """What is left of a deleted camera waits for its time; then its directory goes as well."""
    fill(stand)
    pruner = stand.pruner()
    pruned = pruner.prune()
    assert removed(pruned) == {("aged", "age"): 1, ("capped", "quota"): 2, ("stubs", "stub"): 1}
    assert pruned.waiting == {"gone": NOW + HOUR}
    assert (pruned.problems, pruned.shortages) == ([], [])
    stand.time.advance(HOUR)
    pruned = pruner.prune()
    assert removed(pruned) == {("gone", "deleted"): 2}
    assert pruned.directories == ["gone"]
    assert not (stand.root / "gone").exists()
    assert read_retention(stand.settings).deleted == {}
    assert stand.runs == 2


def test_a_dry_run_foretells_a_sweep_and_writes_nothing(stand: Stand) -> None:
    """It does not wait for another prune either."""
    fill(stand)
    before = {path: path.stat().st_mtime_ns for path in stand.root.parent.rglob("*")}
    foretold = stand.pruner(dry_run=True).prune()
    assert {path: path.stat().st_mtime_ns for path in stand.root.parent.rglob("*")} == before
    assert stand.runs == 0
    assert stand.pruner().prune().tallies == foretold.tallies


def test_between_sweeps_nothing_is_removed_but_for_room(stand: Stand) -> None:
    fill(stand)
    assert removed(stand.pruner().prune(sweep=False)) == {}
    assert not (stand.settings.state_dir / "retention.json").exists()


def test_without_the_table_nothing_is_removed(stand: Stand) -> None:
    """Nor is anything remembered: a table that can't be read is not one without cameras."""
    fill(stand)
    stand.broken = True
    pruned = stand.pruner().prune()
    assert removed(pruned) == {}
    assert str(pruned.database_error) == "the table can't be read"
    assert pruned.waiting == {}


def test_while_the_clock_is_doubted_only_quotas_are_applied(stand: Stand) -> None:
    stand.pruner().prune()
    fill(stand)
    stand.time.wall += 2 * HOUR
    pruned = stand.pruner().prune()
    assert removed(pruned) == {("capped", "quota"): 2}
    assert len(pruned.problems) == 1
    assert stand.count("gone") == 2


def test_the_locks_of_before_are_recalled(stand: Stand) -> None:
    """So a process that meets a database that can't be read spares what was locked."""
    fill(stand)
    pruner = stand.pruner()
    pruner.policies.locks = {}
    pruner.prune()
    state = stand.settings.state_dir / "retention.json"
    state.write_text(state.read_text().replace('"locks": {}', '"locks": {"aged": [[1, 2]]}'))
    stand.broken = True
    later = stand.pruner()
    later.prune()
    assert later.policies.locks_of("aged").spans == [(1, 2)]


def test_a_root_that_is_not_proven_is_not_pruned(stand: Stand) -> None:
    """One whose marker says something else, and one that was never used."""
    fill(stand)
    (stand.root / MARKER).write_text("another\n")
    with pytest.raises(VolumeError, match="adopt-volume"):
        stand.pruner().prune()
    (stand.settings.state_dir / "volumes").unlink()
    with pytest.raises(VolumeError, match="nothing to prune"):
        stand.pruner().prune()
    assert stand.count("aged") == 4


def test_whether_the_root_is_apart_is_checked_once_a_minute(stand: Stand) -> None:
    """If the primary hangs it can't be checked, and a root that was marked was apart then."""
    pruner = stand.pruner()
    for _ in range(2):
        pruner.prune(sweep=False)
    assert stand.apart_checks == 1
    stand.time.advance(APART_SECONDS + 1)
    stand.apart_error = "the primary hangs"
    pruner.prune(sweep=False)
    assert stand.apart_checks == 2


def test_a_state_that_can_not_be_read_prevents_pruning(stand: Stand) -> None:
    (stand.settings.state_dir / "retention.json").mkdir()
    with pytest.raises(StateError):
        stand.pruner().prune()


def test_a_camera_that_can_not_be_pruned_does_not_prevent_the_others(stand: Stand) -> None:
    """It is a problem with its directory and the reason."""
    fill(stand)
    pruner = stand.pruner()

    def spoil(what: str, done: int, total: int) -> None:
        aged = stand.root / "aged"
        if what == "pruning" and aged.is_dir():
            aged.rename(stand.root / ".aged")
            aged.touch()

    pruned = replace(pruner, progress=spoil).prune()
    assert removed(pruned) == {("capped", "quota"): 2, ("stubs", "stub"): 1}
    assert pruned.problems == [f"cannot prune {stand.root / 'aged'}: Not a directory"]
