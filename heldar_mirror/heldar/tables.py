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
