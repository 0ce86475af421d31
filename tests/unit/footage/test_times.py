"""Times as people write them."""

import time
from collections.abc import Iterator
from datetime import date, datetime, timedelta, tzinfo
from zoneinfo import ZoneInfo

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from heldar_mirror.footage.times import UTC, TimeError, Zone, parse_length, parse_span, shown_time

# Zones whose clocks jump by an hour, by half an hour, at midnight, over midnight, and by a whole day.
NAMES = (
    *("Europe/Zurich", "America/New_York", "Australia/Lord_Howe", "America/Havana", "America/Sao_Paulo"),
    *("America/St_Johns", "Pacific/Apia", "Asia/Kathmandu", "UTC"),
)
ZURICH = ZoneInfo("Europe/Zurich")

# A Wednesday.
NOW = datetime(2026, 11, 25, 16, 30, tzinfo=ZURICH).timestamp()

moments = st.integers(200_000, int(NOW) - 1)
zones = st.sampled_from(NAMES).map(ZoneInfo)


def span(since: str | None = None, until: str | None = None, zone: Zone = ZURICH, now: float = NOW) -> tuple[str, str]:
    begin, end = parse_span(since, until, now, zone)
    return shown_time(begin, zone), shown_time(end, zone)


@pytest.fixture
def local(monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> Iterator[tzinfo]:
    """Make a zone the local one, as TZ does."""
    monkeypatch.setenv("TZ", request.param)
    time.tzset()
    yield ZoneInfo(request.param)
    monkeypatch.undo()
    time.tzset()


@pytest.mark.parametrize(
    ("since", "begin"),
    [
        (None, "2026-11-24 16:30:00+01:00"),
        ("2h", "2026-11-25 14:30:00+01:00"),
        ("1d12h", "2026-11-24 04:30:00+01:00"),
        ("90m ago", "2026-11-25 15:00:00+01:00"),
        ("1.5h", "2026-11-25 15:00:00+01:00"),
        ("1w", "2026-11-18 16:30:00+01:00"),
        ("today", "2026-11-25 00:00:00+01:00"),
        ("Yesterday", "2026-11-24 00:00:00+01:00"),
        ("wednesday", "2026-11-25 00:00:00+01:00"),
        ("thu", "2026-11-19 00:00:00+01:00"),
        ("tuesday  2:10", "2026-11-24 02:10:00+01:00"),
        ("02:10", "2026-11-25 02:10:00+01:00"),
        ("02:10:30", "2026-11-25 02:10:30+01:00"),
        ("16:30", "2026-11-24 16:30:00+01:00"),
        ("22:00", "2026-11-24 22:00:00+01:00"),
        ("2026-06-20", "2026-06-20 00:00:00+02:00"),
        ("2026-06-20 02:10", "2026-06-20 02:10:00+02:00"),
        ("2026-06-20T02:10:30.75", "2026-06-20 02:10:30+02:00"),
        ("2026-06-20t00:10:30z", "2026-06-20 02:10:30+02:00"),
        ("2026-06-20 02:10:30 +05:45", "2026-06-19 22:25:30+02:00"),
        ("2026-06-20T02:10-0500", "2026-06-20 09:10:00+02:00"),
        ("1960-01-01", "1970-01-01 01:00:00+01:00"),
    ],
)
def test_when_a_span_begins(since: str | None, begin: str) -> None:
    """Each form means what a person would say."""
    assert span(since) == (begin, "2026-11-25 16:30:00+01:00")


@pytest.mark.parametrize(
    ("since", "until", "meant"),
    [
        ("yesterday", "yesterday", ("2026-11-24 00:00:00+01:00", "2026-11-25 00:00:00+01:00")),
        ("yesterday", "today", ("2026-11-24 00:00:00+01:00", "2026-11-25 16:30:00+01:00")),
        ("yesterday", "02:10", ("2026-11-24 00:00:00+01:00", "2026-11-25 02:10:00+01:00")),
        ("02:10", "yesterday", ("2026-11-24 02:10:00+01:00", "2026-11-25 00:00:00+01:00")),
        ("22:00", "02:10", ("2026-11-24 22:00:00+01:00", "2026-11-25 02:10:00+01:00")),
        ("15:00", "17:00", ("2026-11-24 15:00:00+01:00", "2026-11-24 17:00:00+01:00")),
        ("02:10", "02:10", ("2026-11-24 02:10:00+01:00", "2026-11-25 02:10:00+01:00")),
        ("2h", "1h", ("2026-11-25 14:30:00+01:00", "2026-11-25 15:30:00+01:00")),
        (None, "monday", ("2026-11-23 00:00:00+01:00", "2026-11-24 00:00:00+01:00")),
        ("2026-06-20", "2026-06-20", ("2026-06-20 00:00:00+02:00", "2026-06-21 00:00:00+02:00")),
    ],
)
def test_when_a_span_begins_and_ends(since: str | None, until: str, meant: tuple[str, str]) -> None:
    """A day ends at its end, and a time of day is the last one that fits."""
    assert span(since, until) == meant


@pytest.mark.parametrize("since", ["2026-11-24 01:00", "yesterday"])
def test_utc(since: str) -> None:
    """Times are read and shown in UTC if that is asked for."""
    begin, end = span(since, zone=UTC)
    assert begin.startswith("2026-11-24 0")
    assert begin.endswith(":00:00Z")
    assert end == "2026-11-25 15:30:00Z"


@pytest.mark.parametrize(
    ("name", "day", "begin", "end", "hours"),
    [
        ("Europe/Zurich", "2026-03-29", "2026-03-29 00:00:00+01:00", "2026-03-30 00:00:00+02:00", 23),
        ("Europe/Zurich", "2026-10-25", "2026-10-25 00:00:00+02:00", "2026-10-26 00:00:00+01:00", 25),
        ("America/New_York", "2026-03-08", "2026-03-08 00:00:00-05:00", "2026-03-09 00:00:00-04:00", 23),
        ("America/New_York", "2026-11-01", "2026-11-01 00:00:00-04:00", "2026-11-02 00:00:00-05:00", 25),
        ("Australia/Lord_Howe", "2026-10-04", "2026-10-04 00:00:00+10:30", "2026-10-05 00:00:00+11:00", 23.5),
        ("Australia/Lord_Howe", "2026-04-05", "2026-04-05 00:00:00+11:00", "2026-04-06 00:00:00+10:30", 24.5),
        # There was no midnight.
        ("America/Havana", "2026-03-08", "2026-03-08 01:00:00-04:00", "2026-03-09 00:00:00-04:00", 23),
        # There were two, and the first was the end of the day before.
        ("America/Havana", "2026-10-31", "2026-10-31 00:00:00-04:00", "2026-11-01 00:00:00-04:00", 24),
        ("America/Havana", "2026-11-01", "2026-11-01 00:00:00-04:00", "2026-11-02 00:00:00-05:00", 25),
        ("America/Sao_Paulo", "2019-02-16", "2019-02-16 00:00:00-02:00", "2019-02-17 00:00:00-03:00", 25),
        # A minute after midnight it was the day before again.
        ("America/St_Johns", "2010-11-06", "2010-11-06 00:00:00-02:30", "2010-11-07 00:00:00-03:30", 25),
        # There was no 30th of December.
        ("Pacific/Apia", "2011-12-29", "2011-12-29 00:00:00-10:00", "2011-12-31 00:00:00+14:00", 24),
    ],
)
def test_days_of_other_lengths(name: str, day: str, begin: str, end: str, hours: float) -> None:
    """A day is what a calendar on the wall shows, however long it lasts."""
    zone = ZoneInfo(name)
    assert span(day, day, zone) == (begin, end)
    since, until = parse_span(day, day, NOW, zone)
    assert until - since == hours * 3600


@pytest.mark.parametrize(
    ("name", "text", "first", "last"),
    [
        ("Europe/Zurich", "2026-10-25 02:30", "2026-10-25 02:30:00+02:00", "2026-10-25 02:30:00+01:00"),
        ("Europe/Zurich", "2026-03-29 02:30", "2026-03-29 03:00:00+02:00", "2026-03-29 03:00:00+02:00"),
        ("Australia/Lord_Howe", "2026-04-05 01:45", "2026-04-05 01:45:00+11:00", "2026-04-05 01:45:00+10:30"),
        ("Australia/Lord_Howe", "2026-10-04 02:15", "2026-10-04 02:30:00+11:00", "2026-10-04 02:30:00+11:00"),
        ("Pacific/Apia", "2011-12-30 12:00", "2011-12-31 00:00:00+14:00", "2011-12-31 00:00:00+14:00"),
    ],
)
def test_times_that_the_clock_shows_twice_or_skips(name: str, text: str, first: str, last: str) -> None:
    """The first as a beginning, the second as an end, and the moment of the jump if there is none."""
    zone = ZoneInfo(name)
    assert span(text, None, zone)[0] == first
    assert span(None, text, zone)[1] == last


@pytest.mark.parametrize(
    ("since", "until", "message"),
    [
        ("", None, "'' is no time: expected a time such as 2026-11-28, "),
        ("soon", None, "'soon' is no time: "),
        ("2026-13-01", None, "'2026-13-01' is no time: "),
        ("2026-11-24T", None, "'2026-11-24T' is no time: "),
        ("25:00", None, "'25:00' is no time: "),
        ("02:61", None, "'02:61' is no time: "),
        ("12", None, "'12' is no time: "),
        ("9999-12-31", None, "'9999-12-31' is no time: "),
        ("\u0662h", None, "'\u0662h' is no time: "),
        ("2h 30m", None, "'2h 30m' is no time: "),
        ("2026-11-24 02:10+99:00", None, "'2026-11-24 02:10+99:00' is no time: "),
        ("x" * 1000, None, f"'{'x' * 60}' is no time: "),
        (
            "2026-11-25 16:31",
            None,
            "--since, 2026-11-25 16:31:00+01:00, is in the future: expected a time before now, ",
        ),
        (None, "2026-11-26", "--until, 2026-11-26 00:00:00+01:00, is in the future: expected a time before now, "),
        ("1h", "2h", "--since, 2026-11-25 15:30:00+01:00, is not before --until, 2026-11-25 14:30:00+01:00: "),
        ("now", None, "--since, 2026-11-25 16:30:00+01:00, is not before --until, 2026-11-25 16:30:00+01:00: "),
        ("today", "yesterday", "--since, 2026-11-25 00:00:00+01:00, is not before --until, 2026-11-25 00:00:00+01:00"),
    ],
)
def test_what_is_no_span(since: str | None, until: str | None, message: str) -> None:
    """The error says what was read, and what was expected."""
    with pytest.raises(TimeError) as caught:
        parse_span(since, until, NOW, ZURICH)
    assert str(caught.value).startswith(message)


@given(st.text() | st.from_regex(r"[0-9]{1,4}[-:hmd][0-9]{1,2}.*", fullmatch=True), zones)
def test_no_text_is_taken_for_more_than_a_time(text: str, zone: ZoneInfo) -> None:
    """Any other text is an error for the person who wrote it."""
    try:
        begin, end = parse_span(text, None, NOW, zone)
    except TimeError:
        return
    assert 0 <= begin < end == NOW


@given(moments, zones)
def test_what_is_shown_is_read_back(at: int, zone: ZoneInfo) -> None:
    """A person can copy each time that is shown."""
    for shown in (zone, UTC):
        text = shown_time(at, shown)
        assert parse_span(text, None, NOW, zone)[0] == at
        assert parse_span(None, text, NOW, zone)[1] == at


@given(moments, zones)
def test_a_local_time_means_each_moment_at_which_the_clock_shows_it(at: int, zone: ZoneInfo) -> None:
    """As a beginning it is the first of them, as an end the last."""
    text = shown_time(at, zone)[:19]
    begin, end = parse_span(text, None, NOW, zone)[0], parse_span(None, text, NOW, zone)[1]
    assert begin <= at <= end
    assert shown_time(begin, zone)[:19] == shown_time(end, zone)[:19] == text


@given(st.dates(date(1971, 1, 1), date(2026, 11, 20)), zones)
def test_no_moment_lies_between_two_days(day: date, zone: ZoneInfo) -> None:
    """A day ends where the next one begins; or after that, if the clock was put back over midnight."""
    following = day + timedelta(1)
    end = parse_span(None, str(day), NOW, zone)[1]
    begin = parse_span(str(following), None, NOW, zone)[0]
    assert begin <= end
    assert begin == end or zone.key == "America/St_Johns"


@given(moments)
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])  # the same zone suits all examples
@pytest.mark.parametrize("local", NAMES, indirect=True)
def test_local_time_is_that_of_the_process(local: ZoneInfo, at: int) -> None:
    """TZ has its say, and says the same as the zone of that name."""
    text = shown_time(at)
    assert text == shown_time(at, local)
    for meant in (text, text[:19], text[:10], "yesterday", "02:10", "monday"):
        assert parse_span(meant, None, NOW) == parse_span(meant, None, NOW, local)
        assert parse_span(None, meant, NOW) == parse_span(None, meant, NOW, local)


@pytest.mark.parametrize(
    ("text", "seconds"), [("5", 5), ("0", 0), ("2.5", 2.5), ("5s", 5), ("1m30s", 90), (" 2H ", 7200), ("1w1d", 691_200)]
)
def test_lengths_of_time(text: str, seconds: float) -> None:
    """A number alone is in seconds."""
    assert parse_length(text) == seconds


@pytest.mark.parametrize("text", ["", "s", "-5", "5 s", "5x", "1e3", "9" * 10, "nan", "inf"])
def test_what_is_no_length(text: str) -> None:
    """The error says what was expected."""
    with pytest.raises(TimeError, match="is no length of time: expected one such as 5s"):
        parse_length(text)
