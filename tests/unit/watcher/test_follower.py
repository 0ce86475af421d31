"""The follower: when it reconciles, and what it remembers of a reconcile that failed."""

import asyncio
import os
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from support.examples import row, settings
from support.watcher_fakes import Clock

from heldar_mirror.errors import DatabaseError, MirrorError, StateError, SupervisordError
from heldar_mirror.heldar.cameras import Row
from heldar_mirror.programs.desired import desired_state
from heldar_mirror.programs.plan import make_plan
from heldar_mirror.reconcile.reconcile import Reconciled, current_fingerprint, read_rows, reconcile
from heldar_mirror.watcher.follower import HUNG_SECONDS, TICK_SECONDS, Follower
from heldar_mirror.watcher.problems import Problems

ROWS: list[Row] = [row(id="gate"), row(id="hall", mirror_enabled=0), row(id="attic", address=None)]


@dataclass
class Bench:
    """A follower whose reads and reconciles do what the test says.

    `unread` is why the table can't be read, `fault` why there is no plan, `problem` why the plan can't be applied.
    """

    state: Path
    clock: Clock = field(default_factory=Clock)
    log: list[str] = field(default_factory=list)
    rows: list[Row] = field(default_factory=lambda: list(ROWS))
    unread: DatabaseError | None = None
    fault: MirrorError | None = None
    problem: MirrorError | None = None
    reading: Callable[[], None] = lambda: None
    meanwhile: Callable[[], None] = lambda: None
    # The state's fingerprint: whoever writes changes it.
    written: tuple[int, ...] | None = (1,)
    reconciles: int = 0
    computed: int = 0
    follower: Follower = field(init=False)
    problems: Problems = field(init=False)

    def __post_init__(self) -> None:
        self.problems = Problems(self.log.append)
        made = settings(MIRROR_STATE_DIR=str(self.state))
        self.follower = Follower(lambda: made, self.call, self.problems, self.log.append, self.clock)

    async def call(self, function: Callable[..., Any], *args: Any) -> Any:
        if function is current_fingerprint:
            return self.written
        if function in {os.path.realpath, read_rows}:
            self.reading()
            if self.unread:
                raise self.unread
            return list(self.rows)
        if function is desired_state:
            self.computed += 1
            return desired_state(*args)
        assert function is reconcile
        self.reconciles += 1
        self.meanwhile()
        if self.fault:
            raise self.fault
        _, _, table = args
        return Reconciled(table, make_plan(table.desired, {}, 1), self.problem, fingerprint=self.written)

    def turn(self, times: int = 1) -> int:
        """Take turns, and return how many of them reconciled."""
        before = self.reconciles
        for _ in range(times):
            asyncio.run(self.follower.follow())
        return self.reconciles - before


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path)


def test_it_reconciles_once_until_a_row_changes(bench: Bench) -> None:
    """The first turn reconciles, and after that only a change of the table makes one due."""
    assert bench.turn(3) == 1
    bench.rows[0] = row(id="gate", segment_seconds=30)
    assert bench.turn(3) == 1


def test_it_knows_what_the_table_asks_for(bench: Bench) -> None:
    """Which cameras want a mirror, which have a program, and which can't be used."""
    assert not bench.follower.has_read
    bench.turn()
    assert bench.follower.has_read
    assert bench.follower.desired.specs.keys() == bench.follower.mirrored == {"gate"}
    assert bench.log == ["camera attic: no RTSP URL: neither main_stream_url nor address is set", "+ gate"]


def test_a_request_is_met_at_the_next_turn(bench: Bench) -> None:
    """Whether or not a row changed, and once."""
    bench.turn()
    bench.follower.request()
    assert bench.turn(3) == 1


def test_a_request_during_a_turn_is_not_lost(bench: Bench) -> None:
    """A reconcile that began before the request may not have seen what it was made for."""
    bench.meanwhile = bench.follower.request
    assert bench.turn() == 1
    bench.meanwhile = lambda: None
    assert bench.turn(3) == 1


def test_a_problem_while_applying_is_tried_again_at_the_tick(bench: Bench) -> None:
    """What the table asks for is known all the same; a changed row is tried at once."""
    bench.problem = SupervisordError("supervisord does not answer")
    assert bench.turn(5) == 1
    assert bench.follower.desired.specs.keys() == {"gate"}
    bench.clock.pass_by(TICK_SECONDS)
    assert bench.turn(5) == 1
    bench.rows.append(row(id="yard"))
    assert bench.turn(5) == 1
    bench.problem = None
    bench.clock.pass_by(TICK_SECONDS)
    assert bench.turn(5) == 1
    assert bench.log.count("supervisord does not answer") == 1
    assert "reconcile: all well again" in bench.log


def test_a_state_that_cannot_be_used_is_tried_again_at_the_tick(bench: Bench) -> None:
    """Without the state there is no plan; the watcher says so, and tries again."""
    bench.turn()
    bench.rows.append(row(id="yard"))
    bench.fault = StateError("cannot use the state")
    assert bench.turn(5) == 1
    assert bench.follower.desired.specs.keys() == {"gate", "yard"}
    bench.fault = None
    assert bench.turn() == 0
    bench.clock.pass_by(TICK_SECONDS)
    assert bench.turn(2) == 1
    assert bench.log[-4:] == ["cannot use the state", "reconcile: all well again", "+ gate", "+ yard"]


def test_the_tick_comes_on_a_database_that_never_rests(bench: Bench) -> None:
    """A turn every second must not put off the next attempt."""
    bench.fault = StateError("cannot use the state")
    bench.turn()
    tried = 0
    for _ in range(60):
        bench.clock.pass_by(1)
        tried += bench.turn()
    assert tried == 6


def test_what_another_reconcile_wrote_is_reconciled_once(bench: Bench) -> None:
    """It may have been killed half-way, or have read another table; a state that can't be read is no reason to wait."""
    bench.turn(2)
    for written in ((2,), None, (1,)):
        bench.written = written
        assert bench.turn(3) == 1


def test_a_row_is_read_once_and_the_desired_state_computed_once(bench: Bench) -> None:
    """In a turn with nothing to do it isn't computed at all."""
    reads: list[None] = []
    bench.reading = lambda: reads.append(None)
    bench.turn()
    assert (len(reads), bench.computed) == (1, 1)
    bench.turn(5)
    assert (len(reads), bench.computed) == (6, 1)


def test_a_database_that_cannot_be_read_changes_nothing(bench: Bench) -> None:
    """What was known stays, and a reconcile that was due stays due."""
    bench.turn()
    bench.follower.request()
    bench.unread = DatabaseError("cannot read the cameras")
    bench.turn(2)
    assert bench.follower.desired.specs.keys() == bench.follower.mirrored == {"gate"}
    assert bench.problems.texts(without=["cameras"]) == ["cannot read the cameras"]
    bench.unread = None
    assert bench.turn(2) == 1
    assert "database: all well again" in bench.log


def test_before_the_first_reconcile_the_programs_file_counts(tmp_path: Path) -> None:
    """A watcher that is restarted while the database is gone knows which programs are ours."""
    (tmp_path / "programs.conf").write_text("\n[program:mirror-gate]\ncommand=python recorder gate.spec 17\n")
    assert Bench(tmp_path).follower.mirrored == {"gate"}


def test_a_watcher_without_a_programs_file_to_read_has_the_launch_specs(tmp_path: Path) -> None:
    """One of these may be damaged as well: its camera may run all the same."""
    (tmp_path / "programs.conf").write_bytes(b"\xff")
    specs = tmp_path / "specs"
    specs.mkdir()
    (specs / "gate.spec").write_bytes(b"\xff")
    assert Bench(tmp_path).follower.mirrored == {"gate"}


def test_a_turn_that_takes_too_long_hangs(bench: Bench) -> None:
    """A turn is watched from its beginning to its end."""
    seen: list[bool] = []

    def meanwhile() -> None:
        bench.clock.pass_by(HUNG_SECONDS)
        seen.append(bench.follower.is_hung())
        bench.clock.pass_by(1)
        seen.append(bench.follower.is_hung())
        raise KeyboardInterrupt

    bench.reading = meanwhile
    assert not bench.follower.is_hung()
    with pytest.raises(KeyboardInterrupt):
        asyncio.run(bench.follower.run())
    assert seen == [False, True]
