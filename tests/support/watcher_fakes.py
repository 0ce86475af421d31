"""Fakes of the collaborators that the watcher's parts get: a clock, supervisord and the waker."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import TypeVar

from heldar_mirror.errors import SupervisordError
from heldar_mirror.supervisord.events import Event
from heldar_mirror.supervisord.gateway import Process

T = TypeVar("T")


@dataclass
class Clock:
    """A clock that moves only when the test moves it."""

    now: float = 1000.0

    def __call__(self) -> float:
        return self.now

    def pass_by(self, seconds: float) -> None:
        """Let some seconds pass."""
        self.now += seconds


@dataclass
class Supervisord:
    """A supervisord that remembers what it was asked to do."""

    listed: dict[str, Process] = field(default_factory=dict)
    started: list[str] = field(default_factory=list)
    signals: list[tuple[str, str]] = field(default_factory=list)
    greetings: int = 0
    is_gone: bool = False
    # Called during a listing, because an event may arrive then.
    meanwhile: Callable[[], None] = lambda: None

    def _answer(self) -> None:
        if self.is_gone:
            raise SupervisordError("supervisord does not answer")

    async def greet(self) -> None:
        self._answer()
        self.greetings += 1

    async def programs(self) -> dict[str, Process]:
        self._answer()
        self.meanwhile()
        return dict(self.listed)

    async def start(self, camera_ids: Iterable[str]) -> None:
        self._answer()
        self.started += camera_ids

    async def signal(self, camera_ids: Iterable[str], signal_name: str) -> None:
        self._answer()
        self.signals += [(camera_id, signal_name) for camera_id in camera_ids]


@dataclass
class Waker:
    """A waker that remembers the processes it should watch."""

    awaited: list[Process] = field(default_factory=list)

    def await_end(self, process: Process) -> None:
        self.awaited.append(process)


async def call(function: Callable[..., T], *args: object) -> T:
    """Call a function at once, in the test's own thread."""
    return function(*args)


def state_event(camera_id: str, state: str, *, pid: int = 0) -> Event:
    """Return the event by which supervisord reports a program's new state."""
    return Event(f"PROCESS_STATE_{state}", f"mirror-{camera_id}", pid)


def removed_event(camera_id: str) -> Event:
    """Return the event by which supervisord reports that a program was taken out of it."""
    return Event("PROCESS_GROUP_REMOVED", f"mirror-{camera_id}")
