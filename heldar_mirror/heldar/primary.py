"""What Heldar's primary is to record, and how long it keeps it, as its rows say now.

What they said at an earlier time is not recorded anywhere.
"""

import zoneinfo
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import tzinfo

from heldar_mirror.heldar.cameras import Row, camera_id, flag, should_mirror
from heldar_mirror.heldar.queries import CREATED, MAX_BYTES, MIN_FREE_BYTES, TIMEZONE
from heldar_mirror.heldar.retention import Policy, parse_policy, parse_time


@dataclass(frozen=True)
class PrimaryCamera:
    """A camera, as the primary records it. `mode` is Heldar's `record_mode`.

    Its row was made at `created_at` (Unix seconds) and has been as it is since `updated_at`. Each is None if it is not
    known.
    """

    id: str
    is_mirrored: bool
    is_recorded: bool
    mode: str
    policy: Policy
    created_at: float | None
    updated_at: float | None


@dataclass(frozen=True)
class Limits:
    """The sizes that bind all recordings of the primary, in bytes: at most `max_bytes` in total, and at least
    `min_free_bytes` free on its disk."""

    max_bytes: int
    min_free_bytes: int


def parse_primary_camera(row: Row) -> PrimaryCamera:
    """Return the camera of a row. Raises CameraError for a bad value."""
    return PrimaryCamera(
        id=camera_id(row),
        is_mirrored=should_mirror(row),
        is_recorded=flag(row, "enabled") and flag(row, "record_enabled"),
        mode=str(row["record_mode"]),
        policy=parse_policy(row),
        created_at=_time(row.get(CREATED)),
        updated_at=_time(row["updated_at"]),
    )


def parse_limits(rows: Iterable[Row], env: Limits) -> Limits:
    """Return the limits in force: those of the settings that were changed while Heldar ran, or else those of its
    environment. As in Heldar, a limit of 0 bytes counts as unset, and a floor of 0 as none."""
    texts = {row["key"]: row["value"] for row in rows}
    max_bytes, min_free = _number(texts.get(MAX_BYTES)), _number(texts.get(MIN_FREE_BYTES))
    return Limits(
        max_bytes=max_bytes if max_bytes is not None and max_bytes > 0 else env.max_bytes,
        min_free_bytes=min_free if min_free is not None and min_free >= 0 else env.min_free_bytes,
    )


def parse_zone(rows: Iterable[Row], env: str | None) -> tzinfo | None:
    """Return the zone of Heldar's wall clock: that of its settings, or else of `env`, the TZ in its env file.

    Return None for the zone of this machine, if neither is set. Raises ValueError if the zone is not known here.
    """
    texts = [row["value"] for row in rows if row["key"] == TIMEZONE]
    for text in (*texts, env):
        if isinstance(text, str) and (name := text.strip().removeprefix(":")):
            try:
                return zoneinfo.ZoneInfo(name)
            except (zoneinfo.ZoneInfoNotFoundError, ValueError, OSError):
                raise ValueError(f"Heldar's time zone {ascii(name)[:40]} is not known here") from None
    return None


def _time(text: object) -> float | None:
    try:
        return parse_time(text)
    except ValueError:
        return None


def _number(text: object) -> int | None:
    try:
        return int(text) if isinstance(text, (str, int)) else None
    except ValueError:
        return None
