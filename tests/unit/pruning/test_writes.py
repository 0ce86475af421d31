"""Making room for writes that find none though the volume shows room, on a volume without files."""

from collections.abc import Callable
from pathlib import Path

import pytest
from support.pruning_fakes import HOUR, NOW, FakeTime, FakeVolume, footage_of

from heldar_mirror.heldar.cameras import Row
from heldar_mirror.pruning.floor import FloorKeeper
from heldar_mirror.pruning.gauge import Gauge
from heldar_mirror.pruning.inventory import Inventory
from heldar_mirror.pruning.need import FUTILE_TIMES
from heldar_mirror.pruning.outcome import Pruned
from heldar_mirror.pruning.policies import Policies
from heldar_mirror.pruning.writes import CAMERA_HEADROOM, Writes
from heldar_mirror.recorder.volume import TRIAL_BYTES

MIB = 1 << 20
FLOOR = 1000 * MIB
OLD = int(NOW) - 100 * HOUR
QUOTA = "Disk quota exceeded"


class Stand:
    """A volume that shows 5,000 MiB free of 10,000, with quotas by place: the bytes that are left there.

    A removed segment gives its bytes to the quota of its camera, and to that of the mirror root.
    """

    def __init__(self) -> None:
        self.time = FakeTime()
        self.volume = FakeVolume(10_000 * MIB, 5000 * MIB, refuse=self.refuse)
        self.left: dict[str, int] = {}
        self.gives_quota, self.error = True, {}
        self.tries: list[tuple[str, int]] = []
        self.locked: Callable[[], list[Row]] = list
        self.gauge = Gauge(FLOOR, self.time.clocks.monotonic)
        self.inventory = Inventory(Path("/mirror"), self.volume, dict, self.time.clocks.monotonic)
        self.inventory.has_recorder = lambda *_: True
        policies = Policies(Path("/db"), self.time.clocks.monotonic, lambda _: [], lambda _: self.locked())
        self.writes = Writes(Path("/mirror"), self.volume, self.gauge)
        self.keeper = FloorKeeper(self.inventory, policies, self.volume, self.gauge, self.writes, self.time.clocks)

    error: dict[str, OSError]

    def refuse(self, place: str, size: int) -> str:
        self.tries.append((place, size))
        if place in self.error:
            raise self.error[place]
        if place not in self.left:
            return ""
        given = sum(MIB for camera_id, _ in self.volume.removed if self.gives_quota and place in ("", camera_id))
        return QUOTA if size > self.left[place] + given else ""

    def put(self, camera_id: str, count: int, first: int = OLD) -> None:
        """Put segments of 1 MiB of a camera, a minute apart."""
        self.inventory.footage[camera_id] = footage_of(*[(first + 60 * each, MIB) for each in range(count)])

    def keep(self, *, final: bool = True) -> Pruned:
        pruned = Pruned()
        self.tries.clear()
        self.gauge.start(self.volume.free)
        self.keeper.keep(-1, pruned, (lambda: None) if final else None)
        return pruned


@pytest.fixture
def stand() -> Stand:
    return Stand()


def test_while_writes_go_through_nothing_is_removed(stand: Stand) -> None:
    """A small write is tried, in the mirror root alone."""
    stand.put("gate", 10)
    pruned = stand.keep()
    assert (pruned.segments, pruned.shortages) == (0, [])
    assert stand.tries == [("", TRIAL_BYTES)]


def test_the_oldest_of_all_cameras_are_removed_until_a_write_goes_through(stand: Stand) -> None:
    """In a small step, and then in steps of 64 MiB, whatever room the volume shows."""
    stand.left[""] = -30 * MIB
    stand.put("gate", 100)
    stand.put("hall", 100, first=OLD + 30)
    pruned = stand.keep()
    assert {key: tally.segments for key, tally in pruned.tallies.items()} == {
        ("gate", "refused"): 42,
        ("hall", "refused"): 42,
    }
    assert max(begun for _, begun in stand.volume.removed) < OLD + 42 * 60
    assert pruned.shortages == []
    assert stand.keep().segments == 0


def test_headroom_is_made_where_writes_were_refused_once(stand: Stand) -> None:
    """So the next recording doesn't have to fail first. Headroom alone is no shortage."""
    stand.left[""] = 0
    stand.put("gate", 300)
    assert stand.keep().segments == 20
    stand.left[""] -= 10 * MIB
    stand.volume.free -= 10 * MIB
    stand.time.advance(10)
    pruned = stand.keep()
    assert ("", TRIAL_BYTES + 20 * MIB) in stand.tries
    assert (pruned.segments, pruned.shortages) == (20, [])
    stand.put("gate", 1)
    stand.left[""] = 5 * MIB - len(stand.volume.removed) * MIB
    stand.volume.free -= 10 * MIB
    stand.time.advance(10)
    assert stand.keep().shortages == []


def test_only_the_cameras_whose_directories_refuse_writes_give_room(stand: Stand) -> None:
    """A branch of a union is full, or a directory has a quota of its own. They are tried at each look from then on."""
    for name in ("gate", "hall", "yard"):
        stand.put(name, 50)
    stand.left |= {"gate": -5 * MIB}
    stand.keep()
    assert stand.volume.removed == []
    stand.writes.try_cameras(-1, stand.inventory.footage)
    pruned = stand.keep()
    assert {key: tally.segments for key, tally in pruned.tallies.items()} == {("gate", "refused"): 20}
    assert pruned.shortages == []
    stand.keep()
    assert stand.tries == [("", TRIAL_BYTES), ("gate", TRIAL_BYTES)]


def test_a_camera_is_tried_with_a_limited_headroom(stand: Stand) -> None:
    stand.put("gate", 50)
    stand.left["gate"] = 0
    stand.writes.try_cameras(-1, ["gate"])
    stand.gauge.look(stand.volume.free + 1000 * MIB)
    stand.time.advance(10)
    stand.keep()
    assert ("gate", TRIAL_BYTES + CAMERA_HEADROOM) in stand.tries


def test_what_is_protected_stays_and_that_is_a_shortage(stand: Stand) -> None:
    stand.left[""] = -1000 * MIB
    stand.put("gate", 5)
    stand.put("hall", 5)
    stand.locked = lambda: [{"camera_id": "gate", "start_time": "1970-01-01T00:00:00Z", "end_time": None}]
    stand.inventory.kept["hall"] = {OLD}
    pruned = stand.keep()
    assert stand.volume.removed == [("hall", OLD + 60), ("hall", OLD + 120), ("hall", OLD + 180)]
    assert len(pruned.shortages) == 1
    assert pruned.shortages[0].startswith(
        "a write fails though the volume shows room, and nothing more may be deleted: /mirror: Disk quota exceeded. "
    )


def test_a_closed_newest_segment_goes_if_nothing_else_can(stand: Stand) -> None:
    stand.left[""] = 0
    stand.put("gate", 1)
    stand.inventory.has_recorder = lambda *_: False
    assert stand.keep().segments == 1


def test_deleting_that_gives_the_volume_no_room_ends_after_a_few_times(stand: Stand) -> None:
    """A snapshot holds it. It goes on at the next sweep at the earliest."""
    stand.left[""], stand.gives_quota, stand.volume.gives = 0, False, 0.0
    stand.put("gate", 5000)
    pruned = stand.keep()
    assert "and deleting gave none: /mirror: Disk quota exceeded. " in pruned.shortages[0]
    assert FUTILE_TIMES * 64 <= pruned.segments <= FUTILE_TIMES * 64 + 64
    assert stand.keep().segments == 0
    stand.keeper.allow_again()
    assert stand.keep().segments > 0


def test_no_more_than_the_floor_goes_without_a_write_that_goes_through(stand: Stand) -> None:
    """The quota may have been set far below what is there; or what is deleted lies where no write goes."""
    stand.left[""], stand.gives_quota = 0, False
    stand.put("gate", 5000)
    pruned = stand.keep()
    assert FLOOR // MIB <= pruned.segments < FLOOR // MIB + 64
    assert len(pruned.shortages) == 1
    assert stand.keep().segments == 0


def test_below_the_floor_no_write_is_tried(stand: Stand) -> None:
    """It is known that there is no room."""
    stand.volume.free = 0
    stand.put("gate", 10)
    stand.keep()
    assert stand.tries == []


def test_a_write_that_fails_for_another_reason_costs_no_footage(stand: Stand) -> None:
    """A recorder reports it. A directory that is gone is not tried again."""
    for name in ("gate", "hall"):
        stand.put(name, 50)
        stand.left[name] = 0
    stand.writes.try_cameras(-1, ["gate", "hall"])
    stand.error = {"": PermissionError(), "gate": FileNotFoundError(), "hall": PermissionError()}
    assert stand.keep().segments == 0
    stand.error = {}
    assert {camera_id for camera_id, _ in stand.keep().tallies} == {"hall"}


def test_a_volume_that_reports_no_size_is_tried_as_well(stand: Stand) -> None:
    stand.volume.total = stand.volume.free = 0
    stand.left[""] = -30 * MIB
    stand.put("gate", 200)
    assert stand.keep().segments == 20 + 64
