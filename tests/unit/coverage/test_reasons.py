"""Why the primary has no footage: it is too old, a size limit took it, or the primary was not to record."""

import math
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from heldar_mirror.coverage.reasons import (
    CAP_SEGMENTS,
    FLOOR_SEGMENTS,
    OPENING_SECONDS,
    is_full,
    may_be_gone,
    outside_schedules,
    reasons,
)
from heldar_mirror.coverage.timeline import Reasons, Span
from heldar_mirror.footage.spans import Spans
from heldar_mirror.heldar.primary import Limits, PrimaryCamera
from heldar_mirror.heldar.recordings import Size
from heldar_mirror.heldar.retention import Policy
from heldar_mirror.heldar.schedules import Schedule

HOUR, DAY = 3600, 86_400
NOW = 20_000 * DAY
DAILY = frozenset(range(7))
UTC = ZoneInfo("UTC")


def camera(
    *,
    mode: str = "continuous",
    quota: int | None = None,
    is_recorded: bool = True,
    created_at: float | None = None,
    updated_at: float | None = NOW - HOUR,
) -> PrimaryCamera:
    return PrimaryCamera("gate", is_recorded, is_recorded, mode, Policy(DAY, quota, 60), created_at, updated_at)


def reasons_of(camera: PrimaryCamera, gone_before: float | None = None, begun: float = math.inf) -> Reasons:
    return reasons(camera, NOW, gone_before, Spans(), begun)


def test_what_is_older_than_its_retention_has_expired() -> None:
    assert reasons_of(camera()) == Reasons(Spans([(-math.inf, NOW - DAY)]))


@pytest.mark.parametrize(("gone_before", "expired"), [(NOW - 2 * DAY, NOW - DAY), (NOW - HOUR, NOW - HOUR)])
def test_what_a_size_limit_took_has_expired(gone_before: float, expired: float) -> None:
    """The later one of the two limits counts."""
    assert reasons_of(camera(), gone_before).expired.spans == [(-math.inf, expired)]


def test_a_camera_that_is_switched_off_has_been_so_since_its_row_changed() -> None:
    """What it was before that is not recorded anywhere."""
    assert reasons_of(camera(is_recorded=False)).off.spans == [(NOW - HOUR, math.inf)]
    assert not reasons_of(camera(is_recorded=False, updated_at=None)).off
    assert not reasons_of(camera()).off


@pytest.mark.parametrize(
    ("created_at", "begun", "is_known"),
    [
        (NOW - HOUR, math.inf, True),  # it has no footage yet
        (NOW - HOUR, NOW - HOUR + 5, True),
        (NOW - HOUR + 0.9, NOW - HOUR, True),  # names have whole seconds
        (NOW - HOUR, NOW - HOUR - 1, False),  # the row is not the first one of this camera
        (NOW - HOUR, -math.inf, False),  # a side could not be read
        (None, math.inf, False),
    ],
)
def test_a_camera_has_no_footage_from_before_it_was_added(
    created_at: float | None, begun: float, is_known: bool
) -> None:
    """Nor from the first seconds after that, in which recordings begin."""
    not_yet = reasons_of(camera(created_at=created_at), begun=begun).not_yet
    assert not_yet.spans == ([(-math.inf, created_at + OPENING_SECONDS)] if is_known and created_at else [])


@pytest.mark.parametrize(
    ("mode", "spans"),
    [
        ("continuous", []),
        ("a mode of a later version", []),
        ("event", [(NOW, NOW + DAY)]),
        ("scheduled", [(NOW, NOW + 8 * HOUR + OPENING_SECONDS), (NOW + 9 * HOUR, NOW + DAY)]),
        ("scheduled_event", [(NOW, NOW + 8 * HOUR + OPENING_SECONDS), (NOW + 9 * HOUR, NOW + DAY)]),
    ],
)
def test_the_mode_says_what_is_wanted(mode: str, spans: list[Span]) -> None:
    """It takes a while until a recording begins after a window has opened."""
    found = outside_schedules(camera(mode=mode), [Schedule(DAILY, 8 * 60, 9 * 60)], (NOW, NOW + DAY), UTC)
    assert found.spans == spans


def test_a_camera_without_a_schedule_records_nothing_by_the_clock() -> None:
    assert outside_schedules(camera(mode="scheduled"), [], (NOW, NOW + DAY), UTC).spans == [(NOW, NOW + DAY)]


minutes = st.integers(0, 24 * 60 - 1)


@given(
    st.lists(st.builds(Schedule, st.frozensets(st.integers(0, 6)), minutes, minutes), max_size=3),
    st.integers(0, 5 * DAY),
    st.integers(0, 3 * DAY),
)
def test_what_is_not_wanted_does_not_depend_on_where_one_looks(
    schedules: list[Schedule], begin: int, length: int
) -> None:
    """A window that is open when the span begins has not just opened."""
    begin += NOW
    whole = begin - 2 * DAY, begin + length + 2 * DAY
    scheduled = camera(mode="scheduled")
    part = outside_schedules(scheduled, schedules, (begin, begin + length), UTC)
    wide = outside_schedules(scheduled, schedules, whole, UTC)
    cut = ((max(one, begin), min(other, begin + length)) for one, other in wide.spans)
    assert part.spans == [span for span in cut if span[0] < span[1]]


def test_sizes_are_read_only_if_they_can_matter() -> None:
    """If the oldest segment is older than all that is asked for, or nothing is known of it, or all is too old."""
    whole = (NOW - 20 * HOUR, NOW)
    assert may_be_gone(camera(), NOW - 10 * HOUR, whole, NOW)
    assert not may_be_gone(camera(), NOW - 20 * HOUR, whole, NOW)
    assert not may_be_gone(camera(), None, whole, NOW)
    assert not may_be_gone(camera(), NOW - 10 * HOUR, (NOW - 3 * DAY, NOW - 2 * DAY), NOW)
    assert may_be_gone(camera(), NOW, (NOW - HOUR, NOW - HOUR / 2), NOW)


LIMITS = Limits(100_000, 50_000)


@pytest.mark.parametrize(
    ("gate", "yard", "quota", "free", "full"),
    [
        (0, 0, None, 10**6, False),  # an empty disk is no full one
        (10, 10, None, 10**6, False),
        (100 - CAP_SEGMENTS, 0, None, 10**6, True),
        (100 - CAP_SEGMENTS - 1, 0, None, 10**6, False),
        (50, 50, None, 10**6, True),
        (10, 60, 10_000 + CAP_SEGMENTS * 1000, 10**6, True),
        (10, 60, 10_001 + CAP_SEGMENTS * 1000, 10**6, False),
        (0, 60, 10_000, 10**6, False),
        (10, 10, None, 50_000 + FLOOR_SEGMENTS * 1000, False),
        (10, 10, None, 49_999 + FLOOR_SEGMENTS * 1000, True),
        (10, 10, None, None, False),
    ],
)
def test_a_limit_binds_if_one_more_segment_would_have_to_go(
    gate: int, yard: int, quota: int | None, free: int | None, full: bool
) -> None:
    """The camera's own quota, the cap of all cameras, or the floor of free space. Each segment has 1,000 bytes."""
    sizes = {name: Size(count, 1000.0 * count) for name, count in (("gate", gate), ("yard", yard)) if count}
    assert is_full(camera(quota=quota), sizes, LIMITS, free) is full


def test_no_floor_binds_nothing() -> None:
    assert not is_full(camera(), {"gate": Size(1, 1000)}, Limits(100_000, 0), 0)
