"""Keeping the floor of free space, and making room until writes go through: the oldest segments are deleted for it.

Room is made in steps, and after each step the free space is measured. Otherwise, if a snapshot still used the space of
what is deleted, the whole mirror would be deleted in vain.
"""

import itertools
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from heldar_mirror.footage.footage import Footage
from heldar_mirror.pruning.clock import Clocks
from heldar_mirror.pruning.gauge import Gauge, Lack, judged_bytes
from heldar_mirror.pruning.inventory import Inventory
from heldar_mirror.pruning.need import Floor, Need
from heldar_mirror.pruning.outcome import Progress, Pruned, no_progress
from heldar_mirror.pruning.policies import Policies
from heldar_mirror.pruning.remover import Remover
from heldar_mirror.pruning.rules import newest_removable, oldest_first
from heldar_mirror.pruning.writes import Writes
from heldar_mirror.volume.room import Room

# The number of segments in the first step, which shows whether deleting gives room at all, and in the later steps.
FIRST_STEP = 20
STEP = 1000

OLD_LOCKS = "room is made, oldest first, by the locks that were read last: they can't be read now"


@dataclass
class FloorKeeper:
    """Makes room for the floor, for what may be written until the next look, and for writes that still find none.

    If deleting was futile, it deletes no more until `allow_again` is called.
    """

    inventory: Inventory
    policies: Policies
    remover: Remover
    gauge: Gauge
    writes: Writes
    clocks: Clocks
    progress: Progress = no_progress
    _floor: Floor = field(init=False)

    def __post_init__(self) -> None:
        self._floor = Floor(self.gauge)

    def allow_again(self) -> None:
        """Allow deleting again if it was futile before."""
        self._floor.allow_again()
        self.writes.allow_again()

    def keep(self, root: int, pruned: Pruned, list_again: Callable[[], None] | None) -> None:
        """Remove the oldest segments until nothing is lacking, or nothing more may be removed.

        `list_again` lists the volume anew. It is called if the segments of the last listing are not enough. It is None
        in the middle of a listing or a sweep: then nothing is listed, and a shortage is not reported yet. The newest
        closed segment of a camera goes only if nothing else can, and only for the floor itself or a refused write.
        """
        room = self.remover.room(root)
        pruned.floor = self.gauge.floor(room)
        room = self._keep(self._floor, root, room, pruned, list_again)
        if not self.gauge.lack(room).is_below_floor:  # else a refused write is no news
            room = self._keep(self.writes, root, room, pruned, list_again)
        self.gauge.look(room.free)

    def _keep(self, need: Need, root: int, room: Room, pruned: Pruned, list_again: Callable[[], None] | None) -> Room:
        """Make room for one need, from a volume with `room`, and return the volume's room after that."""
        is_final = list_again is not None
        trial = _Trial(room, self.clocks.monotonic())
        limit = FIRST_STEP
        while lack := need.lack(root, room):
            if need.is_futile:
                if lack.is_below_floor:
                    pruned.add_shortage(need.futile())
                break
            if not self.policies.refresh_locks(pruned):
                pruned.add_shortage(OLD_LOCKS)
            self.progress("making room", 0, max(int(lack.bytes), 1))
            chosen = self._choose(root, need, lack, limit, pruned)
            if not chosen and list_again and self.inventory.may_list_again():
                list_again()
                list_again = None
                room = self.remover.room(root)
                continue
            may_report = is_final and lack.is_below_floor
            if not chosen and may_report:
                chosen = self._choose_newest(root, need, pruned)
            if not chosen:
                if may_report:
                    pruned.add_shortage(need.nothing_more())
                break
            # Each of them is forgotten or kept after that, also if none was there any more. So this ends.
            removed = self._remove(root, need, chosen, pruned)
            trial.removed += removed
            need.removed += removed
            room = self.remover.room(root)
            trial, limit = self._judge(need, trial, room)
        return room

    def _candidates(self, need: Need) -> dict[str, Footage]:
        return {name: footage for name, footage in self.inventory.footage.items() if need.gives_room(name)}

    def _choose(self, root: int, need: Need, lack: Lack, limit: int, pruned: Pruned) -> dict[str, list[int]]:
        """Return by camera the indexes of the oldest segments that give room: enough for `lack`, at most `limit`."""
        inventory, footage = self.inventory, self._candidates(need)
        policies = {camera_id: self.policies.of(camera_id) for camera_id in footage}
        oldest = oldest_first(footage, policies, self.policies.locks, inventory.kept, self.clocks.wall())
        found = [(camera_id, index) for _, camera_id, index in itertools.islice(oldest, limit)]
        for camera_id, indexes in _by_camera(found).items():
            inventory.measure_or_forget(root, camera_id, indexes, pruned)
        chosen: list[tuple[str, int]] = []
        lacking_bytes = lack.bytes
        for camera_id, index in found:
            if lacking_bytes <= 0 and len(chosen) >= lack.inodes:
                break
            if camera_id in inventory.footage:
                chosen.append((camera_id, index))
                lacking_bytes -= inventory.footage[camera_id].sizes[index]
        if found and not chosen:  # the directories of all of them can't be read, and are forgotten now
            return self._choose(root, need, lack, limit, pruned)
        return _by_camera(chosen)

    def _choose_newest(self, root: int, need: Need, pruned: Pruned) -> dict[str, list[int]]:
        """Return the camera and the index of the largest segment that is its camera's newest and closed, if any is.

        The largest one costs the fewest cameras their last footage.
        """
        inventory, footage = self.inventory, self._candidates(need)
        policies = {camera_id: self.policies.of(camera_id) for camera_id in footage}
        newest = newest_removable(footage, policies, self.policies.locks, inventory.kept, self.clocks.wall())
        closed = {name: index for name, index in newest.items() if inventory.is_closed(root, name, index)}
        for camera_id, index in closed.items():
            inventory.measure_or_forget(root, camera_id, [index], pruned)
        sizes = {
            name: inventory.footage[name].sizes[index] for name, index in closed.items() if name in inventory.footage
        }
        largest = max(sizes, key=sizes.__getitem__, default=None)
        return {} if largest is None else {largest: [closed[largest]]}

    def _remove(self, root: int, need: Need, chosen: dict[str, list[int]], pruned: Pruned) -> int:
        return sum(
            self.inventory.remove(root, camera_id, [(index, need.rule) for index in indexes], pruned)
            for camera_id, indexes in chosen.items()
        )

    def _judge(self, need: Need, trial: "_Trial", room: Room) -> tuple["_Trial", int]:
        """Judge what deleting gave, if enough was deleted. Return the trial to go on with, and the next step's size."""
        if not trial.is_enough(room):
            return trial, STEP
        now = self.clocks.monotonic()
        given = trial.given(room, now, self.gauge.bytes_per_second)
        is_futile = need.judge(trial.removed, given)
        return _Trial(room, now), FIRST_STEP if is_futile else STEP


class _Trial:
    """Compares how many bytes were removed with how many became free since it was made."""

    def __init__(self, room: Room, now: float) -> None:
        self._free = room.free
        self._since = now
        self.removed = 0

    def is_enough(self, room: Room) -> bool:
        """Whether enough was removed to judge by."""
        return self.removed >= judged_bytes(room)

    def given(self, room: Room, now: float, bytes_per_second: float) -> float:
        """Return the bytes that became free, plus an estimate of those that were written meanwhile."""
        return room.free - self._free + bytes_per_second * (now - self._since)


def _by_camera(segments: Iterable[tuple[str, int]]) -> dict[str, list[int]]:
    found: dict[str, list[int]] = {}
    for camera_id, index in segments:
        found.setdefault(camera_id, []).append(index)
    return found
