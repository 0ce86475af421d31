"""Fleets of cameras, run by heldar-mirror, and by a supervisord as a person would set it up.

A fake ffmpeg takes ffmpeg's place: it begins a segment and sleeps, because two cores can't record a thousand streams.
"""

import atexit
import contextlib
import functools
import os
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent / "tests"))
from support.listeners import answering
from support.loop import running
from support.mirror import FAKE_FFMPEG, Mirror, mirror_env, new_database, new_home
from support.waiting import wait_for_none

# Other benchmarks import these names from here.
__all__ = ["FAKE_FFMPEG", "Mirror", "new_database", "new_home", "running", "wait_for_none"]

PATIENCE_SECONDS = 300
RESTED_SECONDS = 35  # from a start until supervisord takes all programs for running

# The fake ffmpeg closes no segment and reports no media. So a recorder replaces it after 300 s (recorder/media.py).
INSERT = (
    "INSERT INTO cameras (id, name, vendor, address, rtsp_port, username, password, segment_seconds, mirror_enabled) "
    "VALUES (?, 'x', 'hikvision', '127.0.0.1', ?, 'admin', 'made-up', 3600, 1)"
)

_lasting = contextlib.ExitStack()
atexit.register(_lasting.close)


def camera_ids(count: int, first: int = 0) -> list[str]:
    return [f"cam{number:04}" for number in range(first, first + count)]


@functools.cache
def camera_port() -> int:
    """Return a port that accepts connections until this process ends, as if a camera were there."""
    return _lasting.enter_context(answering())


def insert(connection: sqlite3.Connection, cameras: Sequence[str]) -> None:
    """Add cameras to Heldar's table."""
    connection.executemany(INSERT, [(camera, camera_port()) for camera in cameras])


def wait_until(condition: Callable[[], bool], every: float = 0.02) -> None:
    """Wait for a condition. Raises TimeoutError after PATIENCE_SECONDS."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not condition():
        if time.monotonic() > deadline:
            raise TimeoutError(f"not within {PATIENCE_SECONDS} s")
        time.sleep(every)


def begun(directory: Path) -> int:
    """Return when the newest segment of a camera directory was begun, in nanoseconds since 1970; 0 if there is none."""
    try:
        return max((entry.stat().st_mtime_ns for entry in os.scandir(directory)), default=0)
    except FileNotFoundError:
        return 0


def all_begun(root: Path, cameras: Sequence[str], since: int = 0) -> bool:
    """Whether each camera began a segment later than `since`, in nanoseconds since 1970."""
    return all(begun(root / camera) > since for camera in cameras)


@contextlib.contextmanager
def new_mirror(cameras: Sequence[str]) -> Iterator[Mirror]:
    """A mirror with these cameras in its table. Nothing runs yet."""
    with new_home() as home:
        database = new_database(home)
        with contextlib.closing(sqlite3.connect(database.path)) as heldar:  # Heldar keeps it open, too
            with heldar:
                insert(heldar, cameras)
            yield Mirror(home, database, mirror_env(home, database))


@dataclass
class Plain:
    """supervisord with one file per camera, which runs ffmpeg itself: what a person would set up."""

    home: Path
    ffmpeg: Path = FAKE_FFMPEG

    @property
    def root(self) -> Path:
        return self.home / "mirror"

    def write(self, camera: str) -> None:
        """Write a camera's file. `supervisorctl update` applies it."""
        directory = self.root / camera
        directory.mkdir(parents=True, exist_ok=True)
        segment = str(directory / "%Y%m%d_%H%M%S.mp4").replace("%", "%%")
        (self.home / f"conf.d/{camera}.conf").write_text(
            f"[program:{camera}]\ncommand={self.ffmpeg} -i rtsp://127.0.0.1/101 {segment}\nautorestart=true\n"
            f"redirect_stderr=true\nstdout_logfile={self.home}/log/{camera}.log\n"
        )

    def supervisorctl(self, *arguments: str) -> str:
        command = [sys.executable, "-m", "supervisor.supervisorctl", "-c", f"{self.home}/supervisord.conf", *arguments]
        return subprocess.run(command, cwd="/", capture_output=True, text=True, check=False).stdout

    @contextlib.contextmanager
    def up(self) -> Iterator["subprocess.Popen[bytes]"]:
        """Run supervisord until the block ends."""
        command = [sys.executable, "-m", "supervisor.supervisord", "-n", "-c", f"{self.home}/supervisord.conf"]
        with running(command, self.home) as process:
            wait_until((self.home / "supervisor.sock").exists)
            yield process


@contextlib.contextmanager
def new_plain(cameras: Sequence[str], ffmpeg: Path = FAKE_FFMPEG) -> Iterator[Plain]:
    """A plain supervisord with these cameras. Nothing runs yet."""
    with new_home() as home:
        plain = Plain(home, ffmpeg)
        for name in ("conf.d", "log"):
            (home / name).mkdir()
        (home / "supervisord.conf").write_text(
            f"[unix_http_server]\nfile={home}/supervisor.sock\n"
            f"[supervisord]\nuser=root\nlogfile={home}/log/supervisord.log\npidfile={home}/supervisord.pid\n"
            f"minfds={max(4096, 256 + 6 * len(cameras))}\n"  # closed at each start: as many as ours
            "[rpcinterface:supervisor]\n"
            "supervisor.rpcinterface_factory=supervisor.rpcinterface:make_main_rpcinterface\n"
            f"[supervisorctl]\nserverurl=unix://{home}/supervisor.sock\n"
            f"[include]\nfiles={home}/conf.d/*.conf\n"
        )
        for camera in cameras:
            plain.write(camera)
        yield plain
