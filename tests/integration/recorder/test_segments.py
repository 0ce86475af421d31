"""The files that a recorder's ffmpeg leaves."""

import os
import time
from pathlib import Path

import pytest
from support.bench import Bench
from support.waiting import wait_for

from heldar_mirror.footage.names import segment_begun
from heldar_mirror.recorder.segments import AHEAD, NUMBERED, Segments, is_numbered, segment_path
from heldar_mirror.recorder.volume import LOCK


@pytest.mark.parametrize("stop", [False, True])
@pytest.mark.parametrize(
    "data",
    ['b""', 'box(b"ftyp", 28)', 'box(b"ftyp", 28) + box(b"moov", 4068)', "bytes(4096)", 'box(b"ftyp", 28) + b"moof"'],
)
def test_the_stub_of_its_own_ffmpeg_is_removed(bench: Bench, data: str, *, stop: bool) -> None:
    """A recorder removes its ffmpeg's last file if it is a stub. Stubs of earlier runs are left alone."""
    directory = bench.root / "gate"
    directory.mkdir()
    directory.chmod(0o777)
    older = [Path(segment_path(str(directory), time.time() - age)) for age in (5, 60, 90_000)]
    for path in older:
        path.touch()
    bench.stand_in(f"note(segment({data})){'; until_told()' if stop else ''}")
    process = bench.start()
    if stop:
        wait_for(lambda: bench.noted() == "ready")
        bench.end(process)
    else:
        bench.first(process)
    assert sorted(directory.glob("*.mp4")) == sorted(older)


FOOTAGE = 'box(b"ftyp", 28) + box(b"moov", 700) + box(b"moof", 100) + box(b"mdat", 5000)'


def named(bench: Bench) -> list[Path]:
    """Return the camera's files. None of them may be left under a number."""
    files = sorted((bench.root / "gate").glob("*.mp4"))
    assert not [path for path in files if is_numbered(path.name)]
    return files


def fill(bench: Bench, seconds: range) -> dict[Path, str]:
    """Give names of seconds from now on to files that anybody may write. Return their contents."""
    directory = bench.root / "gate"
    directory.mkdir()
    directory.chmod(0o777)
    now = int(time.time())
    for second in seconds:
        path = Path(segment_path(str(directory), now + second))
        path.write_text(f"footage {second}")
        path.chmod(0o666)
    return {path: path.read_text() for path in directory.iterdir()}


def test_a_segment_with_footage_is_kept(bench: Bench) -> None:
    """A file with a fragment is kept as it is, and so are the files before it."""
    bench.stand_in(f'segment(box(b"ftyp", 28)); note(segment({FOOTAGE}))')
    bench.run()
    assert [path.stat().st_size for path in named(bench)] == [28, 5828]


@pytest.mark.parametrize("pause", ["", "time.sleep(0.03)", "time.sleep(0.6)"])
def test_each_cut_gives_a_segment_however_fast_they_follow(bench: Bench, pause: str) -> None:
    """Ten cuts give ten segments in their order. Their names are ten seconds that no other file is named after."""
    existing = fill(bench, range(1, 20, 3))
    bench.stand_in(f"""
for number in range(10): segment({FOOTAGE} + box(b"free", 8 + number)); {pause}
""")
    before = int(time.time())
    assert "exit status 0" in bench.run()
    made = [path for path in named(bench) if path not in existing]
    assert [path.stat().st_size for path in made] == [5836 + number for number in range(10)]
    assert made[0] >= Path(segment_path(str(bench.root / "gate"), before))
    assert {path: path.read_text() for path in existing} == existing


def test_a_segment_has_its_name_while_it_is_written(bench: Bench) -> None:
    """A segment is named when it is opened, not when it is closed, and ffmpeg goes on writing to it."""
    bench.stand_in(f"""
path = Path(sys.argv[-1].replace("%%", "%").replace("%d", "0"))
with path.open("ab") as file:
    file.write({FOOTAGE}); file.flush()
    while path.exists(): time.sleep(0.01)
    file.write(box(b"free", 100)); note("renamed"); file.flush(); until_told()
""")
    process = bench.start()
    wait_for(lambda: bench.noted() == "ready")
    (path,) = named(bench)
    assert path.stat().st_size == 5928
    assert abs(recorded_at(path) - time.time()) < 180
    bench.end(process)
    assert named(bench) == [path]


def recorded_at(path: Path) -> float:
    begun = segment_begun(path.name)
    assert begun is not None
    return begun


@pytest.mark.parametrize("killed", ["os.kill(os.getppid(), 9)", "os.kill(os.getppid(), 9); os.kill(os.getpid(), 9)"])
def test_what_a_killed_recorder_left_is_named_by_the_next(bench: Bench, killed: str) -> None:
    """Files that a killed recorder left under their numbers get names before the next ffmpeg starts; stubs go."""
    bench.stand_in(f"""
os.kill(os.getppid(), signal.SIGSTOP)
for number in range(3): segment({FOOTAGE} + box(b"free", 8 + number))
segment(box(b"ftyp", 28))
note("left"); {killed}
""")
    first = bench.start()
    assert bench.noted() == "left"
    first.communicate(timeout=180)
    bench.stand_in('note(" ".join(sorted(p.name for p in camera.iterdir())))')
    (bench.notes / "gate").unlink()
    wait_for(lambda: not bench.ffmpegs())
    bench.run()
    assert NUMBERED not in bench.noted()
    assert [path.stat().st_size for path in named(bench)] == [5836, 5837, 5838]


def test_names_do_not_run_away_into_the_future(bench: Bench) -> None:
    """If names would lie more than five minutes ahead, ffmpeg is ended, and no recording is begun until the time has
    caught up. All that was cut until then is kept."""
    existing = fill(bench, range(298))
    bench.stand_in(f"""
signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
for number in range(40): segment({FOOTAGE} + box(b"free", 8 + number)); time.sleep(0.05)
time.sleep(100)
""")
    assert AHEAD in bench.run()
    assert {path: path.read_text() for path in existing} == existing
    made = [path for path in named(bench) if path not in existing]
    assert [path.stat().st_size for path in made] == [5836 + number for number in range(len(made))]
    assert 1 < len(made) < 40
    assert f"cannot record: {AHEAD}" in bench.run()


def test_the_modes_are_those_of_the_umask(bench: Bench) -> None:
    """Directory and segments have the modes that the umask 027 leaves. The lock file is for its owner alone."""
    bench.stand_in(f"segment({FOOTAGE})")
    bench.run()
    (made,) = named(bench)
    modes = {path: path.stat().st_mode & 0o777 for path in (made, made.parent, made.parent / LOCK)}
    assert list(modes.values()) == [0o640, 0o750, 0o600]


@pytest.mark.parametrize(
    ("age", "size", "endless"),
    [(10, 1000, False), (1900, 1000, False), (1950, 1000, True), (10, 1_000_000_000, False), (10, 1_100_000_000, True)],
)
def test_a_segment_without_end_is_recognized(tmp_path: Path, age: float, size: int, *, endless: bool) -> None:
    """A segment of 60 s is endless after half an hour more, or if it is larger than any camera makes it."""
    segments = Segments(str(tmp_path), "1")
    assert not segments.is_endless(60)
    (tmp_path / ".new-1-0.mp4").touch()
    segments.look()
    os.truncate(segments.path, size)
    segments.opened -= age
    assert segments.is_endless(60) == endless
    Path(segments.path).unlink()
    assert not segments.is_endless(60)
