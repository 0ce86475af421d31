"""Asking supervisord by camera, in threads, since that may block."""

from collections.abc import Callable, Iterable
from typing import Protocol, TypeVar

from heldar_mirror.programs.stanzas import program_name
from heldar_mirror.settings import Settings
from heldar_mirror.status.gather import active_programs
from heldar_mirror.supervisord.gateway import Gateway, Process

T = TypeVar("T")


class Call(Protocol):
    """Calls a function that may block, and waits for its result without holding up the event loop."""

    async def __call__(self, function: Callable[..., T], /, *args: object) -> T: ...


class AsyncGateway:
    """supervisord, asked for cameras instead of programs. Every method raises SupervisordError."""

    def __init__(self, settings: Callable[[], Settings], call: Call) -> None:
        self._settings = settings
        self._call = call

    async def greet(self) -> None:
        """Raise SupervisordError if supervisord does not answer."""
        await self._call(Gateway(self._settings()).greet)

    async def pid(self) -> int:
        """Return supervisord's process id."""
        return await self._call(Gateway(self._settings()).pid)

    async def programs(self) -> dict[str, Process]:
        """Return all our programs, by camera. Raises StateError as well."""
        return await self._call(active_programs, self._settings())

    async def start(self, camera_ids: Iterable[str]) -> None:
        """Start the cameras' programs without waiting until they run."""
        await self._call(Gateway(self._settings()).start, self._names(camera_ids))

    async def signal(self, camera_ids: Iterable[str], signal_name: str) -> None:
        """Send a signal, such as `TERM`, to those of the cameras' recorders that run."""
        await self._call(Gateway(self._settings()).signal, self._names(camera_ids), signal_name)

    def _names(self, camera_ids: Iterable[str]) -> list[str]:
        return [program_name(camera_id, self._settings()) for camera_id in camera_ids]
