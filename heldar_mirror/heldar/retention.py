"""How long footage stays, by Heldar's rows: policies and locks."""

import math
import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from heldar_mirror.footage.spans import Spans
from heldar_mirror.heldar.cameras import MIN_SEGMENT_SECONDS, Row, integer

# The columns that are read of `cameras` and of `segments`.
CAMERA_COLUMNS = ("id", "segment_seconds", "retention_hours", "storage_quota_bytes")


LOCK_COLUMNS = ("camera_id", "start_time", "end_time")


# The same moment may lie in files of the mirror and of the primary that are named some seconds apart: a file gets its
# name when ffmpeg writes the first packet, after it has probed the stream.
SKEW_SECONDS = 15


TIME = re.compile(r"([0-9]{4}-[0-9]{2}-[0-9]{2})[T ]([0-9:]{8})(\.[0-9]+)?(Z|[+-][0-9]{2}:[0-9]{2})?", re.IGNORECASE)


@dataclass(frozen=True)
class Policy:
    """What is deleted of one camera: segments that ended longer ago than `keep_seconds`, and the oldest beyond `quota`
    bytes. With None, nothing is deleted by that rule. `gone`: the camera was deleted so long ago that everything is."""

    keep_seconds: float | None = None
    quota: int | None = None
    segment_seconds: int = 0
    gone: bool = False


def parse_policy(row: Row) -> Policy:
    """Return the policy of a camera's row, as Heldar understands it. Raises CameraError for a bad value."""
    quota = row["storage_quota_bytes"]
    return Policy(
        keep_seconds=3600.0 * max(integer(row, "retention_hours", None, 10_000_000), 1),
        quota=None if quota is None else (max(integer(row, "storage_quota_bytes", None, 2**63), 0) or None),
        segment_seconds=max(integer(row, "segment_seconds", None, 86_400), MIN_SEGMENT_SECONDS),
    )


def parse_locks(rows: Iterable[Row]) -> tuple[dict[str, Spans], list[str]]:
    """Return the locked times by camera, and a problem for each camera with a bad time: it keeps everything."""
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
    """Return an RFC 3339 time in Unix seconds; without a zone it is UTC. Raises ValueError."""
    match = TIME.fullmatch(value) if isinstance(value, str) else None
    if not match:
        raise ValueError(f"time is {ascii(value)[:40]}, expected one such as 2026-01-31T12:00:00Z")
    day, clock, fraction, zone = match.groups()
    zone = "+00:00" if zone in {None, "Z", "z"} else zone
    return datetime.fromisoformat(f"{day}T{clock}{zone}").timestamp() + float(fraction or 0)
