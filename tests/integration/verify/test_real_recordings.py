"""Recordings of a real camera by two ffmpegs that begin seconds apart: they are proven, and each fault is found."""

import contextlib
import os
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

import imageio_ffmpeg
import pytest
from support.camera import Camera, ScriptedCamera
from support.mirror import PASSWORD, USER, new_home
from support.recordings import named_by_ffmpeg
from support.waiting import COMMAND_SECONDS, wait_for

from heldar_mirror.footage.names import segment_begun
from heldar_mirror.packets.index import read_packets
from heldar_mirror.sides.side import Side
from heldar_mirror.verify.comparer import Comparer
from heldar_mirror.verify.comparison import Comparison, Verdict

DEBIAN, NEWEST = "ffmpeg", imageio_ffmpeg.get_ffmpeg_exe()
SEGMENT = ["-movflags", "+frag_keyframe+empty_moov+default_base_moof"]
GATE, YARD = "gate", "yard"
# By camera: its stream (the gate's has sound), and the segments of the primary and the mirror in seconds.
STREAMS = {GATE: ("aac", 2, 3), YARD: ("lively", 2, 2)}


@contextlib.contextmanager
def recorded(ffmpeg: str, url: str, directory: Path, seconds: int) -> Iterator[None]:
    """Record a camera as a primary or a mirror does, until the block ends and one more segment has begun."""
    directory.mkdir(parents=True)
    command = [ffmpeg, "-nostdin", "-v", "warning", "-rtsp_transport", "tcp", "-i", url, "-c", "copy"]
    command += ["-f", "segment", "-segment_time", str(seconds), "-segment_format", "mp4", "-reset_timestamps", "1"]
    command += ["-segment_format_options", "movflags=+frag_keyframe+empty_moov+default_base_moof:flush_packets=1"]
    log = directory.with_suffix(".log")
    with log.open("wb") as file:
        process = subprocess.Popen(
            [*command, *named_by_ffmpeg(directory)],
            env=os.environ | {"TZ": "UTC"},
            stdin=subprocess.DEVNULL,
            stdout=file,
            stderr=file,
        )
    try:
        wait_for(lambda: len(list(directory.glob("*.mp4"))) > 1, seen=log.read_text)
        yield
        count = len(list(directory.glob("*.mp4")))
        wait_for(lambda: len(list(directory.glob("*.mp4"))) > count, seen=log.read_text)
    finally:
        process.terminate()
        process.wait()


@pytest.fixture(scope="module", params=[(DEBIAN, NEWEST), (NEWEST, DEBIAN)], ids=["newest mirrors", "Debian's mirrors"])
def recordings(request: pytest.FixtureRequest) -> Iterator[Path]:
    """Two sides of two cameras. The primary begins first and ends last."""
    camera = Camera()
    camera.plug_in()
    try:
        with new_home() as root, contextlib.ExitStack() as both:
            for side, ffmpeg in zip(("primary", "mirror"), request.param, strict=True):
                for camera_id, (stream, *seconds) in STREAMS.items():
                    directory = root / side / camera_id
                    url = f"rtsp://{USER}:{quote(PASSWORD, safe='')}@127.0.0.1:{camera.port}/{stream}"
                    both.enter_context(recorded(ffmpeg, url, directory, seconds[side == "mirror"]))
            wait_for(lambda: all(len(segments(root, "mirror", each)) > 4 for each in STREAMS))
            both.close()
            yield root
    finally:
        camera.unplug()


@pytest.fixture
def copied(recordings: Path, home: Path) -> Path:
    """The same recordings, to be changed."""
    for side in ("primary", "mirror"):
        shutil.copytree(recordings / side, home / side)
    return home


def segments(root: Path, side: str, camera_id: str) -> list[Path]:
    return sorted((root / side / camera_id).glob("*.mp4"))


def middle(root: Path) -> Path:
    """Return a segment of the gate's mirror that has others before and after it."""
    return segments(root, "mirror", GATE)[2]


def begun(path: Path) -> int:
    made = segment_begun(path.name)
    assert made is not None
    return made


def compare(root: Path, camera_id: str, *, hashed: bool = True) -> dict[int, Comparison]:
    """Compare all segments of a camera's mirror."""
    with Side("primary", root / "primary") as primary, Side("mirror", root / "mirror") as mirror:
        ours = mirror.recorded(camera_id, 0, 1 << 40, 60)
        sides = (primary, primary.names(camera_id, 0, 1 << 40)), (mirror, ours.begun, ours.ends)
        comparer = Comparer(camera_id, *sides, hashed=hashed)
        assert comparer.alone() == []
        return {each: comparer.compare(each) for each in ours.begun}


@dataclass
class Found:
    """What was found in all segments of a camera."""

    comparisons: dict[int, Comparison]

    def packets(self, name: str) -> int:
        return sum(
            run.packets for each in self.comparisons.values() for track in each.tracks for run in getattr(track, name)
        )

    def identical(self) -> int:
        return sum(track.identical for each in self.comparisons.values() for track in each.tracks)


def packets_of(root: Path, side: str, camera_id: str) -> int:
    """Return how many packets ffmpeg finds in all segments of a camera on one side."""
    return sum(map(len, (framehash(path) for path in segments(root, side, camera_id))))


def framehash(path: Path) -> list[tuple[int, int, str]]:
    """Return the stream, the size and the hash of each packet, as ffmpeg finds them."""
    command = [NEWEST, "-v", "error", "-i", str(path), "-map", "0", "-c", "copy"]
    command += ["-f", "framehash", "-hash", "sha256", "-"]
    lines = subprocess.run(command, capture_output=True, text=True, timeout=COMMAND_SECONDS, check=True).stdout
    rows = [line.replace(" ", "").split(",") for line in lines.splitlines() if not line.startswith("#")]
    return sorted((int(row[0]), int(row[4]), row[5]) for row in rows)


@pytest.mark.slow
@pytest.mark.parametrize("camera_id", STREAMS)
@pytest.mark.parametrize("hashed", [True, False], ids=["packets", "index"])
def test_the_mirror_is_proven(recordings: Path, camera_id: str, *, hashed: bool) -> None:
    """All that the mirror has is in the primary, bit for bit. What the primary has besides lies before and after it."""
    found = compare(recordings, camera_id, hashed=hashed)
    inner = list(found)[1:-1]
    assert len(inner) >= 3
    assert all(found[each].proven() for each in inner)
    whole = Found(found)
    assert whole.packets("differ") == whole.packets("only_mirror") == 0
    assert whole.identical() == packets_of(recordings, "mirror", camera_id)
    assert whole.identical() + whole.packets("only_primary") == packets_of(recordings, "primary", camera_id)
    assert all(abs(each.offset() or 0) < 4 for each in found.values())


@pytest.mark.slow
@pytest.mark.parametrize("side", ["primary", "mirror"])
def test_ffmpeg_finds_the_same_packets(recordings: Path, side: str) -> None:
    """ffmpeg's framehash agrees on the packets of each segment that these tests compare."""
    with Side("mirror", recordings / side) as source:
        for camera_id in STREAMS:
            for path in segments(recordings, side, camera_id):
                tracks = source.hashes(camera_id, begun(path)).tracks
                ours = [
                    (number, size, track.digests[32 * packet : 32 * packet + 32].hex())
                    for number, track in enumerate(tracks)
                    for packet, size in enumerate(track.sizes)
                ]
                assert sorted(ours) == framehash(path)


@pytest.mark.slow
def test_a_flipped_packet_is_found(copied: Path) -> None:
    """One flipped bit makes one packet differ, at its time; the sizes can't show it."""
    path = middle(copied)
    with path.open("r+b") as file:
        track = read_packets(file.fileno()).tracks[0]
        packet = list(track)[20]
        file.seek(packet.offset + packet.size // 2)
        byte = file.read(1)[0]
        file.seek(packet.offset + packet.size // 2)
        file.write(bytes([byte ^ 1]))
    found = compare(copied, GATE)
    video, sound = found[begun(path)].tracks
    (run,) = video.differ
    assert run.packets == 1
    assert run.begin == run.end == pytest.approx(begun(path) + packet.time / track.timescale)
    assert sound.proven()
    assert Found(found).packets("differ") == 1
    assert Found(found).packets("only_mirror") == 0
    assert compare(copied, GATE, hashed=False)[begun(path)].proven()


@pytest.mark.slow
@pytest.mark.parametrize("hashed", [True, False], ids=["packets", "index"])
@pytest.mark.parametrize("dropped", ["v", "a"])
def test_a_dropped_packet_is_found(copied: Path, dropped: str, *, hashed: bool) -> None:
    """One packet that the mirror lost is named, at its time, and the others are identical."""
    path = middle(copied)
    before = Found(compare(copied, GATE, hashed=hashed))
    lost = path.with_name("lost.mp4")
    options = ["-map", "0", "-c", "copy", "-copyts", f"-bsf:{dropped}", "noise=drop=eq(n\\,20)", *SEGMENT]
    subprocess.run([NEWEST, "-v", "error", "-i", str(path), *options, str(lost)], timeout=COMMAND_SECONDS, check=True)
    assert len(framehash(path)) == len(framehash(lost)) + 1
    lost.rename(path)
    comparisons = compare(copied, GATE, hashed=hashed)
    found = Found(comparisons)
    track = comparisons[begun(path)].tracks["va".index(dropped)]
    (run,) = track.only_primary
    assert run.packets == 1
    assert run.begin == run.end
    assert found.packets("only_primary") == before.packets("only_primary") + 1
    assert found.identical() == before.identical() - 1
    assert found.packets("differ") == found.packets("only_mirror") == 0


@pytest.mark.slow
def test_a_truncated_segment_is_found(copied: Path) -> None:
    """What a truncated segment lost is only in the primary, and the segment is named as damaged."""
    path = middle(copied)
    before = Found(compare(copied, GATE))
    whole = len(framehash(path))
    os.truncate(path, path.stat().st_size * 6 // 10)
    comparisons = compare(copied, GATE)
    found = Found(comparisons)
    assert comparisons[begun(path)].damaged.keys() == {("mirror", begun(path))}
    missing = found.packets("only_primary") - before.packets("only_primary")
    assert 0 < missing < whole
    assert found.identical() == before.identical() - missing
    assert found.packets("differ") == found.packets("only_mirror") == 0


@pytest.mark.slow
@pytest.mark.parametrize("level", ["packets", "index"])
def test_a_segment_of_another_camera_is_found(copied: Path, level: str) -> None:
    """A segment of another camera in its place matches nothing, and its own footage is only in the primary."""
    path = middle(copied)
    before = Found(compare(copied, GATE, hashed=level == "packets"))
    own = len(framehash(path))
    other = segments(copied, "mirror", YARD)[2]
    shutil.copy(other, path)
    comparisons = compare(copied, GATE, hashed=level == "packets")
    video = comparisons[begun(path)].tracks[0]
    assert video.verdict == Verdict.MATCHES_NOTHING
    found = Found(comparisons)
    assert found.packets("only_mirror") == len(framehash(other))
    assert found.packets("only_primary") == before.packets("only_primary") + own
    assert [each for each, comparison in comparisons.items() if comparison.tracks[0].verdict != Verdict.COMPARED] == [
        begun(path)
    ]


@pytest.mark.slow
@pytest.mark.parametrize("hashed", [True, False], ids=["packets", "index"])
def test_a_camera_that_encodes_for_each_reader_is_not_comparable(home: Path, *, hashed: bool) -> None:
    """No packet of the mirror is said to be lost or different. The primary begins first and ends last."""
    camera = Camera()
    camera.plug_in()
    try:
        with contextlib.ExitStack() as both:
            for side, ffmpeg in (("primary", DEBIAN), ("mirror", NEWEST)):
                url = f"rtsp://{USER}:{quote(PASSWORD, safe='')}@127.0.0.1:{camera.port}/own"
                both.enter_context(recorded(ffmpeg, url, home / side / GATE, 2))
            wait_for(lambda: len(segments(home, "mirror", GATE)) > 4)
    finally:
        camera.unplug()
    comparisons = compare(home, GATE, hashed=hashed)
    *verdicts, last = (each.tracks[0].verdict for each in comparisons.values())
    assert set(verdicts) == {Verdict.NOT_COMPARABLE}
    assert last in {Verdict.NOT_COMPARABLE, Verdict.ALIKE}  # it may have ended after a few packets
    found = Found(comparisons)
    assert found.identical() == found.packets("differ") == found.packets("only_mirror") == 0


# Profiles of scripted_camera.py: stamps that run twice as fast, are ten hours ahead at times, or go back every ten
# seconds. Each stream repeats itself after ten seconds.
ODD = ("twice", "stray", "saw")


@pytest.mark.slow
def test_cameras_with_odd_clocks_are_proven(home: Path) -> None:
    """Whatever a camera's stamps do, all that the mirror has is found in the primary."""
    camera = ScriptedCamera(log=home / "camera.log")
    camera.plug_in()
    try:
        with contextlib.ExitStack() as both:
            for side, ffmpeg in (("primary", DEBIAN), ("mirror", NEWEST)):
                for name in ODD:
                    both.enter_context(recorded(ffmpeg, camera.url(name), home / side / name, 2))
            wait_for(lambda: all(len(segments(home, "mirror", name)) > 12 for name in ODD))
    finally:
        camera.unplug()
    for name in ODD:
        found = Found(compare(home, name))
        assert found.packets("differ") == found.packets("only_mirror") == 0, name
        assert found.identical() == packets_of(home, "mirror", name)
