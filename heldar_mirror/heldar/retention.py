"""How long footage stays according to Heldar's rows: policies and locks."""

import math
import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from heldar_mirror.footage.spans import Spans
from heldar_mirror.heldar.cameras import MIN_SEGMENT_SECONDS, Row, integer

# The columns that are read from `cameras` and from `segments`.
CAMERA_COLUMNS = ("id", "segment_seconds", "retention_hours", "storage_quota_bytes")
LOCK_COLUMNS = ("camera_id", "start_time", "end_time")

# Segments of the mirror and of the primary that hold the same moment may have names some seconds apart: ffmpeg names a
# file when it writes the first packet, after it has probed the stream. So each lock is extended by this on both sides.
SKEW_SECONDS = 15

# A time as in RFC 3339, but the zone may be missing.
TIME = re.compile(r"([0-9]{4}-[0-9]{2}-[0-9]{2})[T ]([0-9:]{8})(\.[0-9]+)?(Z|[+-][0-9]{2}:[0-9]{2})?", re.IGNORECASE)


@dataclass(frozen=True)
class Policy:
    """Which segments of one camera are deleted: those that ended more than `keep_seconds` ago, and the oldest beyond
    `quota` bytes. A rule that is None deletes nothing. With `delete_all` every segment is deleted, because the camera
    was deleted from the table long enough ago. The camera's segments last at least `segment_seconds`."""

    keep_seconds: float | None = None
    quota: int | None = None
    segment_seconds: int = 0
    delete_all: bool = False


def parse_policy(row: Row) -> Policy:
    """Return the policy of a camera's row, as Heldar understands it. Raises CameraError for a bad value."""
    quota = row["storage_quota_bytes"]
    return Policy(
        keep_seconds=3600.0 * max(integer(row, "retention_hours", None, 10_000_000), 1),
        quota=None if quota is None else (max(integer(row, "storage_quota_bytes", None, 2**63), 0) or None),
        segment_seconds=max(integer(row, "segment_seconds", None, 86_400), MIN_SEGMENT_SECONDS),
    )


def parse_locks(rows: Iterable[Row]) -> tuple[dict[str, Spans], list[str]]:
    """Return the locked times by camera, and a problem for each camera with a bad time: all its footage is locked."""
    spans: dict[str, list[tuple[float, float]]] = {}
    problems: dict[str, str] = {}
    for row in rows:
        camera_id = str(row["camera_id"])
        try:
            span = parse_time(row["start_time"]), math.inf if row["end_time"] is None else parse_time(row["end_time"])
        except ValueError as error:
            problems.setdefault(camera_id, f"{camera_id!a}: a locked segment's {error}; nothing of it is deleted")
            span = -math.inf, math.inf
        spans.setdefault(camera_id, []).append((span[0] - SKEW_SECONDS, max(span) + SKEW_SECONDS))
    locks = {camera_id: Spans(locked) for camera_id, locked in spans.items()}
    return locks, [f"camera {problem}" for problem in problems.values()]


def parse_time(value: object) -> float:
    """Return a time as in RFC 3339 in Unix seconds. Without a zone it is UTC. Raises ValueError for anything else."""
    match = TIME.fullmatch(value) if isinstance(value, str) else None
    if not match:
        raise ValueError(f"time is {ascii(value)[:40]}, expected one such as 2026-01-31T12:00:00Z")
    day, clock, fraction, zone = match.groups()
    zone = "+00:00" if zone in {None, "Z", "z"} else zone
    return datetime.fromisoformat(f"{day}T{clock}{zone}").timestamp() + float(fraction or 0)
