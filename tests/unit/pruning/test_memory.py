"""What pruning remembers: which cameras were deleted from the table, the wall clock, and the locks."""

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest
from support.pruning_fakes import HOUR, NOW, FakeTime

from heldar_mirror.errors import StateError
from heldar_mirror.footage.spans import Spans
from heldar_mirror.heldar.retention import Policy
from heldar_mirror.pruning.clock import DOUBT_SECONDS, WallClock
from heldar_mirror.pruning.memory import RETENTION_FILE, Memory, Retention, read_retention, write_retention
from heldar_mirror.pruning.outcome import Pruned


@dataclass(frozen=True)
class State:
    """The settings that say where the state is."""

    state_dir: Path
    user: str | None = None


class File:
    """What is remembered, and how often that was written."""

    def __init__(self) -> None:
        self.retention = Retention()
        self.writes = 0

    def read(self) -> Retention:
        return self.retention

    def write(self, retention: Retention) -> None:
        self.retention = retention
        self.writes += 1


@pytest.fixture
def time() -> FakeTime:
    return FakeTime()


@pytest.fixture
def file() -> File:
    return File()


@pytest.fixture
def memory(file: File, time: FakeTime) -> Memory:
    """A memory that keeps what is left of deleted cameras for an hour."""
    memory = Memory(file.read, file.write, HOUR, time.clocks)
    memory.recall(Pruned())
    return memory


def note(memory: Memory, in_table: str = "", listed: str = "", directories: str = "") -> None:
    """Note cameras, each of a single letter, without locks. What is listed has a directory."""
    memory.note_cameras(set(in_table), set(listed), {*listed, *directories}, {})


def test_a_deleted_camera_is_remembered_from_when_it_is_missed_first(memory: Memory, time: FakeTime) -> None:
    """Its footage waits for its time, and then all of it may go."""
    note(memory, in_table="ab", listed="ab")
    assert memory.retention.deleted == {}
    note(memory, in_table="a", listed="ab")
    time.advance(HOUR - 1)
    note(memory, in_table="a", listed="ab")
    assert memory.retention.deleted == {"b": NOW}
    pruned = Pruned()
    assert memory.deleted_policies(time.wall, pruned) == {"b": Policy()}
    assert pruned.waiting == {"b": NOW + HOUR}
    time.advance(1)
    pruned = Pruned()
    assert memory.deleted_policies(time.wall, pruned) == {"b": Policy(delete_all=True)}
    assert pruned.waiting == {}


def test_a_camera_that_is_back_in_the_table_begins_anew(memory: Memory, time: FakeTime) -> None:
    note(memory, in_table="", listed="a")
    note(memory, in_table="a", listed="a")
    assert memory.retention.deleted == {}
    time.advance(HOUR)
    note(memory, in_table="", listed="a")
    assert memory.retention.deleted == {"a": NOW + HOUR}


def test_a_camera_whose_directory_can_not_be_listed_is_not_forgotten(memory: Memory, time: FakeTime) -> None:
    """One whose directory is gone is forgotten."""
    note(memory, in_table="ab", listed="ab")
    note(memory, in_table="", listed="ab")
    time.advance(60)
    note(memory, in_table="", listed="", directories="a")
    assert memory.retention.deleted == {"a": NOW}
    assert memory.retention.cameras == {"a"}


def test_cameras_stay_known_as_long_as_they_have_a_directory(memory: Memory) -> None:
    """So a directory without a recorder's lock file is known to be a camera's after the camera was deleted."""
    note(memory, in_table="a")
    note(memory, in_table="", directories="a")
    assert memory.retention.cameras == {"a"}
    note(memory)
    assert memory.retention.cameras == frozenset()


def test_a_directory_that_was_removed_is_forgotten(memory: Memory, file: File) -> None:
    note(memory, in_table="", listed="ab")
    memory.forget_deleted(["a"])
    assert file.retention.deleted == {"b": NOW}


def test_a_remembered_time_that_lies_ahead_is_not_believed(memory: Memory, time: FakeTime) -> None:
    """It was read from a wrong clock, and would keep the footage for longer than it should stay."""
    note(memory, in_table="", listed="a")
    time.wall -= 1000
    note(memory, in_table="", listed="a")
    assert memory.retention.deleted == {"a": NOW - 1000}


def test_a_clock_that_is_set_forward_is_not_believed_for_an_hour(memory: Memory, time: FakeTime) -> None:
    """Nothing is old then, not even a deleted camera's footage, and that is a problem which says until when."""
    note(memory, in_table="", listed="a")
    assert memory.believed_now(Pruned()) == time.wall
    time.wall += 10 * HOUR
    note(memory, in_table="", listed="a")
    for _ in range(2):
        pruned = Pruned()
        now = memory.believed_now(pruned)
        assert now == -math.inf
        assert memory.deleted_policies(now, pruned) == {"a": Policy()}
        assert pruned.problems[0].startswith("the clock was set forward: nothing goes by age until 19:00 of its time")
    time.advance(DOUBT_SECONDS)
    pruned = Pruned()
    assert memory.believed_now(pruned) == time.wall
    assert pruned.problems == []


def test_a_new_process_doubts_the_clock_as_well(memory: Memory, file: File, time: FakeTime) -> None:
    note(memory)
    time.wall += 10 * HOUR
    note(memory)
    later = Memory(file.read, file.write, HOUR, time.clocks)
    assert not later.is_recalled
    later.recall(Pruned())
    assert later.is_recalled
    assert later.believed_now(Pruned()) == -math.inf


def test_what_did_not_change_is_not_written(memory: Memory, file: File) -> None:
    note(memory, in_table="a")
    note(memory, in_table="a")
    memory.forget_deleted(["a"])
    assert file.writes == 1


def test_a_damaged_memory_is_begun_anew_and_that_is_a_problem(time: FakeTime) -> None:
    def damaged() -> Retention:
        raise ValueError("retention.json is damaged: {")

    memory = Memory(damaged, File().write, HOUR, time.clocks)
    memory.recall(pruned := Pruned())
    assert memory.retention == Retention()
    assert pruned.problems[0].startswith("retention.json is damaged: {. It is begun anew")


# The file.


def test_what_is_written_is_read(tmp_path: Path) -> None:
    state = State(tmp_path)
    assert read_retention(state) == Retention()
    retention = Retention(
        frozenset({"gate", "hall"}),
        {"hall": NOW},
        WallClock("one boot", 5.5, NOW, 7.0),
        {"gate": Spans([(1, 2), (3, math.inf)])},
    )
    write_retention(retention, state)
    assert read_retention(state) == retention
    assert (tmp_path / RETENTION_FILE).stat().st_mode & 0o777 == 0o600


CLOCK = {"boot": "one boot", "offset": 5.5, "seen": NOW, "doubted_until": 7.0}
NO_LISTS: list[object] = [5, "gate", {"gate": 1}, None]
NO_NUMBERS: list[object] = ["5", None, [], {}, True, math.nan, 10**400]
DAMAGED: list[Mapping[str, object]] = [
    *({"known": value} for value in [*NO_LISTS, [5], [None]]),
    *({"deleted": value} for value in NO_LISTS if not isinstance(value, dict)),
    *({"deleted": {"gate": value}} for value in [*NO_NUMBERS, math.inf]),
    *(
        {"clock": value}
        for value in [*NO_LISTS[:3], [], {}, "", {"boot": "x"}, CLOCK | {"more": 5}, CLOCK | {"boot": 5}]
    ),
    *({"clock": CLOCK | {name: value}} for name in ("offset", "seen", "doubted_until") for value in NO_NUMBERS),
    *({"locks": value} for value in NO_LISTS),
    *({"locks": {"gate": value}} for value in [*NO_LISTS, [5], ["ab"], [[1]], [[1, 2, 3]]]),
    *({"locks": {"gate": [[value, 2]]}} for value in NO_NUMBERS),
]


@pytest.mark.parametrize(
    "text",
    [
        *["", "{", "[]", "{}", "null", "5", '"text"', "[" * 100_000, "9" * 5000],
        *(json.dumps({"known": [], "deleted": {}, "clock": None, "locks": {}, **damage}) for damage in DAMAGED),
    ],
)
def test_a_file_that_is_damaged(tmp_path: Path, text: str) -> None:
    """It is begun anew, whatever in it is of the wrong kind."""
    (tmp_path / RETENTION_FILE).write_text(text)
    with pytest.raises(ValueError, match=r"retention\.json is damaged: "):
        read_retention(State(tmp_path))


def test_a_state_directory_that_can_not_be_used(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(StateError):
        read_retention(State(tmp_path / "file"))
    with pytest.raises(StateError):
        write_retention(Retention(), State(tmp_path / "none"))
