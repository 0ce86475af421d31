"""The queries that are made of Heldar's tables."""

import sqlite3
from collections.abc import Sequence
from pathlib import Path

from heldar_mirror.heldar.cameras import COLUMNS, Row
from heldar_mirror.heldar.database import ask
from heldar_mirror.heldar.retention import CAMERA_COLUMNS, LOCK_COLUMNS


def read_cameras(path: Path) -> list[Row]:
    """Return all rows of `cameras`, with the columns in COLUMNS. Bytes that are not UTF-8 become surrogates.

    Raises DatabaseError if they can't be read, with the reason and the next step.
    """
    return ask(path, "cameras", lambda connection: _cameras(connection, COLUMNS))


def read_policies(path: Path) -> list[Row]:
    """Return all rows of `cameras`, with the columns that retention needs. Raises DatabaseError, as `read_cameras`."""
    return ask(path, "cameras", lambda connection: _cameras(connection, CAMERA_COLUMNS))


def read_locked(path: Path) -> list[Row]:
    """Return the primary's locked segments, with either kind of lock. Raises DatabaseError, as `read_cameras`."""
    return ask(path, "locked segments", _locked)


def _cameras(connection: sqlite3.Connection, columns: Sequence[str]) -> list[Row]:
    _expect(connection, "cameras", columns)
    # If a disk wrote a valid page of a different table over one of this table, SQLite omits rows without an error.
    for (problem,) in connection.execute("PRAGMA integrity_check(cameras)"):
        if problem != "ok":
            raise sqlite3.DatabaseError(f"the table cameras is damaged: {problem}")
    return [dict(row) for row in connection.execute(f"SELECT {', '.join(columns)} FROM cameras ORDER BY id")]  # noqa: S608


def _locked(connection: sqlite3.Connection) -> list[Row]:
    _expect(connection, "segments", (*LOCK_COLUMNS, "locked", "evidence_locked"))
    select = f"SELECT {', '.join(LOCK_COLUMNS)} FROM segments WHERE"  # noqa: S608
    return [
        dict(row)
        for column in ("locked", "evidence_locked")
        # Any value but 0 is a lock. SQLite uses Heldar's index only if one column is compared at a time.
        for condition in ("> 0", "< 0")
        for row in connection.execute(f"{select} {column} {condition}")
    ]


def _expect(connection: sqlite3.Connection, table: str, columns: Sequence[str]) -> None:
    present = {row["name"] for row in connection.execute(f"PRAGMA table_info({table})")}
    if not present:
        raise sqlite3.DatabaseError(f"it has no table {table}")
    if missing := [column for column in columns if column not in present]:
        raise sqlite3.DatabaseError(
            f"the table {table} lacks the column {', '.join(missing)}: Heldar's schema is unknown to this mirror"
        )
