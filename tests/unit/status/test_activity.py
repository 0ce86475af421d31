"""What a mirror is doing, for every combination of facts that matters."""

from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.known_facts import AWAY, STALL, UNAUTHORIZED, facts

from heldar_mirror.status.activity import Activity, activity_of

UP, DOWN = ("STARTING", "RUNNING", "BACKOFF"), ("STOPPED", "EXITED", "FATAL")
STATES = [None, *UP, *DOWN, "STOPPING", "UNKNOWN"]
ROWS = ["wanted", "unwanted", "unusable", "nothing"]


@pytest.mark.parametrize("state", ["STARTING", "RUNNING", "BACKOFF", "EXITED", "FATAL", "STOPPED", None])
@pytest.mark.parametrize("row_says", ROWS)
@pytest.mark.parametrize("unseen", [(), ("no files",), ("no supervisord",), ("no files", "no supervisord")])
@pytest.mark.parametrize("error", [None, AWAY, UNAUTHORIZED])
def test_a_mirror_with_an_open_segment_records(
    state: str | None, row_says: str, unseen: tuple[str, ...], error: str | None
) -> None:
    """Whatever its row says and whatever supervisord calls it: an open segment is what counts."""
    assert activity_of("gate", facts(row_says, state, "segment", *unseen, error=error)) == "recording"


@pytest.mark.parametrize(
    ("seen", "error", "expected"),
    [
        ((), None, "starting"),
        ((), UNAUTHORIZED, "failed"),
        ((), STALL, "stalled"),
        ((), AWAY, "waiting"),
        (("earlier",), UNAUTHORIZED, "starting"),
        (("earlier",), AWAY, "starting"),
        (("earlier",), STALL, "stalled"),
        (("ffmpeg",), None, "starting"),
        (("ffmpeg",), UNAUTHORIZED, "starting"),
        (("ffmpeg",), STALL, "stalled"),
        (("ffmpeg",), AWAY, "starting"),
        (("no files",), None, "unknown"),
        (("no files",), AWAY, "unknown"),
    ],
)
@pytest.mark.parametrize("state", ["STARTING", "RUNNING"])
@pytest.mark.parametrize("row_says", ROWS)
def test_a_program_that_is_up(
    row_says: str, state: str, seen: tuple[str, ...], error: str | None, expected: str
) -> None:
    """Until a segment is open, the last error of this process says why there is none. While an ffmpeg tries again, it
    starts, but a stall lasts until media come."""
    assert activity_of("gate", facts(row_says, state, *seen, error=error)) == expected


@pytest.mark.parametrize("seen", [(), ("no files",)])
@pytest.mark.parametrize("error", [None, AWAY, UNAUTHORIZED])
def test_a_program_in_backoff_is_about_to_start(seen: tuple[str, ...], error: str | None) -> None:
    """Nothing of it runs meanwhile, so it does not matter whether open files can be seen."""
    assert activity_of("gate", facts("wanted", "BACKOFF", *seen, error=error)) == "starting"


@pytest.mark.parametrize(
    ("row_says", "state", "error", "expected"),
    [
        ("wanted", "STOPPED", None, "stopped"),
        ("wanted", "STOPPED", AWAY, "stopped"),
        ("wanted", "FATAL", None, "failed"),
        ("wanted", "FATAL", UNAUTHORIZED, "failed"),
        ("wanted", "FATAL", AWAY, "failed"),
        ("wanted", "EXITED", None, "failed"),
        ("wanted", "EXITED", UNAUTHORIZED, "failed"),
        ("wanted", "EXITED", STALL, "failed"),
        ("wanted", "EXITED", AWAY, "failed"),
        ("wanted", "UNKNOWN", None, "unknown"),
        ("nothing", "STOPPED", None, "stopped"),
        ("nothing", "EXITED", AWAY, "failed"),
        ("nothing", "EXITED", UNAUTHORIZED, "failed"),
    ],
)
@pytest.mark.parametrize("seen", [(), ("no files",), ("no supervisord",)])
def test_a_program_that_is_down(
    row_says: str, state: str, error: str | None, expected: str, seen: tuple[str, ...]
) -> None:
    """A person stopped it, or it failed. Nothing of it has files open."""
    assert activity_of("gate", facts(row_says, state, *seen, error=error)) == expected


@pytest.mark.parametrize("state", DOWN)
@pytest.mark.parametrize("error", [None, AWAY, UNAUTHORIZED])
@pytest.mark.parametrize("seen", [(), ("no files",), ("no supervisord",)])
def test_a_program_that_is_down_and_is_not_wanted(state: str, error: str | None, seen: tuple[str, ...]) -> None:
    """Its row matters more than why it is down."""
    assert activity_of("gate", facts("unwanted", state, *seen, error=error)) == "not wanted"
    assert activity_of("gate", facts("unusable", state, *seen, error=error)) == "unusable"


@pytest.mark.parametrize(
    ("row_says", "seen", "expected"),
    [
        ("wanted", (), "starting"),
        ("wanted", ("no files",), "starting"),
        ("wanted", ("no supervisord",), "unknown"),
        ("wanted", ("no files", "no supervisord"), "unknown"),
        ("unwanted", (), "not wanted"),
        ("unwanted", ("no files",), "not wanted"),
        ("unwanted", ("no supervisord",), "not wanted"),
        ("unwanted", ("no files", "no supervisord"), "unknown"),
        ("unusable", (), "unusable"),
        ("unusable", ("no files",), "unusable"),
        ("unusable", ("no supervisord",), "unusable"),
        ("unusable", ("no files", "no supervisord"), "unknown"),
    ],
)
def test_without_a_program(row_says: str, seen: tuple[str, ...], expected: str) -> None:
    """A wanted one is about to start. If supervisord can't be asked, only a file that is not open shows that nothing
    runs."""
    assert activity_of("gate", facts(row_says, None, *seen)) == expected


@pytest.mark.parametrize("row_says", ROWS)
@pytest.mark.parametrize("seen", [(), ("segment",), ("ffmpeg",), ("no files",)])
def test_a_program_that_is_being_stopped(row_says: str, seen: tuple[str, ...]) -> None:
    """It is stopping, even while its last segment is still open."""
    assert activity_of("gate", facts(row_says, "STOPPING", *seen)) == "stopping"


@given(
    st.sampled_from(ROWS),
    st.sampled_from(STATES),
    st.lists(st.sampled_from(["segment", "ffmpeg", "earlier", "no files", "no supervisord"])),
    st.sampled_from([None, AWAY, STALL, UNAUTHORIZED]),
)
def test_it_is_always_one_of_the_words(row_says: str, state: str | None, seen: list[str], error: str | None) -> None:
    """Whatever is known gives one of the words; it records only if a segment is open, and is never unknown if all is
    seen."""
    known = facts(row_says, state, *seen, error=error)
    activity = activity_of("gate", known)
    assert activity in get_args(Activity)
    assert activity != "recording" or "segment" in seen
    if known.programs_known and known.files_known and state != "UNKNOWN":
        assert activity != "unknown"
