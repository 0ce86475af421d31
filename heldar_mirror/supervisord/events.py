"""supervisord's events, which its event listener reads from standard input."""

import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from supervisor import childutils

STATE_PREFIX = "PROCESS_STATE_"


@dataclass(frozen=True)
class Event:
    """One event about a program: its name, such as PROCESS_STATE_FATAL or PROCESS_GROUP_REMOVED, and the group.

    `pid` is 0 if there is no process.
    """

    name: str
    group: str
    pid: int = 0

    @property
    def state(self) -> str | None:
        """Return the program's new state, or None if the event is not about its state."""
        return self.name.removeprefix(STATE_PREFIX) if self.name.startswith(STATE_PREFIX) else None


def parse_event(name: str, payload: Mapping[str, str]) -> Event:
    """Return the event with a name and a payload. Raises KeyError or ValueError if the payload is not an event's."""
    return Event(name, payload["groupname"], int(payload.get("pid", 0)))


def listen(hear: Callable[[Event], object]) -> None:
    """Call `hear` with every event, until supervisord has ended."""
    try:
        while True:
            childutils.listener.ready(sys.stdout)
            headers = childutils.get_headers(sys.stdin.readline())
            payload = childutils.get_headers(sys.stdin.read(int(headers["len"])))
            hear(parse_event(headers["eventname"], payload))
            childutils.listener.ok(sys.stdout)
    except (OSError, ValueError, KeyError):
        return  # supervisord ended, perhaps in the middle of a line
