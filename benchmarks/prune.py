#!/usr/bin/env python3
"""Measure the cost of pruning: to list a million segments and decide on them, and to delete a hundred thousand, beside
`find -delete`. Also check that footage recorded meanwhile has no gap."""

import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import click

sys.path.insert(0, str(Path(__file__).parent.parent / "tests"))
from measure import Figure, record
from support.camera import Camera
from support.mirror import Mirror, mirror_env, new_database, new_home
from support.recordings import packets
from support.waiting import wait_for

from heldar_mirror.recorder.volume import MARKER

CAMERAS = 1000
SEGMENT_BYTES = 1 << 20
RECORDED = ("gate", "yard")
AIM_DELETING = 1.5


def make_tree(root: Path, cameras: int, segments: int) -> None:
    """Make directories of sparse segments, one per minute, the last of them a day old."""
    last = int(time.time()) // 60 * 60 - 86_400
    names = [time.strftime("%Y%m%d_%H%M%S.mp4", time.gmtime(last - 60 * number)) for number in range(segments)]
    for camera in range(cameras):
        directory = root / f"cam{camera:04}"
        directory.mkdir(parents=True)
        fd = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
        for name in names:
            file = os.open(name, os.O_WRONLY | os.O_CREAT, 0o440, dir_fd=fd)
            os.truncate(file, SEGMENT_BYTES)
            os.close(file)
        os.close(fd)


def new_mirror(home: Path, cameras: int) -> Mirror:
    """Make a mirror whose cameras keep an hour, and adopt its volume."""
    database = new_database(home)
    mirror = Mirror(home, database, mirror_env(home, database) | {"HELDAR_FFMPEG_BIN": "ffmpeg"})
    rows = ", ".join(f"('cam{number:04}', 'x', 1)" for number in range(cameras))
    database.execute(f"INSERT INTO cameras (id, name, retention_hours) VALUES {rows}")  # noqa: S608
    mirror.run("adopt-volume")
    return mirror


def run(command: list[str], env: dict[str, str]) -> tuple[float, float]:
    """Run a command to its end. Return its seconds and its largest memory in MiB."""
    begun = time.monotonic()
    process = subprocess.Popen(command, env=env, stdout=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise SystemExit(f"{command} ended with {process.returncode}")
    return time.monotonic() - begun, usage.ru_maxrss / 1024


def find(mirror: Mirror, *action: str) -> list[str]:
    return ["find", str(mirror.root), "-name", "*.mp4", "-size", "+0", *action]


def listing(mirror: Mirror, total: int) -> tuple[Figure, ...]:
    """Measure how long it takes to list all segments and decide on them."""
    dry_run = mirror.command("prune", "--dry-run", "--json")
    looked = [(run(find(mirror), mirror.env)[0], *run(dry_run, mirror.env)) for _ in range(5)]
    found, seconds, memory = zip(*looked, strict=True)
    what = f"{total:,} segments listed and decided on"
    return (
        Figure(13, what, "s", seconds, "`find -size +0`", found),
        Figure(13, f"{what}, memory", "MiB", memory),
    )


def deleting(mirror: Mirror, total: int) -> tuple[Figure, ...]:
    """Measure how long it takes to delete a tenth of all segments."""
    stock = mirror.home / "stock"
    mirror.root.rename(stock)
    directories = sorted(stock.glob("cam*"))
    share = len(directories) // 10
    mirror.root.mkdir()
    (stock / MARKER).rename(mirror.root / MARKER)
    deleters = {"find": find(mirror, "-delete"), "prune": mirror.command("prune", "--json")}
    # The watcher's child pays the start once, and find has almost none.
    start, _ = run(deleters["prune"], mirror.env)
    pruned, found = [], []
    for number in range(5):
        taken = {}
        for name in sorted(deleters, reverse=bool(number % 2)):
            for directory in [directories.pop() for _ in range(share)]:
                directory.rename(mirror.root / directory.name)
            taken[name], _ = run(deleters[name], mirror.env)
            left = sum(1 for _ in mirror.root.glob("*/*.mp4"))
            if left != (share if name == "prune" else 0):
                raise SystemExit(f"{name} left {left} segments")
            subprocess.run(["rm", "-rf", *mirror.root.glob("cam*")], check=True)
        pruned.append(taken["prune"])
        found.append(taken["find"])
    what = f"{total // 10:,} segments deleted"
    return (
        Figure(14, what, "s", pruned, "`find -delete`", found),
        Figure(
            14,
            f"{what}, less the start of the command",
            "s",
            [seconds - start for seconds in pruned],
            "`find -delete`",
            found,
            AIM_DELETING,
        ),
    )


def recording_beside(total: int) -> Figure:
    """Measure how many packets are missing from what was recorded while `total` segments were deleted."""
    camera = Camera()
    camera.plug_in()
    try:
        with new_home() as home:
            mirror = new_mirror(home, 100)
            make_tree(mirror.root, 100, total // 100)
            for camera_id in RECORDED:
                mirror.database.add(camera_id, rtsp_port=camera.port, segment_seconds=5)
            with mirror.up():
                grown: Callable[[int], bool] = lambda count: all(len(mirror.segments(c)) > count for c in RECORDED)  # noqa: E731
                wait_for(lambda: grown(2))
                # The recording is compared with that of a witness on a different directory.
                elsewhere = home / "elsewhere.mp4"
                url = f"rtsp://admin:p%40ss%2Fw%3Ard@127.0.0.1:{camera.port}/Streaming/Channels/101"
                command = ["ffmpeg", "-v", "error", "-rtsp_transport", "tcp", "-i", url, "-c", "copy", str(elsewhere)]
                witness = subprocess.Popen(command, stdin=subprocess.DEVNULL)
                wait_for(elsewhere.exists)
                run(mirror.command("prune", "--json"), mirror.env)
                count = len(mirror.segments(RECORDED[0]))
                wait_for(lambda: grown(count + 1))
                witness.terminate()
                witness.wait()
                wait_for(lambda: grown(count + 3))
            whole = packets([elsewhere])
            lacking = sum(len(set(whole) - set(packets(mirror.segments(camera_id)))) for camera_id in RECORDED)
    finally:
        camera.unplug()
    return Figure(15, f"packets that lack in what was recorded beside {total:,} deletions", "packets", [lacking], aim=0)


@click.command()
@click.option("--total", default=1_000_000, show_default=True, help="How many segments are listed; a tenth is deleted.")
def main(total: int) -> None:
    """Measure pruning."""
    with new_home() as home:
        mirror = new_mirror(home, CAMERAS)
        make_tree(mirror.root, CAMERAS, total // CAMERAS)
        figures = *listing(mirror, total), *deleting(mirror, total)
    sys.exit(0 if record(*figures, recording_beside(total // 10)) else 1)


if __name__ == "__main__":
    main()
