#!/usr/bin/env python3
"""Measure what `heldar-mirror coverage` takes for a month of a hundred cameras, of which both sides and Heldar's index
have a segment for each minute, beside `find` over both sides."""

import contextlib
import json
import os
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import click

sys.path.insert(0, str(Path(__file__).parent.parent / "tests"))
sys.path.insert(0, str(Path(__file__).parent.parent / "script"))
from listing import SEGMENT_SECONDS, a_day_ago, find, make_tree, timed
from measure import Figure, record
from support.made_footage import adopt
from support.mirror import Mirror
from support.two_sides import primary_root, shown
from support.users import new_mirror

from heldar_mirror.footage.names import segment_begun

RUNS = 5


def make_index(mirror: Mirror) -> None:
    """Make the cameras' rows, and those of all segments of the primary as Heldar makes them."""
    directories = sorted(primary_root(mirror).iterdir())
    for directory in directories:
        mirror.database.add(directory.name, retention_hours=24 * 365, segment_seconds=SEGMENT_SECONDS)
    with contextlib.closing(sqlite3.connect(mirror.database.path)) as connection, connection:
        for directory in directories:
            connection.executemany(
                "INSERT INTO segments (id, camera_id, path, start_time, end_time, size_bytes) "
                "VALUES (?1, ?2, ?1, ?3, ?4, 1000)",
                rows_of(directory),
            )


def rows_of(directory: Path) -> Iterator[tuple[str, str, str, str]]:
    """Yield path, camera and times of each segment in a directory."""
    with os.scandir(directory) as entries:
        for entry in entries:
            begun = segment_begun(entry.name)
            if begun is not None:
                yield entry.path, directory.name, shown(begun), shown(entry.stat().st_mtime)


class Coverage:
    """Runs the command over all days. `report` is its last one, and `memory` that of its largest process, in MiB."""

    def __init__(self, mirror: Mirror, days: int) -> None:
        self.mirror = mirror
        self.command = mirror.command("coverage", "--json", "--since", f"{days + 2}d")
        self.report: dict[str, Any] = {}
        self.memory = 0.0

    def __call__(self) -> None:
        with (self.mirror.home / "report").open("w+b") as printed:
            process = subprocess.Popen(self.command, env=self.mirror.env, stdout=printed)
            # What a process has used includes the children that it has waited for.
            _, _, used = os.wait4(process.pid, 0)
            self.memory = max(self.memory, used.ru_maxrss / 1024)
            printed.seek(0)
            self.report = json.load(printed)


@click.command()
@click.option("--cameras", default=100, show_default=True, help="How many cameras there are.")
@click.option("--days", default=30, show_default=True, help="For how many days each has recorded.")
def main(cameras: int, days: int) -> None:
    """Measure the coverage of both sides."""
    segments = days * 1440
    with new_mirror() as mirror:
        adopt(mirror)
        last = a_day_ago()
        for root in (primary_root(mirror), mirror.root):
            make_tree(root, cameras, segments, last)
        make_index(mirror)
        coverage = Coverage(mirror, days)
        looks: list[Callable[[], object]] = [partial(find, mirror.home), coverage]
        for look in looks:  # so that everything is in the cache
            look()
        taken = [tuple(map(timed, looks)) for _ in range(RUNS)]
    totals = coverage.report["totals"]
    # The few files that are read, since they may end before the next one begins, hold nothing.
    if totals.keys() != {"both", "neither"} or totals["both"] < 0.98 * cameras * segments * SEGMENT_SECONDS:
        raise SystemExit(f"the totals are {totals}")
    found, ours = zip(*taken, strict=True)
    what = f"coverage of {cameras * segments:,} segments on each side"
    record(
        Figure(17, what, "s", ours, "`find -type f`", found),
        Figure(17, f"{what}, memory of the largest process", "MiB", [coverage.memory]),
    )


if __name__ == "__main__":
    main()
