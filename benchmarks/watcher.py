#!/usr/bin/env python3
"""Measure what the watcher costs while Heldar's kernel makes a hundred unrelated commits a second.

Meanwhile a relay in place of supervisord's socket records the calls to supervisord.
"""

import contextlib
import re
import socket
import socketserver
import sqlite3
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import click
from fleet import RESTED_SECONDS, all_begun, camera_ids, new_mirror, wait_until
from measure import Figure, cpu_with_ended_children, record, with_children

COMMITS_PER_SECOND = 100
WINDOWS = 5
WINDOW_SECONDS = 20
AIM_PERCENT = 3


@contextlib.contextmanager
def committing(database: Path) -> Iterator[list[str]]:
    """Make a hundred commits a second unrelated to cameras, until the block ends. Yields the ids of their rows."""
    stop, commits = threading.Event(), list[str]()

    def commit() -> None:
        begun = time.monotonic()
        with contextlib.closing(sqlite3.connect(database, isolation_level=None)) as connection:
            connection.execute("PRAGMA synchronous=NORMAL")  # as in Heldar's kernel
            while not stop.wait(max(0.0, begun + len(commits) / COMMITS_PER_SECOND - time.monotonic())):
                connection.execute(
                    "INSERT INTO segments (id, camera_id, path, start_time) VALUES (?1, 'cam0000', ?1, 't')",
                    (f"{begun}-{len(commits)}",),
                )
                commits.append(f"{begun}-{len(commits)}")

    thread = threading.Thread(target=commit)
    thread.start()
    try:
        yield commits
    finally:
        stop.set()
        thread.join()


@contextlib.contextmanager
def counting(socket_path: Path) -> Iterator[list[bytes]]:
    """Relay the calls to supervisord until the block ends. Yields the methods of each call."""
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


def shares(watcher: int) -> Iterator[float]:
    """Yield the percentage of a core that the watcher and its children use, window by window."""

    def used() -> float:
        return sum(map(cpu_with_ended_children, with_children(watcher)))

    for _ in range(WINDOWS):
        begun, before = time.monotonic(), used()
        time.sleep(WINDOW_SECONDS)
        yield 100 * (used() - before) / (time.monotonic() - begun)


@click.command()
@click.option("--cameras", "count", default=1000, show_default=True)
def main(count: int) -> None:
    """Measure the watcher while Heldar's kernel is busy."""
    cameras = camera_ids(count)
    with new_mirror(cameras) as mirror, mirror.up(watched=True):
        wait_until(lambda: all_begun(mirror.root, cameras), every=0.5)
        time.sleep(RESTED_SECONDS)
        watcher = int(mirror.supervisorctl("pid", "watch"))
        with committing(mirror.database.path) as commits, counting(mirror.state / "supervisor.sock") as questions:
            used = list(shares(watcher))
    if len(commits) < 0.95 * COMMITS_PER_SECOND * WINDOWS * WINDOW_SECONDS:
        raise SystemExit(f"only {len(commits)} commits were made")
    asked = [question for question in questions if question != b"supervisor.getState"]
    what = f"watcher at {COMMITS_PER_SECOND} unrelated commits/s, {count:,} cameras"
    met = record(
        Figure(11, what, "% of a core", used, aim=AIM_PERCENT),
        Figure(
            11,
            f"what supervisord is asked meanwhile, but for whether it lives, in {WINDOWS * WINDOW_SECONDS} s",
            "questions",
            [len(asked)],
            aim=0,
        ),
    )
    sys.exit(0 if met and questions else 1)


if __name__ == "__main__":
    main()
