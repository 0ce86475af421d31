#!/usr/bin/env python3
"""Print what the watcher costs beside a kernel that commits all the time, and how soon it follows a camera's row.

A thousand cameras are in the table, of which `--mirrored` are mirrored, with a stand-in for ffmpeg. The load is a
hundred unrelated commits a second. Meanwhile a relay in the place of supervisord's socket counts who asks it what.
"""

import contextlib
import os
import re
import socket
import socketserver
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import click

HERE = Path(__file__).parent.parent / "tests"
CAMERAS = 1000
COMMITS_PER_SECOND = 100
MEASURED_SECONDS = 30.0
TRIES = 7
AIM_CPU = 0.03
AIM_QUIET_SECONDS = 1.0
AIM_BUSY_SECONDS = 2.0


def cpu_seconds(pid: int) -> float:
    """Return the processor time that a process has used."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def watcher_of(home: Path) -> int:
    """Return the process id of the watcher that publishes below `home`."""
    for entry in Path("/proc").iterdir():
        with contextlib.suppress(OSError):
            is_watcher = entry.name.isdigit() and b"\0watch\0" in (entry / "cmdline").read_bytes()
            if is_watcher and f"{home}/state" in (entry / "environ").read_text():
                return int(entry.name)
    raise SystemExit("no watcher is running")


def connect(home: Path) -> sqlite3.Connection:
    connection = sqlite3.connect(home / "heldar.db", isolation_level=None)
    connection.execute("PRAGMA synchronous=NORMAL")
    return connection


def make_database(home: Path, mirrored: int) -> None:
    with contextlib.closing(connect(home)) as connection:
        connection.executescript("PRAGMA journal_mode=WAL;" + (HERE / "heldar.sql").read_text())
        connection.execute("BEGIN")
        connection.executemany(
            "INSERT INTO cameras (id, name, vendor, address, username, password, mirror_enabled) "
            "VALUES (?, 'x', 'hikvision', '127.0.0.1', 'admin', 'made-up', ?)",
            [(f"cam{number:04}", int(number < mirrored)) for number in range(CAMERAS)],
        )
        connection.execute("COMMIT")


@contextlib.contextmanager
def committing(home: Path) -> Iterator[None]:
    """Commit what has nothing to do with cameras, a hundred times a second, until the block ends."""
    stop = threading.Event()

    def commit() -> None:
        begun, number = time.monotonic(), 0
        with contextlib.closing(connect(home)) as connection:
            while not stop.wait(max(0.0, begun + number / COMMITS_PER_SECOND - time.monotonic())):
                number += 1
                connection.execute(
                    "INSERT INTO segments (id, camera_id, path, start_time) VALUES (?1, 'cam0000', ?1, 't')",
                    (f"{begun}-{number}",),
                )

    thread = threading.Thread(target=commit)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()


@contextlib.contextmanager
def mirror(home: Path) -> Iterator[None]:
    """Run the mirror until the block ends."""
    (home / "recordings").mkdir()
    env = {name: value for name, value in os.environ.items() if not name.startswith("HELDAR_")} | {
        "HELDAR_ENV_FILE": f"{home}/heldar.env",
        "HELDAR_MIRROR_ENV_FILE": f"{home}/mirror.env",
        "HELDAR_DATABASE_URL": f"sqlite://{home}/heldar.db",
        "HELDAR_RECORDINGS_DIR": f"{home}/recordings",
        "HELDAR_MIRROR_RECORDINGS_DIR": f"{home}/mirror",
        "HELDAR_MIRROR_STATE_DIR": f"{home}/state",
        "HELDAR_FFMPEG_BIN": str(HERE / "fake_ffmpeg"),
    }
    with (home / "up.log").open("wb") as log:
        up = subprocess.Popen([sys.executable, "-m", "heldar_mirror", "up"], env=env, stdout=log, stderr=log)
    try:
        yield
    finally:
        up.terminate()
        up.wait()


@contextlib.contextmanager
def counting(socket_path: Path) -> Iterator[list[bytes]]:
    """Stand between supervisord and whoever asks it, and note each question, until the block ends."""
    questions: list[bytes] = []
    aside = socket_path.with_suffix(".aside")

    class Relay(socketserver.StreamRequestHandler):
        def handle(self) -> None:
            head = b"".join(iter(self.rfile.readline, b"\r\n"))
            length = re.search(rb"(?i)content-length: (\d+)", head)
            body = self.rfile.read(int(length[1]) if length else 0)
            questions.append(b",".join(re.findall(rb"supervisor\.\w+", body)))
            with socket.socket(socket.AF_UNIX) as supervisord:
                supervisord.connect(str(aside))
                supervisord.sendall(re.sub(rb"(?i)connection: .*\r\n", b"", head) + b"Connection: close\r\n\r\n" + body)
                while answer := supervisord.recv(65536):
                    self.wfile.write(answer)

    socket_path.rename(aside)
    with socketserver.ThreadingUnixStreamServer(str(socket_path), Relay) as server:
        threading.Thread(target=server.serve_forever).start()
        try:
            yield questions
        finally:
            server.shutdown()
            aside.rename(socket_path)


def segments(home: Path, camera_id: str = "*") -> int:
    return sum(1 for _ in (home / "mirror").glob(f"{camera_id}/*.mp4"))


def follow_seconds(home: Path) -> list[float]:
    """Return how long it took from the commit of one row to the segment of its ffmpeg, some times over."""
    taken = []
    with contextlib.closing(connect(home)) as connection:
        for number in range(CAMERAS - TRIES, CAMERAS):
            camera_id = f"cam{number:04}"
            before = segments(home, camera_id)
            connection.execute("UPDATE cameras SET mirror_enabled = 1 WHERE id = ?", (camera_id,))
            begun = time.monotonic()
            while segments(home, camera_id) == before:
                time.sleep(0.01)
            taken.append(time.monotonic() - begun)
            connection.execute("UPDATE cameras SET mirror_enabled = 0 WHERE id = ?", (camera_id,))
            time.sleep(3)
    return taken


def shown(taken: list[float]) -> str:
    return f"{statistics.median(taken):.2f} s ({min(taken):.2f} to {max(taken):.2f})"


@click.command()
@click.option("--mirrored", default=20, show_default=True, help="How many of the thousand cameras are mirrored.")
def main(mirrored: int) -> None:
    """Measure the watcher beside a busy kernel."""
    with tempfile.TemporaryDirectory() as name:
        home = Path(name)
        make_database(home, mirrored)
        with mirror(home):
            while segments(home) < mirrored:
                time.sleep(0.5)
            time.sleep(35)  # until all programs count as running
            quiet = follow_seconds(home)
            with committing(home):
                watcher = watcher_of(home)
                with counting(home / "state/supervisor.sock") as questions:
                    begun, used = time.monotonic(), cpu_seconds(watcher)
                    time.sleep(MEASURED_SECONDS)
                    share = (cpu_seconds(watcher) - used) / (time.monotonic() - begun)
                busy = follow_seconds(home)
    print(f"{CAMERAS} cameras in the table, {mirrored} mirrored")
    print(f"from commit to segment, quiet: {shown(quiet)}, aim {AIM_QUIET_SECONDS} s at most")
    print(f"at {COMMITS_PER_SECOND} commits a second: {shown(busy)}, aim {AIM_BUSY_SECONDS} s at most")
    print(f"watcher at that: {share:.1%} of a core, aim {AIM_CPU:.0%} at most")
    others = [question for question in questions if question != b"supervisor.getState"]
    alive = len(questions) - len(others)
    print(f"supervisord was asked {alive} times whether it lives, and {len(others)} times for more, aim 0")
    good = (
        share <= AIM_CPU
        and questions
        and not others
        and max(quiet) <= AIM_QUIET_SECONDS
        and max(busy) <= AIM_BUSY_SECONDS
    )
    sys.exit(0 if good else 1)


if __name__ == "__main__":
    main()
