#!/usr/bin/env python3
"""Measure a thousand cameras: start, a reconcile with nothing to do, status, a change of a hundred at once, shutdown.

A supervisord with a file per camera does the same beside it, by supervisorctl. Here the fake ffmpeg ends as slowly as
ffmpeg, in 66 ms, because ffmpeg checks for a signal only when a packet comes.
"""

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import click
from fleet import (
    FAKE_FFMPEG,
    RESTED_SECONDS,
    Mirror,
    Plain,
    all_begun,
    begun,
    camera_ids,
    new_home,
    new_mirror,
    new_plain,
    wait_until,
)
from measure import Figure, record

ROUNDS = 5
CHANGED = 100
# Restarts one after the other all take equally long, so ten of them are enough.
RESTARTED = 10
FULL_DIRECTORIES = 10
SEGMENTS_OF_A_MONTH = 43_200
STUBBORN = 10
AIM_STUBBORN_SECONDS = 15

Taken = defaultdict[str, list[float]]


@contextlib.contextmanager
def slow_to_end() -> Iterator[Path]:
    """A fake ffmpeg that ends as slowly as ffmpeg."""
    with new_home() as home:
        resting, ffmpeg = home / "resting", home / "ffmpeg"
        subprocess.run(["gcc", "-O", "-o", resting, Path(__file__).with_name("resting.c")], check=True)
        ffmpeg.write_text(FAKE_FFMPEG.read_text().replace("sleep infinity", f'{resting} "$*"'))
        ffmpeg.chmod(0o755)
        yield ffmpeg


def timed(action: Callable[[], object]) -> float:
    """Return how many seconds an action takes."""
    start = time.monotonic()
    action()
    return time.monotonic() - start


def until_begun(root: Path, cameras: Sequence[str], since: int) -> float:
    """Return the seconds from `since`, in nanoseconds since 1970, until the last of the cameras begins a segment."""
    wait_until(lambda: all_begun(root, cameras, since), every=0.2)
    return (max(begun(root / camera) for camera in cameras) - since) / 1e9


def expect(text: str, output: str, times: int = 1) -> None:
    """Exit unless an output has a text `times` times: a command that failed must not count as a fast one."""
    if output.count(text) != times:
        raise SystemExit(f"expected {text!r} {times} times: {output[-500:]}")


def ended(process: "subprocess.Popen[bytes]") -> float:
    """Return the seconds from SIGTERM to the end of a process."""
    process.terminate()
    return timed(process.wait)


def live(mirror: Mirror, cameras: Sequence[str], taken: Taken, *, stubborn: bool, last: bool) -> None:
    """Start our fleet, change a part of it, and end it. With `last` also measure commands."""
    since = time.time_ns()
    with mirror.up(watched=True) as process:
        taken["start"].append(until_begun(mirror.root, cameras, since))
        if last:
            time.sleep(RESTED_SECONDS)
            taken["nothing"] += [timed(lambda: mirror.run("reconcile")) for _ in range(ROUNDS)]
            mirror.supervisorctl("stop", f"mirror-{cameras[0]}")
            taken["one stopped"] += [timed(lambda: mirror.run("reconcile")) for _ in range(ROUNDS)]
            mirror.supervisorctl("start", f"mirror-{cameras[0]}")
        changed = cameras[-CHANGED:]
        sql = "UPDATE cameras SET password = password || 'x' WHERE id >= ?"
        since = time.time_ns()
        mirror.database.execute(sql, changed[0])
        taken["change"].append(until_begun(mirror.root, changed, since))
        if last:
            fill(mirror.root, cameras[:FULL_DIRECTORIES])
            time.sleep(RESTED_SECONDS)
            summary = f"{len(cameras)} of {len(cameras)} mirrors record"
            taken["status"] += [timed(lambda: expect(summary, mirror.run("status").stdout)) for _ in range(ROUNDS)]
        if stubborn:
            for camera in cameras[:STUBBORN]:
                os.kill(int(mirror.supervisorctl("pid", f"mirror-{camera}")), signal.SIGSTOP)
        taken["stubborn" if stubborn else "shutdown"].append(ended(process))


def live_plainly(plain: Plain, cameras: Sequence[str], taken: Taken, *, last: bool) -> None:
    """Do the same with a plain supervisord."""
    since = time.time_ns()
    with plain.up() as process:
        taken["start"].append(until_begun(plain.root, cameras, since))
        if last:
            time.sleep(RESTED_SECONDS)
            taken["nothing"] += [timed(lambda: plain.supervisorctl("update")) for _ in range(ROUNDS)]

        def restart() -> None:
            for camera in cameras[-RESTARTED:]:
                expect("started", plain.supervisorctl("restart", camera))

        taken["change"].append(timed(restart) * CHANGED / RESTARTED)
        if last:
            fill(plain.root, cameras[:FULL_DIRECTORIES])
            count = len(cameras)
            taken["status"] += [
                timed(lambda: expect("RUNNING", plain.supervisorctl("status"), count)) for _ in range(ROUNDS)
            ]
        taken["shutdown"].append(ended(process))


def fill(root: Path, cameras: Sequence[str]) -> None:
    """Give each camera a month of empty segments."""
    for camera in cameras:
        fd = os.open(root / camera, os.O_RDONLY | os.O_DIRECTORY)
        for number in range(SEGMENTS_OF_A_MONTH):
            name = time.strftime("%Y%m%d_%H%M%S.mp4", time.gmtime(1_700_000_000 + 60 * number))
            os.close(os.open(name, os.O_WRONLY | os.O_CREAT, 0o640, dir_fd=fd))
        os.close(fd)


@click.command()
@click.option("--cameras", "count", default=1000, show_default=True)
@click.option("--rounds", default=ROUNDS, show_default=True)
def main(count: int, rounds: int) -> None:
    """Measure a large fleet, and write the figures."""
    cameras = camera_ids(count)
    ours, theirs = Taken(list), Taken(list)
    with slow_to_end() as ffmpeg, new_mirror(cameras) as mirror, new_plain(cameras, ffmpeg) as plain:
        mirror.env |= {"HELDAR_FFMPEG_BIN": str(ffmpeg), "HELDAR_RETENTION_INTERVAL_S": "86400"}
        for number in range(rounds):
            live(mirror, cameras, ours, stubborn=True, last=False)
            last = number == rounds - 1
            live(mirror, cameras, ours, stubborn=False, last=last)
            live_plainly(plain, cameras, theirs, last=last)

    def figure(number: int, what: str, name: str, beside: str, aim: float) -> Figure:
        return Figure(number, f"{what}, {count:,} cameras", "s", ours[name], beside, theirs[name], aim)

    beside = f"{RESTARTED} `supervisorctl restart` one after another, times {CHANGED // RESTARTED}"
    met = record(
        figure(4, "`reconcile` with nothing to do", "nothing", "`supervisorctl update`", 0.2),
        Figure(
            4,
            f"the same with one of {count:,} cameras stopped",
            "s",
            ours["one stopped"],
            "`supervisorctl update`",
            theirs["nothing"],
        ),
        figure(
            5,
            f"change of {CHANGED} at once",
            "change",
            beside,
            0.1,
        ),
        figure(6, "start", "start", "supervisord starting the bare stand-ins", 2),
        figure(7, "shutdown", "shutdown", "supervisord's own", 0.3),
        Figure(
            7,
            f"shutdown while {STUBBORN} recorders ignore SIGTERM, {count:,} cameras",
            "s",
            ours["stubborn"],
            aim=AIM_STUBBORN_SECONDS,
        ),
        figure(
            12,
            f"`status`, with {SEGMENTS_OF_A_MONTH:,} files in each of ten directories",
            "status",
            "`supervisorctl status`",
            0.5,
        ),
    )
    sys.exit(0 if met else 1)


if __name__ == "__main__":
    main()
