"""The floor keeper, on a volume without files."""

from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import pytest
from support.pruning_fakes import HOUR, NOW, FakeTime, FakeVolume, footage_of

from heldar_mirror.errors import DatabaseError
from heldar_mirror.footage.spans import Spans
from heldar_mirror.heldar.cameras import Row
from heldar_mirror.pruning.floor import FIRST_STEP, OLD_LOCKS, STEP, FloorKeeper
from heldar_mirror.pruning.gauge import Gauge
from heldar_mirror.pruning.inventory import Inventory
from heldar_mirror.pruning.need import FUTILE, FUTILE_TIMES
from heldar_mirror.pruning.outcome import Pruned
from heldar_mirror.pruning.policies import Policies
from heldar_mirror.pruning.writes import Writes

MIB = 1 << 20
FLOOR = 1000 * MIB
OLD = int(NOW) - 100 * HOUR


class Stand:
    """A floor keeper with all its collaborators. Nothing is locked, and every camera has a recorder, or only those in
    `recorded`, so that it keeps its newest segment."""

    def __init__(self, volume: FakeVolume) -> None:
        self.time = FakeTime()
        self.volume = volume
        self.recorded: set[str] | None = None
        self.inventory = Inventory(Path("/mirror"), volume, dict, self.time.clocks.monotonic)
        self.inventory.has_recorder = self.has_recorder
        self.locked: Callable[[], list[Row]] = list
        self.policies = Policies(Path("/db"), self.time.clocks.monotonic, lambda _: [], lambda _: self.locked())
        self.gauge = Gauge(FLOOR, self.time.clocks.monotonic)
        self.steps: list[int] = []
        self.keeper = FloorKeeper(
            self.inventory,
            self.policies,
            volume,
            self.gauge,
            Writes(Path("/mirror"), volume, self.gauge),
            self.time.clocks,
            lambda *_: self.steps.append(self.count),
        )
        self.listed = 0
        self.on_listing: Callable[[], None] = lambda: None

    @property
    def count(self) -> int:
        return len(self.volume.removed)

    def put(self, camera_id: str, count: int, size: int = MIB, first: int = OLD) -> None:
        """Put segments of a camera, a minute apart."""
        self.inventory.footage[camera_id] = footage_of(*[(first + 60 * each, size) for each in range(count)])

    def has_recorder(self, _root: int, camera_id: str) -> bool:
        return self.recorded is None or camera_id in self.recorded

    def list_again(self) -> None:
        self.listed += 1
        self.on_listing()

    def keep(self, *, final: bool = True) -> Pruned:
        """Keep the floor once."""
        pruned = Pruned()
        self.steps.clear()
        self.gauge.start(self.volume.free)
        self.keeper.keep(-1, pruned, self.list_again if final else None)
        return pruned


@pytest.fixture
def stand() -> Stand:
    """A volume of 10,000 MiB that lacks 30 MiB of its floor."""
    return Stand(FakeVolume(10_000 * MIB, FLOOR - 30 * MIB))


def test_with_room_nothing_is_removed(stand: Stand) -> None:
    stand.volume.free = FLOOR
    stand.put("gate", 10)
    pruned = stand.keep()
    assert pruned.tallies == {}
    assert pruned.floor == FLOOR
    assert stand.listed == 0


def test_the_oldest_of_all_cameras_are_removed_until_the_floor_holds(stand: Stand) -> None:
    """Not one more is, and nothing is listed for it."""
    stand.put("gate", 100, first=OLD)
    stand.put("hall", 100, first=OLD + 30)
    pruned = stand.keep()
    assert pruned.segments == 30
    assert stand.volume.free == FLOOR
    assert {rule for _, rule in pruned.tallies} == {"floor"}
    assert pruned.shortages == []
    assert stand.listed == 0
    assert max(begun for _, begun in stand.volume.removed) < OLD + 16 * 60
    assert len(stand.inventory.footage["gate"].begun) == len(stand.inventory.footage["hall"].begun) == 85


def test_the_first_step_is_small_and_the_later_ones_are_large(stand: Stand) -> None:
    """The first one shows whether deleting gives room at all."""
    stand.volume.free = 0
    stand.put("gate", 5000, size=MIB // 4)
    stand.keep()
    assert [after - before for before, after in pairwise(stand.steps)] == [FIRST_STEP, STEP, STEP, STEP]
    assert stand.count == 4000


def test_what_may_be_written_until_the_next_look_is_made_as_well(stand: Stand) -> None:
    """After a look 10 s ago, 10 MiB were written: 20 MiB are kept free beyond the floor."""
    stand.put("gate", 100)
    stand.gauge.look(stand.volume.free + 10 * MIB)
    stand.time.advance(10)
    assert stand.keep().segments == 50


def test_inodes_are_made_like_room(stand: Stand) -> None:
    stand.volume.free, stand.volume.inodes, stand.volume.free_inodes = FLOOR, 1000, 4
    stand.put("gate", 50)
    assert stand.keep().segments == 6


def test_locked_open_and_newest_segments_stay(stand: Stand) -> None:
    """That is a shortage that says what to do, after the volume was listed once more."""
    stand.put("gate", 5)
    stand.put("hall", 5)
    stand.locked = lambda: [{"camera_id": "gate", "start_time": "1970-01-01T00:00:00Z", "end_time": None}]
    stand.inventory.kept["hall"] = {OLD}
    pruned = stand.keep()
    assert stand.volume.removed == [("hall", OLD + 60), ("hall", OLD + 120), ("hall", OLD + 180)]
    assert stand.listed == 1
    assert len(pruned.shortages) == 1
    assert pruned.shortages[0].startswith("less than the floor of 1000.0 MiB is free, and nothing more may be deleted")


def test_the_newest_segments_that_are_closed_go_last_the_largest_first(stand: Stand) -> None:
    """A camera whose one segment has filled the volume is the first that loses it, and others keep theirs then. Its
    recorder has ended, since nothing can be written."""
    stand.recorded = {"hall"}
    stand.put("gate", 1, size=415 * MIB, first=OLD + HOUR)
    stand.put("hall", 3)
    stand.put("yard", 3, first=OLD + 30)
    stand.volume.free = FLOOR - 30 * MIB
    pruned = stand.keep()
    assert sorted(stand.volume.removed[:4]) == [
        *(("hall", OLD), ("hall", OLD + 60)),
        *(("yard", OLD + 30), ("yard", OLD + 90)),
    ]
    assert stand.volume.removed[4:] == [("gate", OLD + HOUR)]
    assert pruned.shortages == []
    assert stand.listed == 1


def test_a_newest_segment_stays_if_it_is_recorded_locked_or_can_not_be_removed(stand: Stand) -> None:
    stand.recorded = {"gate"}
    for name in ("gate", "hall", "yard", "door"):
        stand.put(name, 1)
    stand.locked = lambda: [{"camera_id": "hall", "start_time": "1970-01-01T00:00:00Z", "end_time": None}]
    stand.inventory.kept["yard"] = {OLD}
    pruned = stand.keep()
    assert stand.volume.removed == [("door", OLD)]
    assert "nothing more may be deleted" in pruned.shortages[0]


def test_no_newest_segment_goes_for_headroom_or_in_the_middle_of_a_sweep(stand: Stand) -> None:
    stand.recorded = set()
    stand.put("gate", 1)
    assert stand.keep(final=False).segments == 0
    stand.volume.free = FLOOR
    stand.gauge.look(FLOOR + 10 * MIB)
    stand.time.advance(10)
    assert stand.keep().segments == 0


def test_newest_segments_do_not_go_in_vain(stand: Stand) -> None:
    """If deleting gives no room, it ends after a few times."""
    stand.recorded, stand.volume.gives = set(), 0.0
    for number in range(20):
        stand.put(f"camera-{number}", 1, size=100 * MIB)
    assert stand.keep().shortages == [FUTILE]
    assert stand.count == FUTILE_TIMES


def test_what_a_second_listing_finds_is_removed(stand: Stand) -> None:
    """It is listed only if what was listed before does not suffice."""
    stand.put("gate", 3)
    stand.on_listing = lambda: stand.put("hall", 100)
    pruned = stand.keep()
    assert pruned.segments == 30
    assert pruned.shortages == []


def test_in_the_middle_of_a_sweep_nothing_is_listed_and_no_shortage_reported(stand: Stand) -> None:
    """What is not there now may be by the end of it."""
    stand.put("gate", 3)
    pruned = stand.keep(final=False)
    assert pruned.segments == 2
    assert pruned.shortages == []
    assert stand.listed == 0


def test_to_lack_headroom_alone_is_no_shortage(stand: Stand) -> None:
    stand.volume.free = FLOOR
    stand.gauge.look(FLOOR + 10 * MIB)
    stand.time.advance(10)
    assert stand.keep().shortages == []


def test_deleting_that_gives_no_room_ends_after_a_few_times(stand: Stand) -> None:
    """Each time is judged after 64 MiB. It goes on at the next sweep at the earliest, and then ends again."""
    stand.volume.free, stand.volume.gives = 0, 0.0
    stand.put("gate", 5000, size=4 * MIB)
    pruned = stand.keep()
    assert pruned.shortages == [FUTILE]
    assert pruned.segments == FUTILE_TIMES * FIRST_STEP
    assert stand.keep().segments == 0
    stand.keeper.allow_again()
    assert stand.keep().segments == FUTILE_TIMES * FIRST_STEP


def test_a_small_volume_is_judged_after_a_share_of_it(stand: Stand) -> None:
    """A snapshot must not cost all of a volume that holds little more than 64 MiB."""
    stand.volume.total, stand.volume.free, stand.volume.gives = 200 * MIB, 0, 0.0
    stand.put("gate", 190)
    assert stand.keep().segments == FUTILE_TIMES * FIRST_STEP


def test_room_that_recorders_take_meanwhile_was_given(stand: Stand) -> None:
    """On a volume that is written as fast as it is emptied, deleting is not futile."""
    stand.put("gate", 5000)
    stand.gauge.look(stand.volume.free + 800 * MIB)
    stand.time.advance(10)
    stand.gauge.start(stand.volume.free)
    assert stand.gauge.bytes_per_second == 80 * MIB

    def write() -> None:
        stand.time.advance(0.25)
        stand.volume.free -= 20 * MIB if 10 < stand.count < 400 else 0

    stand.volume.asked = write
    pruned = Pruned()
    stand.keeper.keep(-1, pruned, stand.list_again)
    assert FUTILE not in pruned.shortages


def test_without_the_database_the_locks_of_before_count(stand: Stand) -> None:
    """Room is made all the same, and the outcome says by which locks."""

    def unreadable() -> list[Row]:
        raise DatabaseError("no database")

    stand.put("gate", 100)
    stand.locked = unreadable
    stand.policies.locks = {"gate": Spans([(OLD, OLD + 59)])}
    pruned = stand.keep()
    assert pruned.shortages == [OLD_LOCKS]
    assert str(pruned.database_error) == "no database"
    assert pruned.segments == 30
    assert ("gate", OLD) not in stand.volume.removed


def test_segments_that_are_gone_already_give_no_room_so_others_are_removed(stand: Stand) -> None:
    """Whoever removed them took their room into account already."""
    stand.put("gate", 100)
    stand.volume.gone = {OLD + 60 * each for each in range(10)}
    pruned = stand.keep()
    assert pruned.segments == 30
    assert pruned.shortages == []


def test_if_all_segments_of_a_step_are_gone_the_next_ones_are_removed(stand: Stand) -> None:
    """That nothing was removed does not mean that nothing is left."""
    stand.put("gate", 100)
    stand.volume.gone = {OLD + 60 * each for each in range(FIRST_STEP)}
    pruned = stand.keep()
    assert pruned.segments == 30
    assert pruned.shortages == []
    assert stand.listed == 0


def test_if_no_segment_of_a_step_can_be_removed_the_next_ones_are(stand: Stand) -> None:
    stand.put("gate", 100)
    stand.volume.stuck = {OLD + 60 * each for each in range(FIRST_STEP)}
    assert stand.keep().segments == 30


def test_segments_that_can_not_be_removed_are_passed_over(stand: Stand) -> None:
    stand.put("gate", 100)
    stand.volume.stuck = {OLD, OLD + 60}
    pruned = stand.keep()
    assert pruned.segments == 30
    assert stand.inventory.kept["gate"] == {OLD, OLD + 60}
    assert stand.inventory.stuck() == [
        "cannot delete 2 segments, such as /mirror/gate/20270111_040000.mp4: Operation not permitted"
    ]
