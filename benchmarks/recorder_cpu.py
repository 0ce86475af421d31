#!/usr/bin/env python3
"""Measure the processor time of recorders beside that of their ffmpegs, for fifty real streams and for floods of lines.

One RTSP camera on loopback serves all. A flood is what the real ffmpeg writes at the log level `trace`.
"""

import subprocess
import sys
import time
from itertools import pairwise
from pathlib import Path

from fleet import all_begun, camera_ids, wait_until
from measure import Figure, cpu_seconds, record
from streams import loop_beside, plugged_in, real_mirror

sys.path.insert(0, str(Path(__file__).parent.parent / "tests"))
from support.camera import Camera
from support.mirror import PASSWORD, USER, Mirror
from support.running import ffmpegs, recorders

from heldar_mirror.heldar.camera_url import encode

NUMBER = 2
STREAMS, FLOODS = 50, 5
WINDOWS, WINDOW_SECONDS = 5, 12.0
SETTLED_SECONDS = 10.0
FLOOD_LINES_PER_SECOND = 1000
TRACING = '#!/bin/sh\nshift 3\nexec ffmpeg -hide_banner -loglevel trace "$@"\n'


def windows(mirror: Mirror, cameras: list[str]) -> tuple[list[float], list[float]]:
    """Return what recorders and ffmpegs used in each window, in ms per camera and second, once all record.

    The last value of each list is what they used since their start, in ms per camera.
    """
    with mirror.up(watched=True):
        wait_until(lambda: all_begun(mirror.root, cameras))
        time.sleep(SETTLED_SECONDS)
        groups = list(recorders(mirror).values()), [pid for camera in cameras for pid in ffmpegs(mirror, camera)]
        assert set(map(len, groups)) == {len(cameras)}, "not all record"  # noqa: S101
        looks = []
        for _ in range(WINDOWS + 1):
            looks.append([cpu_seconds(pids) * 1000 / len(cameras) for pids in groups])
            time.sleep(WINDOW_SECONDS)
    ours, theirs = (
        [*((late - early) / WINDOW_SECONDS for early, late in pairwise(of)), of[-1]] for of in zip(*looks, strict=True)
    )
    return ours, theirs


def measure_quiet(camera: Camera) -> list[Figure]:
    cameras = camera_ids(STREAMS)
    with real_mirror(dict.fromkeys(cameras, camera.port)) as mirror:
        (*ours, our_sum), (*theirs, their_sum) = windows(mirror, cameras)
    seconds = SETTLED_SECONDS + WINDOWS * WINDOW_SECONDS
    return [
        Figure(
            *(NUMBER, f"CPU of a recorder, {STREAMS} real streams of 320x240 at 15/s", "ms a second", ours),
            *("its ffmpeg", theirs, 0.01),
        ),
        Figure(
            *(NUMBER, f"the same with its start, of a run of {seconds:.0f} s", "ms", [our_sum]),
            *("its ffmpeg", [their_sum]),
        ),
    ]


def measure_flood(camera: Camera) -> list[Figure]:
    cameras = camera_ids(FLOODS)
    with real_mirror(dict.fromkeys(cameras, camera.port)) as mirror:
        url = f"rtsp://{USER}:{encode(PASSWORD)}@127.0.0.1:{camera.port}/lively"
        for name in cameras:
            mirror.database.update(name, main_stream_url=url)
        tracing = mirror.home / "tracing_ffmpeg"
        tracing.write_text(TRACING)
        tracing.chmod(0o755)
        mirror.env["HELDAR_FFMPEG_BIN"] = str(tracing)
        with loop_beside(mirror) as loop:
            lines = lines_per_second(loop.commands[cameras[0]])
        assert lines >= FLOOD_LINES_PER_SECOND, f"{lines:.0f} lines a second are no flood"  # noqa: S101
        (*ours, _), (*theirs, _) = windows(mirror, cameras)
    what = f"CPU of a recorder whose ffmpeg writes more than {FLOOD_LINES_PER_SECOND} lines/s"
    return [Figure(NUMBER, what, "ms a second", ours, f"its ffmpeg, of {lines:.0f} lines/s", theirs, 0.1)]


def lines_per_second(command: list[str]) -> float:
    """Return how many lines per second an ffmpeg writes to its stderr."""
    process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stderr=subprocess.PIPE)
    assert process.stderr  # noqa: S101 - it is a pipe
    try:
        begun = time.monotonic()
        counted, counting_since = 0, 0.0
        while (ran := time.monotonic() - begun) < SETTLED_SECONDS:
            if not process.stderr.readline():
                raise SystemExit("the ffmpeg that should write lines has ended")
            if ran < SETTLED_SECONDS / 2:
                counting_since = ran
            else:
                counted += 1
        return counted / (SETTLED_SECONDS - counting_since)
    finally:
        process.kill()
        process.wait()
        process.stderr.close()


def main() -> None:
    with plugged_in() as camera:
        figures = measure_quiet(camera) + measure_flood(camera)
    sys.exit(0 if record(*figures) else 1)


if __name__ == "__main__":
    main()
