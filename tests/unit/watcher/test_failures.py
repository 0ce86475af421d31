"""Which failed programs may be started again, and when."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from heldar_mirror.supervisord.gateway import FAILED
from heldar_mirror.watcher.failures import RETRY_SECONDS, Failures

STATES = ["STARTING", "RUNNING", "BACKOFF", "EXITED", "STOPPING", "STOPPED", "FATAL"]


def test_a_failed_program_is_due_at_once() -> None:
    """A program is due from the moment at which it becomes FATAL."""
    failures = Failures()
    failures.heard("gate", "FATAL", 100.0)
    assert failures.due(99.9) == []
    assert failures.due(100.0) == ["gate"]


def test_a_failed_start_is_followed_by_a_pause() -> None:
    """A program that was started in vain is not due for 30 s from that start, however soon it is FATAL again."""
    failures = Failures()
    failures.heard("gate", "FATAL", 100.0)
    failures.tried(["gate"], 100.0)
    assert failures.due(100.0 + RETRY_SECONDS - 0.1) == []
    for number, state in enumerate(["STARTING", "BACKOFF", "STARTING", "FATAL"]):
        failures.heard("gate", state, 101.0 + number)
    assert failures.due(100.0 + RETRY_SECONDS - 0.1) == []
    assert failures.due(100.0 + RETRY_SECONDS) == ["gate"]


def test_a_start_without_an_event_is_tried_again() -> None:
    """A program that was started, and for which no event came, is due again after the pause."""
    failures = Failures()
    failures.heard("gate", "FATAL", 100.0)
    failures.tried(["gate"], 100.0)
    assert failures.due(100.0 + RETRY_SECONDS) == ["gate"]


def test_those_that_have_waited_longest_come_first() -> None:
    """A program waits from its failure, or from the end of the pause after a start in vain."""
    failures = Failures()
    failures.heard("gate", "FATAL", 100.0)
    failures.tried(["gate"], 100.0)
    failures.heard("yard", "FATAL", 110.0)
    failures.heard("hall", "FATAL", 110.0)
    failures.heard("attic", "FATAL", 140.0)
    assert failures.due(150.0) == ["hall", "yard", "gate", "attic"]


@pytest.mark.parametrize("state", ["RUNNING", "STOPPED"])
def test_the_pause_ends_when_the_program_ran_or_was_stopped(state: str) -> None:
    """A program that became RUNNING, or that a person stopped, is due at once when it fails."""
    failures = Failures()
    failures.heard("gate", "FATAL", 100.0)
    failures.tried(["gate"], 100.0)
    failures.heard("gate", state, 101.0)
    failures.heard("gate", "FATAL", 102.0)
    assert failures.due(102.0) == ["gate"]


events = st.tuples(st.sampled_from([*STATES, "tried"]), st.sampled_from(["gate", "hall", "yard"]), st.floats(0.0, 40.0))


@given(st.lists(events, max_size=40))
def test_failed_programs_are_due_and_never_twice_within_the_pause(
    history: list[tuple[str, str, float]],
) -> None:
    """After any events, the failed programs are due, except those tried in the last 30 s that did not run."""
    failures, last, tried, now = Failures(), dict[str, str](), dict[str, float](), 0.0
    for what, name, pause in history:
        now += pause
        if what == "tried":
            due = failures.due(now)
            failures.tried(due, now)
            tried |= dict.fromkeys(due, now)
        else:
            failures.heard(name, what, now)
            last[name] = what
            if what in {"RUNNING", "STOPPED"}:
                tried.pop(name, None)
        due = failures.due(now)
        assert set(due) == {
            name
            for name, state in last.items()
            if state in FAILED and now >= tried.get(name, -RETRY_SECONDS) + RETRY_SECONDS
        }
        failures.keep(last)
        assert failures.due(now) == due
    failures.keep([])
    assert failures == Failures()
