"""Starting programs that failed for good, as soon as their cameras answer."""

import asyncio
from collections.abc import Awaitable, Callable, Collection, Iterable, Mapping
from dataclasses import dataclass

from heldar_mirror.errors import MirrorError
from heldar_mirror.programs.launch_spec import LaunchSpec
from heldar_mirror.watcher.async_gateway import AsyncGateway
from heldar_mirror.watcher.failures import Failures
from heldar_mirror.watcher.probe import Address, address_of
from heldar_mirror.watcher.problems import Problems

# Cameras whose programs failed for good are asked for a connection this often.
PROBE_SECONDS = 2.0


@dataclass(eq=False)
class Reviver:
    """Starts each program that failed for good when its camera accepts a connection.

    `active` returns the cameras that have a program. `specs` returns the launch specs that the table asks for, and
    `saved_spec` reads that of a camera which is not among them from the state directory. `answering` returns which of
    the given addresses accept a connection. `rewrite` is called if a launch spec is missing or damaged. `clock` is
    monotonic, in seconds.
    """

    gateway: AsyncGateway
    failures: Failures
    problems: Problems
    active: Callable[[], Collection[str]]
    volume_usable: Callable[[], bool]
    specs: Callable[[], Mapping[str, LaunchSpec]]
    saved_spec: Callable[[str], Awaitable[LaunchSpec | None]]
    answering: Callable[[Iterable[Address]], Awaitable[set[Address]]]
    rewrite: Callable[[], object]
    clock: Callable[[], float]

    async def run(self) -> None:
        """Revive programs until this is cancelled."""
        while True:
            await asyncio.sleep(PROBE_SECONDS)
            await self.revive()

    async def revive(self) -> None:
        """Ask each camera that is due once, and start the programs of those that answer."""
        active = self.active()
        due = [camera_id for camera_id in self.failures.due(self.clock()) if camera_id in active]
        if not due or not self.volume_usable():
            return
        try:
            answering = await self._cameras_that_answer(due)
            self.failures.tried(answering, self.clock())
            await self.gateway.start(answering)
            self.problems.clear("starting")
        except MirrorError as error:
            self.problems.note("starting", str(error))

    async def _cameras_that_answer(self, camera_ids: Iterable[str]) -> list[str]:
        addresses = {}
        for camera_id in camera_ids:
            spec = self.specs().get(camera_id) or await self.saved_spec(camera_id)
            if spec:
                addresses[camera_id] = address_of(spec.url)
            else:
                self.failures.tried([camera_id], self.clock())
                self.rewrite()
        answering = await self.answering(address for address in addresses.values() if address)
        # If a URL has no address that can be asked, ffmpeg must try it.
        return [camera_id for camera_id, address in addresses.items() if address is None or address in answering]
