#!/usr/bin/env python3
"""Measure how long it takes to list a month of a hundred cameras on one side by their names, beside `find`, and to find
their ends."""

import os
import subprocess
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import click

sys.path.insert(0, str(Path(__file__).parent.parent / "tests"))
from measure import Figure, record, with_children
from support.mirror import new_home

from heldar_mirror.sides.side import Side

SEGMENT_SECONDS = 60
SEGMENT_BYTES = 1 << 20
RUNS = 5
AIM_LISTING = 2.0


def a_day_ago() -> int:
    """Return the beginning of a minute a day ago."""
    return int(time.time()) // SEGMENT_SECONDS * SEGMENT_SECONDS - 86_400


def make_tree(root: Path, cameras: int, segments: int, last: int) -> None:
    """Make directories of sparse segments, one per minute until `last`, each written until the next one begins.

    Cameras begin their segments in different seconds, and each is silent for a while once a day.
    """
    for camera in range(cameras):
        directory = root / f"cam{camera:04}"
        directory.mkdir(parents=True)
        fd = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
        for number in range(segments):
            begun = last - SEGMENT_SECONDS * number + camera % 60
            end = begun + (SEGMENT_SECONDS if number % 1440 else SEGMENT_SECONDS / 2)
            name = time.strftime("%Y%m%d_%H%M%S.mp4", time.gmtime(begun))
            file = os.open(name, os.O_WRONLY | os.O_CREAT, 0o440, dir_fd=fd)
            os.truncate(file, SEGMENT_BYTES)
            os.utime(file, (end, end))
            os.close(file)
        os.close(fd)


def timed(action: Callable[[], object]) -> float:
    """Return the seconds that something takes."""
    begun = time.monotonic()
    action()
    return time.monotonic() - begun


def largest_memory(pid: int) -> float:
    """Return the largest memory that a process has had, in MiB."""
    status = Path(f"/proc/{pid}/status").read_text()
    return int(status.partition("VmHWM:")[2].split()[0]) / 1024


def find(root: Path) -> None:
    """List everything as people would."""
    subprocess.run(["find", str(root), "-type", "f"], stdout=subprocess.DEVNULL, check=True)


class Listing:
    """Lists all cameras. `seen` is how many segments there were, and `memory` that of the larger process, in MiB."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.seen = 0
        self.memory = 0.0

    def names(self) -> None:
        """List the names alone, from the start of a child to its end."""
        self._each_camera(lambda side, camera_id: len(side.names(camera_id, 0, 2**40)))

    def ends(self) -> None:
        """Find the end of each segment as well."""
        self._each_camera(lambda side, camera_id: len(side.recorded(camera_id, 0, 2**40, SEGMENT_SECONDS).begun))

    def _each_camera(self, look: Callable[[Side, str], int]) -> None:
        with Side("mirror", self.root) as side:
            self.seen = sum(look(side, camera_id) for camera_id in side.cameras())
            self.memory = max(self.memory, *map(largest_memory, with_children(os.getpid())))


@click.command()
@click.option("--cameras", default=100, show_default=True, help="How many cameras there are.")
@click.option("--days", default=30, show_default=True, help="For how many days each has recorded.")
def main(cameras: int, days: int) -> None:
    """Measure the listing of one side."""
    segments = days * 1440
    total = cameras * segments
    with new_home() as home:
        make_tree(home / "side", cameras, segments, a_day_ago())
        listing = Listing(home / "side")
        looks: list[Callable[[], object]] = [partial(find, home / "side"), listing.names, listing.ends]
        for look in looks:  # so that everything is in the cache
            look()
        taken = [tuple(map(timed, looks)) for _ in range(RUNS)]
    if listing.seen != total:
        raise SystemExit(f"{listing.seen} of {total} segments were seen")
    found, names, ends = zip(*taken, strict=True)
    what = f"{total:,} segments of one side"
    sys.exit(
        0
        if record(
            Figure(16, f"{what}, listed by name", "s", names, "`find -type f`", found, AIM_LISTING),
            Figure(16, f"{what}, with their ends", "s", ends, "`find -type f`", found),
            Figure(16, f"{what}, memory of the larger process", "MiB", [listing.memory]),
        )
        else 1
    )


if __name__ == "__main__":
    main()
