"""Two recordings of one camera: by the primary's ffmpeg, and by the mirror's, which begins some seconds later."""

import csv
import json
import os
import subprocess
import time
from pathlib import Path
from typing import Any

import imageio_ffmpeg

from heldar_mirror.footage.names import segment_name
from heldar_mirror.packets.index import read_packets
from support.made_footage import camera_directory
from support.mirror import Mirror
from support.waiting import COMMAND_SECONDS

DEBIAN, NEWEST = "ffmpeg", imageio_ffmpeg.get_ffmpeg_exe()

# Each segment has so many seconds, and a keyframe every second.
SEGMENT_SECONDS = 4
# The mirror begins so much later than the primary.
LATER_SECONDS = 3

FORM = "movflags=+frag_keyframe+empty_moov+default_base_moof"
SEGMENTS = ["-f", "segment", "-segment_format", "mp4", "-reset_timestamps", "1"]


def run(*command: str) -> None:
    subprocess.run(command, capture_output=True, timeout=COMMAND_SECONDS, check=True)


def film(path: Path, seconds: int, tone: int = 300, *encoders: str) -> Path:
    """Encode what a camera sends: a picture with a running clock, and a tone, which tells cameras apart.

    `encoders` are further options of the encoders, as of a camera that encodes for each reader.
    """
    picture = f"testsrc2=size=192x144:rate=15:duration={seconds},hue=h={tone}"
    sound = f"sine=frequency={tone}:duration={seconds}"
    sources = ["-f", "lavfi", "-i", picture, "-f", "lavfi", "-i", sound]
    run(DEBIAN, "-v", "error", *sources, "-c:v", "libx264", "-g", "15", "-bf", "0", "-c:a", "aac", *encoders, str(path))
    return path


def segment(
    ffmpeg: str, source: Path, directory: Path, begun: int, *, skip: int = 0, seconds: int = SEGMENT_SECONDS
) -> list[Path]:
    """Record a film that was sent at a Unix time, from its second `skip` on, in segments of so many seconds."""
    directory.mkdir(exist_ok=True)
    listed = directory / "list.csv"
    command = [ffmpeg, "-v", "error", "-ss", str(skip), "-i", str(source), "-map", "0", "-c", "copy", *SEGMENTS]
    command += ["-segment_time", str(seconds)]
    run(*command, "-segment_format_options", FORM, "-segment_list", str(listed), str(directory / "%05d.mp4"))
    found = []
    for name, start, end in csv.reader(listed.read_text().splitlines()):
        path = directory / segment_name(begun + skip + round(float(start)))
        (directory / name).rename(path)
        closed = begun + skip + float(end)
        os.utime(path, (closed, closed))
        found.append(path)
    listed.unlink()
    return found


def record_both(mirror: Mirror, camera_id: str, source: Path, begun: int) -> tuple[list[Path], list[Path]]:
    """Record a film that was sent at a Unix time on both sides. Return the segments of the primary and the mirror."""
    primary = segment(DEBIAN, source, mirror.home / "recordings" / camera_id, begun)
    return primary, segment(NEWEST, source, camera_directory(mirror, camera_id), begun, skip=LATER_SECONDS)


def an_hour_ago() -> int:
    """Return the beginning of a full hour that ended long enough ago that nothing in it is being recorded."""
    return int(time.time()) // 3600 * 3600 - 3600


def count_packets(path: Path) -> int:
    """Return how many packets of picture and sound a segment has."""
    with path.open("rb") as file:
        return sum(map(len, read_packets(file.fileno()).tracks))


def flip(path: Path, number: int, handler: str = "vide") -> None:
    """Change one byte of a packet. The size and the time of the last write stay as they were."""
    about = path.stat()
    with path.open("r+b") as file:
        (track,) = (each for each in read_packets(file.fileno()).tracks if each.handler == handler)
        file.seek(track.offsets[number] + track.sizes[number] - 1)
        byte = file.read(1)
        file.seek(-1, os.SEEK_CUR)
        file.write(bytes([byte[0] ^ 1]))
    os.utime(path, ns=(about.st_atime_ns, about.st_mtime_ns))


def drop(path: Path, number: int) -> None:
    """Write a segment anew without one of its packets of picture."""
    about, new = path.stat(), path.with_suffix(".new.mp4")
    filtered = f"noise=drop=eq(n\\,{number})"
    options = ["-map", "0", "-c", "copy", "-bsf:v", filtered, "-movflags", FORM.partition("=")[2]]
    run(NEWEST, "-v", "error", "-copyts", "-i", str(path), *options, str(new))
    new.replace(path)
    os.utime(path, ns=(about.st_atime_ns, about.st_mtime_ns))


def verify(mirror: Mirror, *args: str, code: int = 0, **env: str) -> tuple[Any, dict[str, Any]]:
    """Verify on the command line, and return the report and its cameras by id."""
    report = json.loads(mirror.run("verify", "--json", *args, code=code, **env).stdout)
    return report, {camera["camera_id"]: camera for camera in report["cameras"]}
