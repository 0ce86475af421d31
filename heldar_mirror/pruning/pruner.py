"""Pruning a mirror root: segments over their time or quota are removed, and the oldest if the volume would fill."""

import itertools
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from heldar_mirror.errors import HungError, MirrorError, VolumeError
from heldar_mirror.pruning.clock import Clocks
from heldar_mirror.pruning.floor import FloorKeeper
from heldar_mirror.pruning.gauge import Gauge
from heldar_mirror.pruning.inventory import FindOurs, Inventory, open_segments
from heldar_mirror.pruning.memory import Memory, Retention, read_retention, write_retention
from heldar_mirror.pruning.outcome import Progress, Pruned, no_progress
from heldar_mirror.pruning.policies import Policies
from heldar_mirror.pruning.remover import DeletingRemover, PretendingRemover, Remover
from heldar_mirror.pruning.rules import choose, locked_bytes
from heldar_mirror.pruning.settings import PruningSettings
from heldar_mirror.pruning.writes import Writes
from heldar_mirror.state.locks import locked
from heldar_mirror.state.volumes import remembered_volume
from heldar_mirror.volume.apart import check_apart
from heldar_mirror.volume.listing import opened_root

# The number of a camera's segments that are chosen and removed at a time. The locks are read between batches, so what
# is locked meanwhile stays, and choosing few at a time takes little memory.
BATCH = 1000

# Whether the mirror root is apart from the primary's directory is checked this often. The volume is proven every time.
APART_SECONDS = 60.0


def make_pruner(
    settings: PruningSettings,
    find_ours: FindOurs,
    *,
    dry_run: bool = False,
    progress: Progress = no_progress,
    clocks: Clocks | None = None,
) -> "Pruner":
    """Return a pruner. `find_ours` returns what makes a process a recorder of ours.

    For a `dry_run` the pruner removes and writes nothing, and does not wait for a prune that runs.
    """
    clocks = clocks or Clocks()
    remover: Remover = PretendingRemover() if dry_run else DeletingRemover()
    policies = Policies(settings.database, clocks.monotonic)
    memory = Memory(
        partial(read_retention, settings),
        _write_nothing if dry_run else partial(write_retention, settings=settings),
        settings.deleted_retention_seconds,
        clocks,
    )
    inventory = Inventory(
        settings.mirror_root,
        remover,
        partial(open_segments, find_ours),
        clocks.monotonic,
        list_once=dry_run,  # a second listing would find what the first pretended to remove
    )
    gauge = Gauge(settings.min_free_bytes, clocks.monotonic)
    writes = Writes(settings.mirror_root, remover, gauge)
    return Pruner(
        settings=settings,
        policies=policies,
        memory=memory,
        inventory=inventory,
        gauge=gauge,
        remover=remover,
        floor_keeper=FloorKeeper(inventory, policies, remover, gauge, writes, clocks, progress),
        monotonic=clocks.monotonic,
        check_apart=partial(check_apart, settings.mirror_root, settings.recordings_dir),
        alone=nullcontext if dry_run else partial(locked, settings, "prune.lock"),
        progress=progress,
    )


@dataclass
class Pruner:
    """Prunes one mirror root, again and again.

    Between two runs it remembers what is on the volume, so it makes room at every tick without listing millions of
    files. `check_apart` raises VolumeError if the mirror root is not apart from the primary's directory. `alone`
    returns a context in which no other prune with this state directory runs.
    """

    settings: PruningSettings
    policies: Policies
    memory: Memory
    inventory: Inventory
    gauge: Gauge
    remover: Remover
    floor_keeper: FloorKeeper
    monotonic: Callable[[], float]
    check_apart: Callable[[], object]
    alone: Callable[[], AbstractContextManager[None]]
    progress: Progress = no_progress
    _apart_at: float | None = field(default=None, init=False)
    _suspects: set[str] = field(default_factory=set, init=False)

    @property
    def tick(self) -> float:
        """The time until the next prune, in seconds."""
        return self.gauge.tick

    def suspect(self, camera_ids: Iterable[str]) -> None:
        """Have the next prune try whether writes find room in these cameras' directories."""
        self._suspects.update(camera_ids)

    def prune(self, *, sweep: bool = True) -> Pruned:
        """Make room if there is too little.

        A `sweep` first removes what is over its time or quota, and what is left of deleted cameras. Raises MirrorError
        if pruning can't begin.
        """
        pruned, root_path = Pruned(), self.settings.mirror_root
        volume_id = remembered_volume(self.settings)
        if volume_id is None:
            raise VolumeError(f"mirror root {root_path} was never recorded to by this instance: nothing to prune")
        if not self.memory.is_recalled:
            self.memory.recall(pruned)
            self.policies.locks = self.memory.retention.locks
        self._check_apart()
        with self.alone(), _as_mirror_error(root_path), opened_root(root_path, volume_id) as root:
            self.gauge.start(self.remover.start(root).free)
            self.floor_keeper.writes.try_cameras(root, self._suspects)
            self._suspects.clear()
            if sweep:
                try:
                    self._sweep(root, pruned)
                except MirrorError as error:
                    pruned.add_problem(str(error))
            self.floor_keeper.keep(root, pruned, lambda: self._list(root, pruned))
            pruned.free = self.remover.room(root).free
        pruned.add_problem(*self.inventory.stuck())
        return pruned

    def _check_apart(self) -> None:
        if self._apart_at is None or self.monotonic() - self._apart_at > APART_SECONDS:
            with suppress(HungError):  # it was apart when the volume was adopted
                self.check_apart()
            self._apart_at = self.monotonic()

    def _sweep(self, root: int, pruned: Pruned) -> None:
        """List the volume, and apply the rules of each camera. Without the database nothing is removed."""
        policies, memory, inventory = self.policies, self.memory, self.inventory
        self.floor_keeper.allow_again()
        self._list(root, pruned)
        self.floor_keeper.writes.try_cameras(root, inventory.footage)
        if not policies.refresh(pruned):
            return
        memory.note_cameras(policies.cameras, inventory.footage, inventory.directories, policies.locks)
        now = memory.believed_now(pruned)
        policies.deleted = memory.deleted_policies(now, pruned)
        for number, camera_id in enumerate(list(inventory.footage)):
            self.progress("pruning", number, len(inventory.footage))
            try:
                if camera_id in inventory.footage:
                    self._prune_camera(root, camera_id, now, pruned)
            except FileNotFoundError:
                inventory.forget(camera_id)
            except OSError as error:
                pruned.add_problem(f"cannot prune {self.settings.mirror_root / camera_id}: {error.strerror}")
            self._make_room_between(root, pruned)
        if pruned.directories:
            memory.forget_deleted(pruned.directories)

    def _list(self, root: int, pruned: Pruned) -> None:
        self.policies.refresh_policies(pruned)
        camera_ids = self.policies.cameras.keys() | self.memory.retention.cameras

        def between(what: str, done: int, total: int) -> None:
            self.progress(what, done, total)
            self._make_room_between(root, pruned)

        self.inventory.list_all(root, camera_ids, pruned, between)

    def _make_room_between(self, root: int, pruned: Pruned) -> None:
        """Make room in the middle of a listing or a sweep, which may take longer than a tick."""
        if self.gauge.is_due:
            self.floor_keeper.keep(root, pruned, None)

    def _prune_camera(self, root: int, camera_id: str, now: float, pruned: Pruned) -> None:
        """Remove what a camera's own rules select, and the directory of a camera whose footage is all deleted."""
        policies, inventory = self.policies, self.inventory
        footage, kept = inventory.footage[camera_id], inventory.kept[camera_id]
        inventory.measure(root, camera_id)
        while True:
            # A segment may have been locked since the last batch, and must stay.
            if not policies.refresh(pruned):
                return
            policy, locks = policies.of(camera_id), policies.locks_of(camera_id)
            chosen = list(itertools.islice(choose(footage, policy, locks, kept, now), BATCH))
            if not chosen:
                break
            inventory.remove(root, camera_id, chosen, pruned)
        if policy.quota is not None and locked_bytes(footage, policy, locks) >= policy.quota:
            pruned.add_problem(f"camera {camera_id}: its locked segments fill its quota; nothing of it goes by quota")
        if policy.delete_all:
            inventory.remove_directory(root, camera_id, pruned)


def _write_nothing(retention: Retention) -> None:
    pass


@contextmanager
def _as_mirror_error(root: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise MirrorError(f"cannot prune mirror root {root}: {error}") from None
