"""Which segments go, and by which rule. All pure; times are Unix seconds, lengths seconds, sizes bytes.

A segment is taken to last until the next one begins: that is never too short, whatever the camera's row said when it
was recorded, and errs by one segment for each gap.
"""

import heapq
import itertools
import math
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Collection, Iterator, Mapping

from heldar_mirror.footage.footage import Footage
from heldar_mirror.footage.spans import Spans
from heldar_mirror.heldar.retention import Policy

# A file that holds nothing for so long is not being written.
STUB_SECONDS = 3600


# Names that lie further ahead come from a clock that was wrong. They would be the newest for years, and push out what
# is recorded now: so they count as the oldest.
AHEAD_SECONDS = 30 * 86_400


def choose(
    footage: Footage, policy: Policy, locks: Spans, kept: Collection[int], now: float
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


def over_quota(footage: Footage, policy: Policy, locks: Spans) -> int:
    """Return the bytes beyond a camera's quota; none where what is locked fills it, as in Heldar: to delete all the
    rest would not help."""
    if policy.quota is None or (excess := sum(footage.sizes) - policy.quota) <= 0:
        return 0
    return excess if locked_bytes(footage, policy, locks) < policy.quota else 0


def locked_bytes(footage: Footage, policy: Policy, locks: Spans) -> int:
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
    locks: Mapping[str, Spans],
    kept: Mapping[str, Collection[int]],
    now: float,
) -> Iterator[tuple[int, str, int]]:
    """Return what may go to make room, across all cameras by age: when it was begun, its camera, its index."""

    def of(camera_id: str, footage: Footage) -> Iterator[tuple[int, str, int]]:
        policy, ahead = policies.get(camera_id, Policy()), _ahead(footage, now)
        free = _removable(footage, policy, locks.get(camera_id, Spans()), kept.get(camera_id, ()), now)
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
    footage: Footage, policy: Policy, locks: Spans, kept: Collection[int], now: float
) -> Callable[[int], bool]:
    """Return what tells whether a segment may go at all: it is not open, not locked, and not its camera's newest."""
    newest = _ahead(footage, now) - 1

    def free(index: int) -> bool:
        begun = footage.begun[index]
        if begun in kept or (index == newest and not policy.gone):
            return False
        return not (locks and locks.overlap(begun, _end(footage, policy, index)))

    return free
