"""Pruning: what is over its time or its quota goes, and the oldest goes where the volume would fill.

A `Pruner` remembers what lies on the volume between two runs, so that the watcher's can make room at every tick without
listing millions of files. What it remembers is a saving: a file that is not there any more is no error.
"""

import itertools
import json
import math
import select
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext, suppress
from pathlib import Path

from heldar_mirror import cameras, database, footage, retention, state
from heldar_mirror.cameras import CameraError
from heldar_mirror.errors import DatabaseError, HungError, MirrorError, VolumeError
from heldar_mirror.footage import Room
from heldar_mirror.open_segments import OpenSegments
from heldar_mirror.retention import Clock, Locks, Policy
from heldar_mirror.segments import Footage, segment_name, shown_size
from heldar_mirror.settings import Settings
from heldar_mirror.tally import Pruned, Tally
from heldar_mirror.volume import check_apart

# So many are chosen and removed at a time: what is locked meanwhile stays, and what is chosen takes little memory.
BATCH = 4096

# Locks that were read longer ago are read again before anything is removed.
FRESH_SECONDS = 5.0

# So often there is looked whether there is room; and so many times of what is written meanwhile is kept free beyond the
# floor, since it holds only if what is written until the next look fits above it.
TICK_SECONDS = 10.0
HEADROOM_TICKS = 2

# Whether the mirror root is apart from the primary's is looked at this often; the volume is proven each time.
APART_SECONDS = 60.0

# A volume with fewer inodes left than this, or than this share of them, is one that fills.
MIN_INODES = 10_000
INODES_SHARE = 0.01

# The whole volume is listed at most for this share of the time, unless it is time for a sweep.
LISTING_SHARE = 0.02

# Space that does not come back after so many rounds of deleting is held by something else.
FUTILE_ROUNDS = 2
FUTILE_SHARE = 0.1
FUTILE = "does a snapshot, a hard link or another writer hold it? Nothing more is deleted for that until the next sweep"

Progress = Callable[[str, int, int], None]


def keep_pruning(settings: Settings, tell: Callable[[str], None]) -> None:
    """Prune until standard input ends: for room at every tick, and by all rules at every interval.

    A line of JSON on standard output is the list of what is wrong, each time that changes; `tell` is given what went.
    """
    pruner, swept, last = Pruner(settings), Pruned(), list[str]()

    def tell_of(pruned: Pruned) -> None:
        if pruned.segments or pruned.directories:
            tell(pruned.line())

    due = time.monotonic() + settings.retention_interval
    while not select.select([sys.stdin], [], [], min(TICK_SECONDS, max(0, due - time.monotonic())))[0]:
        if state.remembered_volume(settings) is None:
            continue  # it is about to be used for the first time
        try:
            if time.monotonic() >= due:
                due = time.monotonic() + settings.retention_interval
                swept = pruner.sweep()
                tell_of(swept)
            made = pruner.make_room()
            tell_of(made)
            problems = list(dict.fromkeys(swept.all_problems() + made.all_problems()))
        except MirrorError as error:
            problems = [str(error)]
        if problems != last:
            print(json.dumps(problems), flush=True)
            last = problems


class Pruner:
    """Prunes one mirror root, again and again. `dry_run`: all but the removing."""

    def __init__(self, settings: Settings, *, dry_run: bool = False, progress: Progress = lambda *_: None) -> None:
        assert settings.mirror_root is not None  # noqa: S101 - the callers' matter
        self._settings = settings
        self._path = settings.mirror_root
        self._dry_run = dry_run
        self._progress = progress

        self._footage: dict[str, Footage] = {}
        self._kept: dict[str, set[int]] = {}
        self._listed_at = -math.inf
        self._listing_cost = 0.0

        self._policies: dict[str, Policy] = {}
        self._deleted: dict[str, Policy] = {}
        self._locks: dict[str, Locks] = {}
        self._learnt_at = -math.inf

        self._apart_at = -math.inf
        self._last_free: int | None = None
        self._futile = 0
        self._pretended = 0
        self._pruned = Pruned()
        self._stuck: dict[tuple[str, str], list[int]] = {}

    def sweep(self) -> Pruned:
        """Remove what is over its time or quota, or was a deleted camera's. Raises MirrorError where it can't begin."""
        with self._begun() as root:
            self._futile = 0
            known = self._learn()
            self._list(root)
            if known:
                now = self._remember()
                for number, camera_id in enumerate(list(self._footage)):
                    self._progress("pruning", number, len(self._footage))
                    self._by_policy(root, camera_id, now)
        return self._pruned

    def make_room(self) -> Pruned:
        """Remove the oldest if there is less room than there should be, or will be before the next call. Raises
        MirrorError."""
        with self._begun() as root:
            written = max(0, self._last_free - footage.room(root).free) if self._last_free is not None else 0
            self._hold_floor(root, headroom=HEADROOM_TICKS * written)
        return self._pruned

    @contextmanager
    def _begun(self) -> Iterator[int]:
        """One prune at a time, on the proven volume."""
        self._pruned, self._stuck = Pruned(), {}
        volume_id = state.remembered_volume(self._settings)
        if volume_id is None:
            raise VolumeError(f"mirror root {self._path} was never recorded to by this instance: nothing to prune")
        if time.monotonic() - self._apart_at > APART_SECONDS:
            with suppress(HungError):  # it was apart when it was marked
                check_apart(self._path, self._settings.recordings_dir)
            self._apart_at = time.monotonic()
        alone = nullcontext() if self._dry_run else state.locked(self._settings, "prune.lock")
        with alone, footage.opened(self._path, volume_id) as root:
            yield root
            self._last_free = footage.room(root).free
        self._pruned.free = self._last_free + self._pretended
        for (camera_id, reason), stuck in self._stuck.items():
            example = self._path / camera_id / segment_name(stuck[0])
            self._pruned.problems.append(f"cannot delete {len(stuck)} segments, such as {example}: {reason}")

    # What there is.

    def _list(self, root: int) -> None:
        """Learn what lies on the volume, and then what is open: what is not by then is closed for good."""
        begun = time.monotonic()
        names, mounted = footage.directories(root, self._path)
        self._problem(*(f"{self._path / name} is not pruned: it is a mount of its own" for name in mounted))
        known = self._policies.keys() | state.read_retention(self._settings).known
        last, self._footage = self._footage, {}
        for number, name in enumerate(names):
            self._progress("looking", number, len(names))
            if name not in known and not footage.is_recorders(root, name):
                continue  # nobody's camera
            try:
                self._footage[name] = footage.look(root, name, last.get(name, Footage()))
            except OSError as error:
                self._problem(f"cannot look into {self._path / name}: {error.strerror}")
        places = OpenSegments(self._settings.specs_dir)
        self._kept = {camera_id: {int(segment.begun)} for camera_id, segment in places.look().items()}
        if places.refused:
            self._footage = {}
            raise MirrorError(
                f"nothing is pruned: the open files of {places.refused} recorders can't be seen. "
                "Run this as root, or as their user"
            )
        self._listed_at, self._listing_cost = time.monotonic(), time.monotonic() - begun

    def _learn(self) -> bool:
        """Read what the table says, if that was not done just now. Returns whether it is known."""
        if time.monotonic() - self._learnt_at < FRESH_SECONDS:
            return True
        try:
            rows, locked = database.read_retention(self._settings.database)
        except DatabaseError as error:
            self._pruned.database_error = error
            return False
        self._locks, problems = retention.parse_locks(locked)
        self._policies = {}
        for row in rows:
            name = cameras.shown_id(row)
            try:
                self._policies[name] = retention.parse_policy(row)
            except CameraError as error:
                self._policies[name] = Policy()
                problems.append(f"camera {name}: {error}; nothing of it goes by age or quota")
        self._problem(*problems)
        self._learnt_at = time.monotonic()
        return True

    def _remember(self) -> float:
        """Take note of the cameras that are not in the table any more. Returns the time by which what is old goes:
        none is, while the clock is in doubt."""
        saved = state.read_retention(self._settings)
        boot, now, uptime = Path("/proc/sys/kernel/random/boot_id").read_text().strip(), time.time(), _uptime()
        clock = (saved.clock or Clock(boot, now - uptime)).read(boot, now, uptime)
        deleted = {name: saved.deleted.get(name, now) for name in self._footage.keys() - self._policies.keys()}
        if not self._dry_run:
            known = frozenset(self._policies.keys() | deleted.keys())
            state.write_retention(state.Retention(known, deleted, clock), self._settings)
        if uptime < clock.doubted_until:
            self._problem(
                "the clock was set forward: nothing goes by age for another "
                f"{(clock.doubted_until - uptime) / 60:.0f} min. If it is wrong, set it right until then"
            )
            now = -math.inf
        length = self._settings.deleted_retention_seconds
        self._deleted = {name: Policy(gone=now - since >= length) for name, since in deleted.items()}
        self._pruned.waiting = {name: since + length for name, since in deleted.items() if not self._deleted[name].gone}
        return now

    def _policy(self, camera_id: str) -> Policy:
        return self._policies.get(camera_id) or self._deleted.get(camera_id, Policy())

    # What goes.

    def _by_policy(self, root: int, camera_id: str, now: float) -> None:
        shelf = self._footage[camera_id]
        while True:
            if not self._learn():
                return
            policy, locks = self._policy(camera_id), self._locks.get(camera_id, Locks())
            kept = self._kept.setdefault(camera_id, set())
            chosen = list(itertools.islice(retention.choose(shelf, policy, locks, kept, now), BATCH))
            if not chosen:
                break
            self._remove(root, camera_id, chosen)
        if policy.quota is not None and retention.locked_bytes(shelf, policy, locks) >= policy.quota:
            self._problem(f"camera {camera_id}: its locked segments fill its quota; nothing of it goes by quota")
        if policy.gone and not shelf.begun and (self._dry_run or footage.remove_directory(root, camera_id)):
            self._pruned.directories.append(camera_id)
            del self._footage[camera_id]

    def _remove(self, root: int, camera_id: str, chosen: Sequence[tuple[int, str]]) -> int:
        """Remove segments of one camera, given by index and rule. Returns how large they were."""
        shelf, kept = self._footage[camera_id], self._kept.setdefault(camera_id, set())
        # What was empty when it was looked at may have been closed, with all that it holds, just after.
        kept |= {
            shelf.begun[index]
            for index, rule in chosen
            if rule == "stub" and not footage.is_stub(root, camera_id, shelf.begun[index])
        }
        times = [shelf.begun[index] for index, _ in chosen if shelf.begun[index] not in kept]
        gone, stuck = (set(times), {}) if self._dry_run else footage.remove(root, camera_id, times)
        for reason, those in stuck.items():
            kept |= set(those)
            self._stuck.setdefault((camera_id, reason), []).extend(those)
        removed, dropped = 0, []
        for index, rule in chosen:
            begun, size = shelf.begun[index], shelf.sizes[index]
            if begun in gone:
                removed += size
                dropped.append(index)
                self._pruned.tallies.setdefault((camera_id, rule), Tally()).add(begun, size)
        shelf.drop(dropped)
        if self._dry_run:
            self._pretended += removed
        return removed

    def _hold_floor(self, root: int, headroom: int) -> None:
        room = footage.room(root)
        floor = self._pruned.floor = self._floor(room)
        short = floor + headroom - room.free - self._pretended if room.total else 0
        files = min(MIN_INODES, int(room.inodes * INODES_SHARE)) - room.free_inodes if room.inodes else 0
        if short <= 0 and files <= 0:
            return
        if self._futile >= FUTILE_ROUNDS:
            self._problem(f"{shown_size(floor - room.free)} short of the floor, but deleting gave no room: {FUTILE}")
            return
        if not self._learn():
            self._problem("room is made without knowing what is locked now, oldest first")
        removed, before = 0, self._pruned.segments
        while removed < short or self._pruned.segments - before < files:
            self._progress("making room", removed, max(short, 1))
            batch = self._oldest(short - removed, files - (self._pruned.segments - before))
            if not batch and not self._list_again(root):
                break
            for camera_id, indexes in batch.items():
                removed += self._remove(root, camera_id, [(index, "floor") for index in indexes])
        if removed:
            self._judge(root, room.free, removed)
        free = footage.room(root).free + self._pretended
        if room.total and free < floor and removed < short:
            self._problem(
                f"{shown_size(free)} are free, less than the floor of {shown_size(floor)}, and nothing more may be "
                "deleted: what is left is locked in Heldar, or the newest of its camera. Make room there"
            )

    def _floor(self, room: Room) -> int:
        floor = self._settings.min_free_bytes
        if not room.total or floor <= room.total // 2:
            return floor
        self._problem(
            f"a floor of {shown_size(floor)} is too much for a volume of {shown_size(room.total)}, so half of it is "
            "kept free: set HELDAR_MIRROR_MIN_FREE_GB"
        )
        return room.total // 2

    def _oldest(self, short: int, files: int) -> dict[str, list[int]]:
        """Return the indexes of the oldest segments of all cameras that together are large enough, by camera."""
        batch: dict[str, list[int]] = {}
        policies = {camera_id: self._policy(camera_id) for camera_id in self._footage}
        oldest = retention.oldest_first(self._footage, policies, self._locks, self._kept)
        for number, (_, camera_id, index) in enumerate(itertools.islice(oldest, BATCH)):
            if short <= 0 and number >= files:
                break
            batch.setdefault(camera_id, []).append(index)
            short -= self._footage[camera_id].sizes[index]
        return batch

    def _list_again(self, root: int) -> bool:
        """List the volume anew, if that was not done so lately that it would take too much."""
        if self._dry_run or (time.monotonic() - self._listed_at) * LISTING_SHARE < self._listing_cost:
            return False
        self._list(root)
        return True

    def _judge(self, root: int, before: int, removed: int) -> None:
        """See whether what was removed gave room."""
        if self._dry_run:
            return
        if footage.room(root).free - before < removed / 2:
            footage.settle(root)
        given = footage.room(root).free - before
        self._futile = self._futile + 1 if given < removed * FUTILE_SHARE else 0

    def _problem(self, *texts: str) -> None:
        self._pruned.problems += [text for text in texts if text not in self._pruned.problems]


def _uptime() -> float:
    return time.clock_gettime(time.CLOCK_BOOTTIME)
