"""Why the primary has no footage of a camera, as far as Heldar's rows tell. Pure; times are Unix seconds.

The rows say what holds now. Modes, schedules and retention are taken to have been the same all the time.
"""

import math
from collections.abc import Iterable, Mapping
from datetime import tzinfo

from heldar_mirror.coverage.timeline import Reasons, Span
from heldar_mirror.footage.spans import Spans
from heldar_mirror.heldar.primary import Limits, PrimaryCamera
from heldar_mirror.heldar.recordings import Size
from heldar_mirror.heldar.schedules import Schedule, windows

# When a camera is added or a window opens, Heldar notices within 30 s, and its ffmpeg takes some seconds to connect and
# to probe.
OPENING_SECONDS = 60

# Heldar deletes segments until a cap holds, but not one more. Sizes differ, by day and night for example.
CAP_SEGMENTS = 4
# For the floor of free space it deletes at least 20 at once, and sweeps only every few minutes.
FLOOR_SEGMENTS = 40

# The modes in which Heldar looks at a camera's schedules.
SCHEDULED_MODES = {"scheduled", "scheduled_event"}


def reasons(camera: PrimaryCamera, now: float, gone_before: float | None, not_wanted: Spans, begun: float) -> Reasons:
    """Return for which times which reason holds for a camera.

    `gone_before` is the beginning of its oldest segment if a size limit binds, and None if none does or that is not
    known. `not_wanted` is what `outside_schedules` returns. `begun` is when the oldest footage begins that either side
    may have: infinite if there is none, and minus infinite if that is not known.
    """
    assert camera.policy.keep_seconds is not None  # noqa: S101 - every row has one
    expired = max(now - camera.policy.keep_seconds, -math.inf if gone_before is None else gone_before)
    off = Spans()
    if not camera.is_recorded and camera.updated_at is not None:
        off = Spans([(camera.updated_at, math.inf)])
    not_yet = Spans()
    # A camera with older footage was deleted and added again, or Heldar has a new database: its row tells nothing then.
    if camera.created_at is not None and begun >= math.floor(camera.created_at):
        not_yet = Spans([(-math.inf, camera.created_at + OPENING_SECONDS)])
    return Reasons(Spans([(-math.inf, expired)]), not_wanted, off, not_yet)


def outside_schedules(camera: PrimaryCamera, schedules: Iterable[Schedule], whole: Span, zone: tzinfo | None) -> Spans:
    """Return for which times of `whole` the primary does not record a camera by its mode and schedules.

    Outside its windows it may record because of an event, which is not wanted before it happens.
    """
    since, until = whole
    if camera.mode == "event":
        return Spans([whole])
    if camera.mode not in SCHEDULED_MODES:
        return Spans()
    opened = windows(schedules, since - OPENING_SECONDS, until, zone).spans
    wanted = [(begin + OPENING_SECONDS, end) for begin, end in opened if end - begin > OPENING_SECONDS]
    edges = [since, *(edge for span in wanted for edge in span), until]
    return Spans((begin, end) for begin, end in zip(edges[::2], edges[1::2], strict=True) if end > begin)


def may_be_gone(camera: PrimaryCamera, oldest: float | None, whole: Span, now: float) -> bool:
    """Return whether it matters for a camera if a size limit binds: whether some of `whole` is before its oldest
    segment and not too old by its age. Only then the sizes of all segments must be read."""
    assert camera.policy.keep_seconds is not None  # noqa: S101 - every row has one
    return oldest is not None and max(whole[0], now - camera.policy.keep_seconds) < min(oldest, whole[1])


def is_full(camera: PrimaryCamera, sizes: Mapping[str, Size], limits: Limits, free: int | None) -> bool:
    """Return whether a size limit binds a camera, so that Heldar deletes its oldest segments before their time.

    `free` is the free space of the primary's disk in bytes, or None if that is not known.
    """
    everything = _sum(sizes.values())
    own = sizes.get(camera.id, Size(0, 0.0))
    return (
        (camera.policy.quota is not None and _reaches(own, camera.policy.quota))
        or _reaches(everything, limits.max_bytes)
        or (
            free is not None
            and limits.min_free_bytes > 0
            and free < limits.min_free_bytes + FLOOR_SEGMENTS * _average(everything)
        )
    )


def _sum(sizes: Iterable[Size]) -> Size:
    found = list(sizes)
    return Size(sum(size.segments for size in found), sum(size.bytes for size in found))


def _reaches(size: Size, cap: int) -> bool:
    return size.segments > 0 and size.bytes + CAP_SEGMENTS * _average(size) >= cap


def _average(size: Size) -> float:
    return size.bytes / size.segments if size.segments else 0.0
