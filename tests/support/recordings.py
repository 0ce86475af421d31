"""Recorded footage: its packets, its gaps, and its growth."""

import hashlib
import re
import subprocess
from collections.abc import Iterable, Sequence
from pathlib import Path

from heldar_mirror.packets.index import hash_packets
from heldar_mirror.packets.tracks import Track
from heldar_mirror.recorder.leftovers import is_stub
from heldar_mirror.recorder.segments import SEGMENT_NAME
from support.mirror import Mirror
from support.waiting import COMMAND_SECONDS, wait_for

# rtsp_camera.py and odd_camera.py send this many.
FRAMES_PER_SECOND = 15


def named_by_ffmpeg(directory: Path) -> list[str]:
    """Return the arguments by which the primary's ffmpeg names its segments."""
    return ["-strftime", "1", f"{str(directory).replace('%', '%%')}/{SEGMENT_NAME}"]


def digests(paths: Iterable[Path]) -> dict[Path, str]:
    """Return the digest of each file. Raises FileNotFoundError if one is missing."""
    return {path: hashlib.sha256(path.read_bytes()).hexdigest() for path in paths}


def closed_digests(directory: Path) -> dict[Path, str]:
    """Return the digest of each closed segment, which is every segment but the last of its camera.

    Compare it later with `digests` of the same paths, not with a new listing: if a recorder has removed a stub, the
    last closed segment has become the last one of its camera.
    """
    return digests(
        path for camera in directory.iterdir() if camera.is_dir() for path in sorted(camera.glob("[0-9]*.mp4"))[:-1]
    )


def wait_until_grown(mirror: Mirror, *camera_ids: str) -> None:
    """Wait until each camera has three more segments, two of them closed."""
    counts = {name: len(mirror.segments(name)) for name in camera_ids}
    wait_for(lambda: all(len(mirror.segments(name)) > counts[name] + 2 for name in camera_ids))


def digests_of(fd: int, tracks: Sequence[Track]) -> list[list[bytes]]:
    """Return the hashes of the packets of each track, as we find them."""
    found: list[list[bytes]] = [[] for _ in tracks]
    for number, digest in hash_packets(fd, tracks):
        found[number].append(digest)
    return found


def packets(segments: Iterable[Path]) -> list[str]:
    """Return the hash of each video packet of the segments, in order, as ffmpeg finds them."""
    found = []
    for segment in segments:
        command = ["ffmpeg", "-v", "error", "-i", str(segment), "-map", "0:v", "-c", "copy"]
        command += ["-f", "framehash", "-hash", "md5", "-"]
        frames = subprocess.run(command, capture_output=True, text=True, timeout=COMMAND_SECONDS, check=True).stdout
        found += [line.rpartition(",")[2].strip() for line in frames.splitlines() if not line.startswith("#")]
    return found


def count_packets(segments: Iterable[Path]) -> tuple[int, str]:
    """Return how many video packets can be read of segments, stubs left out, and what ffprobe says is wrong."""
    listing = "".join(f"file 'file:{segment}'\n" for segment in segments if not is_stub(str(segment)))
    if not listing:
        return 0, ""
    command = ["ffprobe", "-v", "error", "-f", "concat", "-safe", "0", "-protocol_whitelist", "file,pipe"]
    command += ["-select_streams", "v", "-count_packets", "-show_entries", "stream=nb_read_packets", "-of", "csv=p=0"]
    found = subprocess.run(
        [*command, "pipe:0"], input=listing, capture_output=True, text=True, timeout=COMMAND_SECONDS, check=True
    )
    return int(found.stdout), found.stderr


def gaps(whole: list[str], part: list[str]) -> list[float]:
    """Return the gaps of `part`, in seconds: the runs of `whole` that it lacks, without those at both ends."""
    have = set(part)
    assert have & set(whole)
    marks = "".join("+" if packet in have else "-" for packet in whole).strip("-")
    return [len(gap) / FRAMES_PER_SECOND for gap in re.findall("-+", marks)]
