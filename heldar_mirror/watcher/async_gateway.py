"""Calls that may block, each in a thread; and supervisord called that way, by camera."""

import asyncio
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import Protocol, TypeVar

from heldar_mirror.programs.stanzas import program_name
from heldar_mirror.settings import Settings
from heldar_mirror.status.gather import active_programs
from heldar_mirror.supervisord.gateway import Gateway, Process

T = TypeVar("T")


class Call(Protocol):
    """Calls a function that may block, and waits for its result without holding up the event loop."""

    async def __call__(self, function: Callable[..., T], *args: object) -> T: ...


class Threads:
    """Runs calls that may block in threads of its own. The event loop's own executor looks up host names, which a name
    server that doesn't answer may hold up for long."""

    def __init__(self) -> None:
        self._executor = ThreadPoolExecutor()

    async def call(self, function: Callable[..., T], *args: object) -> T:
        """Return what a function returns, called in a thread."""
        return await asyncio.get_running_loop().run_in_executor(self._executor, function, *args)


class AsyncGateway:
    """supervisord, asked for cameras instead of programs. Every method raises SupervisordError."""

    def __init__(self, settings: Callable[[], Settings], call: Call) -> None:
        self._settings = settings
        self._call = call

    async def greet(self) -> None:
        """See whether supervisord answers."""
        await self._call(Gateway(self._settings()).greet)

    async def programs(self) -> dict[str, Process]:
        """Return all our programs, by camera. Raises StateError as well."""
        return await self._call(active_programs, self._settings())

    async def start(self, camera_ids: Iterable[str]) -> None:
        """Start programs, and don't wait for them."""
        await self._call(Gateway(self._settings()).start, self._names(camera_ids))

    async def signal(self, camera_ids: Iterable[str], signal_name: str) -> None:
        """Send a signal, such as `TERM`, to the recorders that run."""
        await self._call(Gateway(self._settings()).signal, self._names(camera_ids), signal_name)

    def _names(self, camera_ids: Iterable[str]) -> list[str]:
        return [program_name(camera_id, self._settings()) for camera_id in camera_ids]
