"""The watcher, under a real supervisord with a stand-in for ffmpeg: nobody touches anything but the database."""

import contextlib
import fcntl
import functools
import json
import os
import random
import re
import select
import shutil
import signal
import socket
import socketserver
import sqlite3
import stat
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from support import HERE
from support.examples import KEY, seal
from support.mirror import PASSWORD, SCHEMA, Database, Mirror
from support.running import ffmpegs, kill, recorders, wait_until_recording
from support.users import STRANGER, as_root, new_mirror, python_for_all, run_as
from support.waiting import processes_of, wait_for

from heldar_mirror.heldar.database import SHARED_FIRST, SHARED_SIZE

pytestmark = pytest.mark.slow

GREETING = "supervisor.getState"

# Writes what has nothing to do with cameras, a hundred commits a second.
BUSY_KERNEL = """
import itertools, sqlite3, sys, time
connection = sqlite3.connect(sys.argv[1], isolation_level=None, timeout=15)
connection.execute("PRAGMA synchronous=NORMAL")
for number in itertools.count():
    connection.execute("INSERT INTO segments (id, camera_id, path, start_time) VALUES (?1, 'x', ?1, 'x')", (number,))
    time.sleep(0.01)
"""


@pytest.fixture(scope="module")
def running() -> Iterator[Mirror]:
    """A mirror that is up with its watcher, for most of the tests."""
    with new_mirror() as mirror, mirror.up(watched=True):
        yield mirror


@pytest.fixture
def watched(running: Mirror) -> Iterator[Mirror]:
    """The mirror that is up, with no camera in its table."""
    yield running
    running.database.execute("DELETE FROM cameras; DELETE FROM segments")
    wait_until_recorded(running, {})


@pytest.fixture(scope="module")
def elsewhere() -> Iterator[Mirror]:
    """A watched mirror that was given its secret key in the environment of `up`, and its database as a path relative to
    where `up` was started; its status file is where everybody can read it."""
    with new_mirror() as mirror, contextlib.ExitStack() as stack:
        del mirror.env["HELDAR_DATABASE_URL"]
        (mirror.home / "heldar.env").write_text("HELDAR_DATABASE_URL=sqlite:heldar/heldar.db\n")
        mirror.env["HELDAR_MIRROR_SPECS_DIR"] = str(mirror.state / "specs")
        mirror.env["HELDAR_MIRROR_STATUS_DIR"] = str(mirror.home / "status")
        # `up` here waits for the status where it is by default; nobody writes it there.
        (mirror.state / "status").mkdir(parents=True)
        (mirror.state / "status/status.json").touch()
        with working_in(mirror.home):
            stack.enter_context(mirror.up(watched=True, HELDAR_SECRET_KEY=KEY))
        wait_for(status_file(mirror).exists)
        yield mirror


@contextlib.contextmanager
def working_in(directory: Path) -> Iterator[None]:
    before = Path.cwd()
    os.chdir(directory)
    try:
        yield
    finally:
        os.chdir(before)


def recorded(mirror: Mirror) -> dict[str, list[int]]:
    """Return how long the segments are of each camera that an ffmpeg records, ffmpeg by ffmpeg."""
    found: dict[str, list[int]] = {}
    for command in processes_of(f"{mirror.root}/").values():
        if match := re.search(rf"-segment_time (\d+) .*{mirror.root}/(\w+)/", command):
            found.setdefault(match[2], []).append(int(match[1]))
    return found


def wait_until_recorded(mirror: Mirror, expected: dict[str, int], seconds: float = 60) -> None:
    """Wait until exactly these cameras are recorded, each by one ffmpeg with segments of that length."""
    wait_for(lambda: recorded(mirror) == {name: [length] for name, length in expected.items()}, seconds, every=0.2)


def watcher(mirror: Mirror) -> int:
    """Return the process id of the watcher, once there is one."""

    def found() -> list[int]:
        supervisord = (mirror.state / "supervisord.pid").read_text().strip()
        children = Path(f"/proc/{supervisord}/task/{supervisord}/children").read_text().split()
        watchers = processes_of("-m heldar_mirror watch ")
        return [int(pid) for pid in children if int(pid) in watchers]

    (pid,) = wait_for(found)
    return int(pid)


def status_file(mirror: Mirror) -> Path:
    return Path(mirror.env.get("HELDAR_MIRROR_STATUS_DIR", mirror.state / "status")) / "status.json"


def published(mirror: Mirror) -> Any:
    return json.loads(status_file(mirror).read_text())


@contextlib.contextmanager
def busy_kernel(database: Database) -> Iterator[None]:
    """A kernel that commits all the time, though nothing about cameras."""
    process = subprocess.Popen([sys.executable, "-c", BUSY_KERNEL, str(database.path)])
    try:
        yield
        assert process.poll() is None
    finally:
        process.kill()
        process.wait()


def commits(database: Database) -> int:
    """Return how often a busy kernel has committed."""
    with contextlib.closing(sqlite3.connect(database.path)) as connection:
        (number,) = connection.execute("SELECT count(*) FROM segments").fetchone()
        return int(number)


def come_to_rest(database: Database) -> None:
    """Wait until a database is one whole file: who closes it while somebody reads leaves a -wal."""

    def whole() -> bool:
        database.execute("SELECT count(*) FROM cameras")
        return not Path(f"{database.path}-wal").exists()

    wait_for(whole)


@contextlib.contextmanager
def overheard(mirror: Mirror) -> Iterator[list[str]]:
    """Stand between supervisord and who asks it, and write down the methods that are called."""
    place, real = mirror.state / "supervisor.sock", mirror.state / "real.sock"
    methods: list[str] = []

    class Between(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            with socket.socket(socket.AF_UNIX) as supervisord:
                supervisord.connect(str(real))
                others = {self.request: supervisord, supervisord: self.request}
                while True:
                    for end in select.select(list(others), [], [])[0]:
                        if not (data := end.recv(65536)):
                            return
                        if end is self.request:
                            methods.extend(re.findall(r"<methodName>([\w.]+)<", data.decode()))
                        others[end].sendall(data)

    place.rename(real)
    try:
        with socketserver.ThreadingUnixStreamServer(str(place), Between) as server:
            threading.Thread(target=server.serve_forever, daemon=True).start()
            try:
                yield methods
            finally:
                server.shutdown()
    finally:
        real.rename(place)


@contextlib.contextmanager
def read_anew(mirror: Mirror, text: str, file: str = "mirror.env") -> Iterator[None]:
    """Have the watcher read its settings again with such an env file, and at the end with the one of before."""

    def told() -> int:
        return sum(mirror.watch_log().count(text) for text in ("read the settings anew", "stay in force"))

    def read() -> None:
        before = told()
        os.kill(watcher(mirror), signal.SIGHUP)
        wait_for(lambda: told() > before)

    path = mirror.home / file
    before = path.read_text() if path.exists() else ""
    path.write_text(text)
    try:
        read()
        yield
    finally:
        path.write_text(before)
        read()


def test_a_committed_row_is_applied(watched: Mirror) -> None:
    """A row that is committed starts, changes or stops its mirror, and leaves the others alone."""
    watched.database.add("gate")
    watched.database.add("hall", mirror_enabled=0)
    before = wait_until_recording(watched, "gate")
    assert re.search(rf"watching {watched.database.path} by (inotify|polling)", watched.watch_log())
    watched.database.update("hall", mirror_enabled=1, segment_seconds=30)
    wait_until_recorded(watched, {"gate": 60, "hall": 30})
    watched.database.update("hall", segment_seconds=40)
    wait_until_recorded(watched, {"gate": 60, "hall": 40})
    wait_for(lambda: watched.json("status")["well"])
    watched.database.update("hall", enabled=0)
    wait_until_recorded(watched, {"gate": 60})
    stopped = {"camera_id": "hall", "wanted": False, "state": None, "segment": None, "well": True}
    wait_for(lambda: any(camera | stopped == camera for camera in published(watched)["cameras"]))
    assert recorders(watched) == before
    watched.database.execute("DELETE FROM cameras")
    wait_until_recorded(watched, {})
    wait_for(lambda: published(watched)["cameras"] == [])


def test_a_database_that_never_rests_is_followed_and_supervisord_is_not_asked(watched: Mirror) -> None:
    """A hundred unrelated commits a second ask supervisord nothing, and keep no change from being applied."""
    watched.database.add("gate")
    before = wait_until_recording(watched, "gate")
    with busy_kernel(watched.database), overheard(watched) as methods:
        wait_for(lambda: commits(watched.database) > 300)
        # Once a tick it is asked whether it is there, which costs it nothing.
        assert set(methods) <= {GREETING}
        watched.database.add("hall")
        wait_until_recorded(watched, {"gate": 60, "hall": 60})
        watched.database.update("hall", segment_seconds=30)
        wait_until_recorded(watched, {"gate": 60, "hall": 30})
        watched.database.update("hall", mirror_enabled=0)
        wait_until_recorded(watched, {"gate": 60})
        assert "supervisor.reloadConfig" in methods
        assert commits(watched.database) > 300
    assert recorders(watched) == before


def test_a_burst_of_changes_ends_right(watched: Mirror) -> None:
    """However many rows change at once, in the end exactly the right set is recorded."""
    chance = random.Random(3)
    with contextlib.closing(sqlite3.connect(watched.database.path, isolation_level=None)) as kernel:
        for _ in range(300):
            camera_id = f"camera_{chance.randrange(10)}"
            kernel.execute(
                "INSERT OR REPLACE INTO cameras (id, name, vendor, address, mirror_enabled, segment_seconds) "
                "VALUES (?, 'x', 'hikvision', 'localhost', ?, ?)",
                (camera_id, chance.randrange(2), chance.randrange(10, 60)),
            )
            if chance.random() < 0.2:
                kernel.execute("DELETE FROM cameras WHERE id = ?", (camera_id,))
            time.sleep(chance.random() * 0.02)
        expected = dict(kernel.execute("SELECT id, segment_seconds FROM cameras WHERE mirror_enabled"))
        assert expected
        wait_until_recorded(watched, expected)
    wait_for(lambda: watched.json("status")["well"])


def test_a_commit_that_shows_only_after_its_event_is_followed(watched: Mirror) -> None:
    """A commit that waits for its disk is followed at once all the same, not at the next tick."""
    library = watched.home / "slow_sync.so"
    source = HERE / "slow_sync.c"
    subprocess.run(["cc", "-shared", "-fPIC", "-O1", "-Wall", "-o", str(library), str(source)], check=True)
    kernel = (
        "import sqlite3, sys; sqlite3.connect(sys.argv[1], isolation_level=None).execute(sys.argv[2], sys.argv[3:])"
    )
    insert = (
        "INSERT INTO cameras (id, name, vendor, address, mirror_enabled) VALUES (?, 'x', 'hikvision', 'localhost', 1)"
    )

    def has_recorders(count: int) -> bool:
        return len(recorders(watched)) == count

    with contextlib.closing(sqlite3.connect(watched.database.path)) as other:
        other.execute("SELECT 1 FROM cameras").fetchone()  # so that no commit is followed by a checkpoint
        for number in range(4):
            command = [sys.executable, "-c", kernel, str(watched.database.path), insert, f"gate{number}"]
            subprocess.run(command, env={"LD_PRELOAD": str(library)}, check=True)
            wait_for(functools.partial(has_recorders, number + 1), seconds=8)  # of a tick, 10
            time.sleep(2)  # until the watcher waits for a tick again


def test_a_database_that_is_replaced_by_rename_is_followed(watched: Mirror) -> None:
    """What a restored database asks for is applied, and so is what is committed to it later."""
    watched.database.add("gate")
    watched.database.add("hall")
    gate = wait_until_recording(watched, "gate", "hall")["gate"]
    restored = Database(watched.home / "restored.db")
    restored.execute(f"PRAGMA journal_mode=WAL; {SCHEMA}")
    restored.add("gate")
    restored.add("yard")
    come_to_rest(watched.database)
    restored.path.replace(watched.database.path)
    wait_until_recorded(watched, {"gate": 60, "yard": 60})
    watched.database.add("attic")
    wait_until_recorded(watched, {"gate": 60, "yard": 60, "attic": 60})
    assert recorders(watched)["gate"] == gate


def test_a_directory_that_goes_away_and_comes_back_is_followed(watched: Mirror) -> None:
    """Mirrors go on while the database's directory is gone, and it is told; back, it is followed as before."""
    watched.database.add("gate")
    before = wait_until_recording(watched, "gate")
    directory, kept = watched.database.path.parent, watched.home / "kept"
    shutil.copytree(directory, kept)
    try:
        shutil.rmtree(directory)
        wait_for(lambda: f"cannot read the cameras in {watched.database.path}" in str(published(watched)["problems"]))
        assert recorders(watched) == before
        Database(kept / watched.database.path.name).add("hall")
    finally:
        kept.rename(directory)
    wait_until_recorded(watched, {"gate": 60, "hall": 60})
    watched.database.update("hall", segment_seconds=30)
    wait_until_recorded(watched, {"gate": 60, "hall": 30})
    assert recorders(watched)["gate"] == before["gate"]
    wait_for(lambda: watched.json("status")["well"])
    assert "database: all well again" in watched.watch_log()


def test_a_directory_that_is_not_there_yet_is_waited_for(mirror: Mirror) -> None:
    """Where the database's directory appears after the start, its cameras are recorded by themselves."""
    mirror.database.add("gate")
    away = mirror.database.path.parent.rename(mirror.home / "away")
    with mirror.up(watched=True):
        wait_for(lambda: "cannot read the cameras in" in str(published(mirror)["problems"]))
        assert recorders(mirror) == {}
        away.rename(mirror.database.path.parent)
        wait_until_recorded(mirror, {"gate": 60})


@pytest.mark.parametrize("link", ["file", "directory"])
def test_a_link_to_the_database_is_followed_to_where_it_is_written(watched: Mirror, link: str) -> None:
    """Where the database, or its directory, is a link, the directory that is written is watched, not the link's."""
    directory, real = watched.database.path.parent, watched.home / "real"
    come_to_rest(watched.database)
    if link == "file":
        real.mkdir()
        target = watched.database.path.rename(real / watched.database.path.name)
        watched.database.path.symlink_to(target)
    else:
        directory.rename(real)
        directory.symlink_to(real)
    try:
        wait_for(lambda: real.stat().st_ino in watched_directories(watcher(watched)))
        watched.database.add("gate")
        wait_until_recorded(watched, {"gate": 60})
    finally:
        come_to_rest(watched.database)
        if link == "file":
            target.replace(watched.database.path)
            real.rmdir()
        else:
            directory.unlink()
            real.rename(directory)
    wait_for(lambda: directory.stat().st_ino in watched_directories(watcher(watched)))


def watched_directories(pid: int) -> set[int]:
    """Return the inodes that a process watches by inotify."""
    found = set()
    for entry in Path(f"/proc/{pid}/fdinfo").iterdir():
        with contextlib.suppress(OSError):
            found |= {
                int(inode, 16) for inode in re.findall(r"^inotify .*\bino:(\w+)", entry.read_text(), re.MULTILINE)
            }
    return found


def test_what_a_person_removed_is_put_back_and_what_he_stopped_stays_stopped(watched: Mirror) -> None:
    """A program that somebody took out of supervisord comes back; one that was stopped does not, and status says so."""
    watched.database.add("gate")
    watched.database.add("hall")
    wait_until_recording(watched, "gate", "hall")
    watched.supervisorctl("stop", "mirror-gate", "mirror-hall")
    wait_until_recorded(watched, {})
    assert "removed" in watched.supervisorctl("remove", "mirror-gate")
    wait_until_recorded(watched, {"gate": 60})
    watched.database.add("yard")
    wait_until_recorded(watched, {"gate": 60, "yard": 60})
    wait_for(
        lambda: {camera["camera_id"] for camera in published(watched)["cameras"] if camera["well"]} == {"gate", "yard"}
    )
    hall = watched.status()["hall"]
    assert hall | {"wanted": True, "state": "STOPPED", "segment": None, "well": False} == hall
    assert "STOPPED" in watched.run("status", code=1).stdout.upper()


def test_a_watcher_that_is_killed_comes_back_and_goes_on(watched: Mirror) -> None:
    """A kill -9 of the watcher costs no recorder anything, and a change meanwhile is applied."""
    watched.database.add("gate")
    before = wait_until_recording(watched, "gate")
    pid = watcher(watched)
    kill(pid)
    watched.database.add("hall")
    wait_until_recorded(watched, {"gate": 60, "hall": 60})
    assert watcher(watched) != pid
    assert recorders(watched)["gate"] == before["gate"]
    wait_for(lambda: watched.json("status")["well"])


def test_a_stop_does_not_wait_for_what_the_watcher_waits_for(watched: Mirror) -> None:
    """SIGTERM ends the watcher while its reconcile waits for another one; the change is applied by the next watcher."""
    lock = watched.state / "lock"
    pid = watcher(watched)
    with lock.open("w") as other:
        fcntl.flock(other, fcntl.LOCK_EX)
        watched.database.add("gate")
        wait_for(lambda: lock in opened(pid))
        log = watched.logs / "supervisord.log"
        told = len(log.read_text())
        assert "watch: stopped" in watched.supervisorctl("stop", "watch")
        # Had it waited, supervisord would have killed it.
        assert "stopped: watch (terminated by SIGTERM)" in log.read_text()[told:]
        watched.supervisorctl("start", "watch")
        assert recorders(watched) == {}
    wait_until_recorded(watched, {"gate": 60})


def opened(pid: int) -> set[Path]:
    found = set()
    for descriptor in Path(f"/proc/{pid}/fd").iterdir():
        with contextlib.suppress(OSError):
            found.add(descriptor.readlink())
    return found


def test_a_stopped_watcher_is_told_of_and_status_shows_what_it_can(watched: Mirror) -> None:
    """Without a watcher `status` says that nothing follows the table, and shows the cameras all the same."""
    watched.database.add("gate")
    wait_until_recording(watched, "gate")
    wait_for(lambda: watched.json("status")["well"])
    watched.supervisorctl("stop", "watch")
    try:
        result = watched.run("status", code=1)
        assert "the watcher is not running" in result.stdout
        assert "supervisorctl start watch" in result.stdout
        assert "1 of 1 mirrors record" in result.stdout
        watched.database.add("hall")
        status = watched.status()
        assert status["hall"]["wanted"]
        assert status["gate"]["well"]
        assert recorders(watched).keys() == {"gate"}
    finally:
        watched.supervisorctl("start", "watch")
    wait_until_recorded(watched, {"gate": 60, "hall": 60})
    wait_for(lambda: watched.json("status")["well"])


def modes(mirror: Mirror, camera_id: str) -> set[int]:
    """Return the modes of a camera's segments; a recorder that stops takes its empty one away."""
    found = set()
    for segment in mirror.segments(camera_id):
        with contextlib.suppress(FileNotFoundError):
            found.add(stat.S_IMODE(segment.stat().st_mode))
    return found


def test_sighup_reads_the_settings_again(watched: Mirror) -> None:
    """A changed env file is in force after a SIGHUP: another umask, and nothing recorded where recording is off."""
    watched.database.add("gate")
    wait_until_recording(watched, "gate")
    pid = watcher(watched)
    with read_anew(watched, "HELDAR_MIRROR_UMASK=022\n"):
        wait_for(lambda: modes(watched, "gate") == {0o444})
        wait_until_recorded(watched, {"gate": 60})
    with read_anew(watched, "HELDAR_RECORDER_ENABLED=false\n"):
        wait_until_recorded(watched, {})
    wait_until_recorded(watched, {"gate": 60})
    wait_for(lambda: modes(watched, "gate") == {0o440})
    assert watcher(watched) == pid


def test_bad_settings_are_told_and_those_of_before_stay(watched: Mirror) -> None:
    """A SIGHUP with settings that can't be used changes nothing but what is told, until they are mended."""
    watched.database.add("gate")
    before = wait_until_recording(watched, "gate")
    with read_anew(watched, "HELDAR_MIRROR_UMASK=999\n"):
        wait_for(lambda: "HELDAR_MIRROR_UMASK='999': expected" in " ".join(published(watched)["problems"]))
        assert "The settings of before stay in force" in str(published(watched)["problems"])
        watched.database.add("hall")
        wait_until_recorded(watched, {"gate": 60, "hall": 60})
        assert recorders(watched)["gate"] == before["gate"]
    wait_for(lambda: watched.json("status")["well"])


def test_directories_of_new_settings_are_made(watched: Mirror) -> None:
    """After a SIGHUP that moves logs and status, they are where they should be, and recording goes on."""
    watched.database.add("gate")
    wait_until_recording(watched, "gate")
    logs, status = watched.home / "logs", watched.home / "published"
    with read_anew(watched, f"HELDAR_MIRROR_LOG_DIR={logs}\nHELDAR_MIRROR_STATUS_DIR={status}\n"):
        wait_for((logs / "mirror-gate.log").exists)
        wait_until_recorded(watched, {"gate": 60})
        wait_for((status / "status.json").exists)
        wait_for(lambda: watched.json("status")["well"])
    wait_until_recorded(watched, {"gate": 60})
    wait_for(lambda: watched.json("status")["well"])


def test_sighup_is_heard_while_the_table_is_being_read(watched: Mirror) -> None:
    """Settings that are read while the watcher waits for the database are applied, not forgotten."""
    watched.database.add("gate")
    wait_until_recording(watched, "gate")
    with contextlib.ExitStack() as stack:
        with watched.database.path.open("r+b") as kernel:
            fcntl.lockf(kernel, fcntl.LOCK_EX, SHARED_SIZE, SHARED_FIRST)
            # It is read within a second, and then for two seconds in vain.
            Path(f"{watched.database.path}-wal").touch()
            Path(f"{watched.database.path}-wal").unlink()
            time.sleep(1.1)
            stack.enter_context(read_anew(watched, "HELDAR_MIRROR_UMASK=022\n"))
        wait_for(lambda: modes(watched, "gate") == {0o444})


def test_the_status_file_is_replaced_whole(watched: Mirror) -> None:
    """Whoever reads the status file while things change finds a whole one each time, though never for long the same."""
    inodes, reads = set[int](), 0
    expected: dict[str, int] = {}
    with contextlib.ExitStack() as stack:
        stack.enter_context(busy_kernel(watched.database))
        for number in range(4):
            watched.database.add(f"camera_{number}")
            expected[f"camera_{number}"] = 60
            # Those that come faster than a status is published may all stand in one file.
            while recorded(watched) != {name: [60] for name in expected} or (number == 3 and len(inodes) < 2):
                for _ in range(50):
                    with status_file(watched).open() as file:
                        report = json.load(file)
                        inodes.add(os.fstat(file.fileno()).st_ino)
                    assert {"at", "cameras", "problems", "known", "version", "well"} == report.keys()
                    reads += 1
    assert reads > 100


def test_a_relative_database_begins_where_up_was_started(elsewhere: Mirror) -> None:
    """A relative HELDAR_DATABASE_URL means the same file to the watcher as to `up`; another one is followed after
    a SIGHUP."""
    elsewhere.database.add("gate")
    wait_until_recorded(elsewhere, {"gate": 60})
    assert f"watching {elsewhere.database.path} by " in elsewhere.watch_log()
    other = Database(elsewhere.database.path.with_name("other.db"))
    other.execute(f"PRAGMA journal_mode=WAL; {SCHEMA}")
    with read_anew(elsewhere, "HELDAR_DATABASE_URL=sqlite:heldar/other.db\n", "heldar.env"):
        wait_until_recorded(elsewhere, {})
        other.add("hall")
        wait_until_recorded(elsewhere, {"hall": 60})
    wait_until_recorded(elsewhere, {"gate": 60})


def test_a_secret_key_in_the_environment_of_up_reaches_the_watcher_alone(elsewhere: Mirror) -> None:
    """A sealed camera that is added later is recorded, though the key is in the environment of no child."""
    elsewhere.database.add("sealed", password=seal(PASSWORD.encode()))
    wait_until_recording(elsewhere, "sealed")
    spec = (elsewhere.state / "specs/sealed.spec").read_text()
    assert f"url=rtsp://admin:{quote(PASSWORD, safe='')}@localhost:554/" in spec
    children = processes_of(str(elsewhere.home))
    for part in ("supervisord", "heldar_mirror watch", "start_recorder.py", "fake_ffmpeg"):
        assert any(part in command for command in children.values()), part
    for pid, command in children.items():
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):
            assert KEY not in (Path(f"/proc/{pid}/environ")).read_text(), command
    # It survives the watcher, which is told nothing when supervisord starts it anew.
    kill(watcher(elsewhere))
    elsewhere.database.update("sealed", password=seal(b"another"))
    wait_for(lambda: "url=rtsp://admin:another@" in (elsewhere.state / "specs/sealed.spec").read_text())


@as_root
def test_anybody_can_read_the_status_and_it_holds_no_secret(elsewhere: Mirror) -> None:
    """The status file has mode 0644 in a directory of 0755, is what `status` shows to any user, and shows no secret."""
    elsewhere.database.execute("DELETE FROM cameras")
    elsewhere.database.add("gate")
    wait_until_recording(elsewhere, "gate")
    path = status_file(elsewhere)
    wait_for(lambda: published(elsewhere)["well"] and len(published(elsewhere)["cameras"]) == 1)
    assert stat.S_IMODE(path.stat().st_mode) == 0o644
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o755
    shown = run_as(STRANGER, [python_for_all(), "-m", "heldar_mirror", "status"], **elsewhere.env)
    assert shown.returncode == 0, shown.stdout + shown.stderr
    assert "1 of 1 mirrors record" in shown.stdout
    text = run_as(STRANGER, ["cat", str(path)]).stdout
    assert json.loads(text)["cameras"][0]["camera_id"] == "gate"
    texts = text + shown.stdout + shown.stderr + elsewhere.watch_log()
    assert not [secret for secret in (PASSWORD, quote(PASSWORD, safe=""), KEY) if secret in texts]


def kill_and_see_greeting(mirror: Mirror, camera_id: str, methods: list[str]) -> None:
    """Kill a camera's ffmpeg, and see supervisord greeted and the camera recorded again."""
    recorder, greeted = recorders(mirror)[camera_id], methods.count(GREETING)
    kill(*ffmpegs(mirror, camera_id))
    wait_for(lambda: methods.count(GREETING) > greeted, seconds=5)  # of a tick, 10: of two in a row one would be late
    wait_for(lambda: recorders(mirror).get(camera_id) not in (None, recorder))
    wait_until_recording(mirror, camera_id)


def test_supervisord_is_woken_where_a_recorder_ends_and_once_for_many(mirror: Mirror) -> None:
    """A recorder that ends has supervisord greeted, which starts it anew then and not a second or two later; many that
    end together have it greeted once or twice. The next watcher does the same."""
    alone, together = ["gate", "hall"], [f"yard_{number}" for number in range(12)]
    for camera_id in alone + together:
        mirror.database.add(camera_id)
    with mirror.up(watched=True):
        wait_until_recording(mirror, *alone, *together)
        wait_for(lambda: {camera["state"] for camera in published(mirror)["cameras"]} == {"RUNNING"}, seconds=90)
        with overheard(mirror) as methods:
            for camera_id in alone:
                kill_and_see_greeting(mirror, camera_id, methods)
            before = recorders(mirror)
            supervisord = int((mirror.state / "supervisord.pid").read_text())
            os.kill(supervisord, signal.SIGSTOP)
            try:
                greeted = methods.count(GREETING)
                for camera_id in together:
                    kill(*ffmpegs(mirror, camera_id))
                wait_for(lambda: not recorders(mirror).keys() & set(together))
                wait_for(lambda: methods.count(GREETING) > greeted, seconds=5)
            finally:
                os.kill(supervisord, signal.SIGCONT)
            wait_until_recording(mirror, *together)
            assert methods.count(GREETING) - greeted <= 4  # the two, and those of a tick or two
            assert recorders(mirror) | {id_: before[id_] for id_ in together} == before

            kill(watcher(mirror))
            wait_for(lambda: "supervisor.getAllProcessInfo" in methods)
            wait_for(lambda: mirror.json("status")["well"])
            for camera_id in together[:3]:
                kill_and_see_greeting(mirror, camera_id, methods)


def test_a_watcher_is_of_no_use_on_a_terminal(mirror: Mirror) -> None:
    """Without supervisord on the other side `watch` says what brings one along, and makes nothing."""
    result = mirror.run("watch", code=2)
    assert "heldar-mirror up brings a watcher along" in result.stderr
    assert not mirror.state.exists()
