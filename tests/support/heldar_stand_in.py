"""A process that stands in for Heldar's kernel: it has the database open, and indexes recordings by the rules known.

The rules are those of `indexer_model.py`, on real files and real rows of `segments`. A test shortens its times.
"""

import argparse
import contextlib
import json
import os
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import closing
from dataclasses import replace
from datetime import datetime, timezone
from pathlib import Path
from typing import NamedTuple, NoReturn

from heldar_mirror.packets.index import read_length
from support.indexer_model import GRACE_SECONDS, Camera, File, Gap, IndexerModel, Row
from support.waiting import COMMAND_SECONDS, wait_for

# Heldar's own times.
SCAN_SECONDS, QUIET_SECONDS, SWEEP_SECONDS = 10.0, 75.0, 3600.0


class Times(NamedTuple):
    """Its times in seconds: between two scans, for which the last file of a directory must lie untouched, which it
    takes to look at a file, and by which its clock is ahead."""

    scan: float = SCAN_SECONDS
    quiet: float = QUIET_SECONDS
    look: float = 0.0
    ahead: float = 0.0


class HeldarStandIn:
    """Runs the process, and knows what it did: a context manager, at whose end it is killed if it still runs."""

    def __init__(self, database: Path, recordings: Path, *, by_ffprobe: bool = False) -> None:
        self._command = [sys.executable, "-m", "support.heldar_stand_in", str(database), str(recordings)]
        self._command += ["--by-ffprobe"] if by_ffprobe else []
        self._log = database.parent / "stand_in.log"
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> "HeldarStandIn":
        return self

    def __exit__(self, *_: object) -> None:
        self.kill()

    def start(self, times: Times) -> "HeldarStandIn":
        """Start it, and return when it has the database open."""
        scans = len(self.unindexed())
        options = [f"--{name}={value}" for name, value in times._asdict().items()]
        env = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[1])}
        with self._log.open("ab") as log:
            self._process = subprocess.Popen([*self._command, *options], env=env, stdout=log, stderr=log)
        wait_for(lambda: len(self.unindexed()) > scans, seen=self._log.read_text)
        return self

    def stop(self) -> None:
        """End it cleanly: it closes the database."""
        if self._process:
            self._process.terminate()
            assert self._process.wait(COMMAND_SECONDS) == 0, self._log.read_text()
            self._process = None

    def kill(self) -> None:
        """Kill it, so that it can't close the database."""
        if self._process:
            self._process.kill()
            self._process.wait()
            self._process = None

    def unindexed(self) -> list[int]:
        """Return how many files without a row it has found at each scan."""
        return [count for kind, count in self._told() if kind == "unindexed" and isinstance(count, int)]

    def indexed(self) -> list[str]:
        """Return what it has indexed or corrected the row of, in that order: each as `CAMERA/NAME`."""
        return [str(name) for kind, name in self._told() if kind == "indexed"]

    def swept(self) -> list[str]:
        """Return what it has deleted as an orphan, each as `CAMERA/NAME`."""
        return [str(name) for kind, name in self._told() if kind == "swept"]

    def _told(self) -> Iterator[tuple[str, int | str]]:
        if self._log.exists():
            for line in self._log.read_text().splitlines():
                if line.startswith("["):
                    with contextlib.suppress(ValueError):  # a line that is being written
                        kind, what = json.loads(line)
                        yield kind, what


class _Kernel:
    """The process itself."""

    def __init__(self, database: Path, recordings: Path, times: Times, *, by_ffprobe: bool) -> None:
        self._recordings = recordings
        self._times = times
        self._seconds = _by_ffprobe if by_ffprobe else _by_packets
        self._model = IndexerModel(segment_seconds=times.quiet - GRACE_SECONDS)
        self._connection = sqlite3.connect(database, isolation_level=None, timeout=15)
        self._connection.execute("PRAGMA journal_mode=WAL").fetchall()
        self._connection.execute("PRAGMA synchronous=NORMAL")
        tables = self._connection.execute("SELECT name FROM sqlite_master").fetchall()
        self._has_gaps = ("recording_gaps",) in tables

    def run(self) -> NoReturn:
        """Sweep the orphans and scan, over and over."""
        next_sweep = 0.0
        with closing(self._connection):
            while True:
                self._read()
                if self._now() >= next_sweep:
                    next_sweep = self._now() + SWEEP_SECONDS
                    self._sweep()
                self._scan()
                time.sleep(self._times.scan)

    def _now(self) -> float:
        return time.time() + self._times.ahead

    def _read(self) -> None:
        """Take the rows and the files into the model."""
        self._model.cameras.clear()
        for (camera_id,) in self._connection.execute("SELECT id FROM cameras ORDER BY id").fetchall():
            directory = self._recordings / camera_id
            camera = Camera(rows=self._rows(directory))
            with contextlib.suppress(FileNotFoundError):
                for path in directory.iterdir():
                    with contextlib.suppress(FileNotFoundError):
                        about = path.stat()
                        camera.files[path.name] = File(about.st_size, None, about.st_mtime)
            self._model.cameras[camera_id] = camera

    def _rows(self, directory: Path) -> dict[str, Row]:
        select = "SELECT path, start_time, end_time, size_bytes, evidence_locked FROM segments WHERE camera_id = ?"
        return {
            Path(path).name: Row(_time(start), _time(end), size, bool(evidence))
            for path, start, end, size, evidence in self._connection.execute(select, (directory.name,))
            if path == f"{directory}/{Path(path).name}"
        }

    def _sweep(self) -> None:
        self._model.sweep_orphans(self._now())
        for camera_id, camera in self._model.cameras.items():
            for name in sorted(camera.swept):
                (self._recordings / camera_id / name).unlink(missing_ok=True)
                _tell("swept", f"{camera_id}/{name}")

    def _scan(self) -> None:
        cameras = self._model.cameras
        _tell("unindexed", sum(len(set(camera.mp4_files()) - camera.rows.keys()) for camera in cameras.values()))
        for camera_id, camera in cameras.items():
            for name in list(self._model.closed(camera, self._now())):
                file, row = camera.files[name], camera.rows.get(name)
                if row is None or row.size != file.size:
                    file.seconds = self._seconds(self._recordings / camera_id / name)
                    time.sleep(self._times.look)
                    before = {each: replace(row) for each, row in camera.rows.items()}
                    self._model.index(camera, name)
                    changed = {each: row for each, row in camera.rows.items() if before.get(each) != row}
                    if changed:
                        self._write(camera_id, changed, camera.gaps.values())
                        _tell("indexed", f"{camera_id}/{name}")

    def _write(self, camera_id: str, rows: Mapping[str, Row], gaps: Iterable[Gap]) -> None:
        """Write new and changed rows of a camera, and its gaps."""
        self._connection.execute("BEGIN IMMEDIATE")
        for name, row in rows.items():
            path = f"{self._recordings}/{camera_id}/{name}"
            values = path, camera_id, path, _text(row.begun), _text(row.end), row.end - row.begun, row.size
            self._connection.execute(
                "INSERT INTO segments (id, camera_id, path, start_time, end_time, duration_s, size_bytes) "
                "VALUES (?, ?, ?, ?, ?, ?, ?) ON CONFLICT (path) DO UPDATE SET "
                "end_time = excluded.end_time, duration_s = excluded.duration_s, size_bytes = excluded.size_bytes",
                values,
            )
        for gap in gaps if self._has_gaps else ():
            begin = _text(gap.begin)
            self._connection.execute(
                "INSERT OR IGNORE INTO recording_gaps (id, camera_id, gap_start, gap_end, gap_seconds) "
                "VALUES (?, ?, ?, ?, ?)",
                (f"{camera_id} {begin}", camera_id, begin, _text(gap.end), gap.end - gap.begin),
            )
        self._connection.execute("COMMIT")


def _tell(kind: str, what: int | str) -> None:
    print(json.dumps([kind, what]), flush=True)


def _by_packets(path: Path) -> float | None:
    try:
        with path.open("rb") as file:
            return read_length(file.fileno()).end or None  # as ffprobe, which counts from 0 on
    except FileNotFoundError:
        return None


def _by_ffprobe(path: Path) -> float | None:
    command = ["ffprobe", "-v", "error", "-show_entries", "format=duration", "-of", "csv=p=0", str(path)]
    found = subprocess.run(command, capture_output=True, text=True, timeout=COMMAND_SECONDS, check=False)
    return float(found.stdout) if found.returncode == 0 else None


def _time(text: str) -> float:
    return datetime.fromisoformat(text).timestamp()


def _text(at: float) -> str:
    return datetime.fromtimestamp(at, timezone.utc).isoformat()


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("database", type=Path)
    parser.add_argument("recordings", type=Path)
    parser.add_argument("--by-ffprobe", action="store_true")
    for name, seconds in Times()._asdict().items():
        parser.add_argument(f"--{name}", type=float, default=seconds)
    given = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    times = Times(given.scan, given.quiet, given.look, given.ahead)
    _Kernel(given.database, given.recordings, times, by_ffprobe=given.by_ffprobe).run()


if __name__ == "__main__":
    main()
