#!/usr/bin/env python3
"""Measure what it costs to keep manifests: per gigabyte beside `sha256sum`, the share of a core at a thousand cameras
whose segments are closed one after the other, and the memory. All files lie in memory, so that no disk is measured."""

import contextlib
import os
import subprocess
import sys
import tempfile
import threading
import time
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import click

sys.path.insert(0, str(Path(__file__).parent.parent / "tests"))
from measure import Figure, cpu_seconds, record
from support.waiting import wait_for

from heldar_mirror.footage.names import segment_name
from heldar_mirror.keeping.keeper import OUR_COMMAND
from heldar_mirror.keeping.protocol import encode_settings
from heldar_mirror.manifests.settings import ManifestSettings
from heldar_mirror.recorder.volume import LOCK, MARKER

VOLUME = "benchmark"
SEGMENTS = 100
SEGMENT_BYTES = 15_000_000  # a minute of 2 Mbit/s
ROUNDS = 5
WINDOWS = 3
WINDOW_SECONDS = 15
# Closed segments are deleted after so long, so that the memory holds them.
KEPT_SECONDS = 8
AIM_PER_GB = 1.1
AIM_CORE = 0.5


@dataclass
class Root:
    """A mirror root in memory, and the process that keeps its manifests."""

    home: Path

    @property
    def root(self) -> Path:
        return self.home / "mirror"

    def begin(self, cameras: int) -> None:
        """Make the directories."""
        self.root.mkdir()
        (self.root / MARKER).write_text(VOLUME)
        (self.home / "volumes").write_text(f"{VOLUME} {self.root}\n")
        for number in range(cameras):
            directory = self.root / f"cam{number:04}"
            directory.mkdir()
            (directory / LOCK).write_text(directory.name)

    def lines(self) -> int:
        """Return how many segments are listed."""
        return sum(path.read_bytes().count(b"\n") for path in self.root.glob(".manifests/*/*.open"))

    @contextlib.contextmanager
    def kept(self) -> Iterator[int]:
        """Keep manifests until the block ends. Yields the process id once it has begun."""
        child = subprocess.Popen([*OUR_COMMAND, "keep-manifests"], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        assert child.stdin  # noqa: S101 - it is a pipe
        assert child.stdout  # noqa: S101 - it is a pipe
        try:
            settings = ManifestSettings(mirror_root=self.root, state_dir=self.home)
            child.stdin.write(encode_settings(settings))
            child.stdin.flush()
            child.stdout.readline()
            yield child.pid
        finally:
            child.stdin.close()
            child.wait()
            child.stdout.close()


@contextlib.contextmanager
def new_root(cameras: int) -> Iterator[Root]:
    with tempfile.TemporaryDirectory(dir="/dev/shm") as home:
        root = Root(Path(home))
        root.begin(cameras)
        yield root


def put(directory: Path, begun: int, content: bytes) -> Path:
    """Write a segment as ffmpeg and a recorder do."""
    numbered = directory / ".new-1-0.mp4"
    with numbered.open("xb", buffering=0) as file:
        path = directory / segment_name(begun)
        numbered.rename(path)
        file.write(content)
    return path


def peak_mib(pid: int) -> float:
    """Return the largest memory of a process so far."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return int(next(line for line in lines if line.startswith("VmHWM:")).split()[1]) / 1024


def per_gigabyte() -> Figure:
    """Measure the processor time for each gigabyte, for segments as they are closed."""
    ours, theirs = [], []
    content = os.urandom(SEGMENT_BYTES)
    for _ in range(ROUNDS):
        with new_root(1) as root, root.kept() as pid:
            before, now = cpu_seconds([pid]), int(time.time())
            paths = [put(root.root / "cam0000", now + number, content) for number in range(SEGMENTS)]
            wait_for(lambda: root.lines() == SEGMENTS)
            gigabytes = SEGMENTS * SEGMENT_BYTES / 1e9
            ours.append((cpu_seconds([pid]) - before) / gigabytes)
            usage = os.times()
            subprocess.run(["sha256sum", *paths], stdout=subprocess.DEVNULL, check=True)
            theirs.append((sum(os.times()[2:4]) - sum(usage[2:4])) / gigabytes)
    return Figure(18, "manifests of new segments, processor time", "s/GB", ours, "`sha256sum`", theirs, AIM_PER_GB)


def steady(cameras: int) -> tuple[Figure, ...]:
    """Measure the share of a core while each camera closes a segment each minute, and the memory."""
    content, stop, rate = os.urandom(SEGMENT_BYTES), threading.Event(), cameras / 60
    written: deque[tuple[float, Path]] = deque()
    count = 0

    def write(root: Root) -> None:
        nonlocal count
        begun = time.monotonic()
        while not stop.wait(max(0.0, begun + count / rate - time.monotonic())):
            written.append((time.monotonic(), put(root.root / f"cam{count % cameras:04}", int(time.time()), content)))
            count += 1
            while written[0][0] < time.monotonic() - KEPT_SECONDS:
                written.popleft()[1].unlink()

    with new_root(cameras) as root, root.kept() as pid:
        thread = threading.Thread(target=write, args=[root])
        thread.start()
        try:
            wait_for(lambda: root.lines() > 2 * rate)
            shares = []
            for _ in range(WINDOWS):
                before, begun = cpu_seconds([pid]), time.monotonic()
                time.sleep(WINDOW_SECONDS)
                shares.append((cpu_seconds([pid]) - before) / (time.monotonic() - begun))
        finally:
            stop.set()
            thread.join()
        wait_for(lambda: root.lines() == count)
        memory = peak_mib(pid)
    what = f"manifests of {cameras:,} cameras at 2 Mbit/s, a segment a minute"
    return (
        Figure(18, f"{what}, processor", "cores", shares, aim=AIM_CORE),
        Figure(18, f"{what}, memory", "MiB", [memory]),
    )


def looks(segments: int) -> tuple[Figure, ...]:
    """Measure what it costs to find that all segments of a camera are listed, as at a start, and the memory."""
    seconds, memory = [], []
    with new_root(1) as root:
        directory, last = root.root / "cam0000", int(time.time()) - 60
        for number in range(segments):
            (directory / segment_name(last - 60 * number)).write_bytes(bytes(5000))
        with root.kept():
            wait_for(lambda: listed(root) == segments, seconds=3600)
        for _ in range(ROUNDS):
            with root.kept() as pid:
                time.sleep(3)
                seconds.append(cpu_seconds([pid]))
                memory.append(peak_mib(pid))
    what = f"a look at a camera with {segments:,} listed segments"
    return (Figure(18, f"{what}, with the start", "s", seconds), Figure(18, f"{what}, memory", "MiB", memory))


def listed(root: Root) -> int:
    """Return how many segments are listed, also in sealed manifests."""
    return sum(path.read_bytes().count(b".mp4\n") for path in root.root.glob(".manifests/*/*"))


@click.command()
@click.option("--cameras", default=1000, show_default=True)
@click.option("--segments", default=43_200, show_default=True, help="Of the camera that is looked at.")
def main(cameras: int, segments: int) -> None:
    sys.exit(not record(per_gigabyte(), *steady(cameras), *looks(segments)))


if __name__ == "__main__":
    main()
