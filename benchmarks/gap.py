#!/usr/bin/env python3
"""Measure how much footage is lost when an ffmpeg is killed, beside the seed's loop: after a long and a short run.

Both record one shared RTSP source at the same time, and a camera's ffmpegs of both are killed at the same moment. The
loss is counted in packets: those that a witness, which records all the time, has between the last packet before the
kill and the first one after it. It includes what ffmpeg had not written yet, 256 KiB at most, on both sides.
"""

import os
import signal
import subprocess
import sys
import tempfile
import time
from itertools import pairwise
from pathlib import Path

from fleet import all_begun, begun, camera_ids, wait_until
from measure import Figure, record
from streams import loop_beside, plugged_in, real_mirror

sys.path.insert(0, str(Path(__file__).parent.parent / "tests"))
from support.recordings import packets
from support.waiting import processes_of

NUMBER = 8
AIM = 1.1
CAMERAS = 15
FRAMES_PER_SECOND = 15
# After this time a run counts as long, and the next try follows soonest.
LONG_SECONDS = 36.0
# The kills are apart, because supervisord handles all its programs when one of them ends. They are at no whole
# seconds, because a keyframe comes at each second, and a recording begins with a keyframe.
BETWEEN_SECONDS = 2.63
SHORT_SECONDS = 5.5 * BETWEEN_SECONDS
AFTER_SECONDS = 12.0


def lost_seconds(directory: Path, witnessed: dict[str, int]) -> list[float]:
    """Return the length of each gap of a recording, in seconds. `witnessed` numbers the packets of the witness."""
    recorded = packets([path for path in sorted(directory.glob("[0-9]*.mp4")) if path.stat().st_size])
    numbers = [witnessed[packet] for packet in recorded if packet in witnessed]
    lost = [(after - before - 1) / FRAMES_PER_SECOND for before, after in pairwise(numbers) if after != before + 1]
    if len(lost) != 2:
        raise SystemExit(f"{directory} has gaps of {lost} s, expected one for each of two kills")
    return lost


def kill_each_twice(cameras: list[str], roots: list[Path]) -> None:
    """Kill each camera's ffmpegs below all roots, after a long run and again after a short one."""
    begun_at = time.monotonic()
    first = [(LONG_SECONDS + number * BETWEEN_SECONDS, camera) for number, camera in enumerate(cameras)]
    for at, camera in sorted(first + [(at + SHORT_SECONDS, camera) for at, camera in first]):
        time.sleep(max(0.0, begun_at + at - time.monotonic()))
        for pid in [pid for root in roots for pid in processes_of(f"{root}/{camera}/")]:
            os.kill(pid, signal.SIGKILL)
    time.sleep(AFTER_SECONDS)


def main() -> None:
    cameras = camera_ids(CAMERAS)
    with (
        plugged_in() as camera,
        tempfile.TemporaryDirectory() as name,
        real_mirror(dict.fromkeys(cameras, camera.port)) as mirror,
        loop_beside(mirror) as loop,
    ):
        roots = [mirror.root, loop.root]
        seen = Path(name)
        command = [arg.replace(f"{loop.root}/{cameras[0]}", name) for arg in loop.commands[cameras[0]]]
        witness = subprocess.Popen(command, stdin=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            wait_until(lambda: begun(seen) > 0)
            with mirror.up(watched=True), loop.up():
                wait_until(lambda: all(all_begun(root, cameras) for root in roots))
                kill_each_twice(cameras, roots)
        finally:
            witness.terminate()
            witness.wait()
        witnessed = {packet: number for number, packet in enumerate(packets(sorted(seen.glob("[0-9]*.mp4"))))}
        lost = [zip(*(lost_seconds(root / one, witnessed) for one in cameras), strict=True) for root in roots]
    figures = [
        Figure(
            NUMBER,
            f"footage lost, also of what was not written yet, at a kill of an ffmpeg that {ran}",
            "s",
            ours,
            "the seed's loop",
            theirs,
            AIM,
        )
        for ran, ours, theirs in zip(("ran for long", "ran for less than 30 s"), *lost, strict=True)
    ]
    sys.exit(0 if record(*figures) else 1)


if __name__ == "__main__":
    main()
