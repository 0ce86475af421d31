"""What the pruner knows of each camera from the database, and when it reads that again."""

from pathlib import Path

import pytest
from support.pruning_fakes import FakeTime

from heldar_mirror.errors import DatabaseError
from heldar_mirror.footage.spans import Spans
from heldar_mirror.heldar.cameras import Row
from heldar_mirror.heldar.retention import Policy
from heldar_mirror.pruning.outcome import Pruned
from heldar_mirror.pruning.policies import FRESH_SECONDS, Policies

DATABASE = Path("/heldar.db")


class Table:
    """A database that a test fills and breaks, and how often it was read."""

    def __init__(self) -> None:
        self.cameras: list[Row] = [row("gate")]
        self.locked: list[Row] = []
        self.broken = False
        self.reads = 0

    def read_policies(self, path: Path) -> list[Row]:
        return self._read(path, self.cameras)

    def read_locked(self, path: Path) -> list[Row]:
        return self._read(path, self.locked)

    def _read(self, path: Path, rows: list[Row]) -> list[Row]:
        assert path == DATABASE
        self.reads += 1
        if self.broken:
            raise DatabaseError("it is broken")
        return rows


def row(camera_id: str, **columns: object) -> Row:
    return {"id": camera_id, "segment_seconds": 60, "retention_hours": 1, "storage_quota_bytes": None} | columns


def locked_row(camera_id: str, start: str = "1970-01-01T00:01:00Z") -> Row:
    return {"camera_id": camera_id, "start_time": start, "end_time": "1970-01-01T00:02:00Z"}


@pytest.fixture
def time() -> FakeTime:
    return FakeTime()


@pytest.fixture
def table() -> Table:
    return Table()


@pytest.fixture
def policies(table: Table, time: FakeTime) -> Policies:
    return Policies(DATABASE, time.clocks.monotonic, table.read_policies, table.read_locked)


def test_policies_and_locks_are_read(policies: Policies, table: Table) -> None:
    table.locked = [locked_row("gate")]
    pruned = Pruned()
    assert policies.refresh(pruned)
    assert policies.of("gate") == Policy(3600, None, 60)
    assert policies.locks_of("gate") == Spans([(60 - 15, 120 + 15)])
    assert not policies.locks_of("hall")
    assert (pruned.problems, pruned.database_error) == ([], None)


def test_they_are_read_again_when_they_are_not_fresh_any_more(policies: Policies, table: Table, time: FakeTime) -> None:
    """A batch of removals is not delayed by reading what was just read, nor spoilt by what is seconds old."""
    policies.refresh(Pruned())
    table.cameras = [row("gate", retention_hours=2)]
    time.advance(FRESH_SECONDS - 0.1)
    policies.refresh(Pruned())
    assert (table.reads, policies.of("gate").keep_seconds) == (2, 3600)
    time.advance(0.1)
    policies.refresh(Pruned())
    assert (table.reads, policies.of("gate").keep_seconds) == (4, 7200)


def test_what_was_read_last_stays_if_the_database_can_not_be_read(
    policies: Policies, table: Table, time: FakeTime
) -> None:
    """The outcome has the error, and each call tries again."""
    table.locked = [locked_row("gate")]
    policies.refresh(Pruned())
    time.advance(FRESH_SECONDS)
    table.broken, table.reads = True, 0
    for number in (1, 2):
        pruned = Pruned()
        assert not policies.refresh(pruned)
        assert not policies.refresh_locks(pruned)
        assert str(pruned.database_error) == "it is broken"
        assert table.reads == 2 * number
    assert policies.of("gate").keep_seconds == 3600
    assert policies.locks_of("gate")


def test_what_was_never_read_is_not_known(policies: Policies, table: Table) -> None:
    table.broken = True
    assert not policies.refresh(Pruned())
    assert policies.of("gate") == Policy()


def test_a_row_that_is_not_understood_removes_nothing(policies: Policies, table: Table) -> None:
    """It is a problem that names the camera; the other cameras have their policies."""
    table.cameras = [row("gate", retention_hours="a day"), row("hall")]
    pruned = Pruned()
    assert policies.refresh(pruned)
    assert policies.of("gate") == Policy()
    assert policies.of("hall").keep_seconds == 3600
    assert len(pruned.problems) == 1
    assert pruned.problems[0].startswith("camera gate: retention_hours is 'a day'")
    assert pruned.problems[0].endswith("; nothing of it goes by age or quota")


def test_a_lock_that_is_not_understood_locks_the_whole_camera(policies: Policies, table: Table) -> None:
    table.locked = [locked_row("gate", start="soon")]
    pruned = Pruned()
    assert policies.refresh(pruned)
    assert policies.locks_of("gate").overlap(1e12, 1e12)
    assert len(pruned.problems) == 1


def test_a_camera_that_is_in_the_table_is_not_a_deleted_one(policies: Policies) -> None:
    """A deleted camera's own policy is used only while the table does not have it."""
    policies.deleted = {"gate": Policy(delete_all=True), "hall": Policy(delete_all=True)}
    policies.refresh(Pruned())
    assert not policies.of("gate").delete_all
    assert policies.of("hall").delete_all
