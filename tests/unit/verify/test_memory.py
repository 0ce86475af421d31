"""What was proven and found is remembered, in step with what lies there."""

import os
import sqlite3
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from heldar_mirror.errors import StateError
from heldar_mirror.verify.memory import PROOFS, Batch, Look, Memory, Scope, Standing, Stocked, opened_memory
from heldar_mirror.verify.outcomes import Level, Outcome
from heldar_mirror.verify.run import order

HOUR = 3600
ALL = Scope(Level.PACKETS, 0, 1 << 60, 1 << 60)


@dataclass
class State:
    """The settings that a memory needs."""

    state_dir: Path
    user: str | None = None


@pytest.fixture
def state(tmp_path: Path) -> State:
    return State(tmp_path)


@pytest.fixture
def memory(state: State) -> Iterator[Memory]:
    with opened_memory(state) as made:
        yield made


def stock(memory: Memory, camera_id: str, *begun: int, size: int = 10, modified: int = 1) -> None:
    memory.take_stock(Level.PACKETS, camera_id, [Stocked(each, size, modified) for each in begun])


def note(memory: Memory, camera_id: str, *look: Any) -> None:
    memory.note(Level.PACKETS, camera_id, Look(*look))


def due(memory: Memory, scope: Scope = ALL, *camera_ids: str) -> list[tuple[str, int, int]]:
    """What is due, in its order: camera, beginning and turn."""
    batches = memory.batches(scope, camera_ids or memory.camera_ids())
    return [(batch.camera_id, each.begun, batch.turn) for batch in batches for each in memory.due(scope, batch)]


def test_findings_come_first_then_what_is_new_then_the_oldest_proof(memory: Memory) -> None:
    """Of what is new the newest comes first, since the primary may still have it for long."""
    stock(memory, "gate", 0, HOUR, 2 * HOUR, 3 * HOUR, 4 * HOUR)
    stock(memory, "hall", HOUR)
    note(memory, "gate", 0, 300, Outcome.PROVEN)
    note(memory, "gate", HOUR, 200, Outcome.PROVEN)
    note(memory, "gate", 2 * HOUR, 400, Outcome.DIFFERENT, "one packet differs")
    assert due(memory) == [
        ("gate", 2 * HOUR, 0),
        *(("gate", 4 * HOUR, 1), ("gate", 3 * HOUR, 1), ("hall", HOUR, 1)),
        *(("gate", HOUR, 2), ("gate", 0, 2)),
    ]
    assert due(memory, ALL, "hall") == [("hall", HOUR, 1)]
    assert due(memory, ALL._replace(before=200)) == [
        ("gate", 2 * HOUR, 0),
        *(("gate", 4 * HOUR, 1), ("gate", 3 * HOUR, 1), ("hall", HOUR, 1)),
        ("gate", HOUR, 2),
    ]
    assert due(memory, ALL._replace(since=HOUR, until=2 * HOUR, before=0)) == [("gate", 2 * HOUR, 0), ("hall", HOUR, 1)]


def test_neighbours_are_looked_at_together(memory: Memory) -> None:
    """Segments of an hour are one batch, in the order of time."""
    stock(memory, "gate", *range(0, 2 * HOUR, 600))
    batches = memory.batches(ALL, ["gate"])
    assert batches == [Batch("gate", 1, 1, None, 6, 60), Batch("gate", 0, 1, None, 6, 60)]
    assert [each.begun for each in memory.due(ALL, batches[1])] == list(range(0, HOUR, 600))


def test_many_findings_do_not_keep_the_rest_from_its_turn() -> None:
    """Every other batch is one of the rest."""
    findings = [Batch("gate", hour, 0, 5, 1, 10) for hour in range(3)]
    rest = [Batch("gate", hour, 1, None, 1, 10) for hour in range(2)]
    assert list(order([*findings, *rest])) == [findings[0], rest[0], findings[1], rest[1], findings[2]]
    assert list(order(rest)) == rest
    assert list(order([])) == []


def test_what_changed_is_due_again_and_what_is_gone_is_forgotten(memory: Memory) -> None:
    """A finding of a changed segment stands until that was looked at again; one of a segment that is gone does not."""
    stock(memory, "gate", 0, 60, 120)
    for begun in (0, 60):
        note(memory, "gate", begun, 200, Outcome.DIFFERENT, f"{begun} differs")
    note(memory, "gate", 120, 200, Outcome.PROVEN)
    stock(memory, "gate", 60, 120, modified=2)
    assert due(memory, ALL._replace(before=0)) == [("gate", 60, 0), ("gate", 120, 1)]
    assert list(memory.findings(ALL)) == [("gate", 60, "60 differs")]
    note(memory, "gate", 60, 300, Outcome.PROVEN)
    assert list(memory.findings(ALL)) == []
    assert memory.standings(ALL) == {"gate": Standing(2, 20, 1, 10, oldest=300)}


def test_a_changed_file_of_the_primary_has_its_time_looked_at_again(memory: Memory) -> None:
    """But not if that was done since."""
    stock(memory, "gate", 0, 60, 120)
    for begun in (0, 60, 120):
        note(memory, "gate", begun, 200 + begun, Outcome.PROVEN)
    memory.doubt(Level.PACKETS, "gate", 0, 60, modified=230)
    assert due(memory, ALL._replace(before=0)) == [("gate", 0, 1)]


def test_levels_don_t_prove_each_other(memory: Memory) -> None:
    """Each level has its own stock and its own proofs."""
    stock(memory, "gate", 0)
    memory.take_stock(Level.FILES, "gate", [Stocked(0, 10, 1)])
    note(memory, "gate", 0, 200, Outcome.PROVEN)
    assert memory.standings(ALL)["gate"].proven == 1
    assert memory.standings(ALL._replace(level=Level.FILES))["gate"].proven == 0


def test_a_camera_can_be_forgotten(state: State) -> None:
    """Nothing of it is left, also not for the next run."""
    with opened_memory(state) as memory:
        stock(memory, "gate", 0)
        note(memory, "gate", 0, 200, Outcome.UNREADABLE, "I/O error")
        stock(memory, "hall", 0)
        memory.forget("gate")
        assert memory.camera_ids() == ["hall"]
    with opened_memory(state) as memory:
        assert memory.camera_ids() == ["hall"]
        assert list(memory.findings(ALL)) == []
        stock(memory, "gate", 60)
        assert due(memory) == [("hall", 0, 1), ("gate", 60, 1)]


@given(
    st.lists(
        st.one_of(
            st.lists(st.integers(0, 5), max_size=6),
            st.tuples(st.integers(0, 5), st.integers(10, 20), st.sampled_from(Outcome)),
        )
    )
)
def test_it_stays_in_step_whatever_happens(tmp_path_factory: pytest.TempPathFactory, events: list[object]) -> None:
    """What it says of each segment is what a plain table would say."""
    model: dict[int, Outcome | None] = {}
    proofs: dict[int, int] = {}
    with opened_memory(State(tmp_path_factory.mktemp("state"))) as memory:
        for event in events:
            if isinstance(event, list):
                model = {begun: model.get(begun) for begun in event}
                proofs = {begun: at for begun, at in proofs.items() if begun in model}
                stock(memory, "gate", *sorted(model))
            elif isinstance(event, tuple) and event[0] in model:
                begun, looked, outcome = event
                model[begun] = outcome
                if outcome is not Outcome.NOTHING_THERE:  # which leaves a proof as it is
                    proofs.pop(begun, None)
                if outcome is Outcome.PROVEN:
                    proofs[begun] = looked
                note(memory, "gate", begun, looked, outcome, "bad" if outcome >= Outcome.UNREADABLE else "")
        bad = sorted(begun for begun, outcome in model.items() if outcome is not None and outcome >= Outcome.UNREADABLE)
        assert [begun for _, begun, _ in memory.findings(ALL)] == bad
        assert sorted(begun for _, begun, _ in due(memory)) == sorted(model)
        if model:
            standing = memory.standings(ALL)["gate"]
            assert (standing.segments, standing.proven, standing.unreadable + standing.different) == (
                len(model),
                len(proofs),
                len(bad),
            )
            assert standing.oldest == min(proofs.values(), default=None)


def test_it_is_for_one_process_and_one_user(state: State) -> None:
    """A second verify is refused, and nobody else may read the file."""
    with opened_memory(state) as memory:
        stock(memory, "gate", 0)
        with pytest.raises(StateError, match="another heldar-mirror verify is running"), opened_memory(state):
            pass
        modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in state.state_dir.iterdir()}
        assert modes == {PROOFS: 0o600, f"{PROOFS}-wal": 0o600, "verify.lock": 0o600}


@pytest.mark.parametrize("at", [0, 4096, 8192])
def test_a_damaged_database_is_moved_aside(state: State, at: int) -> None:
    """The error says so, and the next run begins anew."""
    with opened_memory(state) as memory:
        stock(memory, "gate", *range(0, 1000 * 60, 60))
    path = state.state_dir / PROOFS
    whole = path.read_bytes()
    path.write_bytes(whole[:at] + os.urandom(4096) + whole[at + 4096 :])
    with pytest.raises(StateError, match=r"proofs\.db is damaged: .* Run this again"), opened_memory(state):
        pass
    assert (state.state_dir / f"{PROOFS}.damaged").exists()
    with opened_memory(state) as memory:
        assert memory.camera_ids() == []


def test_a_database_of_a_later_version_is_left_alone(state: State) -> None:
    """It is not damaged, only not ours to read."""
    with sqlite3.connect(state.state_dir / PROOFS) as connection:
        connection.execute("PRAGMA user_version = 7")
    connection.close()
    with pytest.raises(StateError, match="has version 7, expected 1"), opened_memory(state):
        pass
    assert (state.state_dir / PROOFS).exists()


def test_what_is_no_plain_file_is_refused(state: State) -> None:
    """A FIFO in its place is not waited for."""
    os.mkfifo(state.state_dir / PROOFS)
    with pytest.raises(StateError, match="expected a plain file"), opened_memory(state):
        pass
