"""Two recordings of one real camera: what one has lost is cut out of the other's files, packet by packet."""

import contextlib
import subprocess
from collections.abc import Iterator
from pathlib import Path

import imageio_ffmpeg
import pytest
from support.camera import Camera
from support.mirror import Mirror
from support.recordings import named_by_ffmpeg
from support.waiting import COMMAND_SECONDS, wait_for

from heldar_mirror.footage.names import segment_begun
from heldar_mirror.heldar import camera_url
from heldar_mirror.heldar.cameras import parse_camera
from heldar_mirror.heldar.tables import read_cameras
from heldar_mirror.packets.index import hash_packets, read_packets
from heldar_mirror.programs.record_command import build_record_command
from heldar_mirror.restore.choosing import choose_fragments
from heldar_mirror.restore.cutting import write_file
from heldar_mirror.restore.joining import Part, plan_file
from heldar_mirror.restore.source import Source, read_source
from heldar_mirror.sides.fragments import fragments_of


def record(mirror: Mirror, camera: Camera, directory: Path, ffmpeg: str, seconds: int) -> "subprocess.Popen[bytes]":
    """Start a recorder that ends by itself."""
    (row,) = read_cameras(mirror.database.path)
    gate = parse_camera(row, unseal=str)
    directory.mkdir()
    command = [*build_record_command(ffmpeg, gate, camera_url.record_url(gate)), "-t", str(seconds)]
    return subprocess.Popen(
        [*command, *named_by_ffmpeg(directory)],
        env=mirror.env | {"TZ": "UTC"},
        stdin=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )


def hashes(path: Path) -> list[bytes]:
    """Return the hash of each packet of a file without damage, which has one track."""
    with path.open("rb") as file:
        tracks, damage = read_packets(file.fileno())
        assert damage is None
        return [digest for _, digest in hash_packets(file.fileno(), tracks)]


@contextlib.contextmanager
def opened(path: Path) -> Iterator[Source]:
    with path.open("rb") as file:
        yield read_source(file.fileno(), str(path))


@pytest.mark.slow
def test_each_file_that_is_lost(mirror: Mirror, camera: Camera, tmp_path: Path) -> None:
    """Whichever file of the primary is lost, a file of parts of the mirror's has its packets, and hardly any other."""
    mirror.database.add("gate", rtsp_port=camera.port, segment_seconds=3)
    one = record(mirror, camera, tmp_path / "primary", "ffmpeg", 14)
    wait_for(lambda: any((tmp_path / "primary").iterdir()))  # so that the two are cut at different places
    two = record(mirror, camera, tmp_path / "mirror", imageio_ffmpeg.get_ffmpeg_exe(), 14)
    for recorder in (one, two):
        assert recorder.wait(COMMAND_SECONDS) == 0
    primary, mirrored = ({p: hashes(p) for p in sorted((tmp_path / d).iterdir())} for d in ("primary", "mirror"))
    in_mirror = {digest for digests in mirrored.values() for digest in digests}
    assert len(primary) >= 4
    for lost, digests in primary.items():
        wanted = in_mirror.intersection(digests)
        if not wanted:
            continue
        made = tmp_path / lost.name
        with contextlib.ExitStack() as stack:
            parts = []
            for path, held in mirrored.items():
                lacking = [number for number, digest in enumerate(held) if digest in wanted]
                if lacking:
                    source = stack.enter_context(opened(path))
                    chosen = choose_fragments(fragments_of(source.layout), [range(lacking[0], lacking[-1] + 1)])
                    parts.append(Part(source, chosen, segment_begun(path.name) or 0))
            plan = plan_file(parts)
            with made.open("xb") as file:
                assert write_file(plan, file.fileno()) == made.stat().st_size
            distance = max(len(fragment.packets[0]) for part in parts for fragment in part.source.layout.fragments)
        found = hashes(made)
        assert wanted <= set(found)
        assert len(found) == len(set(found))
        assert len(set(found) - wanted) < 2 * distance
        check(made, plan.seconds)


def check(path: Path, seconds: float) -> None:
    """The file plays without a complaint, and ffprobe tells its length."""
    play = ["ffmpeg", "-v", "error", "-i", str(path), "-f", "null", "-"]
    probe = ["ffprobe", "-v", "error", "-show_entries", "format=duration", "-of", "csv=p=0", str(path)]
    for command in (play, probe):
        done = subprocess.run(command, capture_output=True, text=True, timeout=COMMAND_SECONDS, check=True)
        assert done.stderr == ""
    assert float(done.stdout) == pytest.approx(seconds, abs=1 / 15)
