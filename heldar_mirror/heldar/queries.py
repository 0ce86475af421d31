"""The queries that are made of Heldar's tables. Each takes a connection and returns rows.

A process of its own may have to make them (`heldar/read_in_place.py`), so it gets their names, by QUERIES.
"""

import sqlite3
from collections.abc import Sequence

from heldar_mirror.heldar.cameras import COLUMNS, Row
from heldar_mirror.heldar.damage import check
from heldar_mirror.heldar.retention import CAMERA_COLUMNS, LOCK_COLUMNS


def cameras(connection: sqlite3.Connection) -> list[Row]:
    """Return all rows of `cameras`, with the columns in COLUMNS."""
    return _cameras(connection, COLUMNS)


def policies(connection: sqlite3.Connection) -> list[Row]:
    """Return all rows of `cameras`, with the columns that retention needs."""
    return _cameras(connection, CAMERA_COLUMNS)


def locked_segments(connection: sqlite3.Connection) -> list[Row]:
    """Return the primary's locked segments, with either kind of lock."""
    _expect(connection, "segments", (*LOCK_COLUMNS, "locked", "evidence_locked"))
    select = f"SELECT {', '.join(LOCK_COLUMNS)} FROM segments WHERE"  # noqa: S608
    return [
        dict(row)
        for column in ("locked", "evidence_locked")
        # Any value but 0 is a lock. SQLite uses Heldar's index only if one column is compared at a time.
        for condition in ("> 0", "< 0")
        for row in connection.execute(f"{select} {column} {condition}")
    ]


QUERIES = {query.__name__: query for query in (cameras, policies, locked_segments)}


def _cameras(connection: sqlite3.Connection, columns: Sequence[str]) -> list[Row]:
    _expect(connection, "cameras", columns)
    check(connection, "cameras")
    # No index: its collation may be one that only Heldar's kernel defines.
    select = f"SELECT {', '.join(columns)} FROM cameras NOT INDEXED ORDER BY id COLLATE BINARY"  # noqa: S608
    return [dict(row) for row in connection.execute(select)]


def _expect(connection: sqlite3.Connection, table: str, columns: Sequence[str]) -> None:
    present = {row["name"] for row in connection.execute(f"PRAGMA table_info({table})")}
    if not present:
        raise sqlite3.DatabaseError(f"it has no table {table}")
    if missing := [column for column in columns if column not in present]:
        raise sqlite3.DatabaseError(
            f"the table {table} lacks the column {', '.join(missing)}: Heldar's schema is unknown to this mirror"
        )
