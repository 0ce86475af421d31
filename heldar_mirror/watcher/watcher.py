"""The watcher: it follows the table, revives failed programs, keeps two children running, and publishes the report.

supervisord runs it as an event listener, so it gets every program's change of state without asking. It may be killed at
any time: what it remembers only saves work, and the next reconcile completes whatever it left half done.
"""

import asyncio
import os
import resource
import signal
import threading
import time
from functools import partial

from heldar_mirror.errors import MirrorError, SettingsError
from heldar_mirror.manifests.child import ManifestsProcess
from heldar_mirror.pruning.child import PruningProcess
from heldar_mirror.recorder.log import printable
from heldar_mirror.settings import Settings, load_settings
from heldar_mirror.state.directory import prepare
from heldar_mirror.state.secrets import environment
from heldar_mirror.state.specs import read_spec
from heldar_mirror.supervisord.events import Event, listen
from heldar_mirror.watcher.async_gateway import AsyncGateway
from heldar_mirror.watcher.failures import Failures
from heldar_mirror.watcher.follower import TICK_SECONDS, Follower
from heldar_mirror.watcher.last_errors import LastErrors
from heldar_mirror.watcher.problems import Log, Problems
from heldar_mirror.watcher.program_table import ProgramTable
from heldar_mirror.watcher.publisher import Publisher
from heldar_mirror.watcher.reviver import Reviver
from heldar_mirror.watcher.volume_guard import VolumeGuard
from heldar_mirror.watcher.waker import Waker

HUNG = (
    "the table has not been followed for a while: {database} does not answer, or another reconcile is at work. "
    "What runs goes on"
)


NOT_A_CHILD = (
    "supervisord is process {pid}, and the watcher's parent is process {parent}: expected a stanza that runs "
    "heldar-mirror watch itself, without a shell or sudo in between. Until then recorders are not seen, and nothing is "
    "pruned"
)


async def watch(settings: Settings, log: Log) -> None:
    """Watch until a signal ends this process. SIGHUP has the settings read again.

    SIGTERM has no handler: there is nothing to clean up, and a stop must not wait for a thread that hangs.
    """
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))  # the waker holds a descriptor per recorder
    loop = asyncio.get_running_loop()
    watcher = Watcher(settings, log)
    loop.add_signal_handler(signal.SIGHUP, watcher.read_settings)
    threading.Thread(target=_listen, args=(loop, watcher), daemon=True).start()
    await watcher.run()


def _listen(loop: asyncio.AbstractEventLoop, watcher: "Watcher") -> None:
    listen(lambda event: loop.call_soon_threadsafe(watcher.heard, event))
    os._exit(0)  # without supervisord there is nothing to watch


class Watcher:
    """Puts the parts together, runs the tick and keeps the settings. Everything runs in the event loop's thread, except
    that calls which may block are made in other threads."""

    def __init__(self, settings: Settings, log: Log) -> None:
        self._settings = settings
        self._log = log
        call, clock, wall_clock = asyncio.to_thread, time.monotonic, time.time
        failures, last_errors = Failures(), LastErrors()
        gateway = AsyncGateway(self._current, call)
        problems = Problems(log)
        waker = Waker(gateway)
        follower = Follower(self._current, call, problems, log, clock)
        programs = ProgramTable(
            settings=self._current,
            gateway=gateway,
            failures=failures,
            waker=waker,
            clock=clock,
            wall_clock=wall_clock,
        )
        publisher = Publisher(self._current, follower, programs, last_errors, problems)
        volume = VolumeGuard(
            settings=self._current,
            call=call,
            gateway=gateway,
            problems=problems,
            log=log,
            recording=lambda: publisher.segments,
            adopted=follower.request,
        )
        self._reviver = Reviver(
            gateway=gateway,
            failures=failures,
            problems=problems,
            active=lambda: programs.active(follower.mirrored),
            saved_spec=lambda camera_id: call(read_spec, camera_id, self._settings),
            rewrite=follower.request,
            clock=clock,
        )
        self._gateway, self._problems, self._follower, self._programs = gateway, problems, follower, programs
        self._waker, self._publisher, self._volume = waker, publisher, volume
        self._last_errors = last_errors
        self._pruning = PruningProcess(self._current, partial(self._note_child, "retention"))
        self._manifests = ManifestsProcess(self._current, partial(self._note_child, "manifests"))
        # Set once supervisord has turned out to be our parent, by which the pruner knows the recorders.
        self._is_child = asyncio.Event()

    def _current(self) -> Settings:
        return self._settings

    def heard(self, event: Event) -> None:
        """Handle an event of supervisord's."""
        self._programs.heard(event)

    def read_settings(self) -> None:
        """Read the settings again. If the new ones can't be used, the present ones stay in force."""
        try:
            settings = load_settings(environment())
            if settings.mirror_root is None:
                raise SettingsError("HELDAR_MIRROR_RECORDINGS_DIR is not set any more. What runs is left alone")
            prepare(settings)
        except MirrorError as error:
            self._problems.note("settings", f"{error} The previous settings stay in force")
            return
        self._problems.clear("settings")
        self._settings = settings
        self._log("read the settings anew")
        self._pruning.restart()
        self._manifests.restart()
        self._follower.request()

    async def run(self) -> None:
        """Run all parts until this is cancelled."""
        await asyncio.gather(
            self._follower.run(),
            self._keep_ticking(),
            self._reviver.run(),
            self._waker.run(),
            self._keep_pruning(),
            self._manifests.keep_running(),
            self._publisher.run(),
        )

    async def _keep_pruning(self) -> None:
        if self._settings.joined:  # only there can somebody else's stanza have put a process in between
            await self._is_child.wait()
        await self._pruning.keep_running()

    async def _keep_ticking(self) -> None:
        while True:
            await self._tick()
            await asyncio.sleep(TICK_SECONDS)

    async def _tick(self) -> None:
        """Check what no event reports: the volume, and whether programs are missing."""
        await self._volume.check()
        ended = self._programs.active(self._follower.mirrored).keys() - self._publisher.segments.keys()
        self._pruning.note_failed(self._last_errors.without_room(ended))
        hung = HUNG.format(database=self._settings.database) if self._follower.is_hung() else None
        self._problems.note("following", hung)
        try:
            if self._programs.is_listing_due:
                await self._programs.refresh()
                self._follower.request()
                pid, parent = await self._gateway.pid(), self._publisher.supervisord
                self._problems.note("parent", NOT_A_CHILD.format(pid=pid, parent=parent) if pid != parent else None)
                if pid == parent:
                    self._is_child.set()
            else:
                await self._gateway.greet()
            if self._programs.lacks(self._follower.mirrored):
                self._follower.request()
            self._problems.clear("supervisord")
        except MirrorError as error:
            self._problems.note("supervisord", str(error))

    def _note_child(self, about: str, problems: list[str]) -> None:
        """Note the problems of a child process that are not reported otherwise."""
        reported = self._problems.texts(without=[about])
        new = [text for text in map(printable, problems) if text not in reported]
        self._problems.note(about, "\n".join(new) or None)
