#!/usr/bin/env python3
"""Measure the time from the commit of a new camera's row until its ffmpeg runs, for fleets of three sizes.

The other supervisors get the command that a person would type, right after the same commit.
"""

import contextlib
import functools
import random
import sqlite3
import sys
import time
from collections.abc import Callable
from pathlib import Path

from fleet import all_begun, begun, camera_ids, insert, new_database, new_home, new_mirror, new_plain, wait_until
from measure import Figure, record
from rivals import S6, Circus, Pm2, Rival, new_rival

COUNTS = (10, 100, 1000)
TRIES = 5
AIM = 0.5
AIM_GROWTH = 10.0

# The time until supervisord takes all programs of a mirror for running. The others need a second.
REST_SECONDS = 40.0
OTHERS_REST_SECONDS = 5.0


def add_rows(database: Path, root: Path, count: int, apply: Callable[[str], object]) -> list[float]:
    """Add cameras to a fleet of `count`, one by one, and call `apply` after each commit.

    Return the seconds from the end of each commit until the camera's ffmpeg has begun its segment.
    """
    taken = []
    with contextlib.closing(sqlite3.connect(database, isolation_level=None)) as heldar:
        heldar.execute("PRAGMA synchronous=NORMAL")  # as in Heldar's kernel
        for camera in camera_ids(TRIES, count):
            insert(heldar, [camera])
            committed = time.time_ns()
            apply(camera)
            wait_until(functools.partial(all_begun, root, [camera]))
            taken.append((begun(root / camera) - committed) / 1e9)
            time.sleep(random.uniform(3, 4))  # noqa: S311 - so that tries meet different moments of a tick
    return taken


def follow(count: int) -> list[float]:
    """Return the seconds that the mirror took."""
    cameras = camera_ids(count)
    with new_mirror(cameras) as mirror, mirror.up(watched=True):
        wait_until(lambda: all_begun(mirror.root, cameras), every=0.5)
        time.sleep(REST_SECONDS)
        return add_rows(mirror.database.path, mirror.root, count, lambda _: None)


def follow_by_supervisorctl(count: int) -> list[float]:
    """Return the seconds that a supervisord with a file per camera took."""
    cameras = camera_ids(count)
    with new_home() as home, new_plain(cameras) as plain, plain.up():
        wait_until(lambda: all_begun(plain.root, cameras), every=0.5)
        time.sleep(OTHERS_REST_SECONDS)

        def apply(camera: str) -> None:
            plain.write(camera)
            plain.supervisorctl("update")

        return add_rows(new_database(home).path, plain.root, count, apply)


def follow_by(kind: type[Rival], count: int) -> list[float]:
    """Return the seconds that a different supervisor took."""
    cameras = camera_ids(count)
    with new_home() as home, new_rival(kind, cameras) as rival, rival.up():
        wait_until(lambda: all_begun(rival.root, cameras), every=0.5)
        time.sleep(OTHERS_REST_SECONDS)
        return add_rows(new_database(home).path, rival.root, count, rival.add)


def main() -> None:
    good, ours = True, {}
    for count in COUNTS:
        what = f"commit of a row to its ffmpeg, {count:,} cameras"
        ours[count] = follow(count)
        theirs = follow_by_supervisorctl(count)
        aim = AIM if count == max(COUNTS) else None
        figures = [Figure(3, what, "s", ours[count], "file per camera, supervisorctl update", theirs, aim)]
        for kind, command in ((Circus, "circusctl add"), (S6, "s6-svscanctl -a"), (Pm2, "pm2 start")):
            theirs = follow_by(kind, count)
            figures.append(Figure(3, f"{what}, beside {kind.name}", "s", ours[count], command, theirs))
        good &= record(*figures)
    growth = "commit of a row to its ffmpeg, growth from 100 to 1,000 cameras"
    good &= record(Figure(3, growth, "s", ours[1000], "100 cameras", ours[100], AIM_GROWTH))
    sys.exit(0 if good else 1)


if __name__ == "__main__":
    main()
