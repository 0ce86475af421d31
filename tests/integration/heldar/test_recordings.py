"""Heldar's index is read in slices, whole and in order, whatever is in it, and while Heldar goes on writing."""

import os
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest
from support.heldar_kernel import HeldarKernel, heldar_kernel
from support.mirror import Database

from heldar_mirror.errors import DatabaseError
from heldar_mirror.heldar import recordings
from heldar_mirror.heldar.database import ask
from heldar_mirror.heldar.primary import parse_primary_camera
from heldar_mirror.heldar.recordings import (
    Ends,
    IndexedSegment,
    Size,
    read_ends,
    read_gap_starts,
    read_index,
    read_sizes,
)
from heldar_mirror.heldar.tables import read_recorded_cameras, read_runtime_settings, read_schedules

BEGIN = datetime(2026, 1, 31, 12, tzinfo=timezone.utc)
SINCE = BEGIN.timestamp()
MINUTE, HOUR, DAY = 60, 3600, 86_400


@pytest.fixture
def kernel(database: Database) -> Iterator[HeldarKernel]:
    """A process of our own user that has the database open, as Heldar's has."""
    with heldar_kernel(database.path, os.geteuid()) as running:
        yield running


@pytest.fixture
def slices(monkeypatch: pytest.MonkeyPatch) -> Callable[[int, Callable[[], object]], list[int]]:
    """Make slices small, and call a function after each. Return the list that is given the size of each slice."""

    def make(rows: int, after_each: Callable[[], object] = lambda: None) -> list[int]:
        sizes: list[int] = []

        def ask_and_tell(*given: Any) -> Any:
            found = ask(*given)
            sizes.append(len(found))
            after_each()
            return found

        monkeypatch.setattr(recordings, "SLICE_ROWS", rows)
        monkeypatch.setattr(recordings, "ask", ask_and_tell)
        return sizes

    return make


def written(moment: datetime) -> str:
    """As Heldar writes a time."""
    return moment.isoformat()


def path_of(camera_id: str, moment: datetime) -> str:
    return f"/recordings/{camera_id}/{moment:%Y%m%d_%H%M%S}.mp4"


def index(database: Database, camera_id: str, moments: list[datetime], seconds: float = 60.04) -> None:
    """Add segments of 1,000 bytes."""
    rows = [
        (path_of(camera_id, moment), camera_id, written(moment), written(moment + timedelta(seconds=seconds)))
        for moment in moments
    ]
    with closing(sqlite3.connect(database.path)) as connection, connection:
        connection.executemany(
            "INSERT INTO segments (id, path, camera_id, start_time, end_time, size_bytes) "
            "VALUES (?1, ?1, ?2, ?3, ?4, 1000)",
            rows,
        )


def add_row(database: Database, number: int, **columns: object) -> None:
    """Add an odd row of the camera `gate`."""
    row = {"id": f"odd{number}", "camera_id": "gate", "path": f"/odd/{number}"} | columns
    names, marks = ", ".join(row), ", ".join("?" * len(row))
    database.execute(f"INSERT INTO segments ({names}) VALUES ({marks})", *row.values())  # noqa: S608


def minutes(count: int, begin: datetime = BEGIN) -> list[datetime]:
    return [begin + timedelta(minutes=number) for number in range(count)]


@pytest.mark.parametrize("rows", [1, 7, 100, 10_000])
def test_a_span_is_read_whole_and_in_order(database: Database, slices: Callable[..., list[int]], rows: int) -> None:
    """Whatever the slices' size, and however many segments begin at one moment; those of other cameras are not read."""
    index(database, "gate", minutes(100))
    index(database, "yard", minutes(100))
    for number in range(20):
        add_row(database, number, start_time=written(BEGIN), end_time=written(BEGIN + timedelta(seconds=1)))
    sizes = slices(rows)
    found = read_index(database.path, "gate", SINCE + 10 * MINUTE, SINCE + 20 * MINUTE)
    assert [segment.begin - SINCE for segment in found.segments] == [number * MINUTE for number in range(9, 20)]
    second = BEGIN + timedelta(minutes=10)
    assert found.segments[1] == IndexedSegment(path_of("gate", second), SINCE + 600, SINCE + 660.04, 1000)
    assert (found.unusable, found.reason) == (0, "")
    assert sum(sizes) == 120
    assert max(sizes) <= rows

    whole = read_index(database.path, "gate", SINCE, SINCE + DAY).segments
    assert len(whole) == len(set(whole)) == 120


def test_a_long_segment_and_another_zone_are_found(database: Database) -> None:
    """The text of a time need not be near that of the span."""
    add_row(database, 1, start_time="2026-01-31T02:30:00-09:30", end_time="2026-01-31T02:31:00-09:30")
    add_row(database, 2, start_time="2026-02-01 02:00:00+14:00", end_time="2026-02-01T02:01:00+14:00")
    add_row(database, 3, start_time="2026-01-30T12:00:01Z", end_time="2026-01-31T12:00:01.123456789Z")
    found = read_index(database.path, "gate", SINCE, SINCE + MINUTE).segments
    assert [segment.path for segment in found] == ["/odd/3", "/odd/1", "/odd/2"]
    assert found[0].end == pytest.approx(SINCE + 1.123456789)


def test_rows_that_can_not_be_used_are_counted(database: Database, slices: Callable[..., list[int]]) -> None:
    """They neither end the reading nor hide the rows after them, even at the edge of a slice."""
    start, end = written(BEGIN), written(BEGIN + timedelta(minutes=1))
    odd = [f"{start} or so", "2026-01-32T12:00:00+00:00", b"2026-01-31", "yesterday", "", 7]
    for number, value in enumerate(odd):
        add_row(database, number, start_time=value, end_time=end)
    for number, value in enumerate([None, "later", 7]):
        add_row(database, 10 + number, start_time=start, end_time=value)
    add_row(database, 20, start_time=start, end_time=end, path=b"/odd/path")
    add_row(database, 21, start_time=end, end_time=start)
    database.execute(
        "INSERT INTO segments (id, path, camera_id, start_time, end_time) "
        "VALUES ('x', 'x', 'gate', CAST(? AS TEXT), ?)",
        f"{start}".encode() + b"\xff\xed\xa0\xbd",
        end,
    )
    index(database, "gate", minutes(3))
    sizes = slices(1)
    found = read_index(database.path, "gate", SINCE, SINCE + HOUR)
    assert [segment.begin - SINCE for segment in found.segments] == [0, 60, 120]
    assert found.unusable == 8  # those that may be in the span
    assert found.reason.startswith("its ")
    assert sum(sizes) == 11
    assert read_ends(database.path, "gate") == Ends(SINCE, "/odd/1", 4)


def test_the_oldest_segment_is_one_that_may_be_deleted(database: Database) -> None:
    """A locked one stays when those around it are long gone."""
    index(database, "gate", minutes(5))
    database.execute("UPDATE segments SET evidence_locked = 1 WHERE start_time = ?", written(BEGIN))
    database.execute("UPDATE segments SET locked = 1 WHERE start_time = ?", written(BEGIN + timedelta(minutes=1)))
    assert read_ends(database.path, "gate") == Ends(
        SINCE + 2 * MINUTE, path_of("gate", BEGIN + timedelta(minutes=4)), 0
    )
    assert read_ends(database.path, "yard") == Ends(None, None, 0)


def test_sizes_and_evidence_locks_come_with_the_rows(database: Database) -> None:
    """A size that is none counts as 0 bytes, as in sums. That a segment is being played is no evidence."""
    index(database, "gate", minutes(4))
    for minute, column, value in ((1, "evidence_locked", 1), (2, "locked", 1), (3, "size_bytes", "many")):
        at = written(BEGIN + timedelta(minutes=minute))
        database.execute(f"UPDATE segments SET {column} = ? WHERE start_time = ?", value, at)  # noqa: S608
    found = read_index(database.path, "gate", SINCE, SINCE + HOUR).segments
    assert [(each.size, each.evidence) for each in found] == [(1000, False), (1000, True), (1000, False), (0, False)]


def test_gaps_that_heldar_has_found(database: Database) -> None:
    """Those of one camera that begin in a span, in order. An older Heldar has no table of them."""
    later = BEGIN + timedelta(minutes=10)
    for name, camera_id, start in (
        ("2", "gate", written(later)),
        ("1", "gate", "2026-01-31T13:00:00.5+01:00"),
        ("3", "gate", written(BEGIN + timedelta(hours=1))),
        ("4", "yard", written(later)),
        ("5", "gate", f"{BEGIN:%Y-%m-%d} or so"),
    ):
        values = name, camera_id, start, written(BEGIN)
        database.execute("INSERT INTO recording_gaps (id, camera_id, gap_start, gap_end) VALUES (?, ?, ?, ?)", *values)
    assert read_gap_starts(database.path, "gate", SINCE, SINCE + HOUR) == [SINCE + 0.5, SINCE + 600]
    database.execute("DROP TABLE recording_gaps")
    assert read_gap_starts(database.path, "gate", SINCE, SINCE + HOUR) == []


@pytest.mark.parametrize("rows", [1, 3, 10_000])
def test_sizes_are_sums_over_all_rows(database: Database, slices: Callable[..., list[int]], rows: int) -> None:
    index(database, "gate", minutes(5))
    index(database, "yard", minutes(7))
    database.execute("UPDATE segments SET size_bytes = 'many' WHERE path = ?", path_of("yard", BEGIN))
    slices(rows)
    assert read_sizes(database.path) == {"gate": Size(5, 5000), "yard": Size(7, 6000)}


def test_a_database_that_nobody_has_open_is_read_where_it_lies(database: Database, kernel: HeldarKernel) -> None:
    """Without a -shm a process of its own reads it, and is given what the query needs."""
    index(database, "gate", minutes(20))
    kernel.add("only_in_the_wal")
    database.execute(
        "INSERT INTO camera_schedules (id, camera_id, time_start, time_end) VALUES ('s', 'gate', '1', '2')"
    )
    running = everything(database.path)
    kernel.crash()
    Path(f"{database.path}-shm").unlink()
    assert everything(database.path) == running
    assert not Path(f"{database.path}-shm").exists()
    assert [row["id"] for row in running[0]] == ["only_in_the_wal"]
    assert len(running[3].segments) == 5


def everything(path: Path) -> tuple[Any, ...]:
    return (
        read_recorded_cameras(path),
        read_schedules(path),
        read_runtime_settings(path),
        read_index(path, "gate", SINCE, SINCE + 5 * MINUTE),
        read_ends(path, "gate"),
        read_gap_starts(path, "gate", SINCE, SINCE + HOUR),
        read_sizes(path),
    )


def test_an_older_heldar_has_no_schedules_and_no_settings(database: Database) -> None:
    """What it lacks is nothing. A table that is there and lacks a column is an error."""
    database.add("gate")
    database.execute("ALTER TABLE cameras ADD COLUMN of_a_later_version TEXT")
    database.execute("INSERT INTO settings (key, value) VALUES ('other', 'x'), ('recording_max_bytes', '5')")
    assert read_runtime_settings(database.path) == [{"key": "recording_max_bytes", "value": "5"}]
    database.execute("ALTER TABLE camera_schedules DROP COLUMN enabled")
    with pytest.raises(DatabaseError, match="the table camera_schedules lacks the column enabled"):
        read_schedules(database.path)
    database.execute("DROP TABLE camera_schedules; DROP TABLE settings")
    assert read_schedules(database.path) == []
    assert read_runtime_settings(database.path) == []
    (row,) = read_recorded_cameras(database.path)
    assert (row["id"], row["record_mode"], row["created_at"]) == ("gate", "continuous", "2001-01-01T00:00:00Z")
    database.execute("ALTER TABLE cameras DROP COLUMN created_at")
    (row,) = read_recorded_cameras(database.path)
    assert "created_at" not in row
    assert parse_primary_camera(row).created_at is None


def wal_size(database: Database) -> int:
    return Path(f"{database.path}-wal").stat().st_size


def test_heldar_can_empty_its_wal_between_two_slices(
    database: Database, kernel: HeldarKernel, slices: Callable[..., list[int]]
) -> None:
    """A checkpoint that needs all readers to be gone succeeds. While one transaction reads, it does not."""
    index(database, "gate", minutes(100))
    written_bytes: list[int] = []

    def write_and_empty() -> None:
        kernel.tell("UPDATE segments SET size_bytes = size_bytes + 1 WHERE camera_id = 'gate'")
        written_bytes.append(wal_size(database))
        kernel.tell("PRAGMA wal_checkpoint(TRUNCATE)")
        assert wal_size(database) == 0

    sizes = slices(10, write_and_empty)
    assert len(read_index(database.path, "gate", SINCE, SINCE + DAY).segments) == 100
    assert len(sizes) == 11
    assert min(written_bytes) > 0

    read_sizes(database.path)
    assert len(sizes) == 22

    kernel.tell("UPDATE segments SET size_bytes = 1")
    with closing(sqlite3.connect(database.path, isolation_level=None)) as reader:
        reader.execute("BEGIN")
        reader.execute("SELECT * FROM segments").fetchone()
        kernel.tell("PRAGMA busy_timeout = 0")
        kernel.tell("PRAGMA wal_checkpoint(TRUNCATE)")
        assert wal_size(database) > 0


def test_the_wal_of_a_busy_heldar_does_not_grow_while_its_index_is_read(
    database: Database, kernel: HeldarKernel, slices: Callable[..., list[int]]
) -> None:
    """It checkpoints by itself from time to time, and begins its -wal anew: a long reading must let it."""
    index(database, "gate", minutes(1000))
    kernel.tell("PRAGMA wal_autocheckpoint = 50")
    largest: list[int] = []

    def write() -> None:
        kernel.tell("UPDATE segments SET size_bytes = size_bytes + 1 WHERE rowid <= 200")
        largest.append(wal_size(database))

    sizes = slices(20, write)
    assert len(read_index(database.path, "gate", SINCE, SINCE + DAY).segments) == 1000
    assert len(sizes) == 51
    bounded = max(largest)

    largest.clear()
    with closing(sqlite3.connect(database.path, isolation_level=None)) as reader:
        reader.execute("BEGIN")
        reader.execute("SELECT * FROM segments").fetchone()
        for _ in sizes[:50]:
            write()
    assert bounded < max(largest) / 3
