"""The rules that say which segments are removed, with random timelines, locks, quotas and clocks."""

import math
from dataclasses import dataclass, replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.examples import footage_of

from heldar_mirror.footage.footage import Footage
from heldar_mirror.footage.spans import Spans
from heldar_mirror.heldar.retention import Policy
from heldar_mirror.pruning.rules import STUB_SECONDS, choose, locked_bytes, newest_removable, oldest_first, over_quota

NOW = 1_800_000_000
HOUR = 3600


@dataclass(frozen=True)
class Camera:
    """A camera's footage, and everything that decides what of it is removed."""

    footage: Footage
    policy: Policy
    spans: tuple[tuple[float, float], ...]
    kept: frozenset[int]

    @property
    def locks(self) -> Spans:
        return Spans(self.spans)

    @property
    def indexes(self) -> range:
        return range(len(self.footage.begun))

    def end(self, index: int) -> float:
        """Return when a segment ended: when the next one begins, but never before its nominal length has passed."""
        if index == len(self.footage.begun) - 1:
            return math.inf
        begun, following = self.footage.begun[index : index + 2]
        return max(following, begun + self.policy.segment_seconds)

    def locked(self, index: int) -> bool:
        return any(self.footage.begun[index] <= end and self.end(index) >= start for start, end in self.spans)

    def protected(self, index: int) -> bool:
        newest = index == len(self.footage.begun) - 1 and not self.policy.delete_all
        return newest or self.footage.begun[index] in self.kept or self.locked(index)

    def chosen(self, now: float = NOW) -> list[tuple[int, str]]:
        return list(choose(self.footage, self.policy, self.locks, self.kept, now))


begun_at = st.integers(NOW - 72 * HOUR, NOW + HOUR)
sizes = st.integers(-1000, 1000).map(lambda size: max(size, 0))  # half of the segments are stubs
# The size of each segment by when it was begun: a few segments, or more.
segments = st.dictionaries(begun_at, sizes, max_size=3) | st.dictionaries(begun_at, sizes, min_size=4, max_size=25)
# Spans of up to three hours, and some without an end.
spans = st.tuples(st.integers(NOW - 73 * HOUR, NOW + 2 * HOUR), st.integers(0, 4 * HOUR)).map(
    lambda span: (span[0], span[0] + span[1] if span[1] <= 3 * HOUR else math.inf)
)
policies = st.builds(
    Policy,
    keep_seconds=st.integers(0, 80).map(lambda hours: 3600.0 * hours or None),
    quota=st.integers(-5_000, 15_000).map(lambda size: size if size > 0 else None),
    segment_seconds=st.sampled_from([0, 2, 60, 900, 86_400]),
    delete_all=st.sampled_from([False, False, False, True]),
)


@st.composite
def cameras(draw: st.DrawFn) -> Camera:
    """Draw a camera with segments up to three days old: some are stubs, some overlap, some are in the future."""
    footage = sorted(draw(segments).items())
    begun = [at for at, _ in footage]
    return Camera(
        footage_of(*footage),
        draw(policies),
        tuple(draw(st.lists(spans, max_size=3))),
        frozenset(draw(st.lists(st.sampled_from(begun), max_size=2)) if begun else ()),
    )


@given(cameras(), st.sampled_from([NOW, NOW - 100 * HOUR, NOW + 1000 * HOUR, -math.inf, math.inf]))
def test_what_is_protected_is_never_removed(camera: Camera, now: float) -> None:
    """Whatever the clock says, no locked or open segment is removed, and no newest one unless its camera is gone."""
    chosen = [index for index, _ in camera.chosen(now)]
    assert not [index for index in chosen if camera.protected(index)]
    assert len(chosen) == len(set(chosen))


@given(cameras())
def test_what_is_left_is_the_newest(camera: Camera) -> None:
    """By age and quota the oldest are removed first, and nothing unprotected that stays is older."""
    gone = [index for index, rule in camera.chosen() if rule != "stub"]
    assert gone == sorted(gone)
    left = [index for index in camera.indexes if index not in gone and not camera.protected(index)]
    assert not gone or not left or max(gone) < min(left)


@given(cameras())
def test_age_takes_what_ended_too_long_ago_and_nothing_else(camera: Camera) -> None:
    """By age exactly those are removed that are unprotected and ended before the time that their camera keeps."""
    keep = math.inf if camera.policy.keep_seconds is None else camera.policy.keep_seconds
    old = [each for each in camera.indexes if camera.end(each) <= NOW - keep and not camera.protected(each)]
    aged = [index for index, rule in camera.chosen() if rule == "age"]
    assert aged == ([] if camera.policy.delete_all else old)


@given(cameras())
def test_everything_of_a_gone_camera_is_removed(camera: Camera) -> None:
    """All footage of a camera that is gone is removed by one rule, the newest too, but not what is locked or open."""
    gone = replace(camera, policy=replace(camera.policy, delete_all=True))
    assert gone.chosen() == [(index, "deleted") for index in gone.indexes if not gone.protected(index)]


@given(cameras())
def test_the_quota_is_reached_whenever_the_unprotected_suffice(camera: Camera) -> None:
    """It is not if locked segments fill it. No more segments are removed than that takes."""
    chosen, sizes, quota = camera.chosen(), camera.footage.sizes, camera.policy.quota
    by_quota = [index for index, rule in chosen if rule == "quota"]
    if quota is None or sum(sizes[each] for each in camera.indexes if camera.locked(each)) >= quota:
        assert not by_quota
        return
    left = sum(sizes) - sum(sizes[index] for index, _ in chosen)
    free = [index for index in camera.indexes if not camera.protected(index) and sizes[index]]
    assert left <= quota or not set(free) - {index for index, _ in chosen}
    if by_quota:
        assert left + sizes[by_quota[-1]] > quota


@given(cameras())
def test_old_stubs_are_removed(camera: Camera) -> None:
    """A stub is removed after an hour, and before that only by one of the other rules."""
    chosen = dict(camera.chosen())
    for index in camera.indexes:
        begun, size = camera.footage.begun[index], camera.footage.sizes[index]
        if size == 0 and begun < NOW - STUB_SECONDS and not camera.protected(index):
            assert index in chosen
        if chosen.get(index) == "stub":
            assert size == 0
            assert begun < NOW - STUB_SECONDS


@given(cameras())
def test_without_a_rule_only_stubs_are_removed(camera: Camera) -> None:
    """A camera of which nothing is known keeps everything that was recorded."""
    unknown = replace(camera, policy=Policy())
    assert {rule for _, rule in unknown.chosen()} <= {"stub"}


@given(cameras())
def test_a_clock_in_doubt_takes_nothing_by_age(camera: Camera) -> None:
    """A time before all times makes nothing old, not even a stub. The quota holds nevertheless."""
    assert {rule for _, rule in camera.chosen(-math.inf)} <= {"quota", "deleted"}


@given(cameras(), st.integers(1, 5))
def test_it_is_the_same_a_few_at_a_time(camera: Camera, few: int) -> None:
    """If segments are chosen again after every few that were removed, the same ones are removed by the same rules."""
    at_once = {(camera.footage.begun[index], rule) for index, rule in camera.chosen()}
    footage = footage_of(*zip(camera.footage.begun, camera.footage.sizes, strict=True))
    in_turns = set()
    while batch := replace(camera, footage=footage).chosen()[:few]:
        in_turns |= {(footage.begun[index], rule) for index, rule in batch}
        footage.drop([index for index, _ in batch])
    # A segment ends where the next one begins, so when that is removed, the one before it may become locked.
    assert in_turns <= at_once
    if not camera.spans:
        assert in_turns == at_once


@given(cameras())
def test_the_bytes_beyond_a_quota(camera: Camera) -> None:
    """They are the sum of all sizes minus the quota, and 0 if locked segments fill the quota."""
    locked = sum(camera.footage.sizes[index] for index in camera.indexes if camera.locked(index))
    assert locked_bytes(camera.footage, camera.policy, camera.locks) == locked
    excess = over_quota(camera.footage, camera.policy, camera.locks)
    if camera.policy.quota is None or locked >= camera.policy.quota:
        assert excess == 0
    else:
        assert excess == max(0, sum(camera.footage.sizes) - camera.policy.quota)


@pytest.mark.parametrize(
    ("policy", "now", "expected"),
    [
        (Policy(), NOW, []),
        (Policy(keep_seconds=HOUR), 3600 + 60 - 1, []),
        (Policy(keep_seconds=HOUR), 3600 + 60, [(0, "age")]),
        (Policy(keep_seconds=HOUR, segment_seconds=90), 3600 + 60, []),
        (Policy(keep_seconds=HOUR, segment_seconds=90), 3600 + 90, [(0, "age")]),
        (Policy(keep_seconds=HOUR), 3600 + 600, [(0, "age"), (1, "age")]),
        (Policy(keep_seconds=HOUR), math.inf, [(0, "age"), (1, "age"), (2, "age"), (3, "age")]),
        (Policy(quota=50), 0, []),
        (Policy(quota=49), 0, [(0, "quota")]),
        (Policy(quota=20), 0, [(0, "quota"), (1, "quota"), (2, "quota")]),
        (Policy(quota=1), 0, [(0, "quota"), (1, "quota"), (2, "quota"), (3, "quota")]),
        (Policy(keep_seconds=HOUR, quota=30), 3600 + 60, [(0, "age"), (1, "quota")]),
        (Policy(keep_seconds=HOUR, quota=40), 3600 + 60, [(0, "age")]),
        (Policy(delete_all=True), 0, [(each, "deleted") for each in range(5)]),
    ],
)
def test_five_segments(policy: Policy, now: float, expected: list[tuple[int, str]]) -> None:
    """They begin at 0, 60, 600, 660 and 720 and have ten bytes each. A segment lasts through the gap after it."""
    footage = footage_of(*[(begun, 10) for begun in (0, 60, 600, 660, 720)])
    assert list(choose(footage, policy, Spans(), (), now)) == expected


def test_of_an_empty_directory_nothing_is_removed() -> None:
    """No rule applies to it."""
    assert list(choose(Footage(), Policy(HOUR, 1, 60, delete_all=True), Spans(), (), math.inf)) == []


@given(st.dictionaries(st.sampled_from("abc"), cameras()))
def test_room_is_made_oldest_first_across_cameras(many: dict[str, Camera]) -> None:
    """Everything unprotected is offered in the order in which it began, whichever camera it belongs to."""
    offered = list(
        oldest_first(
            {name: camera.footage for name, camera in many.items()},
            {name: camera.policy for name, camera in many.items()},
            {name: camera.locks for name, camera in many.items()},
            {name: camera.kept for name, camera in many.items()},
            math.inf,
        )
    )
    assert offered == sorted(offered)
    assert sorted((name, index) for _, name, index in offered) == sorted(
        (name, index) for name, camera in many.items() for index in camera.indexes if not camera.protected(index)
    )
    assert all(many[name].footage.begun[index] == begun for begun, name, index in offered)


def test_a_camera_that_is_not_known_keeps_its_newest_when_room_is_made() -> None:
    """Without a policy, locks or open segments, every segment but the newest is offered."""
    assert list(oldest_first({"a": footage_of((1, 5), (2, 5))}, {}, {}, {}, 0)) == [(1, "a", 0)]


@given(cameras())
def test_the_newest_segment_may_go_if_only_that_keeps_it(camera: Camera) -> None:
    newest = len(camera.footage.begun) - 1
    may_go = newest >= 0 and camera.footage.begun[newest] not in camera.kept and not camera.locked(newest)
    found = newest_removable(
        {"gate": camera.footage}, {"gate": camera.policy}, {"gate": camera.locks}, {"gate": camera.kept}, NOW
    )
    assert found == ({"gate": newest} if may_go else {})
