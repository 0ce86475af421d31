"""What tests of the watcher look at: which cameras are recorded, and what the watcher asks supervisord."""

import contextlib
import json
import os
import re
import select
import signal
import socket
import socketserver
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from support.mirror import Database, Mirror
from support.waiting import processes_of, wait_for

GREETING = "supervisor.getState"

# A hundred commits a second that have nothing to do with cameras.
BUSY_KERNEL = """
import itertools, sqlite3, sys, time
connection = sqlite3.connect(sys.argv[1], isolation_level=None, timeout=15)
connection.execute("PRAGMA synchronous=NORMAL")
for number in itertools.count():
    connection.execute("INSERT INTO segments (id, camera_id, path, start_time) VALUES (?1, 'x', ?1, 'x')", (number,))
    time.sleep(0.01)
"""


def recorded(mirror: Mirror) -> dict[str, list[int]]:
    """Return the segment lengths of each camera that is recorded, one for each of its ffmpegs."""
    found: dict[str, list[int]] = {}
    for command in processes_of(f"{mirror.root}/").values():
        if match := re.search(rf"-segment_time (\d+) .*{mirror.root}/(\w+)/", command):
            found.setdefault(match[2], []).append(int(match[1]))
    return found


def wait_until_recorded(mirror: Mirror, expected: dict[str, int]) -> None:
    """Wait until exactly these cameras are recorded, each by one ffmpeg with segments of the given length."""
    wait_for(lambda: recorded(mirror) == {name: [length] for name, length in expected.items()}, every=0.2)


def watcher(mirror: Mirror) -> int:
    """Return the process id of the watcher, once there is one."""

    def found() -> list[int]:
        supervisord = (mirror.state / "supervisord.pid").read_text().strip()
        children = Path(f"/proc/{supervisord}/task/{supervisord}/children").read_text().split()
        watchers = processes_of("-m heldar_mirror watch ")
        return [int(pid) for pid in children if int(pid) in watchers]

    (pid,) = wait_for(found, seen=lambda: mirror.supervisorctl("status"))
    return int(pid)


def status_file(mirror: Mirror) -> Path:
    return Path(mirror.env.get("HELDAR_MIRROR_STATUS_DIR", mirror.state / "status")) / "status.json"


def published(mirror: Mirror) -> Any:
    return json.loads(status_file(mirror).read_text())


@contextlib.contextmanager
def busy_kernel(database: Database) -> Iterator[None]:
    """A stand-in for Heldar's kernel that commits all the time, though nothing about cameras."""
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
    """Wait until the database is one whole file. If it is closed while somebody reads, a -wal is left."""

    def whole() -> bool:
        database.execute("SELECT count(*) FROM cameras")
        return not Path(f"{database.path}-wal").exists()

    wait_for(whole)


@contextlib.contextmanager
def overheard(mirror: Mirror) -> Iterator[list[str]]:
    """Relay between supervisord and its clients, and note the methods that are called."""
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
    """Have the watcher read its settings with this env file, and at the end with the previous one."""

    def told() -> int:
        return sum(mirror.watch_log().count(text) for text in ("read the settings anew", "stay in force"))

    def read() -> None:
        before = told()
        os.kill(watcher(mirror), signal.SIGHUP)
        wait_for(lambda: told() > before, seen=mirror.watch_log)

    path = mirror.home / file
    before = path.read_text() if path.exists() else ""
    path.write_text(text)
    try:
        read()
        yield
    finally:
        path.write_text(before)
        read()
