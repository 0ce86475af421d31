"""Which segments go, and by which rule. All pure; times are Unix seconds, lengths seconds, sizes bytes.

A segment is taken to last until the next one begins: that is never too short, whatever the camera's row said when it
was recorded, and errs by one segment for each gap.
"""

import heapq
import itertools
import math
import re
from bisect import bisect_right
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime

from heldar_mirror.cameras import Row, integer
from heldar_mirror.segments import Footage

# Whose column it is says what is read, by name.
CAMERA_COLUMNS = ("id", "segment_seconds", "retention_hours", "storage_quota_bytes")
LOCK_COLUMNS = ("camera_id", "start_time", "end_time")

# A file of the mirror and one of the primary that hold the same moment may be named some seconds apart: each ffmpeg
# names its file when the first packet is written, after it has looked at the stream.
SKEW_SECONDS = 15

# A file that holds nothing for so long is not being written.
STUB_SECONDS = 3600

# Who reads the clock an hour apart from what has passed since was told another time by somebody. It may be wrong, and
# what goes by age would be gone; so that waits until somebody could have noticed.
STEP_SECONDS = 600
STEPPED_SECONDS = 3600

TIME = re.compile(r"([0-9]{4}-[0-9]{2}-[0-9]{2})[T ]([0-9:]{8})(\.[0-9]+)?(Z|[+-][0-9]{2}:[0-9]{2})?", re.IGNORECASE)


@dataclass(frozen=True)
class Policy:
    """What goes of one camera: what ended longer ago than `keep_seconds`, and the oldest beyond `quota` bytes; None:
    nothing by that rule. `gone`: the camera was deleted so long ago that all of it goes."""

    keep_seconds: float | None = None
    quota: int | None = None
    segment_seconds: int = 0
    gone: bool = False


def parse_policy(row: Row) -> Policy:
    """Return what a camera's row says, as Heldar reads it. Raises CameraError for values that can't be understood."""
    quota = row["storage_quota_bytes"]
    return Policy(
        keep_seconds=3600.0 * max(integer(row, "retention_hours", None, 10_000_000), 1),
        quota=None if quota is None else (max(integer(row, "storage_quota_bytes", None, 2**63), 0) or None),
        segment_seconds=max(integer(row, "segment_seconds", None, 86_400), 0),
    )


class Locks:
    """The times of a camera whose segments must stay."""

    def __init__(self, spans: Iterable[tuple[float, float]] = ()) -> None:
        self._starts: list[float] = []
        self._ends: list[float] = []
        for start, end in sorted(spans):
            if self._ends and start <= self._ends[-1]:
                self._ends[-1] = max(end, self._ends[-1])
            else:
                self._starts.append(start)
                self._ends.append(end)

    def __bool__(self) -> bool:
        return bool(self._starts)

    def overlap(self, start: float, end: float) -> bool:
        """Whether a span touches a locked time."""
        index = bisect_right(self._starts, end)
        return index > 0 and self._ends[index - 1] >= start


def parse_locks(rows: Iterable[Row]) -> tuple[dict[str, Locks], list[str]]:
    """Return the locked times by camera, and what could not be understood: such a camera keeps everything."""
    spans: dict[str, list[tuple[float, float]]] = {}
    problems = []
    for row in rows:
        camera_id = str(row["camera_id"])
        try:
            span = parse_time(row["start_time"]), math.inf if row["end_time"] is None else parse_time(row["end_time"])
        except ValueError as error:
            problems.append(f"camera {camera_id!a}: a locked segment's {error}; nothing of the camera is deleted")
            span = -math.inf, math.inf
        spans.setdefault(camera_id, []).append((span[0] - SKEW_SECONDS, max(span) + SKEW_SECONDS))
    return {camera_id: Locks(locked) for camera_id, locked in spans.items()}, sorted(set(problems))


def parse_time(value: object) -> float:
    """Return an RFC 3339 time in Unix seconds; UTC, if it does not say. Raises ValueError."""
    match = TIME.fullmatch(value) if isinstance(value, str) else None
    if not match:
        raise ValueError(f"time is {ascii(value)[:40]}, expected one such as 2026-01-31T12:00:00Z")
    day, clock, fraction, zone = match.groups()
    zone = "+00:00" if zone in {None, "Z", "z"} else zone
    return datetime.fromisoformat(f"{day}T{clock}{zone}").timestamp() + float(fraction or 0)


def choose(
    footage: Footage, policy: Policy, locks: Locks, kept: Collection[int], now: float
) -> Iterator[tuple[int, str]]:
    """Return indexes of the segments that go by the camera's own rules, oldest first, and by which: `stub`, `deleted`,
    `age` or `quota`. Those begun at a time in `kept` stay."""
    free = _removable(footage, policy, locks, kept)
    excess = over_quota(footage, policy, locks)
    cutoff = -math.inf if policy.keep_seconds is None else now - policy.keep_seconds
    count = len(footage.begun)
    index = 0
    while index < count:
        aged = policy.gone or _end(footage, policy, index) <= cutoff
        if not aged and excess <= 0:
            break
        size = footage.sizes[index]
        if free(index):
            yield index, "deleted" if policy.gone else "age" if aged else "quota"
            excess -= size
        index += 1
    while index < count:
        try:
            index = footage.sizes.index(0, index)
        except ValueError:
            return
        if footage.begun[index] < now - STUB_SECONDS and free(index):
            yield index, "stub"
        index += 1


def over_quota(footage: Footage, policy: Policy, locks: Locks) -> int:
    """Return the bytes beyond a camera's quota; none where what is locked fills it, as in Heldar: to delete all the
    rest would not help."""
    if policy.quota is None or (excess := sum(footage.sizes) - policy.quota) <= 0:
        return 0
    return excess if locked_bytes(footage, policy, locks) < policy.quota else 0


def locked_bytes(footage: Footage, policy: Policy, locks: Locks) -> int:
    """Return how much of a camera's footage is locked."""
    if not locks:
        return 0
    return sum(
        size
        for index, (begun, size) in enumerate(zip(footage.begun, footage.sizes, strict=True))
        if locks.overlap(begun, _end(footage, policy, index))
    )


def oldest_first(
    shelves: Mapping[str, Footage],
    policies: Mapping[str, Policy],
    locks: Mapping[str, Locks],
    kept: Mapping[str, Collection[int]],
) -> Iterator[tuple[int, str, int]]:
    """Return what may go to make room, across all cameras by age: when it was begun, its camera, its index."""

    def of(camera_id: str, footage: Footage) -> Iterator[tuple[int, str, int]]:
        policy = policies.get(camera_id, Policy())
        free = _removable(footage, policy, locks.get(camera_id, Locks()), kept.get(camera_id, ()))
        for index, begun in enumerate(footage.begun):
            if free(index):
                yield begun, camera_id, index

    return heapq.merge(*itertools.starmap(of, shelves.items()))


def _end(footage: Footage, policy: Policy, index: int) -> float:
    """When a segment ended, at the latest. Where a clock was set back, the next name may lie within it."""
    if index + 1 >= len(footage.begun):
        return math.inf
    return max(footage.begun[index + 1], footage.begun[index] + policy.segment_seconds)


def _removable(footage: Footage, policy: Policy, locks: Locks, kept: Collection[int]) -> Callable[[int], bool]:
    """Return what tells whether a segment may go at all: it is not open, not locked, and not its camera's newest."""
    newest = len(footage.begun) - 1

    def free(index: int) -> bool:
        begun = footage.begun[index]
        if begun in kept or (index == newest and not policy.gone):
            return False
        return not (locks and locks.overlap(begun, _end(footage, policy, index)))

    return free


@dataclass(frozen=True)
class Clock:
    """How far the wall clock is from the one that counts seconds since the boot; and until when, by the latter, it is
    doubted."""

    boot: str
    offset: float
    doubted_until: float = 0.0

    def read(self, boot: str, now: float, uptime: float) -> "Clock":
        """Return what is known after another look at both clocks."""
        if boot != self.boot:
            return Clock(boot, now - uptime)
        stepped = now - uptime > self.offset + STEP_SECONDS
        return Clock(boot, now - uptime, uptime + STEPPED_SECONDS if stepped else self.doubted_until)
