"""supervisord's events, as they arrive on standard input."""

import pytest

from heldar_mirror.supervisord.events import Event, parse_event


@pytest.mark.parametrize(
    ("name", "payload", "event", "state"),
    [
        (
            "PROCESS_STATE_RUNNING",
            {"processname": "mirror-gate", "groupname": "mirror-gate", "from_state": "STARTING", "pid": "42"},
            Event("PROCESS_STATE_RUNNING", "mirror-gate", 42),
            "RUNNING",
        ),
        (
            "PROCESS_STATE_EXITED",
            {"groupname": "mirror-gate", "expected": "1", "pid": "42"},
            Event("PROCESS_STATE_EXITED", "mirror-gate", 42),
            "EXITED",
        ),
        ("PROCESS_STATE_FATAL", {"groupname": "mirror-gate"}, Event("PROCESS_STATE_FATAL", "mirror-gate"), "FATAL"),
        ("PROCESS_GROUP_REMOVED", {"groupname": "mirror-gate"}, Event("PROCESS_GROUP_REMOVED", "mirror-gate"), None),
    ],
)
def test_an_event_is_parsed(name: str, payload: dict[str, str], event: Event, state: str | None) -> None:
    """Its state and its process are what supervisord wrote."""
    assert parse_event(name, payload) == event
    assert event.state == state


@pytest.mark.parametrize("payload", [{}, {"groupname": "mirror-gate", "pid": "many"}])
def test_garbage_is_no_event(payload: dict[str, str]) -> None:
    """A payload that was cut short raises an error, which ends the listening."""
    with pytest.raises((KeyError, ValueError)):
        parse_event("PROCESS_STATE_RUNNING", payload)
