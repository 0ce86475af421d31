"""The watcher: follows the database, starts what failed for good when its camera answers, restarts what stalls, and
publishes what it knows.

Run by supervisord as an event listener, so it hears of every program's change of state without asking. It may be killed
at any time: what it remembers is a saving, and what it leaves half done the next reconcile does again.
"""

import asyncio
import contextlib
import json
import math
import operator
import os
import pickle
import resource
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import TypeVar

from supervisor import childutils

from heldar_mirror.errors import MirrorError, SettingsError
from heldar_mirror.heldar.cameras import Row
from heldar_mirror.proc.mounts import Place, place_of
from heldar_mirror.proc.open_segments import OpenSegments, Segment
from heldar_mirror.programs.desired import Desired, desired_state
from heldar_mirror.programs.stanzas import program_name
from heldar_mirror.reconcile.reconcile import read_rows, reconcile
from heldar_mirror.settings import Settings, load_settings
from heldar_mirror.state.directory import prepare
from heldar_mirror.state.secrets import environment
from heldar_mirror.state.specs import Fingerprint, fingerprint, read_programs, read_spec
from heldar_mirror.state.volumes import remembered_volume
from heldar_mirror.status.gather import active_programs
from heldar_mirror.status.publishing import publish
from heldar_mirror.status.recorder_log import last_errors
from heldar_mirror.status.report import Facts, make_report
from heldar_mirror.supervisord.gateway import Gateway, Process
from heldar_mirror.volume.marker import check_room
from heldar_mirror.watcher import probe
from heldar_mirror.watcher.changes import Changes, needs_polling
from heldar_mirror.watcher.failures import Failures
from heldar_mirror.watcher.growth import Growth
from heldar_mirror.watcher.probe import address_of

# What no event tells is looked for this often; and all programs are listed this often.
TICK_SECONDS = 10.0


LISTING_SECONDS = 300.0


# A database that is written all the time is read this often.
READ_SECONDS = 0.9


# A turn that takes longer is one that hangs: on the database's disk, or on another reconcile that has the lock.
HUNG_SECONDS = 90.0


HUNG = (
    "the table has not been followed for a while: {database} does not answer, or another reconcile is at work. "
    "What runs goes on"
)


# A camera that failed for good is asked this often whether it answers.
PROBE_SECONDS = 2.0


LOOKUPS = 64


# The status is published every second, or more seldom where that would take more than this share of a core.
PUBLISH_SECONDS = 1.0


PUBLISH_SHARE = 0.003


UP = ("STARTING", "RUNNING")


T = TypeVar("T")


Tell = Callable[[str], None]


async def watch(settings: Settings, tell: Tell) -> None:
    """Watch until a signal ends us; SIGHUP reads the settings again. `tell` is given what is to be said.

    SIGTERM needs no handler: there is nothing to put away, and a stop may not wait for what a thread is at.
    """
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))  # a socket for each camera that is asked
    watcher = Watcher(settings, tell)
    # Names are looked up in threads, and one that a dead name server holds must not keep the others waiting.
    asyncio.get_running_loop().set_default_executor(ThreadPoolExecutor(LOOKUPS))
    asyncio.get_running_loop().add_signal_handler(signal.SIGHUP, watcher.read_settings)
    threading.Thread(target=watcher.listen, daemon=True).start()
    await asyncio.gather(
        *[watcher.keep_following(), watcher.keep_looking(), watcher.keep_reviving()],
        *[watcher.keep_waking(), watcher.keep_pruning(), watcher.keep_publishing()],
    )


class Watcher:
    """What is known between two turns. All of it is of the event loop's thread; others do the calls that may block."""

    def __init__(self, settings: Settings, tell: Tell) -> None:
        self._settings = settings
        self._tell = tell
        self._loop = asyncio.get_running_loop()
        # The loop's own executor looks up host names, which a dead name server can hold for long.
        self._executor = ThreadPoolExecutor()
        self._problems: dict[str, str] = {}

        self._wake = asyncio.Event()
        self._rows: list[Row] | None = None
        self._desired = Desired({})
        self._mirrored = frozenset(name.removeprefix(settings.prefix) for name in read_programs(settings))
        self._turn_at = math.inf
        self._written: Fingerprint | None = None
        self._reconcile_at = 0.0

        self._programs: dict[str, Process] = {}
        self._listed_at = -LISTING_SECONDS
        self._news: set[str] = set()
        self._awaited: set[int] = set()
        self._ended = asyncio.Event()
        self._failures = Failures()
        self._growth = Growth()
        self._ending: list[str] = []
        self._places = OpenSegments(settings.specs_dir)
        self._segments: dict[str, Segment] = {}
        self._proven: tuple[Path, Place] | None = None
        self._volume_id = remembered_volume(settings)
        self._pruner: asyncio.subprocess.Process | None = None

        self._errors: dict[str, tuple[float, str]] = {}
        self._unread: set[str] = set()
        self._published: int | None = None

    async def _call(self, function: Callable[..., T], *args: object) -> T:
        return await self._loop.run_in_executor(self._executor, function, *args)

    def _note(self, what: str, problem: str | None) -> None:
        """Tell of a problem when it begins and when it is over, not at every turn."""
        if problem == self._problems.get(what):
            return
        if problem:
            known = problem in self._problems.values()
            self._problems[what] = problem
            if not known:
                self._tell(problem)
        else:
            del self._problems[what]
            self._tell(f"{what}: all well again")

    def read_settings(self) -> None:
        """Read the settings again; those in force stay if they can't be used."""
        try:
            settings = load_settings(environment())
            if settings.mirror_root is None:
                raise SettingsError("HELDAR_MIRROR_RECORDINGS_DIR is not set any more. What runs is left alone")
            prepare(settings)
        except MirrorError as error:
            self._note("settings", f"{error} The settings of before stay in force")
            return
        self._note("settings", None)
        self._settings = settings
        self._tell("read the settings anew")
        if self._pruner and self._pruner.returncode is None:
            self._pruner.terminate()
        self._want_reconcile()

    def _want_reconcile(self) -> None:
        self._reconcile_at = 0.0
        self._wake.set()

    # What supervisord tells.

    def listen(self) -> None:
        """Hear supervisord's events on standard input, in a thread, for as long as supervisord lives."""
        try:
            while True:
                childutils.listener.ready(sys.stdout)
                headers = childutils.get_headers(sys.stdin.readline())
                payload = childutils.get_headers(sys.stdin.read(int(headers["len"])))
                self._loop.call_soon_threadsafe(self.heard, headers["eventname"], payload)
                childutils.listener.ok(sys.stdout)
        except (OSError, ValueError, KeyError):
            os._exit(0)  # supervisord is gone, in the middle of whatever it was about to say

    def heard(self, event: str, payload: Mapping[str, str]) -> None:
        """Take note of an event, such as PROCESS_STATE_FATAL or PROCESS_GROUP_REMOVED."""
        group = payload["groupname"]
        if not group.startswith(self._settings.prefix):
            return
        camera_id = group.removeprefix(self._settings.prefix)
        self._news.add(camera_id)
        if event != "PROCESS_STATE_RUNNING":  # which is the same process, 30 s later
            self._growth.forget(camera_id)
        if camera_id in self._ending:
            self._ending.remove(camera_id)
        if event == "PROCESS_GROUP_REMOVED":
            self._programs.pop(camera_id, None)
            self._failures.heard(camera_id, "STOPPED", time.monotonic())
        elif event.startswith("PROCESS_STATE_"):
            process_state = event.removeprefix("PROCESS_STATE_")
            process = Process(process_state, int(time.time()), int(payload.get("pid", 0)))
            self._programs[camera_id] = process
            self._await_end(process)
            if process_state != "EXITED" or payload["expected"] == "1":  # else supervisord starts it at once
                self._failures.heard(camera_id, process_state, time.monotonic())
            if process_state not in UP:
                self._unread.add(camera_id)

    def _active(self) -> dict[str, Process]:
        """Our programs, by camera; in a shared supervisord others may have names like ours."""
        if not self._settings.joined:
            return dict(self._programs)
        return {camera_id: process for camera_id, process in self._programs.items() if camera_id in self._mirrored}

    async def _list(self) -> None:
        """Learn the states of all programs, as events would have told them."""
        self._news.clear()
        found = await self._call(active_programs, self._settings)
        # What was heard while supervisord answered is newer than its answer.
        for camera_id in self._news:
            found.pop(camera_id, None)
            if camera_id in self._programs:
                found[camera_id] = self._programs[camera_id]
        for camera_id, process in found.items():
            if camera_id not in self._programs or self._programs[camera_id].state != process.state:
                self._failures.heard(camera_id, process.state, time.monotonic())
        self._unread |= found.keys() - self._programs.keys()
        self._programs = found
        self._failures.keep(found.keys())
        for process in found.values():
            self._await_end(process)

    # Waking supervisord.

    def _await_end(self, process: Process) -> None:
        """Hear of it when a running process ends, where kernel and Python can tell."""
        if process.state in UP and process.pid not in self._awaited and hasattr(os, "pidfd_open"):
            with contextlib.suppress(OSError):
                pidfd = os.pidfd_open(process.pid)
                try:
                    self._loop.add_reader(pidfd, self._has_ended, process.pid, pidfd)
                except OSError:
                    os.close(pidfd)
                    raise
                self._awaited.add(process.pid)

    def _has_ended(self, pid: int, pidfd: int) -> None:
        self._loop.remove_reader(pidfd)
        os.close(pidfd)
        self._awaited.remove(pid)
        self._ended.set()

    async def keep_waking(self) -> None:
        """Greet supervisord whenever recorders have ended.

        It collects them in one turn of its loop and starts them in the next. A turn comes each second, unless somebody
        calls, and the end of a recorder's output calls a moment before it can be collected.
        """
        while True:
            await self._ended.wait()
            self._ended.clear()
            with contextlib.suppress(MirrorError):
                await self._call(Gateway(self._settings).greet)

    # Following the table.

    async def keep_following(self) -> None:
        """Reconcile at every change of the database, and look at every tick for what no event told."""
        changes, path, woken = None, None, False
        read_at = -READ_SECONDS
        while True:
            await asyncio.sleep(read_at + READ_SECONDS - time.monotonic())
            self._turn_at = time.monotonic()
            # A link may be switched, and its directory is not the one that is written.
            real = Path(await self._call(os.path.realpath, self._settings.database))
            if changes is None or path != real or changes.polls != needs_polling(real):
                if changes:
                    changes.close()
                path = real
                changes = Changes(path, lambda: self._loop.call_soon_threadsafe(self._wake.set))
                self._tell(f"watching {path} by {'polling' if changes.polls else 'inotify'}")
            self._wake.clear()
            # Watched before it is read, so that no change falls between.
            try:
                await self._call(changes.arm)
                self._note("watching", None)
            except FileNotFoundError:
                pass  # there will be no database either, and that is told
            except OSError as error:
                self._note(
                    "watching", f"cannot watch {path.parent}: {error}. Looking every {TICK_SECONDS:.0f} s instead"
                )
            read_at = time.monotonic()
            await self._follow()
            self._turn_at = math.inf
            try:
                # An event may come before its commit is to be seen: SQLite writes the `-wal`, waits for the disk where
                # it is told to, and then shows what it wrote in the `-shm`, of which there is no event. So look again.
                await asyncio.wait_for(self._wake.wait(), READ_SECONDS if woken else TICK_SECONDS)
                woken = True
            except asyncio.TimeoutError:
                woken = False
            await self._call(changes.disarm)

    async def _follow(self) -> None:
        """Read the table, and reconcile if it is not what was applied, or something is left to do."""
        settings = self._settings
        try:
            rows = await self._call(read_rows, settings)
            self._note("database", None)
        except MirrorError as error:
            self._note("database", str(error))
            return
        if rows == self._rows and time.monotonic() < self._reconcile_at and not await self._somebody_wrote():
            return
        if settings is not self._settings:
            return  # they were read anew meanwhile, and the next turn follows at once
        self._rows, self._reconcile_at = rows, time.monotonic() + TICK_SECONDS
        self._desired = await self._call(desired_state, rows, settings, "")
        try:
            done = await self._call(reconcile, settings)
        except MirrorError as error:
            self._note("reconcile", str(error))
            self._written = None
            return  # to try again at the next tick, or when a row changes
        if self._reconcile_at:  # nobody has asked for another one meanwhile
            self._reconcile_at = math.inf
        self._note("reconcile", None)
        plan, self._rows, self._written = done.plan, done.rows, done.written
        if done.rows != rows:
            self._desired = await self._call(desired_state, done.rows, settings, "")
        self._note("cameras", "\n".join(f"camera {bad.camera_id}: {bad.reason}" for bad in plan.unusable) or None)
        self._mirrored = frozenset(plan.generations)
        for sign, changes in (("+", plan.added), ("~", plan.changed), ("-", plan.removed)):
            for change in changes:
                self._tell(f"{sign} {change.camera_id}")

    async def _somebody_wrote(self) -> bool:
        """Whether another reconcile was at work since ours; it may have read another table, or been killed half-way."""
        try:
            return self._written not in (None, await self._call(fingerprint, self._settings))
        except MirrorError:
            return True  # and ours says why

    # What no event tells.

    async def keep_looking(self) -> None:
        """At every tick: is the volume well, does every file grow, and has somebody changed supervisord's programs?"""
        while True:
            await self._check_volume()
            hung = time.monotonic() - self._turn_at > HUNG_SECONDS
            self._note("following", HUNG.format(database=self._settings.database) if hung else None)
            try:
                if time.monotonic() - self._listed_at >= LISTING_SECONDS:
                    await self._list()
                    self._listed_at = time.monotonic()
                    self._want_reconcile()
                else:
                    await self._call(Gateway(self._settings).greet)
                if self._mirrored - self._programs.keys():
                    self._want_reconcile()
                if "volume" not in self._problems:
                    await self._restart_stalled()
                self._note("supervisord", None)
            except MirrorError as error:
                self._note("supervisord", str(error))
            await asyncio.sleep(TICK_SECONDS)

    async def _check_volume(self) -> None:
        settings = self._settings
        try:
            volume_id = await self._call(remembered_volume, settings)
            if volume_id is not None:
                root = await self._call(check_room, settings.mirror_root, volume_id)
                if volume_id != self._volume_id:  # it was adopted anew, and the launch specs name the old one
                    self._want_reconcile()
                self._proven, self._volume_id = (root, place_of(root)), volume_id
            self._note("volume", None)
        except MirrorError as error:
            self._note("volume", str(error))
            if self._proven and place_of(self._proven[0]) != self._proven[1]:
                await self._end_misplaced()

    async def _end_misplaced(self) -> None:
        """End whatever records, since something else is mounted at the mirror root, or nothing any more: a new segment
        is opened by its path, and would be in the wrong place."""
        recording = sorted(self._segments)
        if recording:
            self._tell(f"ending {len(recording)} recorders: their segments would go where the volume is not any more")
            try:
                await self._call(Gateway(self._settings).signal, self._names(recording), "TERM")
            except MirrorError as error:
                self._note("supervisord", str(error))

    async def _restart_stalled(self) -> None:
        """End recorders that run and whose open file does not grow: supervisord starts whatever ended."""
        gateway = Gateway(self._settings)
        stalled = self._stalled()
        await self._call(gateway.signal, self._names(self._ending), "KILL")
        self._ending = []
        await self._call(gateway.signal, self._names(stalled), "TERM")
        self._ending = stalled
        for camera_id in stalled:
            text = "its file does not grow though ffmpeg runs; restarted. Does the camera send any media?"
            self._tell(f"camera {camera_id}: {text}")
            self._errors[camera_id] = time.time(), text
            self._growth.forget(camera_id)

    def _stalled(self) -> list[str]:
        lengths = {camera_id: spec.segment_seconds for camera_id, spec in self._desired.specs.items()}
        return self._growth.stalled(lengths)

    def _names(self, camera_ids: Iterable[str]) -> list[str]:
        return [program_name(camera_id, self._settings) for camera_id in camera_ids]

    # What failed for good.

    async def keep_reviving(self) -> None:
        """Start each program that failed for good as soon as its camera accepts a connection."""
        while True:
            await asyncio.sleep(PROBE_SECONDS)
            active = self._active()
            due = [camera_id for camera_id in self._failures.due(time.monotonic()) if camera_id in active]
            if not due or "volume" in self._problems:
                continue
            try:
                answering = await self._answering(due)
                self._failures.tried(answering, time.monotonic())
                await self._call(Gateway(self._settings).start, self._names(answering))
                self._note("starting", None)
            except MirrorError as error:
                self._note("starting", str(error))

    async def _answering(self, camera_ids: Iterable[str]) -> list[str]:
        addresses = {}
        for camera_id in camera_ids:
            spec = self._desired.specs.get(camera_id) or await self._call(read_spec, camera_id, self._settings)
            if spec:
                addresses[camera_id] = address_of(spec.url)
            else:  # to be written anew, if it is wanted
                self._failures.tried([camera_id], time.monotonic())
                self._want_reconcile()
        answering = await probe.answering(address for address in addresses.values() if address)
        return [camera_id for camera_id, address in addresses.items() if address is None or address in answering]

    # What may go.

    async def keep_pruning(self) -> None:
        """Have a child process prune, since the volume may hang; it tells what is wrong, and ends when we do."""
        command = ["setpriv", "--pdeathsig", "TERM", "--", sys.executable, "-m", "heldar_mirror", "prune", "--forever"]
        while True:
            try:
                self._pruner = pruner = await asyncio.create_subprocess_exec(
                    *command,
                    stdin=asyncio.subprocess.PIPE,
                    stdout=asyncio.subprocess.PIPE,
                    cwd="/",  # where we were started there may be files that are named like modules
                )
                assert pruner.stdin  # noqa: S101 - it is a pipe
                assert pruner.stdout  # noqa: S101 - it is a pipe
                # Those in force, whatever the files say by now; without what is not its business.
                pruner.stdin.write(pickle.dumps(replace(self._settings, secret_key=None, supervisor_password=None)))
                async for line in pruner.stdout:
                    if line.endswith(b"\n"):  # else it was killed at it
                        known = {text for what, text in self._problems.items() if what != "retention"}
                        self._note(
                            "retention", "\n".join(text for text in json.loads(line) if text not in known) or None
                        )
                code = await pruner.wait()
                if code != -signal.SIGTERM:  # which it has from us, to read the settings anew
                    self._note("retention", f"pruning ended with {code}, and is begun again: see above")
            except OSError as error:
                self._note("retention", f"cannot prune: {error}")
            await asyncio.sleep(1)

    # Telling.

    async def keep_publishing(self) -> None:
        """Publish what is known, at every tick at least, and as often as costs next to nothing."""
        while True:
            begun = time.thread_time()
            try:
                self._publish()
                self._note("status", None)
            except MirrorError as error:
                self._note("status", str(error))
            cost = time.thread_time() - begun
            await asyncio.sleep(min(max(cost / PUBLISH_SHARE, PUBLISH_SECONDS), TICK_SECONDS))

    def _publish(self) -> None:
        active = self._active()
        up = [camera_id for camera_id, process in active.items() if process.state in UP]
        self._segments = self._places.look(up)
        # A program that supervisord takes for a running one may have ended: it looks seldom when it is busy.
        alive = [camera_id for camera_id in up if camera_id in self._segments or camera_id in self._places.ffmpegs]
        self._growth.seen({camera_id: self._segments.get(camera_id) for camera_id in alive}, time.monotonic())
        refused = self._places.refused
        self._note(
            "open files", f"the open files of {refused} recorders can't be seen: see README" if refused else None
        )
        try:
            # Who waits for its camera says so, and is up all the same.
            unread = self._unread | (set() if refused else set(up) - set(alive))
            for camera_id, error in last_errors(unread, self._settings).items():
                # A stall that we found may be newer than what its recorder last said.
                self._errors[camera_id] = max(error, self._errors.get(camera_id, error), key=operator.itemgetter(0))
            self._unread.clear()
            self._note("logs", None)
        except OSError as error:
            self._note("logs", f"cannot read the programs' logs: {error}")
        facts = Facts(self._desired, active, self._segments, self._errors, self._stalled())
        known = self._listed_at > 0 and not refused
        # Unusable cameras are told one by one; what two found out is told once.
        problems = list(dict.fromkeys(text for what, text in self._problems.items() if what != "cameras"))
        if not problems and not (known and self._rows is not None):
            problems = ["the watcher has only begun to look"]
        report = make_report(facts, problems, known=known)
        self._published = publish(report, self._settings, self._published)
