"""Starting programs that failed for good. A recorder waits for its camera and its volume itself, so they are few."""

import asyncio
from collections.abc import Awaitable, Callable, Collection
from dataclasses import dataclass

from heldar_mirror.errors import MirrorError
from heldar_mirror.programs.launch_spec import LaunchSpec
from heldar_mirror.watcher.async_gateway import AsyncGateway
from heldar_mirror.watcher.failures import Failures
from heldar_mirror.watcher.problems import Problems

# If very many programs failed, so many are started in a turn, so that supervisord and the processors keep up.
TURN_SECONDS = 2.0
STARTS_PER_TURN = 10


@dataclass(eq=False)
class Reviver:
    """Starts each program that failed for good, again and again, those that have waited longest first.

    `active` returns the cameras that have a program. `saved_spec` reads a camera's launch spec; if it is missing or
    damaged, `rewrite` is called. `clock` is monotonic, in seconds.
    """

    gateway: AsyncGateway
    failures: Failures
    problems: Problems
    active: Callable[[], Collection[str]]
    saved_spec: Callable[[str], Awaitable[LaunchSpec | None]]
    rewrite: Callable[[], object]
    clock: Callable[[], float]

    async def run(self) -> None:
        """Revive programs until this is cancelled."""
        while True:
            await asyncio.sleep(TURN_SECONDS)
            await self.revive()

    async def revive(self) -> None:
        """Start some of the programs that are due."""
        now, active = self.clock(), self.active()
        due = [camera_id for camera_id in self.failures.due(now) if camera_id in active][:STARTS_PER_TURN]
        if not due:
            return
        self.failures.tried(due, now)
        try:
            await self.gateway.start(due)
            if [camera_id for camera_id in due if not await self.saved_spec(camera_id)]:
                self.rewrite()
            self.problems.clear("starting")
        except MirrorError as error:
            self.problems.note("starting", str(error))
