"""The packets of real recordings, by ffmpeg 5.1 and the newest: ffmpeg and ffprobe find the same ones."""

import os
import subprocess
import time
from collections import defaultdict
from pathlib import Path

import imageio_ffmpeg
import pytest
from support.recordings import digests_of
from support.waiting import COMMAND_SECONDS

from heldar_mirror.packets.index import read_length, read_packets

FFMPEGS = {"debian": "ffmpeg", "newest": imageio_ffmpeg.get_ffmpeg_exe()}

OURS_ALONE = ["-movflags", "+frag_keyframe+empty_moov+default_base_moof", "-flush_packets", "1"]
OURS = "movflags=+frag_keyframe+empty_moov+default_base_moof:flush_packets=1"
# By the muxer's options: what a recorder writes, what Heldar's refill leaves, and what else ffmpeg can write.
FORMS = {
    "ours": ["-f", "segment", "-segment_time", "2", "-reset_timestamps", "1", "-segment_format_options", OURS],
    "plain": [],
    "faststart": ["-movflags", "+faststart"],
    "fragments behind tables": ["-movflags", "+frag_keyframe"],
    "a fragment per track": ["-movflags", "+frag_keyframe+empty_moov+separate_moof"],
    "a fragment per frame": ["-movflags", "+frag_every_frame+delay_moov+default_base_moof"],
    "negative offsets": ["-movflags", "+negative_cts_offsets"],
    "fragments with negative offsets": ["-movflags", "+cmaf+frag_keyframe"],
}

# A packet's decode and presentation time, and what else is compared.
Row = tuple[int, int, int | str, str]


def run(*command: str) -> str:
    return subprocess.run(command, capture_output=True, text=True, timeout=COMMAND_SECONDS, check=True).stdout


@pytest.fixture(scope="module", params=FFMPEGS.values(), ids=list(FFMPEGS))
def source(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[str, Path]:
    """An ffmpeg, and seven seconds of H.264 with B-frames and of AAC that it has encoded."""
    path = tmp_path_factory.mktemp("source") / "source.mkv"
    picture, sound = "testsrc2=size=192x144:rate=15:duration=7", "sine=frequency=300:duration=7"
    command = [request.param, "-v", "error", "-f", "lavfi", "-i", picture, "-f", "lavfi", "-i", sound]
    run(*command, "-c:v", "libx264", "-bf", "2", "-g", "15", "-c:a", "aac", str(path))
    return request.param, path


def record(ffmpeg: str, source: Path, form: str, directory: Path) -> list[Path]:
    """Let an ffmpeg write a form of mp4, and return the files."""
    name = "%03d.mp4" if form == "ours" else "whole.mp4"
    run(ffmpeg, "-v", "error", "-i", str(source), "-c", "copy", *FORMS[form], str(directory / name))
    return sorted(directory.glob("*.mp4"))


def by_framehash(ffmpeg: str, path: Path) -> dict[int, list[Row]]:
    """Return the times, the size and the hash of each packet, by stream."""
    command = [ffmpeg, "-v", "error", "-ignore_editlist", "1", "-copyts", "-i", str(path), "-map", "0", "-c", "copy"]
    found: dict[int, list[Row]] = defaultdict(list)
    for line in run(*command, "-f", "framehash", "-hash", "sha256", "-").splitlines():
        if not line.startswith("#"):
            stream, decoded, shown, _, size, digest, *_ = line.replace(" ", "").split(",")
            found[int(stream)].append((int(decoded), int(shown), int(size), digest))
    return found


def by_ffprobe(path: Path) -> dict[int, list[Row]]:
    """Return the times of each packet, its first byte, and whether it is a keyframe, by stream."""
    found: dict[int, list[Row]] = defaultdict(list)
    for text in probe(path, "packet=stream_index,pos,dts,pts,flags").split("stream_index=")[1:]:
        stream, *fields = text.splitlines()
        row = dict(each.split("=") for each in fields)
        found[int(stream)].append((int(row["dts"]), int(row["pts"]), int(row["pos"]), str("K" in row["flags"])))
    return found


def probe(path: Path, entries: str) -> str:
    command = ["ffprobe", "-v", "error", "-ignore_editlist", "1", "-of", "default=nw=1", "-show_entries", entries]
    return run(*command, str(path))


def comparable(rows: list[Row], form: str) -> list[Row]:
    """Return packets with their times, which begin at 0 for negative offsets: ffmpeg moves these to be positive."""
    decoded, shown = rows[0][:2] if "negative" in form else (0, 0)
    return [(row[0] - decoded, row[1] - shown, *row[2:]) for row in rows]


@pytest.mark.parametrize("form", FORMS)
def test_ffmpeg_and_ffprobe_find_the_same_packets(source: tuple[str, Path], form: str, tmp_path: Path) -> None:
    """Bytes, times, keyframes and hashes agree, packet by packet, whichever ffmpeg wrote the file and reads it."""
    files = record(*source, form, tmp_path)
    assert len(files) == (4 if form == "ours" else 1)
    for path in files:
        with path.open("rb") as file:
            tracks, damage = read_packets(file.fileno())
            digests = digests_of(file.fileno(), tracks)
            length = read_length(file.fileno())
        assert damage is None
        assert [track.handler for track in tracks] == ["vide", "soun"]
        hashed, probed = [by_framehash(ffmpeg, path) for ffmpeg in FFMPEGS.values()], by_ffprobe(path)
        for number, (track, hashes) in enumerate(zip(tracks, digests, strict=True)):
            times = [(each.time, each.time + each.shift) for each in track]
            rows: list[Row] = [
                (*both, each.size, digest.hex()) for both, each, digest in zip(times, track, hashes, strict=True)
            ]
            for found in hashed:
                assert comparable(rows, form) == comparable(found[number], form)
            rows = [(*both, each.offset, str(each.keyframe)) for both, each in zip(times, track, strict=True)]
            assert comparable(rows, form) == comparable(probed[number], form)
        # ffprobe guesses the durations of packets. That of a stream is what the file says, in a plain mp4 to 1 ms.
        durations = [float(each.partition("=")[2]) for each in probe(path, "stream=duration").splitlines()]
        ends = [(track.times[-1] + track.durations[-1]) / track.timescale for track in tracks]
        assert ends == pytest.approx(durations, abs=0.001)
        assert length == (0, max(ends), None)


def test_a_recording_that_is_still_written(source: tuple[str, Path], tmp_path: Path) -> None:
    """Whenever it is looked at, an open segment has the packets that it has at the end, up to some point."""
    path = tmp_path / "open.mp4"
    command = [source[0], "-v", "error", "-re", "-i", str(source[1]), "-c", "copy", "-f", "mp4", *OURS_ALONE, str(path)]
    looks = []
    writer = subprocess.Popen(command, stdin=subprocess.DEVNULL)
    try:
        while writer.poll() is None:
            if path.exists():
                with path.open("rb") as file:
                    looks.append(read_packets(file.fileno()))
            time.sleep(0.001)
    finally:
        writer.kill()
        writer.wait()
    with path.open("rb") as file:
        whole, damage = read_packets(file.fileno())
    assert damage is None
    counts = set()
    for tracks, found in looks:
        assert found is None or found.cut
        for track, end in zip(tracks, whole, strict=False):
            assert list(track) == list(end)[: len(track)]
        counts.add(sum(map(len, tracks)))
    assert len(counts) > 5


def test_a_recording_that_is_cut(source: tuple[str, Path], tmp_path: Path) -> None:
    """Of a file whose end is missing ffmpeg finds the same packets, besides the one that is cut."""
    path = record(*source, "ours", tmp_path)[0]
    for size in range(path.stat().st_size, 2000, -3001):
        os.truncate(path, size)
        with path.open("rb") as file:
            tracks, damage = read_packets(file.fileno())
            digests = digests_of(file.fileno(), tracks)
        assert damage is None or damage.cut
        found = by_framehash(source[0], path)
        for number, hashes in enumerate(digests):
            expected = [row[-1] for row in found[number]]
            assert [each.hex() for each in hashes] == expected[: len(hashes)]
            assert len(expected) - len(hashes) in (0, 1)
