"""Heldar's database and a mirror of its cameras, in a directory for one test."""

import contextlib
import json
import os
import shutil
import sqlite3
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from support import HERE
from support.listeners import open_port
from support.waiting import (
    COMMAND_SECONDS,
    PATIENCE_SECONDS,
    kill_processes_of,
    processes_of,
    wait_for,
    wait_for_none,
)

FAKE_FFMPEG, GROWING_FFMPEG = HERE / "fake_ffmpeg", HERE / "growing_ffmpeg"

USER, PASSWORD = "admin", "p@ss/w:rd"

SCHEMA = (HERE / "heldar.sql").read_text()


@dataclass
class Database:
    """Heldar's database, in WAL mode as Heldar's kernel leaves it. The test's process keeps no connection open."""

    path: Path

    def execute(self, sql: str, *values: object) -> None:
        with contextlib.closing(sqlite3.connect(self.path)) as connection, connection:
            connection.executescript(sql) if not values else connection.execute(sql, values)

    def add(self, camera_id: object, **columns: object) -> None:
        """Add a camera: a hikvision that wants a mirror, changed by `columns`.

        Without `rtsp_port` no camera exists, but its port accepts connections, since a recorder waits for that.
        """
        row = {
            "id": camera_id,
            "name": str(camera_id),
            "vendor": "hikvision",
            "address": "127.0.0.1",
            "rtsp_port": open_port(),
            "username": USER,
            "password": PASSWORD,
            "mirror_enabled": 1,
        } | columns
        names, marks = ", ".join(row), ", ".join("?" * len(row))
        self.execute(f"INSERT INTO cameras ({names}) VALUES ({marks})", *row.values())  # noqa: S608

    def update(self, camera_id: str, **columns: object) -> None:
        assignments = ", ".join(f"{name} = ?" for name in columns)
        self.execute(f"UPDATE cameras SET {assignments} WHERE id = ?", *columns.values(), camera_id)  # noqa: S608


@dataclass
class Mirror:
    """heldar-mirror on the command line, with all its directories below `home`."""

    home: Path
    database: Database
    env: dict[str, str] = field(default_factory=dict)

    @property
    def root(self) -> Path:
        return self.home / "mirror"

    @property
    def state(self) -> Path:
        return self.home / "state"

    @property
    def logs(self) -> Path:
        return self.state / "log"

    def command(self, *args: str) -> list[str]:
        return [sys.executable, "-m", "heldar_mirror", *args]

    def run(self, *args: str, code: int | None = 0, **env: str) -> subprocess.CompletedProcess[str]:
        """Run a command to its end, and check its exit code unless `code` is None."""
        result = subprocess.run(
            self.command(*args),
            env=self.env | env,
            capture_output=True,
            text=True,
            timeout=COMMAND_SECONDS,
            check=False,
        )
        assert code in (None, result.returncode), f"exit {result.returncode}\n{result.stdout}\n{result.stderr}"
        return result

    def json(self, *args: str, **env: str) -> Any:
        return json.loads(self.run(*args, "--json", code=None, **env).stdout)

    def status(self) -> dict[str, dict[str, Any]]:
        """Return each camera's status, by its id."""
        return {camera["camera_id"]: camera for camera in self.json("status")["cameras"]}

    def supervisorctl(self, *args: str) -> str:
        command = [sys.executable, "-m", "supervisor.supervisorctl", "-c", str(self.state / "supervisord.conf"), *args]
        return subprocess.run(
            command, cwd="/", capture_output=True, text=True, timeout=COMMAND_SECONDS, check=False
        ).stdout

    def segments(self, camera_id: str) -> list[Path]:
        return sorted((self.root / camera_id).glob("[0-9]*.mp4"))

    @contextlib.contextmanager
    def up(self, *, watched: bool = False, **env: str) -> Iterator["subprocess.Popen[bytes]"]:
        """Run `heldar-mirror up` until the block ends. Fail the test if any of its processes is left.

        Unless `watched`, the watcher is stopped, so that nothing happens but what the test does.
        """
        with (self.home / "up.log").open("ab") as log:
            process = subprocess.Popen(self.command("up"), env=self.env | env, stdout=log, stderr=log)
        try:
            wait_for(lambda: process.poll() is not None or (self.state / "supervisor.sock").exists())
            assert process.poll() is None, self.up_log()
            if watched:
                wait_for((self.state / "status/status.json").exists, seen=self.describe_state)
            else:
                wait_for(lambda: "watch: stopped" in self.supervisorctl("stop", "watch"))
                self.run("reconcile", code=None)
            yield process
        finally:
            if process.poll() is None:
                process.terminate()
                try:
                    process.wait(PATIENCE_SECONDS)
                except subprocess.TimeoutExpired:
                    process.kill()
            leftovers = wait_for_none(str(self.home))
        assert not leftovers, leftovers

    def watch_log(self) -> str:
        """Return the watcher's log; an empty text if there is none."""
        log = self.logs / "watch.log"
        return log.read_text() if log.exists() else ""

    def up_log(self) -> str:
        return (self.home / "up.log").read_text()

    def describe_state(self) -> str:
        """Return what shows why a wait failed: the mirror's processes, its report and the ends of its logs."""
        found = [f"processes: {processes_of(str(self.home))}"]
        files = [self.state / "status/status.json", self.home / "up.log", *sorted(self.logs.glob("*.log"))[:12]]
        for file in files:
            with contextlib.suppress(OSError):
                found.append(f"{file}: …{file.read_text(errors='replace')[-3000:]}")
        return "\n".join(found)


@contextlib.contextmanager
def new_home() -> Iterator[Path]:
    """A directory that every user can enter. Those of pytest are closed to others by each new run."""
    path = Path(tempfile.mkdtemp(prefix="mirror-test-"))
    path.chmod(0o755)
    try:
        yield path
    finally:
        kill_processes_of(str(path))
        shutil.rmtree(path, ignore_errors=True)


def new_database(home: Path) -> Database:
    """Make Heldar's database, without any camera."""
    (home / "heldar").mkdir()
    made = Database(home / "heldar/heldar.db")
    made.execute(f"PRAGMA journal_mode=WAL; {SCHEMA}")
    return made


def mirror_env(home: Path, database: Database) -> dict[str, str]:
    """Return the environment of a mirror that has all its directories below `home` and uses the fake ffmpeg."""
    (home / "recordings").mkdir()
    return {
        # All processes of the mirror inherit this, so that they can be told from others.
        "PATH": f"{home}/bin:{os.environ['PATH']}",
        "HOME": str(home),
        "HELDAR_ENV_FILE": str(home / "heldar.env"),
        "HELDAR_MIRROR_ENV_FILE": str(home / "mirror.env"),
        "HELDAR_DATABASE_URL": f"sqlite://{database.path}",
        "HELDAR_RECORDINGS_DIR": str(home / "recordings"),
        "HELDAR_MIRROR_RECORDINGS_DIR": str(home / "mirror"),
        "HELDAR_MIRROR_STATE_DIR": str(home / "state"),
        "HELDAR_FFMPEG_BIN": str(FAKE_FFMPEG),
    }
