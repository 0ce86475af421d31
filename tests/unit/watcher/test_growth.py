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
    """Look every ten seconds, the last time at `end`, and see the same each time."""
    for now in [*range(begun, end, 10), end]:
        growth.seen(found, now)


@pytest.mark.parametrize("open_segment", [segment(5), None], ids=["a file that does not grow", "no file at all"])
def test_a_recorder_that_writes_nothing_is_stalled_in_the_end(open_segment: Segment | None) -> None:
    """A recorder that runs with the same bytes, or without any file, is stalled after what its length gives."""
    growth = Growth()
    look(growth, {"gate": open_segment}, 100, 160)
    assert growth.stalled({"gate": 2}) == []
    look(growth, {"gate": open_segment}, 160, 161)
    assert growth.stalled({"gate": 2}) == ["gate"]
    # Of a camera whose segments' length is not known the longest time is borne.
    look(growth, {"gate": open_segment}, 170, 400)
    assert growth.stalled({}) == []
    look(growth, {"gate": open_segment}, 400, 401)
    assert growth.stalled({}) == ["gate"]


@pytest.mark.parametrize("change", [segment(6), segment(5, "/mnt/mirror/gate/20261122_161940.mp4"), segment(0), None])
def test_any_change_of_the_file_begins_anew(change: Segment | None) -> None:
    """A file that grew, another file, and none any more: each is new, and not stalled."""
    growth = Growth()
    look(growth, {"gate": segment(5)}, 100, 159)
    look(growth, {"gate": change}, 160, 220)
    assert growth.stalled({"gate": 2}) == []
    look(growth, {"gate": change}, 221, 221)
    assert growth.stalled({"gate": 2}) == ["gate"]


def test_a_recorder_that_was_restarted_or_ended_begins_anew() -> None:
    """Neither a camera whose program changed its state, nor one that is not up any more, keeps its old time."""
    growth = Growth()
    look(growth, {"gate": segment(5), "hall": segment(5)}, 100, 160)
    growth.forget("gate")
    growth.forget("unknown")
    look(growth, {"gate": segment(5)}, 161, 162)
    assert growth.stalled({"gate": 2, "hall": 2}) == []


def test_who_did_not_look_does_not_take_a_file_for_stalled() -> None:
    """A watcher that hung for minutes, on a disk of its own, has not seen whether the files grew."""
    growth = Growth()
    look(growth, {"gate": segment(5)}, 100, 120)
    assert growth.stalled({"gate": 2}) == []
    look(growth, {"gate": segment(5)}, 500, 510)
    assert growth.stalled({"gate": 2}) == []


@given(st.dictionaries(camera_ids, st.lists(st.integers(0, 3), min_size=1, max_size=12), max_size=4))
def test_each_camera_stalls_by_itself(sizes: dict[str, list[int]]) -> None:
    """What stalls is what had one size for longer than it may, whatever the others do; looked at every ten seconds."""
    growth = Growth()
    turns = max(map(len, sizes.values()), default=0) + 3
    for turn in range(turns):
        growth.seen({name: segment(of[min(turn, len(of) - 1)]) for name, of in sizes.items()}, 100.0 + 10.0 * turn)
    since = {name: next(i for i in range(len(of)) if len(set(of[i:])) == 1) for name, of in sizes.items()}
    expected = sorted(name for name, turn in since.items() if 10.0 * (turns - 1 - turn) > MIN_STALL_SECONDS)
    assert growth.stalled(dict.fromkeys(sizes, 10)) == expected
