"""Fleets of cameras with the fake ffmpeg, run by what people would use instead: s6, circus and pm2.

Each is set up as its documentation says, with a log per camera, which is rotated if the supervisor can do that.
"""

import abc
import contextlib
import json
import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from fleet import FAKE_FFMPEG, new_home, running, wait_for_none, wait_until
from measure import with_children

PM2 = Path(sys.prefix, "pm2/node_modules/.bin/pm2")
LOG_BYTES = 1_000_000
LOGS = 2


@dataclass
class Rival(abc.ABC):
    """A supervisor with one ffmpeg per camera. `write` prepares a camera, and `add` starts it at once."""

    home: Path
    name: ClassVar[str]

    @property
    def root(self) -> Path:
        return self.home / "mirror"

    def arguments(self, camera: str) -> list[str]:
        """Return ffmpeg's arguments for a camera, and make its directory."""
        directory = self.root / camera
        directory.mkdir(parents=True, exist_ok=True)
        return ["-i", "rtsp://127.0.0.1/101", str(directory / "%Y%m%d_%H%M%S.mp4")]

    @abc.abstractmethod
    def write(self, camera: str) -> None: ...

    @abc.abstractmethod
    def add(self, camera: str) -> None: ...

    @abc.abstractmethod
    def up(self) -> contextlib.AbstractContextManager[int]:
        """Run all written cameras until the block ends. Yields the process id of the supervisor."""

    def run(self, *command: str) -> None:
        subprocess.run(command, env=self.environment(), cwd="/", capture_output=True, check=True)

    def environment(self) -> dict[str, str]:
        return dict(os.environ)


class S6(Rival):
    """s6-svscan: for each camera an s6-supervise with ffmpeg, and an s6-supervise with an s6-log."""

    name = "s6"

    @property
    def services(self) -> Path:
        return self.home / "service"

    def write(self, camera: str) -> None:
        # s6-svscan starts whatever it finds, so the directory is completed elsewhere and then moved.
        aside = self.home / "new" / camera
        scripts = {
            aside / "run": f"exec 2>&1\nexec {FAKE_FFMPEG} {' '.join(self.arguments(camera))}",
            aside / "log/run": f"exec s6-log n{LOGS} s{LOG_BYTES} {self.home}/log/{camera}",
        }
        for path, script in scripts.items():
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(f"#!/bin/sh\n{script}\n")
            path.chmod(0o755)
        self.services.mkdir(exist_ok=True)
        aside.rename(self.services / camera)

    def add(self, camera: str) -> None:
        self.write(camera)
        self.run("s6-svscanctl", "-a", str(self.services))

    @contextlib.contextmanager
    def up(self) -> Iterator[int]:
        self.services.mkdir(exist_ok=True)
        (self.home / "log").mkdir(exist_ok=True)
        with running(["s6-svscan", "-c", "4000", str(self.services)], self.home) as process:
            wait_until((self.services / ".s6-svscan/control").exists)
            yield process.pid


class Circus(Rival):
    """circusd: a watcher per camera, each in its own file. circusd itself writes the logs."""

    name = "circus"

    @property
    def socket(self) -> str:
        return f"ipc://{self.home}/circus.sock"

    def write(self, camera: str) -> None:
        self.files.mkdir(exist_ok=True)
        stream = {
            "class": "FileStream",
            "filename": f"{self.home}/{camera}.log",
            "max_bytes": LOG_BYTES,
            "backup_count": LOGS,
        }
        lines = [f"stderr_stream.{key} = {value}" for key, value in stream.items()]
        command = " ".join([str(FAKE_FFMPEG), *self.arguments(camera)])
        text = "\n".join([f"[watcher:{camera}]", f"cmd = {command}", "copy_env = True", *lines, ""])
        (self.files / f"{camera}.ini").write_text(text)

    @property
    def files(self) -> Path:
        return self.home / "conf.d"

    def circusctl(self, *arguments: str) -> None:
        command = [str(Path(sys.prefix, "bin/circusctl")), "--endpoint", self.socket, "--timeout", "60", *arguments]
        self.run(*command)

    def add(self, camera: str) -> None:
        # A watcher that is added on the command line can't have a log.
        self.circusctl("add", "--start", camera, "--", str(FAKE_FFMPEG), *self.arguments(camera))

    @contextlib.contextmanager
    def up(self) -> Iterator[int]:
        self.files.mkdir(exist_ok=True)
        configuration = self.home / "circus.ini"
        configuration.write_text(
            f"[circus]\nendpoint = {self.socket}\npubsub_endpoint = ipc://{self.home}/circus.pub\n"
            f"include_dir = {self.files}\n"
        )
        with running([str(Path(sys.prefix, "bin/circusd")), str(configuration)], self.home) as process:
            wait_until((self.home / "circus.sock").exists)
            yield process.pid


class Pm2(Rival):
    """pm2's daemon: an app per camera. The daemon itself writes the logs; rotation would need an extra module."""

    name = "pm2"

    def environment(self) -> dict[str, str]:
        # pm2 must not look for a newer version in the network.
        return super().environment() | {"PM2_HOME": f"{self.home}/pm2", "PM2_DISABLE_VERSION_CHECK": "true"}

    def app(self, camera: str) -> dict[str, object]:
        return {
            "name": camera,
            "script": str(FAKE_FFMPEG),
            "args": self.arguments(camera),
            "interpreter": "none",
            "log_file": f"{self.home}/{camera}.log",
            "out_file": "/dev/null",
            "error_file": "/dev/null",
            "vizion": False,
        }

    def write(self, camera: str) -> None:
        (self.home / "apps").mkdir(exist_ok=True)
        (self.home / f"apps/{camera}.json").write_text(json.dumps(self.app(camera)))

    def add(self, camera: str) -> None:
        self.write(camera)
        self.run(str(PM2), "start", f"{self.home}/apps/{camera}.json")

    @contextlib.contextmanager
    def up(self) -> Iterator[int]:
        (self.home / "pm2").mkdir(exist_ok=True)
        (self.home / "pm2/touch").touch()  # without it the first start contacts the makers of pm2
        apps = [json.loads(path.read_text()) for path in sorted((self.home / "apps").glob("*.json"))]
        ecosystem = self.home / "ecosystem.config.json"
        ecosystem.write_text(json.dumps({"apps": apps}))
        try:
            self.run(str(PM2), "ping")
            self.run(str(PM2), "start", str(ecosystem))
            yield int((self.home / "pm2/pm2.pid").read_text())
        finally:
            try:
                self.run(str(PM2), "kill")
            finally:
                wait_for_none(str(self.home), seconds=15)


RIVALS: tuple[type[Rival], ...] = (S6, Circus, Pm2)


@contextlib.contextmanager
def new_rival(kind: type[Rival], cameras: Sequence[str]) -> Iterator[Rival]:
    """A rival with these cameras. Nothing runs yet."""
    with new_home() as home:
        rival = kind(home)
        for camera in cameras:
            rival.write(camera)
        yield rival


def without_ffmpeg(pid: int) -> list[int]:
    """Return a supervisor and all its descendants, without the fake ffmpegs."""
    found = []
    for child in with_children(pid):
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):
            if not Path(f"/proc/{child}/cmdline").read_bytes().startswith(str(FAKE_FFMPEG).encode()):
                found.append(child)
    return found
