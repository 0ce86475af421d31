"""What was proven, and what was found: the database `proofs.db` of the state directory.

It has a row for each segment of the mirror at each level that is used: 40 bytes, so 170 MiB for 4.3 million segments.
Each look is committed by itself, so a process that is killed loses only the looks that it had not ended.
"""

import os
import sqlite3
from collections.abc import Collection, Iterable, Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import NamedTuple

from heldar_mirror.errors import StateError
from heldar_mirror.recorder.files import open_plain
from heldar_mirror.state.directory import StateSettings, state_errors
from heldar_mirror.state.locks import opened_lock_file, try_lock
from heldar_mirror.verify.outcomes import Level, Outcome

PROOFS = "proofs.db"
LOCK = "verify.lock"
VERSION = 1

# Segments of a camera that were begun in the same hour are looked at together: they share files of the primary. By
# manifests, it is those of a day.
BATCH_SECONDS = {Level.INDEX: 3600, Level.PACKETS: 3600, Level.FILES: 86_400}

SCHEMA = f"""
BEGIN;
CREATE TABLE cameras (number INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE);
CREATE TABLE looks (
    level INTEGER, camera INTEGER, begun INTEGER, -- Unix seconds
    size INTEGER, modified INTEGER,               -- bytes, and nanoseconds since 1970
    looked INTEGER,                               -- Unix seconds; NULL if it was never looked at as it is now
    outcome INTEGER,                              -- that of the last look; NULL if there was none
    proven INTEGER,                               -- when it was proven, as it is now (Unix seconds), or NULL
    PRIMARY KEY (level, camera, begun)
) WITHOUT ROWID;
CREATE TABLE findings (
    level INTEGER, camera INTEGER, begun INTEGER, text TEXT NOT NULL, PRIMARY KEY (level, camera, begun)
) WITHOUT ROWID;
CREATE TRIGGER gone AFTER DELETE ON looks WHEN OLD.outcome >= {Outcome.UNREADABLE:d} BEGIN
    DELETE FROM findings WHERE level = OLD.level AND camera = OLD.camera AND begun = OLD.begun;
END;
PRAGMA user_version = {VERSION};
COMMIT;
"""  # noqa: S608 - only constants


# Brings the rows of a camera in step with what was listed. Nothing is written for a segment that is as it was.
TAKE_STOCK = (
    "DELETE FROM looks WHERE level = :level AND camera = :camera AND begun NOT IN (SELECT begun FROM listed)",
    """INSERT INTO looks (level, camera, begun, size, modified)
    SELECT :level, :camera, begun, size, modified FROM listed WHERE true
    ON CONFLICT DO UPDATE SET size = excluded.size, modified = excluded.modified, looked = NULL, proven = NULL
    WHERE size != excluded.size OR modified != excluded.modified""",
)

# When a segment is proven, by the outcome of a look. It stays so if the primary has deleted that time since. Manifests
# outlive what they list, so without them nothing is proven any more.
PROVEN = dict.fromkeys(Outcome, "NULL") | {
    Outcome.PROVEN: ":looked",
    Outcome.NOTHING_THERE: f"CASE WHEN level != {Level.FILES:d} THEN proven END",
}

TURN = f"CASE WHEN outcome >= {Outcome.UNREADABLE:d} THEN 0 WHEN looked IS NULL THEN 1 ELSE 2 END"

# Of all segments that may be looked at, those whose look is not newer than `before`, and what was found or never seen.
DUE = f"level = :level AND begun BETWEEN :since AND :until AND ({TURN} < 2 OR looked <= :before)"


class Stocked(NamedTuple):
    """A segment as its directory lists it: when it was begun (Unix seconds), its bytes, and its mtime in ns."""

    begun: int
    size: int
    modified: int


class Scope(NamedTuple):
    """Which segments are asked for: those begun in a span (Unix seconds, both ends included), at a level.

    What was proven is due again if that was not later than `before`.
    """

    level: Level
    since: int
    until: int
    before: int


class Look(NamedTuple):
    """What came of looking at a segment that was begun at a time, and when it was looked at (Unix seconds).

    A finding has a text, of the caller's choice.
    """

    begun: int
    looked: int
    outcome: Outcome
    finding: str = ""


class Batch(NamedTuple):
    """Segments of one camera that were begun in the same hour or day, and are due for the same reason.

    `turn` is 0 for findings, 1 for what was never looked at, 2 for the rest. `looked` is the oldest look, if any.
    """

    camera_id: str
    number: int
    turn: int
    looked: int | None
    segments: int
    bytes: int


class Standing(NamedTuple):
    """How far a camera's segments are proven. `oldest` is the oldest of the proofs that stand (Unix seconds).

    What the primary has deleted since it was proven is still proven. `nothing_there` are those that it deleted before.
    """

    segments: int = 0
    bytes: int = 0
    proven: int = 0
    proven_bytes: int = 0
    nothing_there: int = 0
    unrelated: int = 0
    unreadable: int = 0
    different: int = 0
    oldest: int | None = None


@contextmanager
def opened_memory(settings: StateSettings) -> Iterator["Memory"]:
    """Open what is remembered, for this process alone. Raises StateError, also if another `verify` runs."""
    path = settings.state_dir / PROOFS
    with opened_lock_file(settings.state_dir / LOCK, settings) as lock:
        if not try_lock(lock):
            raise StateError(f"another heldar-mirror verify is running: it holds {settings.state_dir / LOCK}")
        with state_errors(settings):
            # It is made for us alone. SQLite gives the files beside it the same mode.
            os.close(open_plain(str(path), os.O_RDWR | os.O_CREAT))
        with sqlite_errors(path), closing(sqlite3.connect(path, isolation_level=None, check_same_thread=False)) as made:
            yield Memory(made, path)


@contextmanager
def sqlite_errors(path: Path) -> Iterator[None]:
    """Turn SQLite's errors into a StateError. A damaged database is moved aside, so that the next run begins anew."""
    try:
        yield
    except sqlite3.OperationalError as error:
        raise StateError(
            f"cannot use {path.parent}/{PROOFS}: {error}. Is its disk full, or may this user not write there?"
        ) from None
    except sqlite3.DatabaseError as error:
        aside = path.with_name(f"{path.name}.damaged")
        # The log goes first: a database without it is older, but one beside the log of another is damaged.
        for end in ("-wal", ""):
            with suppress(FileNotFoundError):
                path.with_name(path.name + end).replace(f"{aside}{end}")
        raise StateError(
            f"{path.parent}/{PROOFS} is damaged: {error}. It was moved to {aside}, so what was proven and "
            "found before is not known any more. Run this again: it begins anew"
        ) from None


class Memory:
    """What is remembered. It may be used by several threads, one at a time."""

    def __init__(self, connection: sqlite3.Connection, path: Path) -> None:
        self._connection = connection
        connection.execute("PRAGMA locking_mode = EXCLUSIVE")  # so that it needs no shared memory
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = NORMAL")
        (version,) = connection.execute("PRAGMA user_version").fetchone()
        (found,) = connection.execute("PRAGMA quick_check(1)").fetchone()
        if found != "ok":
            raise sqlite3.DatabaseError(found)
        if version == 0:
            connection.executescript(SCHEMA)
        elif version != VERSION:
            raise StateError(
                f"{path} has version {version}, expected {VERSION}: a later heldar-mirror made it. Use that one, or "
                "move the file away, and what was proven is not known any more"
            )
        connection.execute("CREATE TEMP TABLE listed (begun INTEGER PRIMARY KEY, size INTEGER, modified INTEGER)")
        self._cameras: dict[str, int] = {
            camera_id: number for number, camera_id in connection.execute("SELECT number, id FROM cameras")
        }
        self._ids = {number: camera_id for camera_id, number in self._cameras.items()}

    def camera_ids(self) -> list[str]:
        """Return the cameras of which anything is remembered."""
        return sorted(self._cameras)

    def take_stock(self, level: Level, camera_id: str, segments: Iterable[Stocked]) -> None:
        """Note all closed segments of a camera. What is not among them is forgotten, and what changed is due again."""
        with self._transaction():
            camera = self._number(camera_id)
            self._connection.execute("DELETE FROM listed")
            self._connection.executemany("INSERT INTO listed VALUES (?, ?, ?)", segments)
            for statement in TAKE_STOCK:
                self._connection.execute(statement, {"level": level, "camera": camera})

    def forget(self, camera_id: str) -> None:
        """Forget a camera whose directory is not there any more."""
        with self._transaction():
            camera = self._cameras.pop(camera_id)
            self._connection.execute("DELETE FROM looks WHERE camera = ?", (camera,))
            self._connection.execute("DELETE FROM cameras WHERE number = ?", (camera,))

    def doubt(self, level: Level, camera_id: str, begun: int, until: int, modified: int) -> None:
        """Have the segments that were begun from `begun` to `until` looked at again, unless that was done after a time
        (Unix seconds), when a file of the primary changed."""
        self._connection.execute(
            "UPDATE looks SET looked = NULL "
            "WHERE level = ? AND camera = ? AND begun BETWEEN ? AND ? AND looked <= ? AND outcome IS NOT NULL",
            (level, self._number(camera_id), begun, until, modified),
        )

    def batches(self, scope: Scope, camera_ids: Collection[str]) -> list[Batch]:
        """Return what is due of some cameras: findings, what was never looked at, and the rest, in the order of these,
        and the oldest look first."""
        rows = self._connection.execute(
            f"SELECT camera, begun / :length AS batch, {TURN} AS turn, MIN(looked), COUNT(*), SUM(size) "  # noqa: S608 - only constants
            f"FROM looks WHERE {DUE} GROUP BY camera, batch, turn ORDER BY turn, MIN(looked), batch DESC, camera",
            {**scope._asdict(), "length": BATCH_SECONDS[scope.level]},
        )
        wanted = {self._cameras[camera_id] for camera_id in camera_ids if camera_id in self._cameras}
        return [Batch(self._ids[camera], *rest) for camera, *rest in rows if camera in wanted]

    def due(self, scope: Scope, batch: Batch) -> list[Stocked]:
        """Return the segments of a batch, in the order of time."""
        length = BATCH_SECONDS[scope.level]
        begin = batch.number * length
        inside = scope._replace(since=max(scope.since, begin), until=min(scope.until, begin + length - 1))
        rows = self._connection.execute(
            f"SELECT begun, size, modified FROM looks WHERE {DUE} AND camera = :camera AND {TURN} = :turn "  # noqa: S608 - only constants
            "ORDER BY begun",
            {**inside._asdict(), "camera": self._cameras[batch.camera_id], "turn": batch.turn},
        )
        return [Stocked(*row) for row in rows]

    def note(self, level: Level, camera_id: str, look: Look) -> None:
        """Note what came of looking at a segment, in place of what came of it before."""
        with self._transaction():
            key = {"level": level, "camera": self._number(camera_id), "begun": look.begun}
            self._connection.execute(
                f"UPDATE looks SET looked = :looked, outcome = :outcome, proven = {PROVEN[look.outcome]} "  # noqa: S608 - only constants
                "WHERE level = :level AND camera = :camera AND begun = :begun",
                key | {"looked": look.looked, "outcome": look.outcome},
            )
            if look.finding:
                row = (*key.values(), look.finding)
                self._connection.execute("INSERT OR REPLACE INTO findings VALUES (?, ?, ?, ?)", row)
            else:
                where = "level = :level AND camera = :camera AND begun = :begun"
                self._connection.execute(f"DELETE FROM findings WHERE {where}", key)  # noqa: S608 - only constants

    def standings(self, scope: Scope) -> dict[str, Standing]:
        """Return by camera how far its segments are proven."""
        rows = self._connection.execute(
            "SELECT camera, COUNT(*), SUM(size), COUNT(proven), SUM(CASE WHEN proven IS NOT NULL THEN size END), "  # noqa: S608 - only constants
            f"SUM(outcome IS {Outcome.NOTHING_THERE:d} AND proven IS NULL), SUM(outcome IS {Outcome.UNRELATED:d}), "
            f"SUM(outcome IS {Outcome.UNREADABLE:d}), SUM(outcome IS {Outcome.DIFFERENT:d}), MIN(proven) "
            "FROM looks WHERE level = :level AND begun BETWEEN :since AND :until GROUP BY camera",
            scope._asdict(),
        )
        found = {}
        for camera, *counts, oldest in rows:
            found[self._ids[camera]] = Standing(*(each or 0 for each in counts))._replace(oldest=oldest)
        return found

    def findings(self, scope: Scope) -> Iterator[tuple[str, int, str]]:
        """Yield the findings that stand: the camera, when its segment was begun, and the text."""
        rows = self._connection.execute(
            "SELECT camera, begun, text FROM findings WHERE level = :level AND begun BETWEEN :since AND :until "
            "ORDER BY camera, begun",
            scope._asdict(),
        )
        return ((self._ids[camera], begun, text) for camera, begun, text in rows)

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        self._connection.execute("BEGIN")
        try:
            yield
        except BaseException:
            self._connection.execute("ROLLBACK")
            raise
        self._connection.execute("COMMIT")

    def _number(self, camera_id: str) -> int:
        if camera_id not in self._cameras:
            made = self._connection.execute("INSERT INTO cameras (id) VALUES (?)", (camera_id,)).lastrowid
            assert made is not None  # noqa: S101 - a row was inserted
            self._cameras[camera_id], self._ids[made] = made, camera_id
        return self._cameras[camera_id]
