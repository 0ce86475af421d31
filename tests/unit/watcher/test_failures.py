"""What is remembered of each program over time; and, in simulated time, what outages cost."""

import statistics
from collections.abc import Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.examples import camera_ids
from support.outage_simulation import (
    REFUSED_SECONDS,
    SILENT_SECONDS,
    Outage,
    Schedule,
    gap,
    ours,
    ours_by_name,
    starts,
    the_old_loop,
)

from heldar_mirror.proc.open_segments import Segment
from heldar_mirror.status.stall_rule import MIN_STALL_SECONDS
from heldar_mirror.supervisord.gateway import FAILED
from heldar_mirror.watcher.failures import RETRY_SECONDS, Failures
from heldar_mirror.watcher.growth import Growth

STATES = ["STARTING", "RUNNING", "BACKOFF", "EXITED", "STOPPING", "STOPPED", "FATAL"]


def segment(size_bytes: int, path: str = "/mnt/mirror/gate/20261122_161840.mp4") -> Segment:
    return Segment(path, size_bytes, 0.0)


def test_what_failed_for_good_may_be_tried_at_once() -> None:
    """A program that went FATAL is due from that moment on."""
    failures = Failures()
    failures.heard("gate", "FATAL", 100.0)
    assert failures.due(99.9) == []
    assert failures.due(100.0) == ["gate"]


def test_a_try_of_which_nothing_came_is_followed_by_a_pause() -> None:
    """Started in vain, a program is not due for 30 s from that start, however soon it is FATAL again."""
    failures = Failures()
    failures.heard("gate", "FATAL", 100.0)
    failures.tried(["gate"], 100.0)
    assert failures.due(100.0 + RETRY_SECONDS - 0.1) == []
    for number, state in enumerate(["STARTING", "BACKOFF", "STARTING", "FATAL"]):
        failures.heard("gate", state, 101.0 + number)
    assert failures.due(100.0 + RETRY_SECONDS - 0.1) == []
    assert failures.due(100.0 + RETRY_SECONDS) == ["gate"]


def test_a_start_that_nobody_heard_of_is_tried_again() -> None:
    """A program that was tried, and of which no event came, is due again after the pause."""
    failures = Failures()
    failures.heard("gate", "FATAL", 100.0)
    failures.tried(["gate"], 100.0)
    assert failures.due(100.0 + RETRY_SECONDS) == ["gate"]


@pytest.mark.parametrize("state", ["RUNNING", "STOPPED"])
def test_the_pause_is_forgotten_once_it_ran_or_was_stopped(state: str) -> None:
    """A program that ran for supervisord's startsecs, or that a person stopped, may be tried at once when it fails."""
    failures = Failures()
    failures.heard("gate", "FATAL", 100.0)
    failures.tried(["gate"], 100.0)
    failures.heard("gate", state, 101.0)
    failures.heard("gate", "FATAL", 102.0)
    assert failures.due(102.0) == ["gate"]


events = st.tuples(st.sampled_from([*STATES, "tried"]), camera_ids, st.floats(0.0, 40.0))


@given(st.lists(events, max_size=40))
def test_what_failed_for_good_is_due_and_never_twice_within_the_pause(
    history: list[tuple[str, str, float]],
) -> None:
    """Whatever happens, due is what last failed for good, sorted, and not tried again within 30 s unless it ran."""
    failures, last, tried, now = Failures(), dict[str, str](), dict[str, float](), 0.0
    for what, name, pause in history:
        now += pause
        if what == "tried":
            due = failures.due(now)
            failures.tried(due, now)
            tried |= dict.fromkeys(due, now)
        else:
            failures.heard(name, what, now)
            last[name] = what
            if what in {"RUNNING", "STOPPED"}:
                tried.pop(name, None)
        due = failures.due(now)
        assert due == sorted(
            name
            for name, state in last.items()
            if state in FAILED and now >= tried.get(name, -RETRY_SECONDS) + RETRY_SECONDS
        )
        failures.keep(last)
        assert failures.due(now) == due
    failures.keep([])
    assert failures == Failures()


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


@pytest.mark.parametrize("failing", [REFUSED_SECONDS, SILENT_SECONDS], ids=["refused", "silent"])
@pytest.mark.parametrize("schedule", [ours, ours_by_name])
def test_a_camera_is_back_in_half_the_time_of_the_old_loop(schedule: Schedule, failing: float) -> None:
    """After outages of 10 s to 10 min a camera is recorded again, on average, in at most half the old loop's time.

    A camera that refuses ends an ffmpeg at once, a silent one after ffmpeg's own 15 s.
    """
    outages = [Outage(10 + tenths / 10, failing) for tenths in range(0, 5901, 7)]
    before = statistics.mean(gap(the_old_loop, outage) for outage in outages)
    now = statistics.mean(gap(schedule, outage) for outage in outages)
    assert now <= before / 2, f"{now:.1f} s on average, {before:.1f} s before"


@pytest.mark.parametrize("failing", [REFUSED_SECONDS, SILENT_SECONDS], ids=["refused", "silent"])
@pytest.mark.parametrize("schedule", [ours, ours_by_name])
def test_a_thousand_unreachable_cameras_cost_a_tenth_of_the_old_loop(schedule: Schedule, failing: float) -> None:
    """In an hour, at most a tenth as many processes are started as the ffmpegs that the old loop would start."""
    before, now = (1000 * starts(each, 3600, failing) for each in (the_old_loop, schedule))
    assert before > 50_000
    assert now <= before / 10, f"{now} starts, {before} before"
