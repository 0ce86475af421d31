"""Which segments go, and by which rule. All pure; times are Unix seconds, lengths seconds, sizes bytes.

A segment is taken to last until the next one begins: that is never too short, whatever the camera's row said when it
was recorded, and errs by one segment for each gap.
"""

import heapq
import itertools
import math
import re
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime

from heldar_mirror.footage.names import Footage
from heldar_mirror.heldar.cameras import MIN_SEGMENT_SECONDS, Row, integer

# Whose column it is says what is read, by name.
CAMERA_COLUMNS = ("id", "segment_seconds", "retention_hours", "storage_quota_bytes")
LOCK_COLUMNS = ("camera_id", "start_time", "end_time")

# A file of the mirror and one of the primary that hold the same moment may be named some seconds apart: each ffmpeg
# names its file when the first packet is written, after it has looked at the stream.
SKEW_SECONDS = 15

# A file that holds nothing for so long is not being written.
STUB_SECONDS = 3600

# A clock that was set forward by so much, or is so far ahead after a boot, may be wrong, and what goes by age would be
# gone; so that waits until somebody could have noticed.
STEP_SECONDS = 600
OFF_SECONDS = 86_400
STEPPED_SECONDS = 3600

# Names that lie further ahead come from a clock that was wrong. They would be the newest for years, and push out what
# is recorded now: so they count as the oldest.
AHEAD_SECONDS = 30 * 86_400

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
        segment_seconds=max(integer(row, "segment_seconds", None, 86_400), MIN_SEGMENT_SECONDS),
    )


@dataclass(init=False)
class Locks:
    """The times of a camera whose segments must stay, those that touch as one, in order."""

    spans: list[tuple[float, float]]

    def __init__(self, spans: Iterable[tuple[float, float]] = ()) -> None:
        self.spans = []
        for start, end in sorted(spans):
            if self.spans and start <= self.spans[-1][1]:
                self.spans[-1] = self.spans[-1][0], max(end, self.spans[-1][1])
            else:
                self.spans.append((start, end))

    def __bool__(self) -> bool:
        return bool(self.spans)

    def overlap(self, start: float, end: float) -> bool:
        """Whether a span touches a locked time."""
        index = bisect_right(self.spans, (end, math.inf))
        return index > 0 and self.spans[index - 1][1] >= start


def parse_locks(rows: Iterable[Row]) -> tuple[dict[str, Locks], list[str]]:
    """Return the locked times by camera, and what could not be understood: such a camera keeps everything."""
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
    locks = {camera_id: Locks(locked) for camera_id, locked in spans.items()}
    return locks, [f"camera {problem}" for problem in problems.values()]


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
    """Return indexes of the segments that go by the camera's own rules, and by which: the oldest first by `deleted`,
    `age` or `quota`, then each `stub`. Those begun at a time in `kept` stay."""
    ahead, free = _ahead(footage, now), _removable(footage, policy, locks, kept, now)
    excess = over_quota(footage, policy, locks)
    cutoff = -math.inf if policy.keep_seconds is None else now - policy.keep_seconds
    count = len(footage.begun)
    left = count
    for index in itertools.chain(range(ahead, count), range(ahead)):
        aged = policy.gone or _end(footage, policy, index) <= cutoff
        if not aged and excess <= 0:
            if index < ahead:
                left = index
                break
        elif free(index):
            yield index, "deleted" if policy.gone else "age" if aged else "quota"
            excess -= footage.sizes[index]
    while left < count:
        try:
            left = footage.sizes.index(0, left)
        except ValueError:
            return
        if footage.begun[left] < now - STUB_SECONDS and free(left):
            yield left, "stub"
        left += 1


def over_quota(footage: Footage, policy: Policy, locks: Locks) -> int:
    """Return the bytes beyond a camera's quota; none where what is locked fills it, as in Heldar: to delete all the
    rest would not help."""
    if policy.quota is None or (excess := sum(footage.sizes) - policy.quota) <= 0:
        return 0
    return excess if locked_bytes(footage, policy, locks) < policy.quota else 0


def locked_bytes(footage: Footage, policy: Policy, locks: Locks) -> int:
    """Return how much of a camera's footage is locked. Only what is locked is looked at."""
    total = counted = 0
    for start, end in locks.spans:
        first, after = bisect_left(footage.begun, start), bisect_right(footage.begun, end)
        while first > counted and _end(footage, policy, first - 1) >= start:
            first -= 1
        first = max(first, counted)
        total += sum(footage.sizes[first:after])
        counted = max(after, counted)
    return total


def oldest_first(
    shelves: Mapping[str, Footage],
    policies: Mapping[str, Policy],
    locks: Mapping[str, Locks],
    kept: Mapping[str, Collection[int]],
    now: float,
) -> Iterator[tuple[int, str, int]]:
    """Return what may go to make room, across all cameras by age: when it was begun, its camera, its index."""

    def of(camera_id: str, footage: Footage) -> Iterator[tuple[int, str, int]]:
        policy, ahead = policies.get(camera_id, Policy()), _ahead(footage, now)
        free = _removable(footage, policy, locks.get(camera_id, Locks()), kept.get(camera_id, ()), now)
        for index in itertools.chain(range(ahead, len(footage.begun)), range(ahead)):
            if free(index):
                yield footage.begun[index] if index < ahead else -1, camera_id, index

    return heapq.merge(*itertools.starmap(of, shelves.items()))


def _ahead(footage: Footage, now: float) -> int:
    """The index of the first segment whose name lies so far ahead that it must be wrong; all of them, if all do."""
    return bisect_right(footage.begun, now + AHEAD_SECONDS) or len(footage.begun)


def _end(footage: Footage, policy: Policy, index: int) -> float:
    """When a segment ended, at the latest. Where a clock was set back, the next name may lie within it."""
    if index + 1 >= len(footage.begun):
        return math.inf
    return max(footage.begun[index + 1], footage.begun[index] + policy.segment_seconds)


def _removable(
    footage: Footage, policy: Policy, locks: Locks, kept: Collection[int], now: float
) -> Callable[[int], bool]:
    """Return what tells whether a segment may go at all: it is not open, not locked, and not its camera's newest."""
    newest = _ahead(footage, now) - 1

    def free(index: int) -> bool:
        begun = footage.begun[index]
        if begun in kept or (index == newest and not policy.gone):
            return False
        return not (locks and locks.overlap(begun, _end(footage, policy, index)))

    return free


@dataclass(frozen=True)
class Clock:
    """When the wall clock was `seen` last, how far it is from the one that counts seconds since the boot, and until
    when, by the latter, it is doubted."""

    boot: str
    offset: float
    seen: float
    doubted_until: float = 0.0

    def read(self, boot: str, now: float, uptime: float) -> "Clock":
        """Return what is known after another look at both clocks."""
        # After a boot: a machine that was off for long, or one whose clock is wrong until somebody tells it the time.
        ahead = now - uptime - self.offset if boot == self.boot else now - self.seen - OFF_SECONDS
        doubted = ahead > STEP_SECONDS
        until = self.doubted_until if boot == self.boot else 0.0
        return Clock(boot, now - uptime, now, uptime + STEPPED_SECONDS if doubted else until)
