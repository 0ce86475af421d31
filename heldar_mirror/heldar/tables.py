"""The queries that are made of Heldar's tables. They can be pickled, for a read in a process of its own."""

import sqlite3
from collections.abc import Sequence
from functools import partial
from pathlib import Path

from heldar_mirror.heldar.cameras import COLUMNS, Row
from heldar_mirror.heldar.damage import check
from heldar_mirror.heldar.database import ask
from heldar_mirror.heldar.retention import CAMERA_COLUMNS, LOCK_COLUMNS


def read_cameras(path: Path) -> list[Row]:
    """Return all rows of `cameras`, with the columns in COLUMNS. Bytes that are not UTF-8 become surrogates.

    Raises DatabaseError if they can't be read, with the reason and the next step.
    """
    return ask(path, "cameras", partial(_cameras, columns=COLUMNS))


def read_policies(path: Path) -> list[Row]:
    """Return all rows of `cameras`, with the columns that retention needs. Raises DatabaseError, as `read_cameras`."""
    return ask(path, "cameras", partial(_cameras, columns=CAMERA_COLUMNS))


def read_locked(path: Path) -> list[Row]:
    """Return the primary's locked segments, with either kind of lock. Raises DatabaseError, as `read_cameras`."""
    return ask(path, "locked segments", _locked)


def _cameras(connection: sqlite3.Connection, columns: Sequence[str]) -> list[Row]:
    _expect(connection, "cameras", columns)
    check(connection, "cameras")
    # No index: its collation may be one that only Heldar's kernel defines.
    select = f"SELECT {', '.join(columns)} FROM cameras NOT INDEXED ORDER BY id COLLATE BINARY"  # noqa: S608
    return [dict(row) for row in connection.execute(select)]


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
