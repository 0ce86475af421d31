"""The same real segment under many names, on both sides, and Heldar's rows of them."""

import contextlib
import functools
import os
import sqlite3
import subprocess
import tempfile
from collections.abc import Iterable
from datetime import datetime, timezone
from pathlib import Path

from heldar_mirror.footage.names import segment_name
from support.made_footage import begun_of
from support.mirror import Mirror
from support.waiting import COMMAND_SECONDS

SEGMENT_SECONDS = 10


@functools.cache
def recording() -> bytes:
    """One segment of SEGMENT_SECONDS of H.264, as an ffmpeg with the primary's options writes it."""
    with tempfile.TemporaryDirectory() as directory:
        source = ["-f", "lavfi", "-i", f"testsrc2=size=64x48:rate=5:duration={SEGMENT_SECONDS}"]
        form = ["-movflags", "+frag_keyframe+empty_moov+default_base_moof", f"{directory}/one.mp4"]
        command = ["ffmpeg", "-v", "error", *source, "-c:v", "libx264", "-g", "5", *form]
        subprocess.run(command, check=True, timeout=COMMAND_SECONDS)
        return Path(directory, "one.mp4").read_bytes()


def primary_root(mirror: Mirror) -> Path:
    return Path(mirror.env["HELDAR_RECORDINGS_DIR"])


def record(directory: Path, begun: Iterable[int]) -> list[Path]:
    """Put segments into a directory that were written until they end."""
    directory.mkdir(parents=True, exist_ok=True)
    made = []
    for begin in begun:
        path = directory / segment_name(begin)
        path.write_bytes(recording())
        os.utime(path, (begin + SEGMENT_SECONDS,) * 2)
        made.append(path)
    return made


def index(mirror: Mirror, paths: Iterable[Path]) -> None:
    """Put rows for segments of the primary into Heldar's index."""
    times = ((path, begun_of(path), begun_of(path) + SEGMENT_SECONDS) for path in paths)
    rows = [
        (str(path), path.parent.name, str(path), shown(begin), shown(end), SEGMENT_SECONDS, len(recording()))
        for path, begin, end in times
    ]
    with contextlib.closing(sqlite3.connect(mirror.database.path)) as connection, connection:
        connection.executemany(
            "INSERT INTO segments (id, camera_id, path, start_time, end_time, duration_s, size_bytes) "
            "VALUES (?, ?, ?, ?, ?, ?, ?)",
            rows,
        )


def shown(at: float) -> str:
    return datetime.fromtimestamp(at, timezone.utc).isoformat()


def record_both(mirror: Mirror, camera_id: str, begun: Iterable[int]) -> None:
    """Let both sides record the same segments, and Heldar index them."""
    begun = list(begun)
    index(mirror, record(primary_root(mirror) / camera_id, begun))
    record(mirror.root / camera_id, begun)
