"""New files of the fragments of real recordings, by ffmpeg 5.1 and the newest: they play, and their length is true."""

import contextlib
import os
import subprocess
from collections import defaultdict
from collections.abc import Iterator
from functools import cache
from itertools import pairwise
from pathlib import Path

import imageio_ffmpeg
import pytest
from support.waiting import COMMAND_SECONDS

from heldar_mirror.packets.index import read_length, read_packets
from heldar_mirror.restore.choosing import choose_fragments
from heldar_mirror.restore.cutting import write_file
from heldar_mirror.restore.joining import Part, Plan, plan_file
from heldar_mirror.restore.source import Source, UncuttableError, read_source
from heldar_mirror.sides.fragments import fragments_of

FFMPEGS = {"debian": "ffmpeg", "newest": imageio_ffmpeg.get_ffmpeg_exe()}

BEGUN = 1_700_000_000
SECONDS = 8
FRAME = 1 / 15
OURS = "+frag_keyframe+empty_moov+default_base_moof"

# How a camera may code.
PICTURES = ["-f", "lavfi", "-i", f"testsrc2=size=192x144:rate=15:duration={SECONDS}"]
SOUND = ["-f", "lavfi", "-i", f"sine=frequency=300:duration={SECONDS}"]
AAC, H264 = ["-c:a", "aac"], ["-c:v", "libx264", "-preset", "ultrafast"]
CAMERAS = {
    "a keyframe a second": [*PICTURES, *SOUND, *AAC, *H264, "-bf", "0", "-g", "15"],
    "pictures out of order": [*PICTURES, *SOUND, *AAC, *H264, "-bf", "2", "-g", "10"],
    "keyframes alone, no sound": [*PICTURES, *H264, "-g", "1"],
    "one keyframe": [*PICTURES, *SOUND, *AAC, *H264, "-g", "1000"],
    "sound alone": [*SOUND, *AAC],
    "odd timescales": [*PICTURES, *SOUND, *AAC, "-ar", "32000", *H264, "-g", "7", "-video_track_timescale", "11988"],
}
# How fragments may be written, by the muxer's options.
FORMS = {
    "as recorders do": ["-movflags", OURS],
    "places in the file": ["-movflags", "+frag_keyframe+empty_moov"],
    "a fragment per track": ["-movflags", "+frag_keyframe+empty_moov+separate_moof"],
    "a fragment per frame": ["-movflags", "+frag_every_frame+empty_moov+default_base_moof"],
    "indexes between fragments": ["-movflags", "+dash+frag_keyframe"],
    "negative offsets": ["-movflags", "+cmaf+frag_keyframe"],
}


def run(*command: str, complains: bool = False) -> str:
    """Run a command, which has to succeed, and to complain of nothing unless it may."""
    done = subprocess.run(command, capture_output=True, text=True, timeout=COMMAND_SECONDS, check=True)
    assert complains or done.stderr == ""
    return done.stdout


@pytest.fixture(scope="module")
def footage(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("footage")


@pytest.fixture(params=FFMPEGS.values(), ids=list(FFMPEGS))
def ffmpeg(request: pytest.FixtureRequest) -> str:
    path: str = request.param
    return path


def made(footage: Path, ffmpeg: str, camera: str, form: str = "as recorders do") -> Path:
    """Return a recording of a camera, which is made once."""
    path = footage / f"{Path(ffmpeg).name} {camera} {form}.mp4"
    if not path.exists():
        run(ffmpeg, "-v", "error", *CAMERAS[camera], *FORMS[form], str(path))
    return path


def segments(footage: Path, ffmpeg: str, camera: str) -> list[Path]:
    """Return the segments that a recorder makes of a camera, of three seconds and more."""
    directory = footage / f"{Path(ffmpeg).name} {camera} segments"
    if not directory.exists():
        directory.mkdir()
        command = [ffmpeg, "-v", "error", "-i", str(made(footage, ffmpeg, camera)), "-map", "0", "-c", "copy"]
        command += ["-f", "segment", "-segment_time", "3", "-reset_timestamps", "1", "-segment_format", "mp4"]
        run(*command, "-segment_format_options", f"movflags={OURS}:flush_packets=1", str(directory / "%d.mp4"))
    return sorted(directory.iterdir())


@contextlib.contextmanager
def opened(path: Path) -> Iterator[Source]:
    with path.open("rb") as file:
        yield read_source(file.fileno(), str(path))


def write(plan: Plan, path: Path) -> Path:
    with path.open("xb") as file:
        assert write_file(plan, file.fileno()) == os.fstat(file.fileno()).st_size
    return path


@cache
def hashes(ffmpeg: str, path: Path, *, cut: bool = False) -> dict[int, list[str]]:
    """Return the hash of each packet, by stream, as ffmpeg reads it. It complains of a file that is cut."""
    command = [ffmpeg, "-v", "error", "-ignore_editlist", "1", "-i", str(path), "-map", "0", "-c", "copy"]
    found: dict[int, list[str]] = defaultdict(list)
    for line in run(*command, "-f", "framehash", "-hash", "sha256", "-", complains=cut).splitlines():
        if not line.startswith("#"):
            stream, *_, digest = line.replace(" ", "").split(",")[:6]
            found[int(stream)].append(digest)
    return found


def expected(ffmpeg: str, part: Part) -> dict[int, list[str]]:
    """Return the hash of each packet of a part, by stream."""
    whole = hashes(ffmpeg, Path(part.source.path), cut=part.source.layout.damage is not None)
    held = part.fragments()
    return {
        number: [whole[number][packet] for fragment in held for packet in fragment.packets[number]]
        for number in whole
        if any(fragment.packets[number] for fragment in held)
    }


def check(plan: Plan, path: Path) -> None:
    """A new file plays without a complaint in both ffmpegs, has the packets of its parts, and its length is true."""
    for ffmpeg in FFMPEGS.values():
        run(ffmpeg, "-v", "error", "-i", str(path), "-f", "null", "-")
        found = hashes(ffmpeg, path)
        for part in plan.parts:
            for number, digests in expected(ffmpeg, part).items():
                assert found[number][: len(digests)] == digests
                found = found | {number: found[number][len(digests) :]}
        assert not any(found.values())
    with path.open("rb") as file:
        tracks, damage = read_packets(file.fileno())
        known = read_length(file.fileno())
    assert damage is None
    timed = [track for track in tracks if track]
    assert min(track.times[0] for track in timed) == 0
    end = max((track.times[-1] + track.durations[-1]) / track.timescale for track in timed)
    assert end == pytest.approx(plan.seconds, abs=0.001)
    assert (known.begin, known.end) == pytest.approx((0, end), abs=FRAME)  # by the first fragment and the last alone
    # Heldar takes ffprobe's word, which counts twice by how much one track begins after the other.
    shown = [
        (at + packet.shift / track.timescale, packet.duration / track.timescale)
        for track in tracks
        for at, packet in ((packet.time / track.timescale, packet) for packet in track)
    ]
    length = max(map(sum, shown)) - min(at for at, _ in shown)
    late = max(track.times[0] / track.timescale for track in timed)
    probed = run("ffprobe", "-v", "error", "-show_entries", "format=duration", "-of", "csv=p=0", str(path))
    assert float(probed) == pytest.approx(length, abs=FRAME + late + 0.001)


def choices(source: Source) -> set[range]:
    """Return some choices of fragments: all, those of some seconds in the middle, and the last."""
    fragments = fragments_of(source.layout)
    last = choose_fragments(fragments, fragments[-1].packets)
    return {range(len(fragments)), between(source, 2.34, 5.67), last}


def between(source: Source, since: float, until: float) -> range:
    """Return the fragments that are under way between two times."""
    every = [range(len(track)) for track in source.layout.tracks]
    return choose_fragments(fragments_of(source.layout), every, since, until)


@pytest.mark.parametrize("camera", CAMERAS)
def test_parts_of_a_recording(footage: Path, ffmpeg: str, camera: str, tmp_path: Path) -> None:
    """Whatever a camera codes, a part of its recording plays, with its packets and its length."""
    with opened(made(footage, ffmpeg, camera)) as source:
        for chosen in choices(source):
            plan = plan_file([Part(source, chosen, BEGUN)])
            check(plan, write(plan, tmp_path / f"{chosen.start}-{chosen.stop}.mp4"))


@pytest.mark.parametrize("form", list(FORMS)[1:])
def test_other_forms_of_fragments(footage: Path, ffmpeg: str, form: str, tmp_path: Path) -> None:
    """Fragments that were written differently give a right part as well."""
    # ffmpeg itself complains of pictures out of order in a fragment per frame.
    camera = "a keyframe a second" if form == "a fragment per frame" else "pictures out of order"
    with opened(made(footage, ffmpeg, camera, form)) as source:
        chosen = between(source, 2.34, 5.67)
        plan = plan_file([Part(source, chosen, BEGUN)])
        assert plan.begun == pytest.approx(BEGUN + 2, abs=0.1)
        assert plan.seconds < 5
        check(plan, write(plan, tmp_path / "part.mp4"))


@pytest.mark.parametrize("camera", ["a keyframe a second", "pictures out of order", "sound alone"])
def test_segments_one_after_the_other(footage: Path, ffmpeg: str, camera: str, tmp_path: Path) -> None:
    """The end of a segment, a whole one and the beginning of a third play as one, with the pause that there was."""
    one, two, three = segments(footage, ffmpeg, camera)
    with opened(one) as first, opened(two) as second, opened(three) as third:
        counts = [len(source.layout.fragments) for source in (first, second, third)]
        for pause in (0, 5):
            parts = [
                Part(first, range(counts[0] // 2, counts[0]), BEGUN),
                Part(second, range(counts[1]), BEGUN + 3),
                Part(third, range(1), BEGUN + 6 + pause),
            ]
            plan = plan_file(parts)
            path = write(plan, tmp_path / f"joined {pause}.mp4")
            check(plan, path)
            probe = ["ffprobe", "-v", "error", "-of", "csv=p=0", "-show_entries", "packet=dts_time,stream_index"]
            rows = [line.split(",") for line in run(*probe, str(path)).splitlines()]
            for stream in {row[0] for row in rows}:
                steps = [float(b) - float(a) for a, b in pairwise(row[1] for row in rows if row[0] == stream)]
                assert min(steps) > 0
                assert max(steps) == pytest.approx(pause, abs=0.2)


def test_a_killed_recorder(footage: Path, ffmpeg: str, tmp_path: Path) -> None:
    """Of a file whose end is missing, wherever it was cut, the whole fragments play."""
    content = made(footage, ffmpeg, "a keyframe a second").read_bytes()
    for size in range(len(content), 0, -len(content) // 5):
        cut = tmp_path / f"cut at {size}.mp4"
        cut.write_bytes(content[:size])
        with opened(cut) as source:
            assert source.layout.damage is None or source.layout.damage.cut
            count = len(source.layout.fragments)
            if count:
                plan = plan_file([Part(source, range(count // 2, count), BEGUN)])
                check(plan, write(plan, tmp_path / f"{size}.mp4"))


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ([], "it has data that belongs to no fragment, as a plain mp4 has"),
        (["-movflags", "+faststart"], "its moov lists packets, as that of a plain mp4 does"),
        (["-movflags", "+frag_keyframe"], "its moov lists packets, as that of a plain mp4 does"),
        (["-movflags", "+frag_keyframe+delay_moov"], "it has an edit list"),
    ],
)
def test_files_that_can_not_be_cut(footage: Path, ffmpeg: str, options: list[str], reason: str, tmp_path: Path) -> None:
    """A plain mp4, as Heldar's refill leaves it, and what else says times of the whole, is refused by its name."""
    path = tmp_path / "other.mp4"
    source = made(footage, ffmpeg, "pictures out of order")
    run(ffmpeg, "-v", "error", "-i", str(source), "-c", "copy", *options, str(path))
    with pytest.raises(UncuttableError, match=f"{path} can't be cut: {reason}"), opened(path):
        pass


def test_cameras_that_code_differently(footage: Path, ffmpeg: str) -> None:
    """Segments from before and after a change of the camera's settings don't go into one file."""
    one = made(footage, ffmpeg, "a keyframe a second")
    two = made(footage, ffmpeg, "pictures out of order")
    with opened(one) as first, opened(two) as second, pytest.raises(UncuttableError, match="coded differently"):
        plan_file([Part(first, range(1), BEGUN), Part(second, range(1), BEGUN + 60)])
