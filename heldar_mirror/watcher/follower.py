"""Following the table: a reconcile whenever what it asks for changed, or something is left to do."""

import asyncio
import enum
import os
import time
from collections.abc import Callable
from pathlib import Path

from heldar_mirror.errors import DatabaseError, MirrorError
from heldar_mirror.programs.desired import Desired
from heldar_mirror.reconcile.reconcile import Reconciled, reconcile, reconcile_changes
from heldar_mirror.settings import Settings
from heldar_mirror.state.specs import read_programs
from heldar_mirror.watcher.async_gateway import Call
from heldar_mirror.watcher.changes import Changes, needs_polling
from heldar_mirror.watcher.problems import Log, Problems

# Without a change of the database it is read this often; and a reconcile that failed is tried again after so long.
TICK_SECONDS = 10.0

# A database that is written all the time is read this often.
READ_SECONDS = 0.9

# A turn that takes longer hangs: on the database's directory, or on another reconcile that has the lock.
HUNG_SECONDS = 90.0


class Due(enum.Enum):
    """When the next reconcile is due."""

    ON_CHANGE = enum.auto()
    AT_TICK = enum.auto()
    NOW = enum.auto()


class Follower:
    """Reads the table at every change of the database and at every tick, and reconciles if that is due.

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
        self._last: Reconciled | None = None
        self._reconciled_at = 0.0
        self._turn_at: float | None = None
        # Before the first reconcile, the programs file says which cameras have a program.
        self.mirrored = frozenset(name.removeprefix(settings().prefix) for name in read_programs(settings()))
        self.desired = Desired({})

    @property
    def has_read(self) -> bool:
        """Whether the table has been read at least once."""
        return self._last is not None

    def is_hung(self) -> bool:
        """Return whether the turn at present takes too long."""
        return self._turn_at is not None and self._clock() - self._turn_at > HUNG_SECONDS

    def request(self) -> None:
        """Ask for a reconcile at once, whether or not the table changed."""
        self._due = Due.NOW
        self._wake.set()

    async def run(self) -> None:
        """Follow the table, for ever."""
        loop = asyncio.get_running_loop()
        changes, path, woken = None, None, False
        read_at = -READ_SECONDS
        while True:
            await asyncio.sleep(read_at + READ_SECONDS - self._clock())
            self._turn_at = self._clock()
            # A symbolic link may be switched to a database in a directory that is not watched yet.
            real = Path(await self._call(os.path.realpath, self._settings().database))
            if changes is None or path != real or changes.polls != needs_polling(real):
                if changes:
                    changes.close()
                path = real
                changes = Changes(path, lambda: loop.call_soon_threadsafe(self._wake.set))
                self._log(f"watching {path} by {'polling' if changes.polls else 'inotify'}")
            self._wake.clear()
            # Watching begins before reading, so that no change falls between.
            try:
                await self._call(changes.arm)
                self._problems.clear("watching")
            except FileNotFoundError:
                pass  # then there is no database either, and reading it reports that
            except OSError as error:
                self._problems.note(
                    "watching", f"cannot watch {path.parent}: {error}. Looking every {TICK_SECONDS:.0f} s instead"
                )
            read_at = self._clock()
            await self.follow()
            self._turn_at = None
            try:
                # An event may come before its commit can be seen: SQLite writes the `-wal`, may wait for the disk, and
                # then shows what it wrote in the `-shm`, which raises no event. So the table is read once more.
                await asyncio.wait_for(self._wake.wait(), READ_SECONDS if woken else TICK_SECONDS)
                woken = True
            except asyncio.TimeoutError:
                woken = False
            await self._call(changes.disarm)

    async def follow(self) -> None:
        """Read the table once, and reconcile if that is due."""
        due, self._due = self._due, Due.ON_CHANGE
        if due is Due.AT_TICK and self._clock() - self._reconciled_at < TICK_SECONDS:
            self._due = Due.AT_TICK
        try:
            if self._last is None or due is not self._due:
                done = await self._call(reconcile, self._settings())
            else:
                done = await self._call(reconcile_changes, self._settings(), self._last)
            self._problems.clear("database")
        except DatabaseError as error:
            self._problems.note("database", str(error))
            self._postpone(due)
            return
        except MirrorError as error:
            self._problems.clear("database")
            self._problems.note("reconcile", str(error))
            self._reconciled_at = self._clock()
            self._postpone(Due.AT_TICK)
            return
        if done is not self._last:
            self._take(done)

    def _postpone(self, due: Due) -> None:
        """Remember what is still due, unless a reconcile was requested meanwhile."""
        if self._due is not Due.NOW:
            self._due = due

    def _take(self, done: Reconciled) -> None:
        """Take over the result of a reconcile, and report it."""
        self._last, self.desired, self.mirrored = done, done.desired, frozenset(done.plan.generations)
        self._reconciled_at = self._clock()
        self._problems.note("reconcile", str(done.problem) if done.problem else None)
        unusable = "\n".join(f"camera {bad.camera_id}: {bad.reason}" for bad in done.plan.unusable)
        self._problems.note("cameras", unusable or None)
        if done.problem:
            self._postpone(Due.AT_TICK)
            return
        plan = done.plan
        for sign, changes in (("+", plan.added), ("~", plan.changed), ("-", plan.removed)):
            for change in changes:
                self._log(f"{sign} {change.camera_id}")
