"""An RTSP camera that can be unplugged."""

import subprocess
from dataclasses import dataclass

from support import HERE
from support.mirror import PASSWORD, USER


@dataclass
class Camera:
    """An RTSP camera that can be unplugged and plugged in again. It listens on loopback by default."""

    port: int = 0
    address: str = "127.0.0.1"
    process: "subprocess.Popen[str] | None" = None

    def plug_in(self) -> None:
        self.process = subprocess.Popen(
            [
                *["/usr/bin/python3", str(HERE / "rtsp_camera.py"), "--address", self.address],
                *[str(self.port), USER, PASSWORD],
            ],
            stdout=subprocess.PIPE,
            text=True,
        )
        assert self.process.stdout
        self.port = int(self.process.stdout.readline().split()[1])

    def unplug(self) -> None:
        if self.process:
            self.process.kill()
            self.process.wait()
            assert self.process.stdout
            self.process.stdout.close()
            self.process = None
