"""An RTSP camera that can be unplugged."""

import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

from support import HERE
from support.mirror import PASSWORD, USER


@dataclass
class Camera:
    """An RTSP camera that can be unplugged and plugged in again. It listens on loopback by default."""

    port: int = 0
    address: str = "127.0.0.1"
    process: "subprocess.Popen[str] | None" = None

    def command(self) -> list[str]:
        script = str(HERE / "rtsp_camera.py")
        return ["/usr/bin/python3", script, "--address", self.address, str(self.port), USER, PASSWORD]

    def plug_in(self) -> None:
        self.process = subprocess.Popen(self.command(), stdout=subprocess.PIPE, text=True)
        assert self.process.stdout
        self.port = int(self.process.stdout.readline().split()[1])

    def unplug(self) -> None:
        if self.process:
            self.process.kill()
            self.process.wait()
            assert self.process.stdout
            self.process.stdout.close()
            self.process = None


@dataclass
class ScriptedCamera(Camera):
    """Cameras that behave by the path of their URL, as scripted_camera.py says. `log` is where they write to."""

    log: Path = Path("/dev/null")

    def command(self) -> list[str]:
        script = str(HERE / "scripted_camera.py")
        return [sys.executable, script, "--address", self.address, str(self.port), USER, PASSWORD, str(self.log)]

    def url(self, name: str, host: str = "127.0.0.1") -> str:
        """Return the URL of a camera: the name of its profile, and `/` and any text if it is one of several."""
        return f"rtsp://{USER}:{quote(PASSWORD, safe='')}@{host}:{self.port}/{name}"

    def events(self, name: str) -> list[str]:
        """Return what has happened at a camera."""
        return [event for _, event in self.timed_events(name)]

    def timed_events(self, name: str) -> list[tuple[float, str]]:
        """Return what has happened at a camera, and when, in monotonic seconds."""
        lines = self.log.read_text().splitlines() if self.log.exists() else []
        events = [line.split(" ", 2) for line in lines]
        return [(float(at), event) for at, camera, event in events if camera == name]
