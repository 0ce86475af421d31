#!/usr/bin/env python3
"""Measure what it costs to prove a mirror: packets beside ffmpeg's framehash of each file, files beside `sha256sum -c`,
and the memory and time that the plan takes with many segments."""

import hashlib
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import click

sys.path.insert(0, str(Path(__file__).parent.parent / "tests"))
from measure import Figure, record
from support.made_footage import begun_of
from support.manifests import made_root
from support.mirror import Mirror, mirror_env, new_database, new_home
from support.two_copies import DEBIAN, LATER_SECONDS, run, segment

CAMERAS = 10
SEGMENT_SECONDS = 60
AIM_PACKETS, AIM_FILES = 0.25, 1.0
TIMES = 3


class Cost(NamedTuple):
    """Seconds, seconds of processor time of a command and its children, and the command's largest memory in MiB."""

    seconds: float
    cpu: float
    memory: float


def cost(command: Sequence[str | Path], env: dict[str, str], cwd: Path | None = None) -> Cost:
    """Run a command to its end, and return what it cost."""
    begun = time.monotonic()
    process = subprocess.Popen(command, env=env, stdout=subprocess.DEVNULL, cwd=cwd)
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise SystemExit(f"{command} ended with {process.returncode}")
    return Cost(time.monotonic() - begun, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024)


def new_mirror(home: Path, cameras: int) -> Mirror:
    database = new_database(home)
    mirror = Mirror(home, database, mirror_env(home, database))
    for number in range(cameras):
        database.add(f"cam{number:03}", rtsp_port=554)
    mirror.run("adopt-volume")
    return mirror


def record_all(mirror: Mirror, seconds: int) -> None:
    """Record a film of 6 Mbit/s on both sides, and give each camera a copy of it."""
    source = mirror.home / "source.mkv"
    picture = f"testsrc2=size=1280x720:rate=15:duration={seconds},noise=alls=20:allf=t"
    sources = ["-f", "lavfi", "-i", picture, "-f", "lavfi", "-i", f"sine=duration={seconds}"]
    codecs = ["-c:v", "libx264", "-preset", "ultrafast", "-b:v", "6M", "-g", "30", "-bf", "0", "-c:a", "aac"]
    run(DEBIAN, "-v", "error", *sources, *codecs, str(source))
    begun = int(time.time()) // 3600 * 3600 - 7200
    for root, skip in ((mirror.home / "recordings", 0), (mirror.root, LATER_SECONDS)):
        segment(DEBIAN, source, root / "cam000", begun, skip=skip, seconds=SEGMENT_SECONDS)
        for number in range(1, CAMERAS):
            shutil.copytree(root / "cam000", root / f"cam{number:03}")
    source.unlink()


def list_in_manifests(mirror: Mirror) -> Path:
    """List all segments of the mirror, and return a file that sha256sum checks all of them by."""
    whole = mirror.home / "all.sums"
    with made_root(mirror.root) as root, root.store() as store, whole.open("w") as lines:
        for number in range(CAMERAS):
            paths = mirror.segments(f"cam{number:03}")
            sums = [(begun_of(path), hashlib.sha256(path.read_bytes()).digest()) for path in paths]
            store.append(f"cam{number:03}", sums, time.time())
            lines.writelines(
                f"{digest.hex()}  {path.relative_to(mirror.root)}\n"
                for path, (_, digest) in zip(paths, sums, strict=True)
            )
    return whole


def packets(mirror: Mirror) -> Figure:
    """Measure the processor time of all packets of both sides."""
    files = [path for root in (mirror.home / "recordings", mirror.root) for path in sorted(root.glob("cam*/*.mp4"))]
    hashing = ["ffmpeg", "-v", "error", "-i", "", "-map", "0", "-c", "copy", "-f", "framehash", "-hash", "sha256", "-"]
    ours, theirs = [], []
    for _ in range(TIMES):
        theirs.append(sum(cost([*hashing[:4], path, *hashing[5:]], mirror.env).cpu for path in files))
        ours.append(cost(mirror.command("verify"), mirror.env).cpu)
    size = sum(path.stat().st_size for path in files)
    what = f"`verify --level packets` of {len(files)} files, {size / 1e9:.1f} GB on both sides"
    return Figure(19, what, "CPU-s", ours, "one `ffmpeg -f framehash` a file", theirs, AIM_PACKETS)


def whole_files(mirror: Mirror) -> Figure:
    """Measure how long the hashes of all files of the mirror take."""
    sums = list_in_manifests(mirror)
    ours, theirs = [], []
    for _ in range(TIMES):
        theirs.append(cost(["sha256sum", "-c", "--quiet", sums], mirror.env, mirror.root).seconds)
        ours.append(cost(mirror.command("verify", "--level", "files"), mirror.env).seconds)
    size = sum(path.stat().st_size for path in mirror.root.glob("cam*/*.mp4"))
    what = f"`verify --level files` of {size / 1e9:.1f} GB"
    return Figure(19, what, "s", ours, "`sha256sum -c`", theirs, AIM_FILES)


def plan(total: int) -> tuple[Figure, ...]:
    """Measure a run that has nothing to do but to find out that all is expired, with many segments, most of them known
    from the run before."""
    with new_home() as home:
        mirror = new_mirror(home, 10)
        last = int(time.time()) // 60 * 60 - 86_400
        names = [time.strftime("%Y%m%d_%H%M%S.mp4", time.gmtime(last - 60 * number)) for number in range(total // 10)]
        for number in range(10):
            directory = mirror.root / f"cam{number:03}"
            directory.mkdir()
            (home / f"recordings/cam{number:03}").mkdir()
            for name in names:
                (directory / name).touch()
        costs = []
        for _ in range(TIMES + 1):
            listing = cost(["find", mirror.root, "-printf", "%s %T@\n"], mirror.env).seconds
            costs.append((listing, *cost(mirror.command("verify", "--older-than", "1d", "--jobs", "1"), mirror.env)))
        remembered = (mirror.state / "proofs.db").stat().st_size
    found, seconds, _, memory = zip(*costs[1:], strict=True)
    what = f"the plan of {total:,} segments"
    return (
        Figure(19, what, "s", seconds, "`find -printf` of size and time", found),
        Figure(19, f"{what}, memory", "MiB", memory),
        Figure(19, f"{what}, what is remembered", "MiB", [remembered / 2**20]),
    )


@click.command()
@click.option("--seconds", default=300, show_default=True, help="How long a film is recorded.")
@click.option("--total", default=432_000, show_default=True, help="With how many segments the plan is measured.")
def main(seconds: int, total: int) -> None:
    """Measure verify."""
    # First, since the memory of who starts a command counts as its own.
    figures = list(plan(total))
    with new_home() as home:
        mirror = new_mirror(home, CAMERAS)
        record_all(mirror, seconds)
        figures += [packets(mirror), whole_files(mirror)]
    sys.exit(0 if record(*figures) else 1)


if __name__ == "__main__":
    main()
