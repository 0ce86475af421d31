"""The recorder names the segments on file systems of every kind, and while they are frozen.

Each file system is the mirror root of a mirror of its own. An old ffmpeg and a new one record there. All tests run at
the same time, since most of it is waiting.
"""

import contextlib
import os
import signal
import time
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import groupby, pairwise
from pathlib import Path

import imageio_ffmpeg
import pytest
from support.camera import ScriptedCamera
from support.file_systems import FILE_SYSTEMS, FROZEN
from support.loop import loop_beside
from support.mirror import Mirror
from support.mounts import frozen
from support.recordings import count_packets, packets, wait_until_grown
from support.running import ffmpegs, kill, recorders, wait_until_recording
from support.scripts import script
from support.side_by_side import AtOnce, scripted_camera
from support.stepping_clock import Clock
from support.users import as_root
from support.waiting import wait_for

from heldar_mirror.recorder.segments import is_numbered, segment_path

pytestmark = [as_root, pytest.mark.slow, pytest.mark.timeout(900)]

at_once = AtOnce(scripted_camera)

ordeals = at_once.fixture(most=8)

# A camera is recorded by the ffmpeg that its id begins with.
BOTH = ("debian", "newest")
EITHER_FFMPEG = f"""#!/bin/sh
case "$*" in
    */newest*) exec {imageio_ffmpeg.get_ffmpeg_exe()} "$@" ;;
    *) exec ffmpeg "$@" ;;
esac
"""

STEP_SECONDS = 20
FREEZE_SECONDS = 25


def add(mirror: Mirror, port: int, *camera_ids: str) -> None:
    """Add cameras that are recorded in segments of two seconds, which is from one keyframe to the next."""
    mirror.env["HELDAR_FFMPEG_BIN"] = script(mirror.home / "either_ffmpeg", EITHER_FFMPEG)
    url = ScriptedCamera(port).url("plain")
    for name in camera_ids:
        mirror.database.add(name, main_stream_url=url, segment_seconds=2)


def footage(mirror: Mirror) -> dict[Path, bytes]:
    """Return the content of each segment."""
    return {path: path.read_bytes() for path in mirror.root.glob("*/[0-9]*.mp4")}


def last_ones(segments: Iterable[Path]) -> set[Path]:
    """Return the last segment of each camera, which is being written if the clock was never set."""
    return {max(group) for _, group in groupby(sorted(segments), key=lambda path: path.parent)}


def changed(mirror: Mirror, before: dict[Path, bytes], open_then: set[Path]) -> list[Path]:
    """Return the segments that have changed, but for those that were written on."""
    after = footage(mirror)
    return [
        path
        for path, content in before.items()
        if path not in after or after[path][: len(content) if path in open_then else None] != content
    ]


def numbered(mirror: Mirror) -> list[Path]:
    return [path for path in mirror.root.glob("*/.*") if is_numbered(path.name)]


def fill(mirror: Mirror) -> set[Path]:
    """Give each second of the last while, and of the next ones, a segment that anybody may write."""
    made = set()
    for name in BOTH:
        content = mirror.segments(name)[0].read_bytes()
        for second in range(-STEP_SECONDS - 5, 5):
            path = Path(segment_path(str(mirror.root / name), time.time() + second))
            with contextlib.suppress(FileExistsError), path.open("xb") as file:
                file.write(content)
                path.chmod(0o666)
                made.add(path)
    return made


@contextlib.contextmanager
def beside_the_loop(mirror: Mirror, *, watched: bool) -> Iterator[set[Path]]:
    """Record with the mirror, and beside it with the loop of Heldar's kernel, which writes elsewhere.

    The mirror begins before the loop and ends after it, so it must have every packet that the loop has. The segments
    that are put into the set that this yields are not counted.
    """
    copies: set[Path] = set()
    with loop_beside(mirror) as loop:
        with mirror.up(watched=watched):
            wait_until_recording(mirror, *BOTH)
            with loop.up():
                yield copies
        for name in BOTH:
            ours, complaints = count_packets([path for path in mirror.segments(name) if path not in copies])
            theirs, _ = count_packets(sorted((loop.root / name).glob("*.mp4")))
            print(f"{mirror.home} {name}: {ours} to {theirs} packets")
            assert ours >= theirs > 0
            assert not complaints


@at_once.each(list(FILE_SYSTEMS))
def test_no_segment_is_overwritten_on(mirror: Mirror, port: int, case: str) -> None:
    """Each cut gives a segment of its own and no other is touched: when the clock steps back to seconds that have
    segments, when a recording begins in the seconds of one before, and when ffmpegs and recorders are killed then."""
    with FILE_SYSTEMS[case](mirror):
        add(mirror, port, *BOTH)
        clock = Clock(mirror.home)
        mirror.env |= clock.env
        begun = time.time()
        with beside_the_loop(mirror, watched=False) as copies:
            wait_until_grown(mirror, *BOTH)
            copies.update(fill(mirror))
            before = footage(mirror)
            open_then = last_ones(before.keys() - copies)
            clock.jump(-STEP_SECONDS)
            wait_until_grown(mirror, *BOTH)
            assert not changed(mirror, before, open_then)
        before |= footage(mirror)
        clock.jump(int(begun - time.time()))
        with mirror.up():
            wait_until_grown(mirror, *BOTH)
            for name in BOTH:
                kill(ffmpegs(mirror, name)[0])
            wait_until_grown(mirror, *BOTH)
            for name in BOTH:
                kill(recorders(mirror)[name])
            wait_until_grown(mirror, *BOTH)
        assert not changed(mirror, before, set())
        assert not numbered(mirror)
        for name in BOTH:
            assert count_packets(mirror.segments(name))[1] == ""


@at_once.each(FROZEN)
def test_what_comes_during_a_freeze_is_kept_on(mirror: Mirror, port: int, case: str) -> None:
    """A volume that is frozen for a snapshot costs nothing: ffmpeg writes all that came meanwhile at once, in as many
    segments as ever."""
    with FILE_SYSTEMS[case](mirror):
        add(mirror, port, *BOTH)
        with beside_the_loop(mirror, watched=True):
            wait_until_grown(mirror, *BOTH)
            before = footage(mirror)
            open_then = last_ones(before)
            with frozen(mirror.root):
                time.sleep(FREEZE_SECONDS)
            for _ in range(FREEZE_SECONDS // 2 // 3 + 1):
                wait_until_grown(mirror, *BOTH)
            assert not changed(mirror, before, open_then)
        assert not numbered(mirror)
        for name in BOTH:
            # The camera repeats its 100 frames, so each is followed by the same one, unless one is missing.
            frames = packets(mirror.segments(name))
            assert len(set(pairwise(frames))) == len(set(frames)) == 100


@at_once.each(FROZEN)
def test_a_stop_ends_while_the_volume_is_frozen_on(mirror: Mirror, port: int, case: str) -> None:
    """supervisord stops a program, and `up` ends, though a write is stuck beyond all signals. When the volume is thawed
    only the last fragment is missing, and the next recorder names what was left under a number."""
    paused, killed = [f"{name}-paused" for name in BOTH], [f"{name}-killed" for name in BOTH]
    with FILE_SYSTEMS[case](mirror):
        add(mirror, port, *BOTH, *paused, *killed)
        with mirror.up(watched=True) as process:
            wait_until_grown(mirror, *BOTH, *paused, *killed)
            for name in paused:
                os.kill(recorders(mirror)[name], signal.SIGSTOP)
            wait_for(lambda: all(left_of(mirror, name) >= 3 for name in paused))
            wait_until_named(mirror, *BOTH)
            with frozen(mirror.root):
                before = footage(mirror)
                open_then = last_ones(before)
                left = {path.parent.name: path.read_bytes() for path in sorted(numbered(mirror), reverse=True)}
                assert left.keys() == set(paused)
                wait_for(lambda: all(is_stuck(pid) for name in BOTH for pid in ffmpegs(mirror, name)))
                with ThreadPoolExecutor() as pool:
                    for said in pool.map(lambda name: mirror.supervisorctl("stop", f"mirror-{name}"), [*BOTH, *paused]):
                        assert "stopped" in said
                for name in killed:
                    kill(recorders(mirror)[name])
                process.terminate()
                assert process.wait(180) == 0
        assert not changed(mirror, before, open_then)
        with mirror.up(watched=True):
            wait_until_grown(mirror, *BOTH, *paused, *killed)
            assert not changed(mirror, before, open_then)
            for name in paused:
                assert any(path.read_bytes().startswith(left[name]) for path in mirror.segments(name))
        assert not numbered(mirror)


def left_of(mirror: Mirror, camera_id: str) -> int:
    """Return how many files a camera has under a number."""
    return sum(path.parent.name == camera_id for path in numbered(mirror))


def wait_until_named(mirror: Mirror, *camera_ids: str) -> None:
    """Wait until each camera's newest segment has had its name for a moment, and is far from being the last but one."""

    def newest_age(camera_id: str) -> float:
        return min(time.time() - path.stat().st_mtime for path in mirror.segments(camera_id))

    wait_for(lambda: all(0.2 < newest_age(name) < 1.0 for name in camera_ids), every=0.02)


def is_stuck(pid: int) -> bool:
    """Return whether a thread of a process is in a call that no signal ends."""
    stats = [path.read_text() for path in Path(f"/proc/{pid}/task").glob("*/stat")]
    return any(stat.rpartition(")")[2].split()[0] == "D" for stat in stats)
