"""Our programs and their states, by supervisord's events and listings."""

from collections.abc import Callable, Collection
from dataclasses import dataclass, field

from heldar_mirror.settings import Settings
from heldar_mirror.supervisord.events import Event
from heldar_mirror.supervisord.gateway import Process
from heldar_mirror.watcher.async_gateway import AsyncGateway
from heldar_mirror.watcher.failures import Failures
from heldar_mirror.watcher.waker import Waker

# Events should report every change. All programs are listed this often in case one was lost.
LISTING_SECONDS = 300.0


@dataclass(eq=False)
class ProgramTable:
    """The programs whose names begin with our prefix, by camera. It passes each change on to the parts that need it.

    `clock` is monotonic, `wall_clock` gives Unix time, both in seconds.
    """

    settings: Callable[[], Settings]
    gateway: AsyncGateway
    failures: Failures
    waker: Waker
    clock: Callable[[], float]
    wall_clock: Callable[[], float]

    _programs: dict[str, Process] = field(default_factory=dict, init=False)
    # The cameras with an event since the last listing was asked for.
    _news: set[str] = field(default_factory=set, init=False)
    _listed_at: float | None = field(default=None, init=False)

    @property
    def is_listed(self) -> bool:
        """Whether all programs have been listed at least once."""
        return self._listed_at is not None

    @property
    def is_listing_due(self) -> bool:
        """Whether there was no listing within the last LISTING_SECONDS."""
        return self._listed_at is None or self.clock() - self._listed_at >= LISTING_SECONDS

    def heard(self, event: Event) -> None:
        """Take note of an event."""
        prefix = self.settings().prefix
        if not event.group.startswith(prefix):
            return
        camera_id = event.group.removeprefix(prefix)
        self._news.add(camera_id)
        if event.name == "PROCESS_GROUP_REMOVED":
            self._programs.pop(camera_id, None)
            self.failures.heard(camera_id, "STOPPED", self.clock())
        elif event.state:
            since = int(self.wall_clock())
            if event.state == "RUNNING" and camera_id in self._programs:
                since = self._programs[
                    camera_id
                ].since  # the process is the one that was STARTING, and a listing gives that time too
            process = Process(event.state, since, event.pid)
            self._programs[camera_id] = process
            self.waker.await_end(process)
            self.failures.heard(camera_id, event.state, self.clock())

    async def refresh(self) -> None:
        """List all programs, and handle the differences as events would have been handled. Raises MirrorError."""
        self._news.clear()
        found = await self.gateway.programs()
        # An event that came while supervisord answered is newer than its answer.
        for camera_id in self._news:
            found.pop(camera_id, None)
            if camera_id in self._programs:
                found[camera_id] = self._programs[camera_id]
        for camera_id, process in found.items():
            if camera_id not in self._programs or self._programs[camera_id].state != process.state:
                self.failures.heard(camera_id, process.state, self.clock())
        self._programs = found
        self.failures.keep(found.keys())
        for process in found.values():
            self.waker.await_end(process)
        self._listed_at = self.clock()

    def active(self, mirrored: Collection[str]) -> dict[str, Process]:
        """Return our programs, by camera. In a joined supervisord other programs may have names like ours, so only
        cameras in `mirrored` count there."""
        if not self.settings().joined:
            return dict(self._programs)
        return {camera_id: process for camera_id, process in self._programs.items() if camera_id in mirrored}

    def lacks(self, mirrored: Collection[str]) -> bool:
        """Return whether one of the mirrored cameras has no program."""
        return any(camera_id not in self._programs for camera_id in mirrored)
