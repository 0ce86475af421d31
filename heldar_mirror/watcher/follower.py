"""Following the table: a reconcile is made whenever the table changed, or something is left to do."""

import asyncio
import enum
import os
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from heldar_mirror.errors import DatabaseError, MirrorError, StateError
from heldar_mirror.heldar.cameras import Row
from heldar_mirror.programs.desired import Desired, desired_state
from heldar_mirror.reconcile.reconcile import Reconciled, Table, current_fingerprint, read_rows, reconcile
from heldar_mirror.recorder.log import printable
from heldar_mirror.settings import Settings
from heldar_mirror.state.specs import Fingerprint, read_programs, saved_ids
from heldar_mirror.watcher.async_gateway import Call
from heldar_mirror.watcher.changes import Changes, needs_polling
from heldar_mirror.watcher.problems import Log, Problems

# The database is read this often even without a change. A failed reconcile is tried again after this long.
TICK_SECONDS = 10.0

# Even if the database is written all the time, it is read no more often than this.
READ_INTERVAL_SECONDS = 0.9

# A turn that takes longer hangs, at the database's directory or because a different reconcile has the lock.
HUNG_SECONDS = 90.0


class Due(enum.Enum):
    """When the next reconcile is due."""

    ON_CHANGE = enum.auto()
    AT_TICK = enum.auto()
    NOW = enum.auto()


class Follower:
    """Reads the table at every change of the database and every TICK_SECONDS, and reconciles if that is due.

    `clock` is monotonic, in seconds.
    """

    def __init__(
        self,
        settings: Callable[[], Settings],
        call: Call,
        problems: Problems,
        log: Log,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._settings = settings
        self._call = call
        self._problems = problems
        self._log = log
        self._clock = clock
        self._wake = asyncio.Event()
        self._due = Due.NOW
        # The rows of the last attempt, when that was, and the state's fingerprint after the last success.
        self._rows: list[Row] | None = None
        self._tried_at = 0.0
        self._fingerprint: Fingerprint | None = None
        self._turn_at: float | None = None
        self.mirrored = _mirrored_before(settings())
        self.desired = Desired({})

    @property
    def has_read(self) -> bool:
        """Whether the table has been read at least once."""
        return self._rows is not None

    def is_hung(self) -> bool:
        """Return whether the present turn takes too long."""
        return self._turn_at is not None and self._clock() - self._turn_at > HUNG_SECONDS

    def request(self) -> None:
        """Ask for a reconcile at once, whether or not the table changed."""
        self._due = Due.NOW
        self._wake.set()

    async def run(self) -> None:
        """Follow the table until this is cancelled."""
        loop = asyncio.get_running_loop()
        changes, path, woken = None, None, False
        read_at = -READ_INTERVAL_SECONDS
        while True:
            await asyncio.sleep(read_at + READ_INTERVAL_SECONDS - self._clock())
            self._turn_at = self._clock()
            # A symbolic link may point to a different database by now, in a directory that is not watched yet.
            real = Path(await self._call(os.path.realpath, self._settings().database))
            if changes is None or path != real or changes.polls != needs_polling(real):
                if changes:
                    changes.close()
                path = real
                changes = Changes(path, lambda: loop.call_soon_threadsafe(self._wake.set))
                self._log(f"watching {path} by {'polling' if changes.polls else 'inotify'}")
            self._wake.clear()
            # Watching begins before reading, so that no change in between is missed.
            try:
                await self._call(changes.arm)
                self._problems.clear("watching")
            except FileNotFoundError:
                pass  # there is no database either, and reading it reports that
            except OSError as error:
                self._problems.note(
                    "watching", f"cannot watch {path.parent}: {error}. Looking every {TICK_SECONDS:.0f} s instead"
                )
            read_at = self._clock()
            await self.follow()
            self._turn_at = None
            try:
                # An event may come before its commit is visible: SQLite writes the `-wal`, may wait for the disk, and
                # then makes the commit visible in the `-shm`, which raises no event. So one more read follows soon.
                await asyncio.wait_for(self._wake.wait(), READ_INTERVAL_SECONDS if woken else TICK_SECONDS)
                woken = True
            except asyncio.TimeoutError:
                woken = False
            await self._call(changes.disarm)

    async def follow(self) -> None:
        """Read the table once, and reconcile if that is due."""
        settings = self._settings()
        seen = await self._call(current_fingerprint, settings)
        try:
            rows = await self._call(read_rows, settings)
        except DatabaseError as error:
            self._problems.note("database", str(error))
            return
        self._problems.clear("database")
        if not self._is_due(rows, seen) or settings is not self._settings():
            return  # with new settings a reconcile was requested, so the next turn follows at once
        # Until the reconcile succeeds, it is due again at the tick, or if a row changes.
        self._rows, self._tried_at, self._due = rows, self._clock(), Due.AT_TICK
        self.desired = await self._call(desired_state, rows, settings)
        try:
            done = await self._call(reconcile, settings, (), Table(rows, self.desired, seen))
        except MirrorError as error:
            self._problems.note("reconcile", str(error))
            return
        self._take(done)

    def _is_due(self, rows: list[Row], seen: Fingerprint | None) -> bool:
        """Return whether to reconcile, given the rows and the state's fingerprint as they are now."""
        if self._due is Due.NOW or rows != self._rows:
            return True
        if self._due is Due.AT_TICK:
            return self._clock() - self._tried_at >= TICK_SECONDS
        return seen != self._fingerprint  # a different reconcile wrote, and may have been killed half-way

    def _take(self, done: Reconciled) -> None:
        """Remember the result of a reconcile, and report it."""
        self._rows, self.desired, self._fingerprint = done.table.rows, done.table.desired, done.fingerprint
        self.mirrored = frozenset(done.plan.generations)
        self._problems.note("reconcile", str(done.problem) if done.problem else None)
        unusable = "\n".join(printable(f"camera {bad.camera_id}: {bad.reason}") for bad in done.plan.unusable)
        self._problems.note("cameras", unusable or None)
        if done.problem:
            return
        if self._due is Due.AT_TICK:  # otherwise a reconcile was requested meanwhile
            self._due = Due.ON_CHANGE
        plan = done.plan
        for sign, changes in (("+", plan.added), ("~", plan.changed), ("-", plan.removed)):
            for change in changes:
                self._log(f"{sign} {change.camera_id}")


def _mirrored_before(settings: Settings) -> frozenset[str]:
    """Return the cameras that have a program before the first reconcile: by the programs file, or by the launch specs
    if that can't be read. The reconcile will report it."""
    with suppress(StateError):
        return frozenset(name.removeprefix(settings.prefix) for name in read_programs(settings))
    with suppress(StateError):
        return saved_ids(settings)
    return frozenset()
