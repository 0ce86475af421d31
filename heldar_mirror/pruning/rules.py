"""Which segments are removed, and by which rule. Pure; times are Unix seconds, lengths seconds, sizes bytes.

A segment is taken to last until the next one begins. That is never too short, whatever segment length the camera's row
had when it was recorded; after a gap in the recording it is too long, for one segment.
"""

import heapq
import itertools
import math
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Collection, Iterator, Mapping

from heldar_mirror.footage.footage import Footage
from heldar_mirror.footage.spans import Spans
from heldar_mirror.heldar.retention import Policy

# A stub that is older than this is not being written any more.
STUB_SECONDS = 3600

# A name that is further in the future than this comes from a wrong clock. As the newest segment it would stay for
# years, in place of what is recorded now, so it counts as the oldest.
AHEAD_SECONDS = 30 * 86_400


def choose(
    footage: Footage, policy: Policy, locks: Spans, kept: Collection[int], now: float
) -> Iterator[tuple[int, str]]:
    """Return the indexes of the segments that a camera's own rules remove, each with its rule.

    The oldest come first, by the rule `deleted`, `age` or `quota`; then come the stubs, by the rule `stub`. Segments
    that began at a time in `kept` stay. With a `now` of -math.inf nothing is too old. All sizes must be measured.
    """
    ahead, removable = _first_ahead(footage, now), _removable(footage, policy, locks, kept, now)
    excess = over_quota(footage, policy, locks)
    cutoff = -math.inf if policy.keep_seconds is None else now - policy.keep_seconds
    count = len(footage.begun)
    left = count
    for index in itertools.chain(range(ahead, count), range(ahead)):
        aged = policy.delete_all or _end(footage, policy, index) <= cutoff
        if not aged and excess <= 0:
            if index < ahead:
                left = index
                break
        elif removable(index):
            yield index, "deleted" if policy.delete_all else "age" if aged else "quota"
            excess -= footage.sizes[index]
    while left < count:
        try:
            left = footage.sizes.index(0, left)
        except ValueError:
            return
        if footage.begun[left] < now - STUB_SECONDS and removable(left):
            yield left, "stub"
        left += 1


def over_quota(footage: Footage, policy: Policy, locks: Spans) -> int:
    """Return the bytes beyond a camera's quota.

    As in Heldar, return 0 if locked segments fill the quota, since removing everything else would not help.
    """
    if policy.quota is None or (excess := sum(footage.sizes) - policy.quota) <= 0:
        return 0
    return excess if locked_bytes(footage, policy, locks) < policy.quota else 0


def locked_bytes(footage: Footage, policy: Policy, locks: Spans) -> int:
    """Return the bytes of a camera's locked segments. The time that takes depends only on how many are locked."""
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
    footage: Mapping[str, Footage],
    policies: Mapping[str, Policy],
    locks: Mapping[str, Spans],
    kept: Mapping[str, Collection[int]],
    now: float,
) -> Iterator[tuple[int, str, int]]:
    """Return the segments of all cameras that may be removed to make room, the oldest first.

    Each is given by when it began, its camera and its index. If its name is too far in the future, it begins at -1.
    """

    def removable_of(camera_id: str, own: Footage) -> Iterator[tuple[int, str, int]]:
        policy, ahead = policies.get(camera_id, Policy()), _first_ahead(own, now)
        removable = _removable(own, policy, locks.get(camera_id, Spans()), kept.get(camera_id, ()), now)
        for index in itertools.chain(range(ahead, len(own.begun)), range(ahead)):
            if removable(index):
                yield own.begun[index] if index < ahead else -1, camera_id, index

    return heapq.merge(*itertools.starmap(removable_of, footage.items()))


def newest_removable(
    footage: Mapping[str, Footage],
    policies: Mapping[str, Policy],
    locks: Mapping[str, Spans],
    kept: Mapping[str, Collection[int]],
    now: float,
) -> dict[str, int]:
    """Return by camera the index of its newest segment, if only that keeps it: it is neither in `kept` nor locked."""
    found = {}
    for camera_id, own in footage.items():
        policy, newest = policies.get(camera_id, Policy()), _first_ahead(own, now) - 1
        may_go = _unprotected(own, policy, locks.get(camera_id, Spans()), kept.get(camera_id, ()))
        if newest >= 0 and may_go(newest):
            found[camera_id] = newest
    return found


def _first_ahead(footage: Footage, now: float) -> int:
    """Return the index of the first segment whose name is too far in the future.

    If all of them are, the clock is wrong and not the names, so return the number of segments.
    """
    return bisect_right(footage.begun, now + AHEAD_SECONDS) or len(footage.begun)


def _end(footage: Footage, policy: Policy, index: int) -> float:
    """Return when a segment ended at the latest. If the clock was set back, the next may begin before it ended."""
    if index + 1 >= len(footage.begun):
        return math.inf
    return max(footage.begun[index + 1], footage.begun[index] + policy.segment_seconds)


def _removable(
    footage: Footage, policy: Policy, locks: Spans, kept: Collection[int], now: float
) -> Callable[[int], bool]:
    """Return a function that returns whether the segment at an index may be removed at all.

    It may not if it is kept, locked, or the newest of its camera, unless all footage of the camera is deleted.
    """
    newest = _first_ahead(footage, now) - 1
    unprotected = _unprotected(footage, policy, locks, kept)

    def removable(index: int) -> bool:
        return (index != newest or policy.delete_all) and unprotected(index)

    return removable


def _unprotected(footage: Footage, policy: Policy, locks: Spans, kept: Collection[int]) -> Callable[[int], bool]:
    """Return a function that returns whether the segment at an index is neither kept nor locked."""

    def unprotected(index: int) -> bool:
        begun = footage.begun[index]
        return begun not in kept and not (locks and locks.overlap(begun, _end(footage, policy, index)))

    return unprotected
