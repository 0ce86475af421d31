"""A running mirror lists its closed segments in manifests."""

import contextlib
import hashlib
import os
import shutil
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.camera import Camera
from support.following import read_anew
from support.made_footage import MIB
from support.mirror import Mirror
from support.mounts import bindfs_volume, tmpfs
from support.running import recorders
from support.waiting import wait_for
from support.watched import (
    published,
    times_logged,
    wait_until_published_again,
    wait_until_shown,
    wait_until_well,
    watcher_pid,
)

from heldar_mirror.proc.processes import children
from heldar_mirror.recorder.leftovers import is_stub

pytestmark = pytest.mark.slow


@pytest.fixture
def mirror(mirror: Mirror) -> Mirror:
    """A mirror with Debian's ffmpeg."""
    mirror.env |= {"HELDAR_FFMPEG_BIN": "ffmpeg", "HELDAR_MIRROR_MIN_FREE_GB": "0.125"}
    return mirror


def lines(mirror: Mirror) -> dict[str, str]:
    """Return the listed segments, with their sums. Fails if one is listed twice."""
    found: dict[str, str] = {}
    for path in sorted((mirror.root / ".manifests").glob("*/*")):
        for line in path.read_text().splitlines():
            if not line.startswith("#"):
                digest, name = line.split("  ")
                assert name not in found
                found[name] = digest
    return found


def wait_until_listed(mirror: Mirror, camera_id: str, more: int) -> dict[str, str]:
    """Wait until so many more segments of a camera are listed, and check the sums of all that are still there."""

    def count() -> int:
        return sum(name.startswith(f"{camera_id}/") for name in lines(mirror))

    before = count()
    wait_for(lambda: count() >= before + more, seen=mirror.describe_state)
    found = lines(mirror)
    for name, digest in found.items():
        with contextlib.suppress(FileNotFoundError):
            assert hashlib.sha256((mirror.root / name).read_bytes()).hexdigest() == digest
    return found


def keepers(mirror: Mirror) -> list[int]:
    """Return the watcher's children that keep manifests."""
    pids = children(watcher_pid(mirror)) or []
    return [pid for pid in pids if b"keep-manifests" in Path(f"/proc/{pid}/cmdline").read_bytes()]


def keeper(mirror: Mirror, *but: int) -> int:
    """Wait for the child that keeps manifests, one other than `but`, and return its pid."""
    found: list[int] = wait_for(lambda: [pid for pid in keepers(mirror) if pid not in but])
    return found[0]


def priorities(pid: int) -> tuple[int, str]:
    """Return how nice a process is, and its class for disks."""
    shown = subprocess.run(["ionice", "-p", str(pid)], capture_output=True, text=True, check=True).stdout
    return os.getpriority(os.PRIO_PROCESS, pid), shown.strip()


def sha256sum(mirror: Mirror, *options: str) -> subprocess.CompletedProcess[str]:
    """Check all manifests by stock tools."""
    manifests = sorted(str(path.relative_to(mirror.root)) for path in (mirror.root / ".manifests").glob("*/*"))
    command = ["sha256sum", "-c", "--strict", "--quiet", *options, *manifests]
    return subprocess.run(command, cwd=mirror.root, capture_output=True, text=True, check=False)


def test_each_closed_segment_is_listed(mirror: Mirror, camera: Camera) -> None:
    """Also after kills and restarts, and never while it is open. What was deleted stays listed."""
    mirror.database.add("gate", rtsp_port=camera.port, segment_seconds=2)
    mirror.database.add("hall", rtsp_port=camera.port, segment_seconds=2)
    with mirror.up(watched=True):
        wait_until_listed(mirror, "gate", 3)
        wait_until_listed(mirror, "hall", 1)
        result = sha256sum(mirror)
        assert (result.returncode, result.stdout, result.stderr) == (0, "", "")
        first = mirror.segments("gate")[0]
        first.unlink()
        assert sha256sum(mirror).returncode == 1
        assert sha256sum(mirror, "--ignore-missing").returncode == 0
        pid = keeper(mirror)
        assert priorities(pid) == (19, "idle")

        os.kill(pid, signal.SIGKILL)
        wait_for(lambda: times_logged(mirror, "keeping manifests ended with -9, and is started again"))
        pid = keeper(mirror, pid)
        wait_until_listed(mirror, "gate", 2)
        wait_until_well(mirror)

        watcher = watcher_pid(mirror)
        os.kill(watcher, signal.SIGKILL)
        wait_for(lambda: not Path(f"/proc/{pid}").exists())
        keeper(mirror, pid)
        wait_until_listed(mirror, "gate", 2)

        for _ in range(3):  # what these leave is named by the next recorder
            before = recorders(mirror)["gate"]
            os.kill(before, signal.SIGKILL)
            wait_for(lambda: recorders(mirror).get("gate", before) != before)  # noqa: B023 - it is called at once
            wait_until_listed(mirror, "gate", 2)
        wait_until_well(mirror)
        mirror.database.execute("UPDATE cameras SET mirror_enabled = 0")
        wait_for(lambda: not recorders(mirror))
        paths = [path for path in mirror.root.glob("*/[0-9]*.mp4") if not is_stub(str(path))]
        there = {f"{path.parent.name}/{path.name}" for path in paths}
        wait_for(lambda: there <= lines(mirror).keys(), seen=lambda: there - lines(mirror).keys())
        assert f"gate/{first.name}" in lines(mirror)
        assert sha256sum(mirror, "--ignore-missing").returncode == 0
    assert not list(mirror.root.glob("*/.new-*"))


def test_it_can_be_switched_off_and_on(mirror: Mirror, camera: Camera) -> None:
    """By a SIGHUP. What was recorded meanwhile is listed later."""
    (mirror.home / "mirror.env").write_text("HELDAR_MIRROR_MANIFESTS=false\n")
    mirror.database.add("gate", rtsp_port=camera.port, segment_seconds=2)
    with mirror.up(watched=True):
        wait_for(lambda: len(mirror.segments("gate")) > 3)
        assert keepers(mirror) == []
        assert not (mirror.root / ".manifests").exists()
        with read_anew(mirror, "HELDAR_MIRROR_MANIFESTS=true\n"):
            there = {f"gate/{path.name}" for path in mirror.segments("gate")}
            wait_until_listed(mirror, "gate", 3)
            wait_for(lambda: there <= lines(mirror).keys())
            keeper(mirror)
        wait_for(lambda: keepers(mirror) == [])
        before, count = lines(mirror), len(mirror.segments("gate"))
        wait_for(lambda: len(mirror.segments("gate")) > count + 2)
        assert lines(mirror) == before
        wait_until_well(mirror)


@pytest.fixture
def volume(mirror: Mirror) -> Iterator[Mirror]:
    """A mirror whose root is a file system of its own."""
    with tmpfs(mirror.root, 256):
        yield mirror


def test_a_full_volume_keeps_nothing_from_recording_but_manifests(volume: Mirror, camera: Camera) -> None:
    """It is a problem until there is room, and then all is listed."""
    volume.env["HELDAR_MIRROR_MIN_FREE_GB"] = "0.125"
    volume.database.add("gate", rtsp_port=camera.port, segment_seconds=2)
    with volume.up(watched=True):
        wait_until_listed(volume, "gate", 1)
        filler = volume.root / "filler"
        with filler.open("wb") as file:
            free = shutil.disk_usage(volume.root).free
            os.posix_fallocate(file.fileno(), 0, free - 40 * MIB)
        wait_until_shown(volume, "cannot write manifests", "No space left on device")
        count = len(volume.segments("gate"))
        before = lines(volume)
        wait_for(lambda: len(volume.segments("gate")) != count)
        assert lines(volume) == before
        filler.unlink()
        wait_until_listed(volume, "gate", 3)
        wait_until_well(volume)


def test_a_replaced_volume_gets_manifests_of_its_own(volume: Mirror, camera: Camera) -> None:
    """Nothing is written to one that is not ours, and nothing keeps the old one from being unmounted."""
    volume.database.add("gate", rtsp_port=camera.port, segment_seconds=2)
    with volume.up(watched=True):
        before = wait_until_listed(volume, "gate", 2)
        volume.database.update("gate", mirror_enabled=0)
        wait_for(lambda: not recorders(volume))
        wait_for(lambda: subprocess.run(["umount", volume.root], capture_output=True, check=False).returncode == 0)
        with tmpfs(volume.root, 256):
            wait_for(lambda: any("marker" in text for text in published(volume)["problems"]))
            volume.run("adopt-volume")
            volume.database.update("gate", mirror_enabled=1)
            after = wait_until_listed(volume, "gate", 2)
            assert not before.keys() & after.keys()
            wait_until_well(volume)
            volume.database.update("gate", mirror_enabled=0)
            wait_for(lambda: not recorders(volume))


def test_a_hung_volume_holds_up_nobody_else(mirror: Mirror, camera: Camera) -> None:
    """The watcher goes on, and when the volume answers again all is listed."""
    mirror.database.add("gate", rtsp_port=camera.port, segment_seconds=2)
    with bindfs_volume(mirror) as server, mirror.up(watched=True):
        wait_until_listed(mirror, "gate", 2)
        server.send_signal(signal.SIGSTOP)
        try:
            wait_for(lambda: any("does not answer" in text for text in published(mirror)["problems"]))
            wait_until_published_again(mirror)
        finally:
            server.send_signal(signal.SIGCONT)
        wait_until_listed(mirror, "gate", 3)
        wait_until_well(mirror)
