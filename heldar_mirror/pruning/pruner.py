"""Pruning: what is over its time or its quota goes, and the oldest goes where the volume would fill.

A `Pruner` remembers what lies on the volume between two runs, so that the watcher's can make room at every tick without
listing millions of files. What it remembers is a saving: a file that is not there any more is no error.
"""

import itertools
import math
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext, suppress
from dataclasses import replace
from pathlib import Path

from heldar_mirror.errors import DatabaseError, HungError, MirrorError, VolumeError
from heldar_mirror.footage.footage import Footage
from heldar_mirror.footage.names import segment_name
from heldar_mirror.footage.spans import Spans
from heldar_mirror.heldar.cameras import CameraError, Row, shown_id
from heldar_mirror.heldar.retention import Policy, parse_locks, parse_policy
from heldar_mirror.heldar.tables import read_locked, read_policies
from heldar_mirror.proc.open_segments import OpenSegments
from heldar_mirror.pruning.clock import Clock, uptime
from heldar_mirror.pruning.memory import Retention, read_retention, write_retention
from heldar_mirror.pruning.outcome import Pruned, Tally
from heldar_mirror.pruning.rules import choose, locked_bytes, oldest_first
from heldar_mirror.settings import Settings
from heldar_mirror.state.locks import locked
from heldar_mirror.state.volumes import remembered_volume
from heldar_mirror.units import shown_size
from heldar_mirror.volume.apart import check_apart
from heldar_mirror.volume.listing import (
    camera_directories,
    is_ours_alone,
    is_recorders_directory,
    is_stub,
    list_footage,
    measure,
    opened_root,
)
from heldar_mirror.volume.removal import remove_camera_directory, remove_segments
from heldar_mirror.volume.room import Room, room_of, settle

# So many are chosen and removed at a time: what is locked meanwhile stays, and what is chosen takes little memory. The
# first ones show whether deleting gives room at all.
BATCH = 1000


PROBE = 20


# What was read of the table longer ago is read again before anything is removed.
FRESH_SECONDS = 5.0


# A database that takes longer is on a disk that hangs.
READ_SECONDS = 60


# So often there is looked whether there is room. The floor holds if what is written until the next look fits above it,
# so that much is kept free twice; but no more than a share of the floor, since it may have been somebody's large file.
# Where that is not enough, the next look is sooner.
TICK_SECONDS = 10.0


MIN_TICK_SECONDS = 1.0


HEADROOM_TICKS = 2


HEADROOM_SHARE = 0.25


# Whether the mirror root is apart from the primary's is looked at this often; the volume is proven each time.
APART_SECONDS = 60.0


# A volume with fewer inodes left than this, or than this share of them, is one that fills.
MIN_INODES = 10_000


INODES_SHARE = 0.01


# Between two sweeps the whole volume is listed for at most this share of the time. Where the last listing found what
# could go it may be the larger one: the floor can't wait because a busy machine lists slowly.
LISTING_SHARE = 0.02


USEFUL_LISTING_SHARE = 0.25


# Room is looked for after so much was removed; if twice not even this share of it was given, something else holds it.
JUDGED_BYTES = 64 << 20


JUDGED_SHARE = 1 / 64


FUTILE_SHARE = 0.1


FUTILE_TIMES = 2


FUTILE = (
    "there is less room than the floor, and deleting gave none: is it held by a snapshot, a hard link or another "
    "writer? Nothing more is deleted for that until the next sweep"
)


Progress = Callable[[str, int, int], None]


class Pruner:
    """Prunes one mirror root, again and again. `dry_run`: all but the removing."""

    def __init__(self, settings: Settings, *, dry_run: bool = False, progress: Progress = lambda *_: None) -> None:
        assert settings.mirror_root is not None  # noqa: S101 - the callers' matter
        self._settings = settings
        self._path = settings.mirror_root
        self._dry_run = dry_run
        self._progress = progress

        # What lies there; and what of it has to stay, since it is open or can't be removed.
        self._names: frozenset[str] = frozenset()
        self._footage: dict[str, Footage] = {}
        self._kept: dict[str, set[int]] = {}
        self._stuck: dict[tuple[str, str], list[int]] = {}
        self._listed_at = -math.inf
        self._listing_cost = 0.0
        self._useful = True

        # What Heldar says, and when that was read.
        self._saved: Retention | None = None
        self._policies: dict[str, Policy] = {}
        self._policies_at = -math.inf
        self._deleted: dict[str, Policy] = {}
        self._locks: Mapping[str, Spans] = {}
        self._locks_at = -math.inf

        self._reader: threading.Thread | None = None

        self._apart_at = -math.inf
        self._room_at: tuple[float, int] | None = None
        self._bytes_per_second = 0.0
        self._seen_free = 0
        self._unseen = 0
        self._futile = 0
        self._pretended = Tally()
        self._pruned = Pruned()

    @property
    def tick(self) -> float:
        """How soon room should be looked for again, in seconds."""
        until_used_up = self._settings.min_free_bytes * HEADROOM_SHARE / HEADROOM_TICKS
        return min(TICK_SECONDS, max(MIN_TICK_SECONDS, until_used_up / max(self._bytes_per_second, 1.0)))

    def prune(self, *, sweep: bool = True) -> Pruned:
        """Make room where there is too little; in a sweep remove first what is over its time or quota, or was a deleted
        camera's. Raises MirrorError where it can't begin."""
        self._pruned = Pruned()
        volume_id = remembered_volume(self._settings)
        if volume_id is None:
            raise VolumeError(f"mirror root {self._path} was never recorded to by this instance: nothing to prune")
        if self._saved is None:
            self._saved = self._recall()
            self._locks = self._saved.locks
        if time.monotonic() - self._apart_at > APART_SECONDS:
            with suppress(HungError):  # it was apart when it was marked
                check_apart(self._path, self._settings.recordings_dir)
            self._apart_at = time.monotonic()
        alone = nullcontext() if self._dry_run else locked(self._settings, "prune.lock")
        with alone, _told(self._path), opened_root(self._path, volume_id) as root:
            self._seen_free, self._unseen = room_of(root).free, 0
            if self._room_at:
                passed = max(time.monotonic() - self._room_at[0], MIN_TICK_SECONDS)
                self._bytes_per_second = max(0, self._room_at[1] - self._seen_free) / passed
            if sweep:
                try:
                    self._sweep(root)
                except MirrorError as error:
                    self._problem(str(error))
            self._make_room(root)
            self._pruned.free = room_of(root).free + self._pretended.bytes
        for (camera_id, reason), stuck in self._stuck.items():
            example = self._path / camera_id / segment_name(stuck[0])
            self._problem(f"cannot delete {len(stuck)} segments, such as {example}: {reason}")
        return self._pruned

    def _recall(self) -> Retention:
        try:
            return read_retention(self._settings)
        except ValueError as error:
            self._problem(f"{error}. It is begun anew, so the footage of deleted cameras stays as long again")
            return Retention()

    def _sweep(self, root: int) -> None:
        self._futile = 0
        self._list(root)
        if not (self._learn_policies() and self._learn_locks()):
            return
        now = self._remember()
        for number, camera_id in enumerate(list(self._footage)):
            self._progress("pruning", number, len(self._footage))
            try:
                if camera_id in self._footage:
                    self._by_policy(root, camera_id, now)
            except FileNotFoundError:
                del self._footage[camera_id]  # somebody else removed the directory
            except OSError as error:
                self._problem(f"cannot prune {self._path / camera_id}: {error.strerror}")
            self._look_at_room(root)
        if self._saved and self._pruned.directories:
            left = {name: at for name, at in self._saved.deleted.items() if name not in self._pruned.directories}
            self._save(replace(self._saved, deleted=left))

    # What there is.

    def _list(self, root: int) -> None:
        """Learn what lies on the volume, and then what is open: what is not by then is closed for good."""
        assert self._saved is not None  # noqa: S101 - it was read first
        begun = time.monotonic()
        self._learn_policies()
        known = self._policies.keys() | self._saved.known
        found = {}
        names = camera_directories(root)
        self._names = frozenset(names)
        for number, name in enumerate(names):
            self._progress("looking", number, len(names))
            if name not in known and not is_recorders_directory(root, name):
                continue  # nobody's camera
            try:
                found[name] = list_footage(root, name, self._footage.get(name, Footage()))
            except FileNotFoundError:
                continue
            except OSError as error:
                self._problem(f"cannot look into {self._path / name}: {error.strerror}")
            self._look_at_room(root)  # by what was listed before
        places = OpenSegments(self._settings.specs_dir)
        kept = {camera_id: {int(segment.begun)} for camera_id, segment in places.look().items()}
        if places.refused:
            raise MirrorError(
                f"nothing is pruned: the open files of {places.refused} recorders can't be seen. "
                "Run this as root, or as their user"
            )
        self._footage, self._kept, self._stuck = found, kept, {}
        self._listed_at, self._listing_cost = time.monotonic(), time.monotonic() - begun
        self._useful = False

    def _learn_policies(self) -> bool:
        """Read what the table says of each camera. Returns whether it is known."""
        if time.monotonic() - self._policies_at < FRESH_SECONDS:
            return True
        try:
            rows = self._read(read_policies)
        except DatabaseError as error:
            self._pruned.database_error = error
            return False
        self._policies = {}
        for row in rows:
            name = shown_id(row)
            try:
                self._policies[name] = parse_policy(row)
            except CameraError as error:
                self._policies[name] = Policy()
                self._problem(f"camera {name}: {error}; nothing of it goes by age or quota")
        self._policies_at = time.monotonic()
        return True

    def _learn_locks(self) -> bool:
        """Read what is locked. Returns whether it is known."""
        if time.monotonic() - self._locks_at < FRESH_SECONDS:
            return True
        try:
            self._locks, problems = parse_locks(self._read(read_locked))
        except DatabaseError as error:
            self._pruned.database_error = error
            return False
        self._problem(*problems)
        self._locks_at = time.monotonic()
        return True

    def _read(self, query: Callable[[Path], list[Row]]) -> list[Row]:
        """Read the table, in a thread: room has to be made even while its disk hangs. Raises DatabaseError."""
        answers: list[list[Row] | DatabaseError] = []

        def ask() -> None:
            try:
                answers.append(query(self._settings.database))
            except DatabaseError as error:
                answers.append(error)

        if not (self._reader and self._reader.is_alive()):
            self._reader = threading.Thread(target=ask, daemon=True)
            self._reader.start()
            self._reader.join(READ_SECONDS)
        if not answers:
            raise DatabaseError(f"{self._settings.database} does not answer within {READ_SECONDS} s: is its disk hung?")
        if isinstance(answers[0], DatabaseError):
            raise answers[0]
        return answers[0]

    def _remember(self) -> float:
        """Take note of the cameras that are not in the table any more. Returns the time by which what is old goes:
        none is, while the clock is in doubt."""
        assert self._saved is not None  # noqa: S101 - it was read first
        boot, now, up = Path("/proc/sys/kernel/random/boot_id").read_text().strip(), time.time(), uptime()
        clock = (self._saved.clock or Clock(boot, now - up, now)).read(boot, now, up)
        # What could not be looked into this time is not forgotten; a time that lies ahead was read off a wrong clock.
        gone = (self._saved.deleted.keys() & self._names) | self._footage.keys()
        deleted = {name: min(self._saved.deleted.get(name, now), now) for name in gone - self._policies.keys()}
        known = self._policies.keys() | deleted.keys() | (self._saved.known & self._names)
        self._save(Retention(frozenset(known), deleted, clock, self._locks))
        if up < clock.doubted_until:
            until = time.strftime("%H:%M", time.gmtime(now + clock.doubted_until - up))
            self._problem(
                f"the clock was set forward: nothing goes by age until {until} of its time, UTC. "
                "If it is wrong, set it right until then"
            )
            now = -math.inf
        length = self._settings.deleted_retention_seconds
        self._deleted = {name: Policy(gone=now - since >= length) for name, since in deleted.items()}
        self._pruned.waiting = {name: since + length for name, since in deleted.items() if not self._deleted[name].gone}
        return now

    def _save(self, saved: Retention) -> None:
        if not self._dry_run and saved != self._saved:
            write_retention(saved, self._settings)
            self._saved = saved

    def _policy(self, camera_id: str) -> Policy:
        return self._policies.get(camera_id) or self._deleted.get(camera_id, Policy())

    # What goes.

    def _by_policy(self, root: int, camera_id: str, now: float) -> None:
        footage, kept = self._footage[camera_id], self._kept.setdefault(camera_id, set())
        measure(root, camera_id, footage, range(len(footage.begun)))
        while True:
            if not (self._learn_policies() and self._learn_locks()):
                return
            policy, locks = self._policy(camera_id), self._locks.get(camera_id, Spans())
            chosen = list(itertools.islice(choose(footage, policy, locks, kept, now), BATCH))
            if not chosen:
                break
            self._remove(root, camera_id, chosen)
        if policy.quota is not None and locked_bytes(footage, policy, locks) >= policy.quota:
            self._problem(f"camera {camera_id}: its locked segments fill its quota; nothing of it goes by quota")
        remove_directory = is_ours_alone if self._dry_run else remove_camera_directory
        if policy.gone and not footage.begun and remove_directory(root, camera_id):
            self._pruned.directories.append(camera_id)
            del self._footage[camera_id]

    def _remove(self, root: int, camera_id: str, chosen: Sequence[tuple[int, str]]) -> int:
        """Remove segments of one camera, given by index and rule. Returns how large they were."""
        footage, kept = self._footage[camera_id], self._kept.setdefault(camera_id, set())
        by_rule = _by_key((rule, index) for index, rule in chosen)
        # What was empty when it was looked at may have been closed, with all that it holds, just after.
        kept |= {
            footage.begun[index]
            for index in by_rule.get("stub", ())
            if not is_stub(root, camera_id, footage.begun[index])
        }
        times = [footage.begun[index] for index, _ in chosen if footage.begun[index] not in kept]
        gone, left = (set(times), {}) if self._dry_run else remove_segments(root, camera_id, times)
        for reason, those in left.items():
            kept |= set(those)
            self._stuck.setdefault((camera_id, reason), []).extend(those)
        removed = 0
        for rule, indexes in by_rule.items():
            went = [index for index in indexes if footage.begun[index] in gone]
            if went:
                self._useful = True
                size = sum(map(footage.sizes.__getitem__, went))
                tally = Tally(len(went), size, footage.begun[went[0]], footage.begun[went[-1]])
                self._pruned.tallies[camera_id, rule] = self._pruned.tallies.get((camera_id, rule), Tally()) + tally
                removed += size
                if self._dry_run:
                    self._pretended += tally
                else:
                    self._unseen += size
        footage.drop([index for index, _ in chosen if footage.begun[index] not in kept])
        return removed

    # Room.

    def _look_at_room(self, root: int) -> None:
        """Make room in the middle of a sweep, which may take long."""
        if self._room_at and time.monotonic() - self._room_at[0] > TICK_SECONDS:
            self._make_room(root, final=False)

    def _make_room(self, root: int, *, final: bool = True) -> None:
        """Remove the oldest until there is room for the floor, and for what may be written until the next look; not
        `final`: as far as what was listed last suffices."""
        room = self._room(root)
        floor = self._settings.min_free_bytes
        floor = self._pruned.floor = min(floor, room.total // 2) if room.total else floor
        headroom = min(HEADROOM_TICKS * self.tick * self._bytes_per_second, floor * HEADROOM_SHARE)
        limit, listed = PROBE, not final
        before, removed, since = room.free, 0, time.monotonic()
        while True:
            short = floor + headroom - room.free - self._pretended.bytes if room.total else 0
            files = min(MIN_INODES, room.inodes * INODES_SHARE) - room.free_inodes if room.inodes else 0
            files -= self._pretended.segments
            if short <= 0 and files <= 0:
                break
            if self._futile >= FUTILE_TIMES:
                self._shortage(FUTILE)
                break
            if not self._learn_locks():
                self._shortage("room is made, oldest first, by the locks that were read last: they can't be read now")
            count = self._pruned.segments
            self._progress("making room", 0, max(int(short), 1))
            chosen = self._oldest(root, short, files, limit)
            removed += sum(self._remove(root, name, [(i, "floor") for i in those]) for name, those in chosen.items())
            room = self._room(root)
            if chosen and self._pruned.segments > count:
                limit = BATCH
                if removed >= min(JUDGED_BYTES, room.total * JUDGED_SHARE) and not self._dry_run:
                    given = room.free - before + self._bytes_per_second * (time.monotonic() - since)
                    self._futile = self._futile + 1 if given < removed * FUTILE_SHARE else 0
                    limit = PROBE if self._futile else BATCH
                    before, removed, since = room.free, 0, time.monotonic()
            elif not chosen and not listed and self._may_list():
                listed = True
                self._list(root)
            else:
                if final and (short > headroom or files > 0):
                    self._shortage(
                        f"less than the floor of {shown_size(floor)} is free, and nothing more may be deleted: what is "
                        "left is locked in Heldar, the newest of its camera, or can't be deleted. Make room there"
                    )
                break
        self._room_at = time.monotonic(), room.free

    def _room(self, root: int) -> Room:
        """Return what room there is, with that of what was removed: some file systems give it back only later."""
        room = room_of(root)
        if room.free - self._seen_free < self._unseen / 2:
            settle(root)
            room = room_of(root)
        self._seen_free, self._unseen = room.free, 0
        return room

    def _oldest(self, root: int, short: float, files: float, limit: int) -> dict[str, list[int]]:
        """Return by camera the indexes of the oldest segments of all, as many as are needed and at most `limit`."""
        policies = {camera_id: self._policy(camera_id) for camera_id in self._footage}
        oldest = oldest_first(self._footage, policies, self._locks, self._kept, time.time())
        found = [(camera_id, index) for _, camera_id, index in itertools.islice(oldest, limit)]
        for camera_id, indexes in _by_key(found).items():
            try:
                measure(root, camera_id, self._footage[camera_id], indexes)
            except OSError as error:
                del self._footage[camera_id]  # until the next listing
                if not isinstance(error, FileNotFoundError):
                    self._problem(f"cannot look into {self._path / camera_id}: {error.strerror}")
        needed: list[tuple[str, int]] = []
        for camera_id, index in found:
            if short <= 0 and len(needed) >= files:
                break
            if camera_id in self._footage:
                needed.append((camera_id, index))
                short -= self._footage[camera_id].sizes[index]
        return _by_key(needed)

    def _may_list(self) -> bool:
        """Whether it is long enough ago that the volume was listed, by what that takes and gave."""
        share = USEFUL_LISTING_SHARE if self._useful else LISTING_SHARE
        return not self._dry_run and (time.monotonic() - self._listed_at) * share > self._listing_cost

    def _problem(self, *texts: str) -> None:
        self._pruned.problems += [text for text in texts if text not in self._pruned.problems]

    def _shortage(self, text: str) -> None:
        if text not in self._pruned.shortages:
            self._pruned.shortages.append(text)


def _by_key(pairs: Iterable[tuple[str, int]]) -> dict[str, list[int]]:
    found: dict[str, list[int]] = {}
    for key, value in pairs:
        found.setdefault(key, []).append(value)
    return found


@contextmanager
def _told(root: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise MirrorError(f"cannot prune mirror root {root}: {error}") from None
