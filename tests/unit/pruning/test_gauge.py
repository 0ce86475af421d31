"""How much room is lacking, how fast the volume is written to, and how soon to look again."""

import pytest
from support.pruning_fakes import FakeTime

from heldar_mirror.pruning.gauge import MIN_TICK_SECONDS, TICK_SECONDS, Gauge
from heldar_mirror.volume.room import Room

GIB = 1 << 30
MIB = 1 << 20


@pytest.fixture
def time() -> FakeTime:
    return FakeTime()


@pytest.fixture
def gauge(time: FakeTime) -> Gauge:
    """A gauge with a floor of 4 GiB."""
    return Gauge(4 * GIB, time.clocks.monotonic)


def room(free: int, total: int = 100 * GIB, inodes: int = 0, free_inodes: int = 0) -> Room:
    return Room(total, free, inodes, free_inodes)


def test_at_first_the_floor_alone_is_kept_free(gauge: Gauge) -> None:
    """Without an earlier look no rate of writing is known, so there is no headroom."""
    gauge.start(5 * GIB)
    assert gauge.bytes_per_second == 0
    assert gauge.tick == TICK_SECONDS
    assert not gauge.lack(room(4 * GIB))
    assert gauge.lack(room(4 * GIB - 1)).bytes == 1
    assert gauge.lack(room(4 * GIB - 1)).is_below_floor


def test_twice_of_what_was_written_since_the_last_look_is_headroom(gauge: Gauge, time: FakeTime) -> None:
    """At 10 MiB/s and a tick of 10 s that is 200 MiB. To lack headroom alone is no shortage."""
    gauge.look(8 * GIB)
    time.advance(20)
    gauge.start(8 * GIB - 200 * MIB)
    assert gauge.bytes_per_second == 10 * MIB
    assert not gauge.lack(room(4 * GIB + 200 * MIB))
    lack = gauge.lack(room(4 * GIB + 150 * MIB))
    assert lack.bytes == 50 * MIB
    assert not lack.is_below_floor


def test_headroom_is_a_quarter_of_the_floor_at_most_and_looks_come_sooner(gauge: Gauge, time: FakeTime) -> None:
    """If two ticks of writing would not fit into that, the tick is shorter, but never below a second."""
    gauge.look(60 * GIB)
    time.advance(10)
    gauge.start(58 * GIB)
    assert gauge.tick == pytest.approx(GIB / 2 / (2 * GIB / 10))
    assert gauge.lack(room(4 * GIB)).bytes == pytest.approx(GIB)
    gauge.look(60 * GIB)
    time.advance(10)
    gauge.start(0)
    assert gauge.tick == MIN_TICK_SECONDS
    assert gauge.lack(room(4 * GIB)).bytes == GIB


def test_room_that_somebody_made_is_no_rate_of_writing(gauge: Gauge, time: FakeTime) -> None:
    gauge.look(GIB)
    time.advance(10)
    gauge.start(2 * GIB)
    assert gauge.bytes_per_second == 0


def test_two_looks_in_one_moment_give_a_rate_for_a_second(gauge: Gauge) -> None:
    """A rate is never computed over less than the shortest tick."""
    gauge.look(GIB)
    gauge.start(GIB - MIB)
    assert gauge.bytes_per_second == MIB / MIN_TICK_SECONDS


def test_of_a_small_volume_half_is_the_floor(gauge: Gauge) -> None:
    assert gauge.floor(room(0, total=6 * GIB)) == 3 * GIB
    assert gauge.floor(room(0, total=100 * GIB)) == 4 * GIB


def test_a_volume_that_does_not_say_how_large_it_is_lacks_nothing(gauge: Gauge, time: FakeTime) -> None:
    """Some file systems report 0 of 0, in bytes or in inodes. Headroom is not asked of them either."""
    gauge.look(10 * MIB)
    time.advance(10)
    gauge.start(0)
    assert not gauge.lack(room(0, total=0))
    assert not gauge.lack(room(5 * GIB, total=0))


@pytest.mark.parametrize(
    ("inodes", "free", "lacking"), [(1000, 10, 0), (1000, 4, 6), (10**9, 10_000, 0), (10**9, 9_000, 1000), (0, 0, 0)]
)
def test_a_hundredth_of_the_inodes_is_kept_free_but_ten_thousand_at_most(
    gauge: Gauge, inodes: int, free: int, lacking: int
) -> None:
    lack = gauge.lack(room(50 * GIB, inodes=inodes, free_inodes=free))
    assert lack.inodes == lacking
    assert bool(lack) == lack.is_below_floor == (lacking > 0)


def test_a_look_is_due_when_the_last_one_is_more_than_a_tick_ago(gauge: Gauge, time: FakeTime) -> None:
    """Before the first look none is due: a run begins with one anyway."""
    assert not gauge.is_due
    gauge.look(GIB)
    time.advance(TICK_SECONDS)
    assert not gauge.is_due
    time.advance(0.1)
    assert gauge.is_due
