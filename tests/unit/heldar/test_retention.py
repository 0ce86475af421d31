"""What Heldar's rows say about how long footage stays: locked times and policies."""

import contextlib
import math
from datetime import datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from heldar_mirror.heldar.cameras import CameraError
from heldar_mirror.heldar.retention import SKEW_SECONDS, Policy, parse_locks, parse_policy, parse_time


def lock(start: object, end: object, camera_id: object = "gate") -> dict[str, object]:
    return {"camera_id": camera_id, "start_time": start, "end_time": end}


AT = int(datetime(2026, 1, 31, 12, tzinfo=timezone.utc).timestamp())


@pytest.mark.parametrize(
    ("start", "end", "first", "last"),
    [
        ("2026-01-31T12:00:00Z", "2026-01-31T12:01:00Z", AT, AT + 60),
        ("2026-01-31T12:00:00+00:00", "2026-01-31T13:01:00+01:00", AT, AT + 60),
        ("2026-01-31T12:00:00.9Z", "2026-01-31T12:01:00.5Z", AT + 0.9, AT + 60.5),
        ("2026-01-31T12:00:00Z", "2026-01-31T12:00:00Z", AT, AT),
        ("2026-01-31T12:00:00Z", "2026-01-31T11:00:00Z", AT, AT),
        ("2026-01-31T12:00:00Z", None, AT, math.inf),
    ],
)
def test_a_locked_segment_locks_its_time_and_a_little_more(
    start: str, end: str | None, first: float, last: float
) -> None:
    """It locks from its start to its end, and the seconds by which two ffmpegs may differ; without an end, for ever."""
    parsed, problems = parse_locks([lock(start, end)])
    assert problems == []
    assert not parsed["gate"].overlap(-math.inf, first - SKEW_SECONDS - 0.01)
    assert parsed["gate"].overlap(-math.inf, first - SKEW_SECONDS)
    assert parsed["gate"].overlap(first, first)
    assert parsed["gate"].overlap(min(last + SKEW_SECONDS, 1e12), math.inf)
    assert last == math.inf or not parsed["gate"].overlap(last + SKEW_SECONDS + 0.01, math.inf)


BAD_TIMES = [
    None,
    "",
    "yesterday",
    5,
    5.5,
    b"2026-01-31T12:00:00Z",
    "2026-01-31",
    "2026-01-31T12:00",
    "2026-01-31T12:00:00ZZ",
    "2026-01-31T12:00:00 Z",
    " 2026-01-31T12:00:00Z",
    "2026-01-31T12:00:00Z\n",
    "2026-01-31T12:00:00+0100",
    "2026-01-31T12:00:00+01",
    "2026-01-31T12:00:00+24:00",
    "2026-01-31T12:00:00.Z",
    "2026-01-31T24:00:00Z",
    "2026-01-31T12:60:00Z",
    "2026-01-31T::::::::Z",
    "2026-02-29T12:00:00Z",
    "2026-13-01T12:00:00Z",
    "0000-01-01T00:00:00Z",
    "\uff12\uff10\uff12\uff16-01-31T12:00:00Z",
    "2026-01-31T12:00:0٣Z",
    "\udcff2026-01-31T12:00:00Z",
    "x" * 10_000,
]


@pytest.mark.parametrize("time", BAD_TIMES)
def test_a_text_that_is_no_time(time: object) -> None:
    """What is not a whole RFC 3339 time is refused, with a short and printable message."""
    with pytest.raises(ValueError, match=r".") as error:
        parse_time(time)
    assert len(str(error.value)) < 150
    assert str(error.value).isprintable()


@pytest.mark.parametrize("column", ["start_time", "end_time"])
@pytest.mark.parametrize("time", BAD_TIMES)
def test_a_lock_that_is_not_understood_locks_all(column: str, time: object) -> None:
    """Its camera keeps everything, whatever else is locked, and that is a problem. Other cameras are not affected."""
    if column == "end_time" and time is None:
        return
    row = lock("2026-01-31T12:00:00Z", "2026-01-31T12:01:00Z") | {column: time}
    rows = [lock("2026-01-31T12:00:00Z", "2026-01-31T12:01:00Z"), row, lock("2026-01-31T12:00:00Z", None, "hall")]
    locks, problems = parse_locks([*rows, row])
    assert len(problems) == 1
    assert problems[0].startswith("camera 'gate': a locked segment's ")
    assert problems[0].endswith("; nothing of it is deleted")
    assert locks["gate"].overlap(-math.inf, -1e12)
    assert locks["gate"].overlap(1e12, math.inf)
    assert not locks["hall"].overlap(0, AT - 60)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("1970-01-01T00:00:00Z", 0),
        ("1970-01-01t00:00:00z", 0),
        ("1970-01-01 00:00:00", 0),
        ("1970-01-01T00:00:00", 0),
        ("1970-01-01T00:00:00-00:00", 0),
        ("1970-01-01T01:30:00+01:30", 0),
        ("1969-12-31T16:00:00-08:00", 0),
        ("1970-01-01T00:00:00.5Z", 0.5),
        ("1970-01-01T00:00:00.123456789+00:00", 0.123456789),
        ("1969-12-31T23:59:59.25Z", -0.75),
        ("2026-01-31T12:00:00Z", AT),
        ("2024-02-29T23:59:59+00:00", 1_709_251_199),
        ("0001-01-01T00:00:00+23:59", -62_135_683_140),
        ("9999-12-31T23:59:59-23:59", 253_402_387_139),
    ],
)
def test_times(text: str, seconds: float) -> None:
    """They are read as Heldar and SQLite write them; without a zone they are UTC."""
    assert parse_time(text) == pytest.approx(seconds, abs=1e-6)


@given(
    st.datetimes(datetime(1000, 1, 1), datetime(9990, 1, 1), timezones=st.none()),  # noqa: DTZ001 - a zone is added
    st.integers(-23 * 60, 23 * 60),
)
def test_any_time_is_read_as_python_reads_it(moment: datetime, minutes: int) -> None:
    """That holds for any fraction and any zone."""
    there = moment.replace(tzinfo=timezone(timedelta(minutes=minutes)))
    assert parse_time(there.isoformat()) == pytest.approx(there.timestamp(), abs=1e-4)


@given(st.none() | st.integers() | st.floats() | st.binary() | st.text())
def test_any_value_is_a_time_or_refused(value: object) -> None:
    """No other error is ever raised."""
    with contextlib.suppress(ValueError):
        assert math.isfinite(parse_time(value))


# Policies.


def policy_row(**columns: object) -> dict[str, object]:
    return {"id": "gate", "segment_seconds": 60, "retention_hours": 24, "storage_quota_bytes": None} | columns


@pytest.mark.parametrize(
    ("columns", "expected"),
    [
        ({}, Policy(86_400, None, 60)),
        ({"retention_hours": 1}, Policy(3600, None, 60)),
        ({"retention_hours": 0}, Policy(3600, None, 60)),
        ({"retention_hours": -5}, Policy(3600, None, 60)),
        ({"retention_hours": 10_000_000}, Policy(36e9, None, 60)),
        ({"storage_quota_bytes": 1}, Policy(86_400, 1, 60)),
        ({"storage_quota_bytes": 2**63 - 1}, Policy(86_400, 2**63 - 1, 60)),
        ({"storage_quota_bytes": 0}, Policy(86_400, None, 60)),
        ({"storage_quota_bytes": -1}, Policy(86_400, None, 60)),
        ({"segment_seconds": 0}, Policy(86_400, None, 2)),
        ({"segment_seconds": -1}, Policy(86_400, None, 2)),
        ({"segment_seconds": 86_400}, Policy(86_400, None, 86_400)),
    ],
)
def test_policies(columns: dict[str, object], expected: Policy) -> None:
    """At least an hour is kept. A quota of 0 or less is no quota. A segment has at least its least length."""
    assert parse_policy(policy_row(**columns)) == expected


@pytest.mark.parametrize("column", ["retention_hours", "storage_quota_bytes", "segment_seconds"])
@pytest.mark.parametrize("value", [1.5, "24", "", b"24", math.nan, math.inf, 2**63 + 1, None])
def test_a_row_that_is_not_understood(column: str, value: object) -> None:
    """It is refused with the name of its column: nothing is deleted for a number that may be wrong."""
    if column == "storage_quota_bytes" and value is None:
        return
    with pytest.raises(CameraError, match=column):
        parse_policy(policy_row(**{column: value}))
