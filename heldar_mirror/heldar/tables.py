"""Reading Heldar's tables. Bytes that are not UTF-8 become surrogates.

Each function raises DatabaseError if the rows can't be read, with the reason and the next step.
"""

from pathlib import Path

from heldar_mirror.heldar import queries
from heldar_mirror.heldar.cameras import Row
from heldar_mirror.heldar.database import ask


def read_cameras(path: Path) -> list[Row]:
    """Return all rows of `cameras`, with the columns in COLUMNS."""
    return ask(path, "cameras", queries.cameras)


def read_policies(path: Path) -> list[Row]:
    """Return all rows of `cameras`, with the columns that retention needs."""
    return ask(path, "cameras", queries.policies)


def read_locked(path: Path) -> list[Row]:
    """Return the primary's locked segments, with either kind of lock."""
    return ask(path, "locked segments", queries.locked_segments)


def read_recorded_cameras(path: Path) -> list[Row]:
    """Return all rows of `cameras`, with the columns that coverage needs, and `created_at` if there is one."""
    return ask(path, "cameras", queries.recorded_cameras)


def read_schedules(path: Path) -> list[Row]:
    """Return all rows of `camera_schedules`, or none if this version of Heldar has no such table."""
    return ask(path, "schedules", queries.schedules)


def read_runtime_settings(path: Path) -> list[Row]:
    """Return the settings that were changed in Heldar while it ran, as far as coverage needs them."""
    return ask(path, "settings", queries.runtime_settings)
