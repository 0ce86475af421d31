"""Finding, reporting and restarting recorders whose open file does not grow."""

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
    """Checks that every recorder's file grows. `clock` is monotonic, `wall_clock` gives Unix time, both in seconds."""

    gateway: AsyncGateway
    last_errors: LastErrors
    log: Log
    clock: Callable[[], float]
    wall_clock: Callable[[], float]

    _growth: Growth = field(default_factory=Growth, init=False)
    # Cameras whose recorders were sent SIGTERM at the last tick, and have not ended since.
    _ending: list[str] = field(default_factory=list, init=False)

    def heard(self, camera_id: str, event: Event) -> None:
        """Take note of an event about a camera's program."""
        if event.state != "RUNNING":  # RUNNING concerns the process that was STARTING
            self._growth.forget(camera_id)
        if camera_id in self._ending:
            self._ending.remove(camera_id)

    def seen(self, segments: Mapping[str, Segment | None]) -> None:
        """Take note of the segment that each running recorder has open, or None if it has none open yet."""
        self._growth.seen(segments, self.clock())

    def stalled(self, segment_seconds: Mapping[str, int]) -> list[str]:
        """Return the cameras whose file has not grown for too long, given the length of their segments in seconds."""
        return self._growth.stalled(segment_seconds)

    async def restart(self, segment_seconds: Mapping[str, int]) -> None:
        """End the recorders of stalled cameras, so that supervisord starts them again.

        Those that have not ended since the last call are killed. Raises SupervisordError.
        """
        stalled = self.stalled(segment_seconds)
        await self.gateway.signal(self._ending, "KILL")
        self._ending = []
        await self.gateway.signal(stalled, "TERM")
        self._ending = stalled
        for camera_id in stalled:
            self.log(f"camera {camera_id}: {STALLED}")
            self.last_errors.add(camera_id, self.wall_clock(), STALLED)
            self._growth.forget(camera_id)
