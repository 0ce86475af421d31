"""Finding the segments that recorders' ffmpegs have open, by real processes."""

import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from support.waiting import wait_for

from heldar_mirror.proc.open_segments import OpenSegments
from heldar_mirror.proc.recorders import RECORDER

# What a recorder's stand-in runs. ffmpeg's opens one file after another, a line of input each; `:` keeps it a child.
FFMPEG = """sh -c 'for path; do exec 9>"$path"; echo; read x; done' - {paths}; :"""
WAITS = "echo; read x"
LOOKS_UP_ITS_NAME = "( echo; read x )"

Start = Callable[..., "subprocess.Popen[str]"]


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    """A function that starts a stand-in for a camera's recorder, and returns it when it has begun."""
    started = []

    def begin(camera_id: str, script: str) -> "subprocess.Popen[str]":
        command = ["sh", "-c", script, str(RECORDER), str(tmp_path / f"{camera_id}.spec"), "7"]
        process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        started.append(process)
        assert process.stdout
        process.stdout.readline()
        return process

    yield begin
    for process in started:
        process.communicate()  # its input ends, and so does all that reads it


def ffmpeg(*paths: Path) -> str:
    return FFMPEG.format(paths=" ".join(map(str, paths)))


def segment(tmp_path: Path, camera_id: str, second: int = 0) -> Path:
    path = tmp_path / camera_id / f"20260101_0000{second:02}.mp4"
    path.parent.mkdir(exist_ok=True)
    return path


def test_a_segment_is_found_by_its_recorder_and_without_it(start: Start, tmp_path: Path) -> None:
    """The recorder's process id says where to look; who has none searches all processes."""
    path = segment(tmp_path, "gate")
    recorder = start("gate", ffmpeg(path))
    for recorders in ({"gate": recorder.pid}, None):
        segments = OpenSegments(tmp_path)
        assert {camera_id: each.path for camera_id, each in segments.look(recorders).items()} == {"gate": str(path)}
        assert (segments.ffmpegs, segments.refused) == ({"gate"}, 0)


def test_the_next_segment_is_found(start: Start, tmp_path: Path) -> None:
    """A recorder's ffmpeg closes one segment and opens another."""
    first, second = (segment(tmp_path, "gate", number) for number in range(2))
    recorder = start("gate", ffmpeg(first, second))
    segments = OpenSegments(tmp_path)
    assert segments.look({"gate": recorder.pid})["gate"].path == str(first)
    assert recorder.stdin
    recorder.stdin.write("\n")
    recorder.stdin.flush()
    wait_for(lambda: segments.look({"gate": recorder.pid})["gate"].path == str(second))


def test_a_recorder_that_waits_has_no_other_searched_for(start: Start, tmp_path: Path) -> None:
    """A camera may be away for hours, and a search of all processes at each look would cost too much."""
    waiting = start("yard", WAITS)
    start("gate", ffmpeg(segment(tmp_path, "gate")))
    segments = OpenSegments(tmp_path)
    assert segments.look({"yard": waiting.pid}) == {}
    assert segments.ffmpegs == set()


def test_a_recorder_that_looks_up_a_name_has_no_ffmpeg(start: Start, tmp_path: Path) -> None:
    """Its child is a fork of its own."""
    recorder = start("gate", LOOKS_UP_ITS_NAME)
    for recorders in ({"gate": recorder.pid}, None):
        segments = OpenSegments(tmp_path)
        assert segments.look(recorders) == {}
        assert segments.ffmpegs == set()


@pytest.mark.parametrize("pid", [0, "ended", "other"])
def test_a_recorder_that_is_not_where_it_should_be_is_searched_for(
    start: Start, tmp_path: Path, pid: int | str
) -> None:
    """supervisord may not have named a process yet, or a process that has ended since. Its number may be used again."""
    path = segment(tmp_path, "gate")
    start("gate", ffmpeg(path))
    if pid == "ended":
        ended = start("gate", "echo")
        ended.communicate()
        pid = ended.pid
    elif pid == "other":
        pid = start("yard", LOOKS_UP_ITS_NAME).pid
    assert OpenSegments(tmp_path).look({"gate": int(pid)})["gate"].path == str(path)
