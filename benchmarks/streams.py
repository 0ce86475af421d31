"""Real streams from an RTSP camera on loopback, for a mirror and for the seed's loop beside it."""

import contextlib
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

from fleet import new_mirror

sys.path.insert(0, str(Path(__file__).parent.parent / "tests"))
from support.camera import Camera
from support.loop import loop_beside
from support.mirror import PASSWORD, Mirror

# Other benchmarks import this name from here.
__all__ = ["loop_beside"]


@contextlib.contextmanager
def plugged_in() -> Iterator[Camera]:
    """An RTSP camera until the block ends. It encodes each stream once, for all clients."""
    camera = Camera()
    try:
        camera.plug_in()
        yield camera
    finally:
        camera.unplug()


@contextlib.contextmanager
def real_mirror(ports: Mapping[str, int]) -> Iterator[Mirror]:
    """A mirror of cameras, each at its own port on loopback, with the real ffmpeg. Nothing runs yet."""
    with new_mirror(list(ports)) as mirror:
        mirror.env["HELDAR_FFMPEG_BIN"] = "ffmpeg"
        for camera, port in ports.items():
            mirror.database.update(camera, rtsp_port=port, password=PASSWORD)
        yield mirror
