#!/usr/bin/env python3
"""Measure how long after an outage a camera is recorded again, beside the seed's loop.

Outages of 10 s to 10 min are simulated with the real rules. Some short outages are real, and the same for both: each
of five cameras refuses connections for its own length of time.
"""

import statistics
import sys
import time
from pathlib import Path

from fleet import all_begun, wait_until
from measure import Figure, record
from streams import loop_beside, plugged_in, real_mirror

sys.path.insert(0, str(Path(__file__).parent.parent / "tests"))
from support.odd_camera import OddCamera, odd_cameras
from support.outage_simulation import REFUSED_SECONDS, SILENT_SECONDS, Outage, gap, ours, the_old_loop

NUMBER = 9
AIM = 0.5
BESIDE = "the seed's loop"
OUTAGES, SHORTEST, LONGEST = 20, 10.0, 600.0
# The cost depends on the last seconds of an outage, so all twenty are repeated, each time a little longer.
TIMES, LONGER = 7, 1.7
REAL_SECONDS = (12.0, 18.0, 27.0, 40.0, 60.0)
# After this time the runs of both count as long, and both retry soonest.
RAN_SECONDS = 35.0


def simulated() -> list[Figure]:
    lengths = [SHORTEST * (LONGEST / SHORTEST) ** (number / (OUTAGES - 1)) for number in range(OUTAGES)]
    figures = []
    for manner, failing in (("refuses", REFUSED_SECONDS), ("is silent", SILENT_SECONDS)):
        means = [
            [
                statistics.mean(gap(schedule, Outage(length + again * LONGER, failing)) for length in lengths)
                for again in range(TIMES)
            ]
            for schedule in (ours, the_old_loop)
        ]
        what = (
            f"until an ffmpeg starts after an outage, the camera {manner}: mean of {OUTAGES}, 10 s to 10 min, simulated"
        )
        figures.append(Figure(NUMBER, what, "s", means[0], BESIDE, means[1], AIM))
    return figures


def seconds_to_be_back(cameras: dict[str, tuple[float, OddCamera]], roots: tuple[Path, Path]) -> list[list[float]]:
    """Unplug each camera for its time. Return the seconds from its return to a new segment, below each root."""
    for _, camera in cameras.values():
        camera.become("refuses")
    unplugged = time.monotonic()
    away = dict(cameras)
    returned: dict[str, float] = {}
    before: dict[Path, set[str]] = {}
    back: dict[Path, float] = {}

    def look() -> bool:
        now = time.monotonic()
        for name, (length, camera) in list(away.items()):
            if now - unplugged >= length:
                del away[name]
                before.update((root / name, {path.name for path in (root / name).iterdir()}) for root in roots)
                camera.become("well")
                returned[name] = time.monotonic()
        for directory in before.keys() - back.keys():
            if {path.name for path in directory.iterdir()} - before[directory]:
                back[directory] = time.monotonic() - returned[directory.name]
        return len(back) == len(roots) * len(cameras)

    wait_until(look)
    return [[back[root / name] for name in cameras] for root in roots]


def real() -> list[Figure]:
    names = [f"away{length:.0f}" for length in REAL_SECONDS]
    with (
        plugged_in() as camera,
        odd_cameras(camera.port, **dict.fromkeys(names, "well")) as odd,
        real_mirror({name: odd[name].port for name in names}) as mirror,
        loop_beside(mirror) as loop,
    ):
        roots = mirror.root, loop.root
        with mirror.up(watched=True), loop.up():
            wait_until(lambda: all(all_begun(root, names) for root in roots))
            time.sleep(RAN_SECONDS)
            cameras = {name: (length, odd[name]) for name, length in zip(names, REAL_SECONDS, strict=True)}
            taken = seconds_to_be_back(cameras, roots)
    outages = [Outage(length, REFUSED_SECONDS) for length in REAL_SECONDS]
    expected = [[gap(schedule, outage) for outage in outages] for schedule in (ours, the_old_loop)]
    what = f"until it records again after real outages of {', '.join(f'{length:.0f}' for length in REAL_SECONDS)} s"
    return [
        Figure(NUMBER, what, "s", taken[0], BESIDE, taken[1]),
        Figure(NUMBER, "the same, until its ffmpeg starts, simulated", "s", expected[0], BESIDE, expected[1]),
    ]


def main() -> None:
    sys.exit(0 if record(*simulated(), *real()) else 1)


if __name__ == "__main__":
    main()
