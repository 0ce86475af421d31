"""The queries: which rows of Heldar's tables are read, and with which columns."""

import sqlite3
from collections.abc import Sequence
from pathlib import Path

from heldar_mirror.heldar.cameras import COLUMNS, Row
from heldar_mirror.heldar.database import ask
from heldar_mirror.heldar.retention import CAMERA_COLUMNS, LOCK_COLUMNS


def read_cameras(path: Path) -> list[Row]:
    """Return all rows of `cameras`, with the columns of COLUMNS; texts that are not UTF-8 hold surrogates.

    Raises DatabaseError where they can't be read, with the reason and the next step.
    """
    return ask(path, "cameras", lambda connection: _cameras(connection, COLUMNS))


def read_policies(path: Path) -> list[Row]:
    """Return what is said of how long each camera's footage stays. Raises DatabaseError, as `read_cameras`."""
    return ask(path, "cameras", lambda connection: _cameras(connection, CAMERA_COLUMNS))


def read_locked(path: Path) -> list[Row]:
    """Return the primary's segments that are locked for either reason. Raises DatabaseError, as `read_cameras`."""
    return ask(path, "locked segments", _locked)


def _cameras(connection: sqlite3.Connection, columns: Sequence[str]) -> list[Row]:
    _expect(connection, "cameras", columns)
    # A page that was written to the wrong place may be a good one of another table, and rows vanish without a word.
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
        # One by one, since only so SQLite takes Heldar's index; whatever is not 0 is locked.
        for condition in ("> 0", "< 0")
        for row in connection.execute(f"{select} {column} {condition}")
    ]


def _expect(connection: sqlite3.Connection, table: str, columns: Sequence[str]) -> None:
    present = {row["name"] for row in connection.execute(f"PRAGMA table_info({table})")}
    if not present:
        raise sqlite3.DatabaseError(f"it has no table {table}")
    if missing := [column for column in columns if column not in present]:
        raise sqlite3.DatabaseError(
            f"the table {table} lacks the column {', '.join(missing)}: Heldar's schema is not one that is known here"
        )
