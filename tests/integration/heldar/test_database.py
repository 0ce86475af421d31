"""Reading Heldar's database never writes to it or harms it, and a table that can't be read is not an empty one.

Heldar's kernel and the reader are separate processes: in one process, closing a file would drop SQLite's locks on it.
"""

import contextlib
import fcntl
import math
import os
import queue
import re
import shutil
import signal
import subprocess
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from support.heldar_kernel import database_files, give_to_heldar, heldar_kernel
from support.mirror import SCHEMA, Database, Mirror, new_home
from support.running import recorders, wait_until_recording
from support.users import (
    HELDAR_UID,
    STRANGER_UID,
    MirrorForAll,
    as_root,
    identity,
    new_mirror,
    python_for_all,
    run_as,
)
from support.waiting import PATIENCE_SECONDS, processes_of, wait_for
from watchdog.events import FileSystemEvent, FileSystemEventHandler
from watchdog.observers import Observer

from heldar_mirror.errors import DatabaseError
from heldar_mirror.heldar.cameras import COLUMNS
from heldar_mirror.heldar.sqlite_files import SHARED_FIRST, SHARED_SIZE, read_lock
from heldar_mirror.heldar.tables import read_cameras, read_locked

# A table of segments of which none is locked, and which has no end.
ENDLESS = """
DROP TABLE segments;
CREATE VIEW segments AS WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n)
SELECT x AS camera_id, x AS start_time, x AS end_time, x < 0 AS locked, x < 0 AS evidence_locked FROM n;
"""
ENDLESS_READER_PROGRAM = """
import pathlib, sys
from heldar_mirror.heldar.database import ask
from heldar_mirror.heldar.queries import locked_segments
ask(pathlib.Path(sys.argv[1]), "locked segments", locked_segments, seconds=600)
"""

# Opens, writes and closes, over and over: each time the -wal and the -shm come and go.
RESTLESS_KERNEL_PROGRAM = """
import sqlite3, sys
for number in range(int(sys.argv[2])):
    connection = sqlite3.connect(sys.argv[1], isolation_level=None, timeout=15)
    connection.execute("INSERT INTO cameras (id, name) VALUES (?, 'x')", (f"n{number:04}",))
    connection.close()
"""

READER_PROGRAM = """
import pathlib, sys
from heldar_mirror.heldar.tables import read_cameras
from heldar_mirror.errors import DatabaseError
for _ in range(int(sys.argv[2])):
    try:
        print(*[row["id"] for row in read_cameras(pathlib.Path(sys.argv[1]))])
    except DatabaseError as error:
        print("DatabaseError:", error)
"""


@pytest.fixture
def home() -> Iterator[Path]:
    """A directory that every user can enter, whatever other runs of pytest do to theirs."""
    with new_home() as path:
        yield path


def read_as(uid: int, path: Path, times: int = 1) -> list[str]:
    """Read the cameras' ids as a user, and return one line for each time."""
    result = run_as(uid, [python_for_all(), "-c", READER_PROGRAM, str(path), str(times)])
    assert result.returncode == 0, result.stderr
    return result.stdout.splitlines()


def snapshot(directory: Path) -> dict[str, tuple[object, ...]]:
    """Return all about a directory and its files that reading may not change."""
    return {
        str(path): (s.st_ino, s.st_uid, s.st_gid, s.st_mode, s.st_mtime_ns, path.is_file() and path.read_bytes())
        for path in (directory, *sorted(directory.iterdir()))
        for s in [path.lstat()]
    }


@as_root
@pytest.mark.parametrize("state", ["running", "stopped", "crashed", "crashed, without -shm"])
@pytest.mark.parametrize(
    ("reader", "directory_mode"),
    [(0, 0o755), (HELDAR_UID, 0o755), (STRANGER_UID, 0o755), (STRANGER_UID, 0o777)],
    ids=["root", "kernel's user", "stranger", "stranger, directory writable"],
)
def test_reading_changes_nothing_and_sees_the_newest_row(
    database: Database, state: str, reader: int, directory_mode: int
) -> None:
    """Whoever reads, and whatever state Heldar's kernel is in: files, bytes, owners and modes stay the same, the last
    commit is seen, and Heldar's kernel can write afterwards."""
    database.add("old")
    path = give_to_heldar(database, directory_mode)
    with heldar_kernel(path) as running:
        running.add("only_in_the_wal")
        if state == "stopped":
            running.end()
        elif state != "running":
            running.crash()
        if state == "crashed, without -shm":
            Path(f"{path}-shm").unlink()
        assert (
            database_files(path)
            == {
                "running": {"", "-wal", "-shm"},
                "stopped": {""},
                "crashed": {"", "-wal", "-shm"},
                "crashed, without -shm": {"", "-wal"},
            }[state]
        )

        before = snapshot(path.parent)
        assert read_as(reader, path, times=3) == ["old only_in_the_wal"] * 3
        assert snapshot(path.parent) == before

        with contextlib.nullcontext(running) if state == "running" else heldar_kernel(path) as writer:
            writer.add("written_afterwards")
            assert read_as(reader, path) == ["old only_in_the_wal written_afterwards"]
            writer.end()
    assert database_files(path) == {""}
    assert path.stat().st_uid == HELDAR_UID


@as_root
@pytest.mark.parametrize("reader", [0, STRANGER_UID], ids=["root", "stranger"])
def test_a_kernel_that_starts_and_stops_while_we_read_is_not_disturbed(database: Database, reader: int) -> None:
    """While we read over and over and the -wal comes and goes, no commit is missed or lost, every file stays Heldar's,
    and Heldar's kernel meets no error."""
    path = give_to_heldar(database, 0o777)
    restless = subprocess.Popen(
        [python_for_all(), "-c", RESTLESS_KERNEL_PROGRAM, str(path), "300"],
        **identity(HELDAR_UID),
        cwd="/",
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        lines = read_as(reader, path, times=400)
        _, errors = restless.communicate(timeout=180)
    finally:
        restless.kill()
        restless.wait()
    assert restless.returncode == 0, errors

    # A read may give up on a database that changes all the time. It may not see less than an earlier one.
    seen = [len(line.split()) for line in lines if not line.startswith("DatabaseError:")]
    told = {line for line in lines if line.startswith("DatabaseError:")}
    assert seen == sorted(seen)
    assert len(seen) > len(lines) / 2, told
    assert all("changes all the time" in line or "locked" in line for line in told), told

    assert {entry.stat().st_uid for entry in path.parent.iterdir()} == {HELDAR_UID}
    with heldar_kernel(path) as writer:
        writer.add("written_afterwards")
        writer.end()
    assert database_files(path) == {""}
    (line,) = read_as(reader, path)
    assert line.split() == [*(f"n{number:04}" for number in range(300)), "written_afterwards"]


@as_root
@pytest.mark.parametrize("content", [b"", b"x" * 31, bytes(4152)], ids=["empty", "half a header", "no frames"])
@pytest.mark.parametrize("others", [("-wal",), ("-wal", "-shm")], ids=["no -shm", "empty -shm"])
@pytest.mark.parametrize("reader", [0, HELDAR_UID, STRANGER_UID], ids=["root", "kernel's user", "stranger"])
def test_a_wal_without_valid_frames_is_left_alone(
    database: Database, reader: int, others: tuple[str, ...], content: bytes
) -> None:
    """A -wal without valid frames stays, since Heldar's kernel may just be starting and about to write there."""
    database.add("old")
    path = give_to_heldar(database, 0o777)
    for suffix in others:
        Path(f"{path}{suffix}").write_bytes(content if suffix == "-wal" else b"")
        os.chown(f"{path}{suffix}", HELDAR_UID, HELDAR_UID)
    before = snapshot(path.parent)
    assert read_as(reader, path) == ["old"]
    assert snapshot(path.parent) == before


@as_root
@pytest.mark.parametrize("others", [("-wal",), ("-wal", "-shm")], ids=["no -shm", "-shm"])
def test_the_wal_of_an_emptied_database_is_left_alone(database: Database, others: tuple[str, ...]) -> None:
    """SQLite deletes the -wal of an empty file, though it may hold the whole database. The reader leaves it."""
    path = give_to_heldar(database, 0o777)
    with heldar_kernel(path) as running:
        running.add("only_in_the_wal")
        running.crash()
    os.truncate(path, 0)
    if "-shm" not in others:
        Path(f"{path}-shm").unlink()
    before = snapshot(path.parent)
    (line,) = read_as(0, path)
    assert "it has no table cameras" in line
    assert snapshot(path.parent) == before


@as_root
def test_whatever_a_row_holds_is_read_in_place_as_it_is(database: Database) -> None:
    """Blobs, texts that are no UTF-8, and the limits of SQLite's numbers reach us as by the other ways. So does an
    error."""
    values = [b"\xff\0", b"", "tör \ud7ff \U0001f3a5 \0 'x'", None, 2**63 - 1, -(2**63), math.inf, -math.inf, 0.1]
    for number, value in enumerate(values):
        database.add(f"c{number}", segment_seconds=value)
    database.execute("INSERT INTO cameras (id, name, address) VALUES ('odd', 'x', CAST(x'ff41eda0bd00' AS TEXT))")
    database.add(b"blob")
    database.execute("ALTER TABLE segments DROP COLUMN evidence_locked")
    path = give_to_heldar(database, 0o777)
    with heldar_kernel(path) as running:
        running.add("only_in_the_wal")
        by_the_kernels_shm = read_cameras(path)
        running.crash()
    Path(f"{path}-shm").unlink()
    rows = read_cameras(path)
    assert rows == by_the_kernels_shm
    found = {row["id"]: row for row in rows}
    assert [found[f"c{number}"]["segment_seconds"] for number in range(len(values))] == values
    assert found["odd"]["address"] == "\udcffA\udced\udca0\udcbd\0"
    assert found.keys() >= {b"blob", "only_in_the_wal"}
    with pytest.raises(DatabaseError, match="the table segments lacks the column evidence_locked"):
        read_locked(path)
    assert not Path(f"{path}-shm").exists()


@as_root
@pytest.mark.parametrize("killed", ["who waits", "who reads"])
def test_a_read_that_is_killed_leaves_nothing(database: Database, home: Path, killed: str) -> None:
    """A -wal without a -shm is read where it lies: no copy is made, so none can outlive its reader."""
    database.add("old")
    database.execute(ENDLESS)
    path = give_to_heldar(database, 0o777)
    with heldar_kernel(path) as running:
        running.add("only_in_the_wal")
        running.crash()
    Path(f"{path}-shm").unlink()
    before = snapshot(path.parent)
    (home / "tmp").mkdir()

    command = [python_for_all(), "-c", ENDLESS_READER_PROGRAM, str(path)]
    env = {**os.environ, "TMPDIR": str(home / "tmp")}
    with subprocess.Popen(command, env=env, stderr=subprocess.PIPE, text=True) as waiting:
        (reading,) = wait_for(
            lambda: [pid for pid in processes_of("heldar.read_in_place") if has_open(pid, f"{path}-wal")]
        )
        assert snapshot(path.parent) == before
        assert not list((home / "tmp").iterdir())
        os.kill(waiting.pid if killed == "who waits" else reading, signal.SIGKILL)
        _, errors = waiting.communicate(timeout=60)
    assert killed == "who waits" or "its reader ended with -9" in errors
    wait_for(lambda: not Path(f"/proc/{reading}").exists())
    assert snapshot(path.parent) == before
    assert not list((home / "tmp").iterdir())
    assert read_as(0, path) == ["old only_in_the_wal"]


@as_root
def test_the_reader_takes_no_module_from_the_working_directory(
    database: Database, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A file that is named like a module is not run where a command is started, and a relative path is still found."""
    database.add("old")
    path = give_to_heldar(database, 0o777)
    with heldar_kernel(path) as running:
        running.add("only_in_the_wal")
        running.crash()
    Path(f"{path}-shm").unlink()
    for module in ("json", "sqlite3", "heldar_mirror"):
        (home / f"{module}.py").write_text(f"open({str(home / 'was_run')!r}, 'w')\n")
    monkeypatch.chdir(home)
    assert [row["id"] for row in read_cameras(Path(os.path.relpath(path, home)))] == ["old", "only_in_the_wal"]
    assert not (home / "was_run").exists()


def has_open(pid: int, name: str) -> bool:
    with contextlib.suppress(OSError):
        return any(str(fd.readlink()) == name for fd in Path(f"/proc/{pid}/fd").iterdir())
    return False


@as_root
def test_a_database_that_this_user_may_not_read_is_told(database: Database) -> None:
    """A file without permission to read it is an error that says who must be able to read what."""
    path = give_to_heldar(database, 0o755)
    path.chmod(0o640)
    (line,) = read_as(STRANGER_UID, path)
    assert f"cannot read the cameras in {path}" in line
    assert "must be readable to this user" in line


@as_root
def test_a_directory_that_this_user_may_not_enter_is_told(database: Database) -> None:
    """A directory without permission to enter it is the same error, and not a missing file."""
    path = give_to_heldar(database, 0o750)
    (line,) = read_as(STRANGER_UID, path)
    assert "must be readable to this user" in line


@as_root
def test_a_wal_that_this_user_may_not_read_is_told(database: Database) -> None:
    """If the newest commits are in a -wal that can't be read, the older ones do not count as the whole table."""
    path = give_to_heldar(database, 0o755)
    with heldar_kernel(path) as running:
        running.add("only_in_the_wal")
        for suffix in ("-wal", "-shm"):
            Path(f"{path}{suffix}").chmod(0o600)
        (line,) = read_as(STRANGER_UID, path)
        assert line.startswith("DatabaseError:")
        assert "must be readable to this user" in line


def hide_by_bind_mount(path: Path, alone: Path) -> list[str]:
    """Have the reader run where the file is mounted alone and other processes can't be seen, as in a container."""
    alone.touch()
    script = 'mount --bind "$0" "$1" && shift && exec "$@"'
    return ["unshare", "--mount", "--pid", "--fork", "sh", "-c", script, str(path), str(alone)]


def hide_by_hard_link(path: Path, alone: Path) -> list[str]:
    alone.hardlink_to(path)
    return ["env"]


def hide_by_deleting_the_wal(path: Path, alone: Path) -> list[str]:
    Path(f"{path}-wal").unlink()
    alone.symlink_to(path)
    return ["env"]


HIDING = [hide_by_bind_mount, hide_by_hard_link, hide_by_deleting_the_wal]


def read_alone(command: list[str], alone: Path) -> str:
    reader = [python_for_all(), "-c", READER_PROGRAM, str(alone), "1"]
    result = subprocess.run([*command, *reader], capture_output=True, text=True, check=True)
    return result.stdout.rstrip("\n")


@as_root
@pytest.mark.parametrize("hide", HIDING)
def test_a_file_whose_wal_is_elsewhere_is_not_taken_for_the_whole(
    database: Database, home: Path, hide: Callable[[Path, Path], list[str]]
) -> None:
    """While Heldar's kernel has the database open and its -wal can't be seen, the file is stale: an error says so."""
    database.add("old")
    path = give_to_heldar(database, 0o755)
    with heldar_kernel(path) as running:
        running.add("only_in_the_wal")
        alone = home / "alone.db"
        line = read_alone(hide(path, alone), alone)
        assert line.startswith(f"DatabaseError: cannot read the cameras in {alone}: a process has it open in WAL mode")
        assert "Mount the directory that it lies in, not the file alone" in line


@as_root
@pytest.mark.parametrize("hide", HIDING[:2])
def test_a_file_that_nobody_has_open_is_the_whole(
    database: Database, home: Path, hide: Callable[[Path, Path], list[str]]
) -> None:
    """When Heldar's kernel has ended everything is in the file, wherever it is mounted. Other readers don't count."""
    path = give_to_heldar(database, 0o755)
    with heldar_kernel(path) as running:
        running.add("only_in_the_wal")
        running.end()
    alone = home / "alone.db"
    command = hide(path, alone)
    with read_lock(path):
        assert read_alone(command, alone) == "only_in_the_wal"


@as_root
def test_a_wal_that_was_deleted_behind_its_mount_does_not_count(database: Database, home: Path) -> None:
    """The -wal is mounted as well, and Heldar's kernel is started anew: it deletes that one and makes another."""
    path, alone = give_to_heldar(database, 0o755), home / "alone.db"
    for suffix in ("", "-wal"):
        Path(f"{alone}{suffix}").touch()
    script = """
        mount --bind "$0" "$1" && mount --bind "$0-wal" "$1-wal" && echo mounted && read -r ended
        shift && exec "$@"
    """
    reader = [python_for_all(), "-c", READER_PROGRAM, str(alone), "1"]
    with heldar_kernel(path) as running, contextlib.ExitStack() as stack:
        running.add("first")
        command = ["unshare", "--mount", "sh", "-c", script, str(path), str(alone), *reader]
        container = stack.enter_context(
            subprocess.Popen(
                command,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                text=True,
            )
        )
        assert container.stdout
        assert container.stdout.readline() == "mounted\n"
        running.end()
        with heldar_kernel(path) as anew:
            anew.add("second")
            seen, _ = container.communicate("ended\n", timeout=60)
    assert "its -wal is not beside it" in seen


@as_root
def test_a_rollback_journal_needs_no_other_file(database: Database, home: Path) -> None:
    """In a journal mode other than WAL a reader's lock says nothing: every commit is in the file."""
    database.add("old")
    database.execute("PRAGMA journal_mode=DELETE")
    alone = home / "alone.db"
    command = hide_by_bind_mount(database.path, alone)
    with database.path.open("rb") as reader:
        fcntl.lockf(reader, fcntl.LOCK_SH, SHARED_SIZE, SHARED_FIRST)
        assert read_alone(command, alone) == "old"


@as_root
def test_a_file_that_was_replaced_behind_its_mount_is_not_read(database: Database, home: Path) -> None:
    """A mounted file stays the old one when a new one is moved over its name, as by a restore."""
    database.add("old")
    (home / "alone.db").touch()
    script = 'mount --bind "$0" "$1" && cp "$0" "$0.new" && mv "$0.new" "$0" && shift && exec "$@"'
    command = ["unshare", "--mount", "sh", "-c", script, str(database.path), str(home / "alone.db")]
    assert "the file was deleted or replaced where it came from" in read_alone(command, home / "alone.db")


def test_a_further_column_does_not_matter(mirror: Mirror) -> None:
    """Columns that a later Heldar adds are ignored."""
    mirror.database.execute("ALTER TABLE cameras ADD COLUMN brand_new TEXT NOT NULL DEFAULT 'x'")
    mirror.database.add("gate")
    assert "1 added" in mirror.run("reconcile", "--dry-run").stdout


@pytest.fixture(scope="module")
def running() -> Iterator[Mirror]:
    """A mirror that runs, with one camera."""
    with new_mirror() as mirror:
        mirror.database.add("gate")
        with mirror.up():
            wait_until_recording(mirror, "gate")
            yield mirror


def unreadable(kind: str, path: Path) -> None:
    """Put something in the database's place from which no cameras can be read."""
    if kind == "an empty file":
        path.touch()
    elif kind == "a text file":
        path.write_text("This is no database.\n" * 100)
    elif kind == "a directory":
        path.mkdir()
    elif kind == "a pipe":
        os.mkfifo(path)
    elif kind == "a link to nothing":
        path.symlink_to("nowhere")
    elif kind == "no table":
        Database(path).execute("CREATE TABLE other (id TEXT)")
    elif kind == "a view":
        columns = ", ".join(f"i AS {column}" for column in COLUMNS)
        Database(path).execute(f"CREATE VIEW cameras AS {NUMBERS} SELECT {columns} FROM n WHERE i < 0")  # noqa: S608
    elif kind in ("damaged in the middle", "cut off", "a damaged index"):
        made = Database(path)
        made.execute(SCHEMA)
        rows = "".join(f"INSERT INTO cameras (id, name) VALUES ('c{n}', '{'x' * 500}');" for n in range(500))  # noqa: S608
        made.execute(f"PRAGMA journal_mode=WAL; BEGIN; {rows} COMMIT;")
        data = path.read_bytes()
        third = len(data) // 3
        path.write_bytes(
            {
                "damaged in the middle": data[:third] + b"\xff" * third + data[2 * third :],
                "cut off": data[: 2 * third],
                "a damaged index": re.sub(b"c250(?!x)", b"c25x", data),
            }[kind]
        )


# Numbers without an end.
NUMBERS = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n)"

KINDS = {
    "an empty file": "no table cameras",
    "a text file": "file is not a database",
    "a directory": "it is not a file",
    "a pipe": "it is not a file",
    "nothing": "No such file",
    "a link to nothing": "No such file",
    "no table": "no table cameras",
    "a view": "cameras is a view, expected a table",
    "damaged in the middle": "malformed",
    "a damaged index": "is damaged",
    "cut off": "malformed",
}


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_no_database_is_told_and_stops_nothing(running: Mirror, kind: str) -> None:
    """What is no database is exit code 4, with the path, the reason and the next step. Every mirror goes on."""
    path = running.home / kind.replace(" ", "-")
    unreadable(kind, path)
    before = recorders(running)
    for command in (["reconcile"], ["reconcile", "--dry-run"], ["reconcile", "gate"]):
        result = running.run(*command, code=4, HELDAR_DATABASE_URL=f"sqlite://{path}")
        assert f"cannot read the cameras in {path}: " in result.stderr
        assert KINDS[kind] in result.stderr
        assert "What runs goes on." in result.stderr
        assert "HELDAR_DATABASE_URL" in result.stderr
        assert result.stdout == ""
    assert recorders(running) == before
    shown = running.json("status", HELDAR_DATABASE_URL=f"sqlite://{path}")
    assert KINDS[kind] in "\n".join(shown["problems"])
    assert [camera["camera_id"] for camera in shown["cameras"]] == ["gate"]
    assert not list(running.home.glob(f"{path.name}-*"))


def test_what_is_no_file_is_not_even_opened(home: Path) -> None:
    """To open a device can do harm. Whoever waits for a reader of a pipe would see it opened."""
    path = home / "pipe"
    os.mkfifo(path)
    writer = threading.Thread(target=lambda: os.close(os.open(path, os.O_WRONLY)))
    writer.start()
    try:
        wait_for(lambda: ") S " in Path(f"/proc/self/task/{writer.native_id}/stat").read_text())
        with pytest.raises(DatabaseError, match="it is not a file"):
            read_cameras(path)
        writer.join(1)
        assert writer.is_alive()
    finally:
        os.close(os.open(path, os.O_RDONLY | os.O_NONBLOCK))
        writer.join()


@pytest.mark.parametrize("column", ["mirror_enabled", "main_stream_url", "id"])
def test_a_missing_column_is_named(running: Mirror, column: str) -> None:
    """A table without a needed column has a different schema. The error names the column."""
    path = running.home / f"without-{column}.db"
    schema = SCHEMA
    Database(path).execute(re.sub(rf"\b{column}\b", "renamed", schema, count=1))
    result = running.run("reconcile", code=4, HELDAR_DATABASE_URL=f"sqlite://{path}")
    assert f"lacks the column {column}:" in result.stderr
    assert recorders(running).keys() == {"gate"}


def test_a_locked_database_is_told_and_stops_nothing(running: Mirror) -> None:
    """While a writer has the database locked exclusively the cameras can't be read. Afterwards they can."""
    path = running.home / "locked.db"
    shutil.copy(running.database.path, path)
    with heldar_kernel(path, os.geteuid()) as writer:
        writer.tell("PRAGMA locking_mode=EXCLUSIVE")
        writer.add("newest")
        result = running.run("reconcile", code=4, HELDAR_DATABASE_URL=f"sqlite://{path}")
        assert "database is locked" in result.stderr
        assert "Try again when its writer is done." in result.stderr
        assert recorders(running).keys() == {"gate"}
        writer.end()
    assert "unchanged" in running.run("reconcile", HELDAR_DATABASE_URL=f"sqlite://{path}").stdout


def test_a_write_transaction_of_the_kernel_does_not_keep_us_out(running: Mirror) -> None:
    """In WAL mode readers see the last commit while a writer is at work."""
    path = running.home / "busy.db"
    shutil.copy(running.database.path, path)
    with heldar_kernel(path, os.geteuid()) as writer:
        writer.add("committed")
        writer.tell("BEGIN IMMEDIATE")
        writer.add("not_yet")
        shown = running.json("status", HELDAR_DATABASE_URL=f"sqlite://{path}")
        assert {camera["camera_id"] for camera in shown["cameras"]} == {"gate", "committed"}


@as_root
def test_dry_run_as_another_user_says_that_the_database_is_not_his_to_read() -> None:
    """On the command line too a database that can't be read is exit code 4, whichever user asks."""
    with new_mirror(MirrorForAll) as mirror:
        mirror.database.path.chmod(0o600)
        result = mirror.run_as(STRANGER_UID, "reconcile", "--dry-run", code=4)
        assert f"cannot read the cameras in {mirror.database.path}" in result.stderr
        assert "must be readable to this user" in result.stderr


def test_the_database_is_not_opened_for_writing(mirror: Mirror) -> None:
    """So it can't come to exist anew, owned by us, if it is removed at the wrong moment."""
    written: queue.Queue[str] = queue.Queue()

    class Handler(FileSystemEventHandler):
        def on_closed(self, event: FileSystemEvent) -> None:
            written.put(os.fsdecode(event.src_path))

    mirror.database.add("gate")
    observer = Observer()
    observer.schedule(Handler(), str(mirror.database.path.parent))
    observer.start()
    try:
        assert read_cameras(mirror.database.path)
        (mirror.database.path.parent / "end").write_text("")
        assert written.get(timeout=PATIENCE_SECONDS) == str(mirror.database.path.parent / "end")
    finally:
        observer.stop()
        observer.join()
