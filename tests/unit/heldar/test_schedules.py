"""The windows of schedules are open when Heldar, which looks at the wall clock each minute, would find them open."""

from datetime import datetime, timezone
from zoneinfo import ZoneInfo

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from heldar_mirror.heldar.schedules import Schedule, parse_schedules, windows

MINUTE, DAY = 60, 86_400

# Hours that come twice or not at all, changes by half an hour, offsets of a quarter, and a day that was left out.
CHANGES = [
    ("UTC", datetime(2026, 3, 29, tzinfo=timezone.utc)),
    ("Europe/Berlin", datetime(2026, 3, 29, tzinfo=timezone.utc)),
    ("Europe/Berlin", datetime(2026, 10, 25, tzinfo=timezone.utc)),
    ("America/New_York", datetime(2026, 3, 8, tzinfo=timezone.utc)),
    ("America/New_York", datetime(2026, 11, 1, tzinfo=timezone.utc)),
    ("Australia/Lord_Howe", datetime(2026, 4, 4, tzinfo=timezone.utc)),
    ("Asia/Kathmandu", datetime(2026, 6, 1, tzinfo=timezone.utc)),
    ("Pacific/Apia", datetime(2011, 12, 30, tzinfo=timezone.utc)),
]
minutes = st.integers(0, 24 * 60 - 1)
schedules = st.lists(st.builds(Schedule, st.frozensets(st.integers(0, 6)), minutes, minutes), max_size=3)


def is_open(schedule: Schedule, at: float, zone: ZoneInfo) -> bool:
    """Heldar's own question at one instant."""
    local = datetime.fromtimestamp(at, zone)
    weekday, minute = local.weekday(), local.hour * 60 + local.minute
    if schedule.begin < schedule.end:
        return weekday in schedule.days and schedule.begin <= minute < schedule.end
    on_day_before = (weekday - 1) % 7 in schedule.days
    return (weekday in schedule.days and minute >= schedule.begin) or (on_day_before and minute < schedule.end)


@given(
    schedules,
    st.sampled_from(CHANGES),
    st.integers(-3 * 24 * 60, 2 * 24 * 60).map(lambda minute: minute * MINUTE),
    st.integers(1, 4 * 24 * 60).map(lambda minute: minute * MINUTE),
)
@example([Schedule(frozenset(range(7)), 150, 151)], CHANGES[2], -DAY, 3 * DAY)  # it comes twice
@example([Schedule(frozenset(range(7)), 150, 151)], CHANGES[1], -DAY, 3 * DAY)  # and not at all
def test_a_window_is_open_when_heldar_finds_it_open(
    made: list[Schedule], change: tuple[str, datetime], begin: int, length: int
) -> None:
    """Minute by minute, around each change of a zone."""
    zone = ZoneInfo(change[0])
    since = change[1].timestamp() + begin
    found = windows(made, since, since + length, zone).spans
    expected: list[tuple[float, float]] = []
    for at in range(int(since), int(since + length), MINUTE):
        if any(is_open(schedule, at, zone) for schedule in made):
            if expected and expected[-1][1] == at:
                expected[-1] = expected[-1][0], at + MINUTE
            else:
                expected.append((at, at + MINUTE))
    assert found == expected


def test_a_span_may_begin_within_a_second() -> None:
    """Windows are cut where the span begins and ends."""
    always = [Schedule(frozenset(range(7)), 0, 0)]
    assert windows(always, 1000.25, 2000.5, ZoneInfo("Europe/Berlin")).spans == [(1000.25, 2000.5)]
    assert windows(always, 1000, 1000, None).spans == []
    assert windows([], 0, DAY, None).spans == []


ROW = {"camera_id": "gate", "days": "[0, 6]", "time_start": "22:00", "time_end": "6:30", "enabled": 1}


def test_rows_become_schedules() -> None:
    """Those that are not enabled count as none."""
    rows = [ROW, ROW | {"enabled": 0, "time_start": "nonsense"}, ROW | {"camera_id": "yard", "days": "[]"}]
    found, problems = parse_schedules(rows)
    assert found == {
        "gate": [Schedule(frozenset({0, 6}), 22 * 60, 6 * 60 + 30)],
        "yard": [Schedule(frozenset(), 22 * 60, 6 * 60 + 30)],
    }
    assert not problems


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"days": "[7]"}, r"days is '\[7\]', expected a JSON list"),
        ({"days": "0"}, "days is '0', expected"),
        ({"days": "[" * 5000}, r"days is '\[\["),
        ({"days": None}, "days is None, expected"),
        ({"days": '["0"]'}, "expected a JSON list of numbers"),
        ({"time_start": "24:00"}, "time_start is '24:00', expected a time such as 23:59"),
        ({"time_end": 7}, "time_end is 7, expected"),
        ({"enabled": "yes"}, "enabled is 'yes', expected 0 or 1"),
    ],
)
def test_a_row_that_can_not_be_used_is_told(changes: dict[str, object], problem: str) -> None:
    """The other cameras' schedules are still known."""
    found, problems = parse_schedules([ROW | changes, ROW | {"camera_id": "yard"}])
    assert found.keys() >= {"yard"}
    assert problems.keys() == {"gate"}
    assert problems["gate"].startswith("a row of camera_schedules can't be used: ")
    with pytest.raises(ValueError, match=problem):
        raise ValueError(problems["gate"])
