"""The queries that are made of Heldar's tables. Each takes a connection, and texts and numbers, and returns rows.

A process of its own may have to make them (`heldar/read_in_place.py`), so it gets their names, by QUERIES. What they
are given and return must survive JSON.
"""

import sqlite3
from collections.abc import Callable, Sequence
from typing import Any

from heldar_mirror.heldar.cameras import COLUMNS, Row
from heldar_mirror.heldar.damage import check
from heldar_mirror.heldar.retention import CAMERA_COLUMNS, LOCK_COLUMNS

# The columns that coverage needs.
RECORDED_COLUMNS = (
    *("id", "enabled", "record_enabled", "mirror_enabled", "segment_seconds", "retention_hours"),
    *("storage_quota_bytes", "record_mode", "updated_at"),
)
# Without this one, coverage can't tell a new camera from one that was not recorded.
CREATED = "created_at"
SCHEDULE_COLUMNS = ("camera_id", "days", "time_start", "time_end", "enabled")
SEGMENT_COLUMNS = (
    *("camera_id", "path", "start_time", "end_time", "size_bytes"),
    *("locked", "evidence_locked"),
)

# The settings that are changed in Heldar while it runs, and that coverage needs.
MAX_BYTES, MIN_FREE_BYTES, TIMEZONE = SETTING_KEYS = (
    *("recording_max_bytes", "recording_min_free_bytes"),
    "default_timezone",
)


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


def recorded_cameras(connection: sqlite3.Connection) -> list[Row]:
    """Return all rows of `cameras`, with the columns that coverage needs, and `created_at` if there is one."""
    created = {CREATED} & _columns(connection, "cameras")
    return _cameras(connection, (*RECORDED_COLUMNS, *created))


def schedules(connection: sqlite3.Connection) -> list[Row]:
    """Return all rows of `camera_schedules`, or none if this version of Heldar has no such table."""
    if not _columns(connection, "camera_schedules"):
        return []
    _expect(connection, "camera_schedules", SCHEDULE_COLUMNS)
    select = f"SELECT {', '.join(SCHEDULE_COLUMNS)} FROM camera_schedules"  # noqa: S608
    return [dict(row) for row in connection.execute(select)]


def runtime_settings(connection: sqlite3.Connection) -> list[Row]:
    """Return `key` and `value` of those rows of `settings` that coverage needs; none if there is no such table."""
    if not _columns(connection, "settings"):
        return []
    _expect(connection, "settings", ("key", "value"))
    marks = ", ".join("?" * len(SETTING_KEYS))
    select = f"SELECT key, value FROM settings WHERE key IN ({marks})"  # noqa: S608
    return [dict(row) for row in connection.execute(select, SETTING_KEYS)]


def segment_ends(connection: sqlite3.Connection, camera_id: str) -> list[tuple[Any, ...]]:
    """Return one row about a camera's segments: oldest, newest, odd.

    `oldest` is when the oldest one that is not locked begins, and `newest` the path of the newest; each is None if
    there is none. `odd` is how many segments have a beginning that can't be a time of the years 1000 to 2999.
    """
    _expect(connection, "segments", SEGMENT_COLUMNS)
    of_camera = "FROM segments WHERE camera_id = :camera_id AND"
    timed = f"{of_camera} start_time >= '1' AND start_time < '3'"
    select = f"""
        SELECT
            (SELECT start_time {timed} AND locked = 0 AND evidence_locked = 0 ORDER BY start_time LIMIT 1),
            (SELECT path {timed} ORDER BY start_time DESC LIMIT 1),
            (SELECT count(*) {of_camera} start_time < '1') + (SELECT count(*) {of_camera} start_time >= '3')
    """
    return _tuples(connection, select, {"camera_id": camera_id})


def segments(
    connection: sqlite3.Connection, camera_id: str, times: tuple[str, str], after: tuple[str, int], limit: int
) -> list[tuple[Any, ...]]:
    """Return at most `limit` segments of a camera: the row's number, path, start_time, end_time, size_bytes and
    evidence_locked.

    They are those that begin in `times`, from one text to before another, as in `start_time`. They are in the order of
    their beginnings and numbers, and come after a beginning and a number.
    """
    _expect(connection, "segments", SEGMENT_COLUMNS)
    begun, number = after
    select = """
        SELECT rowid, path, start_time, end_time, size_bytes, evidence_locked FROM segments
        WHERE camera_id = ? AND start_time >= ? AND start_time < ? AND (start_time, rowid) > (CAST(? AS TEXT), ?)
        ORDER BY start_time, rowid LIMIT ?
    """
    # A text that is not UTF-8 can be given only as bytes.
    key = begun.encode(errors="surrogateescape"), number
    return _tuples(connection, select, (camera_id, *times, *key, limit))


def segment_sizes(connection: sqlite3.Connection, after: int, limit: int) -> list[tuple[Any, ...]]:
    """Return the sizes of at most `limit` segments, of any camera, whose rows' numbers come after `after`.

    There is a row for each camera: its id, how many of the segments are its own, their bytes, and the highest number.
    """
    _expect(connection, "segments", SEGMENT_COLUMNS)
    select = """
        SELECT camera_id, count(*), total(size_bytes), max(number) FROM (
            SELECT rowid AS number, camera_id, size_bytes FROM segments WHERE rowid > ? ORDER BY rowid LIMIT ?
        ) GROUP BY camera_id
    """
    return _tuples(connection, select, (after, limit))


def gap_starts(connection: sqlite3.Connection, camera_id: str, since: str, until: str) -> list[tuple[Any, ...]]:
    """Return the gap_start of each gap of a camera that begins in a time, from one text to before another; none if this
    version of Heldar has no table of gaps."""
    if not _columns(connection, "recording_gaps"):
        return []
    _expect(connection, "recording_gaps", ("camera_id", "gap_start"))
    select = "SELECT gap_start FROM recording_gaps WHERE camera_id = ? AND gap_start >= ? AND gap_start < ?"
    return _tuples(connection, select, (camera_id, since, until))


def sizes_by_path(connection: sqlite3.Connection, paths: Sequence[str]) -> list[tuple[Any, ...]]:
    """Return the path and size_bytes of each segment that has one of some paths, of which SQLite takes 999."""
    _expect(connection, "segments", SEGMENT_COLUMNS)
    marks = ", ".join("?" * len(paths))
    return _tuples(connection, f"SELECT path, size_bytes FROM segments WHERE path IN ({marks})", paths)  # noqa: S608


QUERIES: dict[str, Callable[..., list[Any]]] = {
    query.__name__: query
    for query in (
        *(cameras, policies, locked_segments),
        *(recorded_cameras, schedules, runtime_settings),
        *(segment_ends, segments, segment_sizes, sizes_by_path, gap_starts),
    )
}


def _cameras(connection: sqlite3.Connection, columns: Sequence[str]) -> list[Row]:
    _expect(connection, "cameras", columns)
    check(connection, "cameras")
    # No index: its collation may be one that only Heldar's kernel defines.
    select = f"SELECT {', '.join(columns)} FROM cameras NOT INDEXED ORDER BY id COLLATE BINARY"  # noqa: S608
    return [dict(row) for row in connection.execute(select)]


def _expect(connection: sqlite3.Connection, table: str, columns: Sequence[str]) -> None:
    present = _columns(connection, table)
    if not present:
        raise sqlite3.DatabaseError(f"it has no table {table}")
    if missing := [column for column in columns if column not in present]:
        raise sqlite3.DatabaseError(
            f"the table {table} lacks the column {', '.join(missing)}: Heldar's schema is unknown to this mirror"
        )


def _tuples(connection: sqlite3.Connection, select: str, values: Any) -> list[tuple[Any, ...]]:
    """Return rows without names, which is faster for many."""
    cursor = connection.cursor()
    cursor.row_factory = None
    return cursor.execute(select, values).fetchall()


def _columns(connection: sqlite3.Connection, table: str) -> set[str]:
    """Return the names of a table's columns, none if there is no such table."""
    return {row["name"] for row in connection.execute(f"PRAGMA table_info({table})")}
