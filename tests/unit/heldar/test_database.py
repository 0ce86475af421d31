"""A read of the database whose disk hangs: its caller waits for a limited time, and no second thread gets stuck."""

import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from support.waiting import wait_for

from heldar_mirror.errors import DatabaseError
from heldar_mirror.heldar import sqlite_files
from heldar_mirror.heldar.database import READ_TIMEOUT_SECONDS, ask

PATIENCE = 0.2


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """The path of an empty database."""
    path = tmp_path / "heldar.db"
    path.touch()
    return path


@pytest.fixture
def disk() -> Iterator[threading.Event]:
    """A disk that hangs until the event is set, which the end of the test does."""
    event = threading.Event()
    yield event
    event.set()


def hanging(disk: threading.Event) -> Callable[[sqlite3.Connection], str]:
    def query(_: sqlite3.Connection) -> str:
        disk.wait()
        return "late"

    return query


def one(connection: sqlite3.Connection) -> int:
    return int(connection.execute("SELECT 1").fetchone()[0])


def test_a_read_returns_what_its_query_finds(path: Path) -> None:
    """The query runs in a daemon thread, which has ended when the answer is there."""
    threads: list[threading.Thread] = []

    def query(connection: sqlite3.Connection) -> int:
        threads.append(threading.current_thread())
        return one(connection)

    assert ask(path, "cameras", query) == 1
    (thread,) = threads
    assert thread.daemon
    assert not thread.is_alive()


def test_a_read_that_hangs_is_an_error(path: Path, disk: threading.Event) -> None:
    """The error comes when the time is over, and names the database, the time and the likely reason."""
    begun = time.monotonic()
    with pytest.raises(DatabaseError) as caught:
        ask(path, "cameras", hanging(disk), seconds=PATIENCE)
    assert PATIENCE <= time.monotonic() - begun < 10
    assert str(caught.value) == (
        f"cannot read the cameras in {path}: it does not answer within 0.2 s: does its disk hang? What runs goes on."
    )


def test_while_a_read_hangs_no_second_one_begins(path: Path, disk: threading.Event, tmp_path: Path) -> None:
    """A further read of that database fails at once; others are read, and so is that one when its disk answers."""
    with pytest.raises(DatabaseError):
        ask(path, "cameras", hanging(disk), seconds=PATIENCE)
    begun, threads = time.monotonic(), threading.active_count()
    for _ in range(3):
        with pytest.raises(DatabaseError, match=f"cannot read the locked segments in {path}: it does not answer"):
            ask(path, "locked segments", one)
    assert time.monotonic() - begun < READ_TIMEOUT_SECONDS / 4
    assert threading.active_count() == threads

    (tmp_path / "other.db").touch()
    assert ask(tmp_path / "other.db", "cameras", one) == 1

    disk.set()
    wait_for(lambda: threading.active_count() < threads)
    assert ask(path, "cameras", one) == 1


def test_a_read_that_takes_a_while_keeps_no_other_one_out(path: Path, disk: threading.Event) -> None:
    """Only a read that was given up makes the next one fail."""
    answers: list[str] = []
    first = threading.Thread(target=lambda: answers.append(ask(path, "cameras", hanging(disk))))
    first.start()
    assert ask(path, "cameras", one) == 1
    disk.set()
    first.join(READ_TIMEOUT_SECONDS)
    assert answers == ["late"]


@pytest.mark.parametrize("error", [ValueError("odd"), SystemExit(3), sqlite3.DatabaseError("malformed")])
def test_an_error_of_the_query_reaches_the_caller(path: Path, error: BaseException) -> None:
    """An unexpected error is raised as it is; SQLite's becomes a DatabaseError with the reason and the next step."""

    def query(_: sqlite3.Connection) -> None:
        raise error

    expected = DatabaseError if isinstance(error, sqlite3.Error) else type(error)
    with pytest.raises(expected) as caught:
        ask(path, "cameras", query)
    if isinstance(error, sqlite3.Error):
        assert f"cannot read the cameras in {path}: malformed. What runs goes on. Is HELDAR" in str(caught.value)
    else:
        assert caught.value is error


def test_a_query_without_an_end_is_interrupted(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever writes the database can't have the watcher compute for ever. The next read is made as if nothing was."""
    monkeypatch.setattr(sqlite_files, "QUERY_SECONDS", PATIENCE)

    def endless(connection: sqlite3.Connection) -> object:
        query = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT i FROM n WHERE i < 0"
        return connection.execute(query).fetchone()

    with pytest.raises(DatabaseError, match=r"interrupted. What runs goes on. Its query takes too long"):
        ask(path, "cameras", endless)
    assert ask(path, "cameras", one) == 1
