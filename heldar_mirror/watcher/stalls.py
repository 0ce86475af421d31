"""Recorders that run and whose open file does not grow: found, reported and restarted."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from heldar_mirror.proc.open_segments import Segment
from heldar_mirror.supervisord.events import Event
from heldar_mirror.watcher.async_gateway import AsyncGateway
from heldar_mirror.watcher.growth import Growth
from heldar_mirror.watcher.last_errors import LastErrors
from heldar_mirror.watcher.problems import Log

STALLED = "its file does not grow though ffmpeg runs; restarted. Does the camera send any media?"


@dataclass(eq=False)
class Stalls:
    """Watches that every recorder's file grows. `clock` is monotonic, `wall_clock` gives Unix time, both in seconds."""

    gateway: AsyncGateway
    last_errors: LastErrors
    log: Log
    clock: Callable[[], float]
    wall_clock: Callable[[], float]

    _growth: Growth = field(default_factory=Growth, init=False)
    # Recorders that were sent SIGTERM at the last tick, and whose end has not been seen yet.
    _ending: list[str] = field(default_factory=list, init=False)

    def heard(self, camera_id: str, event: Event) -> None:
        """Take note of an event about a camera's program."""
        if event.state != "RUNNING":  # RUNNING is the same process, 30 s later
            self._growth.forget(camera_id)
        if camera_id in self._ending:
            self._ending.remove(camera_id)

    def seen(self, segments: Mapping[str, Segment | None]) -> None:
        """Take note of what each running recorder has open; None if it has nothing open yet."""
        self._growth.seen(segments, self.clock())

    def stalled(self, segment_seconds: Mapping[str, int]) -> list[str]:
        """Return the cameras whose file has not grown for too long, given the length of their segments."""
        return self._growth.stalled(segment_seconds)

    async def restart(self, segment_seconds: Mapping[str, int]) -> None:
        """End the recorders of stalled cameras; supervisord starts again whatever ended. One that did not end since the
        last call is killed. Raises SupervisordError."""
        stalled = self.stalled(segment_seconds)
        await self.gateway.signal(self._ending, "KILL")
        self._ending = []
        await self.gateway.signal(stalled, "TERM")
        self._ending = stalled
        for camera_id in stalled:
            self.log(f"camera {camera_id}: {STALLED}")
            self.last_errors.add(camera_id, self.wall_clock(), STALLED)
            self._growth.forget(camera_id)
