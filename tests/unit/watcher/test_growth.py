"""Which recorders have stalled, by the growth of their files."""

from collections.abc import Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.examples import camera_ids

from heldar_mirror.proc.open_segments import Segment
from heldar_mirror.status.stall_rule import MIN_STALL_SECONDS
from heldar_mirror.watcher.growth import Growth


def segment(size_bytes: int, path: str = "/mnt/mirror/gate/20261122_161840.mp4") -> Segment:
    return Segment(path, size_bytes, 0.0)


def look(growth: Growth, found: Mapping[str, Segment | None], begun: int, end: int) -> None:
    """Show the same files every ten seconds, the last time at `end`."""
    for now in [*range(begun, end, 10), end]:
        growth.seen(found, now)


@pytest.mark.parametrize("open_segment", [segment(5), None], ids=["a file that does not grow", "no file at all"])
def test_a_recorder_that_writes_nothing_is_stalled(open_segment: Segment | None) -> None:
    """A recorder whose file keeps its size, or that has no file, is stalled after the time that its length allows."""
    growth = Growth()
    look(growth, {"gate": open_segment}, 100, 160)
    assert growth.stalled({"gate": 2}) == []
    look(growth, {"gate": open_segment}, 160, 161)
    assert growth.stalled({"gate": 2}) == ["gate"]
    # If the segment length is unknown, the longest time applies.
    look(growth, {"gate": open_segment}, 170, 400)
    assert growth.stalled({}) == []
    look(growth, {"gate": open_segment}, 400, 401)
    assert growth.stalled({}) == ["gate"]


@pytest.mark.parametrize("change", [segment(6), segment(5, "/mnt/mirror/gate/20261122_161940.mp4"), segment(0), None])
def test_any_change_of_the_file_starts_the_measurement_anew(change: Segment | None) -> None:
    """A larger file, a different file or no file starts the measurement anew."""
    growth = Growth()
    look(growth, {"gate": segment(5)}, 100, 159)
    look(growth, {"gate": change}, 160, 220)
    assert growth.stalled({"gate": 2}) == []
    look(growth, {"gate": change}, 221, 221)
    assert growth.stalled({"gate": 2}) == ["gate"]


def test_a_restarted_or_ended_recorder_is_measured_anew() -> None:
    """A camera whose program changed its state, or that is no longer up, loses its old time."""
    growth = Growth()
    look(growth, {"gate": segment(5), "hall": segment(5)}, 100, 160)
    growth.forget("gate")
    growth.forget("unknown")
    look(growth, {"gate": segment(5)}, 161, 162)
    assert growth.stalled({"gate": 2, "hall": 2}) == []


def test_a_pause_of_the_watcher_is_no_stall() -> None:
    """A watcher that hung for minutes has not seen whether the files grew, so it measures anew."""
    growth = Growth()
    look(growth, {"gate": segment(5)}, 100, 120)
    assert growth.stalled({"gate": 2}) == []
    look(growth, {"gate": segment(5)}, 500, 510)
    assert growth.stalled({"gate": 2}) == []


@given(st.dictionaries(camera_ids, st.lists(st.integers(0, 3), min_size=1, max_size=12), max_size=4))
def test_each_camera_stalls_independently(sizes: dict[str, list[int]]) -> None:
    """A camera is stalled if its file kept its size for too long, whatever the other cameras do."""
    growth = Growth()
    turns = max(map(len, sizes.values()), default=0) + 3
    for turn in range(turns):
        growth.seen({name: segment(of[min(turn, len(of) - 1)]) for name, of in sizes.items()}, 100.0 + 10.0 * turn)
    since = {name: next(i for i in range(len(of)) if len(set(of[i:])) == 1) for name, of in sizes.items()}
    expected = sorted(name for name, turn in since.items() if 10.0 * (turns - 1 - turn) > MIN_STALL_SECONDS)
    assert growth.stalled(dict.fromkeys(sizes, 10)) == expected
