"""supervisord's events, as its event listener hears them on standard input."""

import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from supervisor import childutils

STATE_PREFIX = "PROCESS_STATE_"


@dataclass(frozen=True)
class Event:
    """One event about a program: its name, such as PROCESS_STATE_FATAL or PROCESS_GROUP_REMOVED, and the group.

    `pid` is 0 if there is no process. `expected` is False only for an exit that supervisord answers with a restart.
    """

    name: str
    group: str
    pid: int = 0
    expected: bool = True

    @property
    def state(self) -> str | None:
        """Return the program's new state, or None for an event of another kind."""
        return self.name.removeprefix(STATE_PREFIX) if self.name.startswith(STATE_PREFIX) else None


def parse_event(name: str, payload: Mapping[str, str]) -> Event:
    """Return the event of a name and the payload that came with it. Raises KeyError or ValueError if it is none."""
    return Event(name, payload["groupname"], int(payload.get("pid", 0)), payload.get("expected") != "0")


def listen(hear: Callable[[Event], object]) -> None:
    """Hand every event to `hear`, for as long as supervisord lives."""
    try:
        while True:
            childutils.listener.ready(sys.stdout)
            headers = childutils.get_headers(sys.stdin.readline())
            payload = childutils.get_headers(sys.stdin.read(int(headers["len"])))
            hear(parse_event(headers["eventname"], payload))
            childutils.listener.ok(sys.stdout)
    except (OSError, ValueError, KeyError):
        return  # supervisord ended, perhaps in the middle of a line
