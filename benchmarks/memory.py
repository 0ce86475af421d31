#!/usr/bin/env python3
"""Measure the private dirty memory of a camera in addition to its ffmpeg, and that of a fleet without cameras.

Each fleet is started with some cameras and with none. The cost of a camera is the difference, divided by their number.
"""

import contextlib
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

from fleet import all_begun, camera_ids, new_mirror, wait_until
from measure import Figure, private_dirty, record
from rivals import RIVALS, Rival, new_rival, without_ffmpeg

from heldar_mirror.proc.processes import PROCESS_ENDED
from heldar_mirror.proc.recorders import RECORDER
from heldar_mirror.programs.stanzas import PYTHON

CAMERAS = 200
ROUNDS = 5
BARE = 20
AIM = 1.15

# After this time supervisord takes all programs for running, and nothing is left to do.
SETTLED_SECONDS = 40.0

ALL_SHARES = "memory per camera: recorder, shares of supervisord and watcher"
FIXED = "memory without any camera: up, supervisord, the watcher and its children"

# KiB by the name of a part or a supervisor.
Memory = dict[str, float]


@contextlib.contextmanager
def mirror_up(count: int) -> Iterator[int]:
    """Run a mirror of `count` cameras. Yields the process id of its `up`."""
    with new_mirror(camera_ids(count)) as mirror, mirror.up(watched=True) as process:
        wait_until(lambda: all_begun(mirror.root, camera_ids(count)))
        yield process.pid


@contextlib.contextmanager
def rival_up(kind: type[Rival], count: int) -> Iterator[int]:
    """Run a rival with `count` cameras. Yields its process id."""
    with new_rival(kind, camera_ids(count)) as rival, rival.up() as pid:
        wait_until(lambda: all_begun(rival.root, camera_ids(count)))
        yield pid


@contextlib.contextmanager
def bare_interpreters() -> Iterator[list[int]]:
    """Run several of the recorders' interpreters with nothing to do. Yields their process ids."""
    with tempfile.TemporaryDirectory() as name:
        sleeping = Path(name, "sleeping.py")
        sleeping.write_text("import time\ntime.sleep(1000)\n")
        processes = [subprocess.Popen([PYTHON, "-I", "-S", str(sleeping)]) for _ in range(BARE)]
        try:
            yield [process.pid for process in processes]
        finally:
            for process in processes:
                process.terminate()
                process.wait()


def mirror_memory(up: int) -> Memory:
    """Return the memory of a mirror's parts, in KiB."""
    parts: Memory = defaultdict(float)
    for pid in without_ffmpeg(up):
        with contextlib.suppress(*PROCESS_ENDED):  # the process may end meanwhile
            command = Path(f"/proc/{pid}/cmdline").read_text()
            memory = private_dirty([pid])
            part = "recorders" if str(RECORDER) in command else "supervisord" if "supervisord" in command else "rest"
            parts[part] += memory
            parts["all"] += memory
    return parts


def measure() -> tuple[Memory, Memory]:
    """Return the cost of a camera, and that of fleets without cameras, in KiB."""
    with contextlib.ExitStack() as stack:
        bare = stack.enter_context(bare_interpreters())
        ups = [stack.enter_context(mirror_up(count)) for count in (0, CAMERAS)]
        rivals = {}
        for kind in RIVALS:
            rivals[kind.name] = [stack.enter_context(rival_up(kind, count)) for count in (0, CAMERAS)]
        time.sleep(SETTLED_SECONDS)
        empty, full = map(mirror_memory, ups)
        per_camera = {part: (full[part] - empty[part]) / CAMERAS for part in full}
        per_camera["bare"] = private_dirty(bare) / BARE
        fixed: Memory = {"all": empty["all"]}
        for name, (none, some) in rivals.items():
            fixed[name] = private_dirty(without_ffmpeg(none))
            per_camera[name] = (private_dirty(without_ffmpeg(some)) - fixed[name]) / CAMERAS
    return per_camera, fixed


def main() -> None:
    rounds = [measure() for _ in range(ROUNDS)]
    cameras, fixed = zip(*rounds, strict=True)
    recorder = [each["recorders"] for each in cameras]
    with_share = [each["recorders"] + each["supervisord"] for each in cameras]
    everything = [each["all"] for each in cameras]
    bare = "python -I -S that sleeps", [each["bare"] for each in cameras]
    beside = {"s6": "2 s6-supervise, s6-log", "circus": "share of circusd", "pm2": "share of pm2's daemon"}
    daemons = {"s6": "s6-svscan", "circus": "circusd", "pm2": "pm2's daemon"}
    good = record(
        Figure(1, "memory per camera: recorder", "KiB", recorder, *bare, AIM),
        Figure(1, "memory per camera: recorder, share of supervisord", "KiB", with_share, *bare, AIM),
        *[
            Figure(1, f"{ALL_SHARES}, beside {name}", "KiB", everything, what, [each[name] for each in cameras])
            for name, what in beside.items()
        ],
        *[
            Figure(1, f"{FIXED}, beside {name}", "KiB", [each["all"] for each in fixed], what, [e[name] for e in fixed])
            for name, what in daemons.items()
        ],
    )
    sys.exit(0 if good else 1)


if __name__ == "__main__":
    main()
