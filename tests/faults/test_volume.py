"""Faults of the mirror's volume, each in a mirror of its own, with the watcher at work. Nobody helps.

Most of the time goes into waiting, for the next look at the volume and for the next try. So all faults happen at once.
"""

import contextlib
import os
import signal
import subprocess
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from support.made_footage import MIB, make_segment
from support.mirror import Mirror
from support.mounts import bindfs_volume, hung, mount, mounted, tmpfs, waits_for_fuse
from support.quotas import btrfs_quota, union
from support.recordings import closed_digests, digests, wait_until_grown
from support.running import ffmpegs, kill, recorders, wait_until_recording
from support.side_by_side import AtOnce
from support.users import as_root
from support.waiting import wait_for
from support.watched import published, wait_until_published_again

from heldar_mirror.recorder.leftovers import is_stub
from heldar_mirror.recorder.volume import NO_ROOM

MARKER = ".heldar-mirror"


pytestmark = [as_root, pytest.mark.slow, pytest.mark.timeout(900)]


at_once = AtOnce()


ordeals = at_once.fixture()


def unmount(directory: Path) -> None:
    """Take a volume away at once, even if it is in use."""
    subprocess.run(["umount", "--lazy", str(directory)], check=True)


def states(mirror: Mirror, what: str = "state") -> dict[str, str]:
    return {camera["camera_id"]: camera[what] for camera in published(mirror)["cameras"]}


def log_of(mirror: Mirror, camera_id: str) -> str:
    path = mirror.logs / f"mirror-{camera_id}.log"
    return path.read_text() if path.exists() else ""


def starts(mirror: Mirror) -> int:
    """Return how many errors the recorders of all cameras have logged. A recording that fails is one."""
    return sum(path.read_text().count(" ERROR ") for path in mirror.logs.glob("mirror-*.log"))


def one_writer_each(mirror: Mirror, *camera_ids: str) -> bool:
    """Return whether each camera has one ffmpeg, the child of its one recorder."""
    running = recorders(mirror)
    return all(len(ffmpegs(mirror, name)) == 1 and name in running for name in camera_ids)


def settle(mirror: Mirror, *camera_ids: str) -> None:
    """Wait until the recorder of every camera refuses to begin."""

    def refuses(camera_id: str) -> bool:
        return "cannot record: " in (states(mirror, "last_error").get(camera_id) or "")

    wait_for(
        lambda: all(refuses(name) and states(mirror, "activity")[name] == "failed" for name in camera_ids),
        seen=lambda: published(mirror),
    )


def told(mirror: Mirror, text: str) -> None:
    """Wait until the watcher has reported a problem, in its log and in the status. `status` shows it and ends with
    1."""
    wait_for(lambda: text in mirror.watch_log() and any(text in line for line in published(mirror)["problems"]))
    assert text in mirror.run("status", code=1).stdout


def is_calm(mirror: Mirror, text: str) -> None:
    """Check that for a while nothing is started, and nothing is reported again."""
    before = starts(mirror)
    time.sleep(12)  # longer than a tick
    assert starts(mirror) == before
    assert mirror.watch_log().count(text) == 1


def well_again(mirror: Mirror, *camera_ids: str) -> None:
    """Wait until all is well by itself: every camera records, and each directory has one writer."""
    wait_for(lambda: published(mirror)["well"] and one_writer_each(mirror, *camera_ids))
    wait_for(lambda: "volume: all well again" in mirror.watch_log())


def real(mirror: Mirror, port: int, *camera_ids: str) -> None:
    """Add cameras that are recorded by ffmpeg, in segments of four seconds."""
    mirror.env["HELDAR_FFMPEG_BIN"] = "ffmpeg"
    for name in camera_ids:
        mirror.database.add(name, rtsp_port=port, segment_seconds=4)


@at_once
def test_with_too_little_room_nothing_is_begun(mirror: Mirror, port: int) -> None:
    """With less than 64 MiB free nothing is started. That is reported once, and causes no storm of starts and no stubs.
    With room, recording goes on by itself."""
    with tmpfs(mirror.root, 200):
        mirror.database.add("gate", rtsp_port=port)
        mirror.database.add("hall", rtsp_port=port, mirror_enabled=0)
        with mirror.up(watched=True):
            wait_until_recording(mirror, "gate")
            big = mirror.root / "big"
            subprocess.run(["fallocate", "--length", "150MiB", str(big)], check=True)
            kill(ffmpegs(mirror, "gate")[0])
            mirror.database.update("hall", mirror_enabled=1)
            told(mirror, "is full: ")
            settle(mirror, "gate", "hall")
            assert starts(mirror) < 20
            for name in ("gate", "hall"):
                assert "is full: " in mirror.status()[name]["last_error"]
            subprocess.run(["fallocate", "--length", "160MiB", str(big)], check=True)
            is_calm(mirror, "is full: ")
            assert not mirror.segments("gate")
            assert not (mirror.root / "hall").exists()
            big.unlink()
            well_again(mirror, "gate", "hall")


@at_once
def test_a_quota_that_the_volume_does_not_show(mirror: Mirror, port: int) -> None:
    """Writes fail while the volume shows room. While all footage is locked that is reported. Unlocked, the oldest goes,
    and recording goes on by itself."""
    mirror.env["HELDAR_MIRROR_MIN_FREE_GB"] = "0.125"
    with btrfs_quota(mirror) as root:
        real(mirror, port, "gate", "hall")
        for name in ("gate", "hall"):
            columns = "id, camera_id, path, start_time, evidence_locked"
            mirror.database.execute(f"INSERT INTO segments ({columns}) VALUES (?1, ?1, ?1, '2020-01-01', 1)", name)  # noqa: S608
        with mirror.up(watched=True):
            wait_until_grown(mirror, "gate", "hall")
            closed = closed_digests(mirror.root)
            old = [make_segment(root / "gate", time.time() - 36_000 + 60 * each, 4 * MIB) for each in range(20)]
            with contextlib.suppress(OSError), (root / "gate/20200101_000000.mp4").open("wb", buffering=0) as file:
                while file.write(os.urandom(65536)):
                    pass
            told(mirror, "a write fails though the volume shows room, and nothing more may be deleted")
            wait_for(lambda: not any(ffmpegs(mirror, name) for name in ("gate", "hall")))
            assert all(path.exists() for path in old)
            mirror.database.execute("DELETE FROM segments")
            wait_for(lambda: published(mirror)["well"] and one_writer_each(mirror, "gate", "hall"))
            wait_until_grown(mirror, "gate", "hall")
            assert not (root / "gate/20200101_000000.mp4").exists()
            assert old[-1].exists()
            assert digests(closed) == closed


@at_once
def test_a_full_branch_of_a_union(mirror: Mirror, port: int) -> None:
    """A camera's directory is on a full branch, and the volume shows room. Its oldest footage goes and it is recorded
    again by itself, long before the next sweep; the other camera goes on and loses nothing."""
    mirror.env["HELDAR_MIRROR_MIN_FREE_GB"] = "0.125"
    with union(mirror) as (small, large):
        real(mirror, port, "gate", "hall")
        (small / "gate").mkdir()
        (large / "hall").mkdir()
        with mirror.up(watched=True):
            wait_until_grown(mirror, "gate", "hall")
            others = {
                path: digest for path, digest in closed_digests(mirror.root).items() if path.parent.name == "hall"
            }
            old = [make_segment(mirror.root / "gate", time.time() - 36_000 + 60 * each, 4 * MIB) for each in range(15)]
            with contextlib.suppress(OSError), (small / "big").open("wb", buffering=0) as file:
                while file.write(bytes(65536)):
                    pass
            wait_for(lambda: any(words in log_of(mirror, "gate") for words in NO_ROOM))
            wait_for(lambda: not old[0].exists())
            wait_until_grown(mirror, "gate")
            wait_for(lambda: published(mirror)["well"] and one_writer_each(mirror, "gate", "hall"))
            assert old[-1].exists()
            assert digests(others) == others
            assert "ERROR" not in log_of(mirror, "hall")


@at_once
def test_a_volume_that_fills_up_while_recording(mirror: Mirror, port: int) -> None:
    """ffmpegs that run out of space leave no stubs and harm no closed segment. With room, recording goes on by
    itself."""
    with tmpfs(mirror.root, 100):
        real(mirror, port, "gate", "hall")
        for name in ("gate", "hall"):  # locked footage, so that nothing is pruned
            columns = "id, camera_id, path, start_time, evidence_locked"
            mirror.database.execute(f"INSERT INTO segments ({columns}) VALUES (?1, ?1, ?1, '2026-01-01', 1)", name)  # noqa: S608
        with mirror.up(watched=True):
            wait_until_grown(mirror, "gate", "hall")
            closed = closed_digests(mirror.root)
            big = mirror.root / "big"
            with big.open("wb", buffering=0) as file, contextlib.suppress(OSError):
                while file.write(bytes(65536)):
                    pass
            told(mirror, "is full: ")
            settle(mirror, "gate", "hall")
            assert starts(mirror) < 20
            is_calm(mirror, "is full: ")
            assert not [path for path in mirror.root.rglob("*.mp4") if is_stub(str(path))]
            for name in ("gate", "hall"):
                assert "ERROR ffmpeg ended" in log_of(mirror, name)
                assert "is full: " in mirror.status()[name]["last_error"]
            big.unlink()
            well_again(mirror, "gate", "hall")
            wait_until_grown(mirror, "gate", "hall")
            assert digests(closed) == closed


@at_once
def test_a_volume_that_becomes_read_only(mirror: Mirror, port: int) -> None:
    """A volume that becomes read-only is reported once, and nothing is tried. When it is writable again, recording goes
    on by itself."""
    with tmpfs(mirror.root, 200):
        mirror.database.add("gate", rtsp_port=port)
        mirror.database.add("hall", rtsp_port=port, mirror_enabled=0)
        with mirror.up(watched=True):
            wait_until_recording(mirror, "gate")

            def remounted() -> bool:
                for pid in recorders(mirror).values():
                    kill(pid)  # a file that is open for writing keeps a file system from becoming read-only
                return subprocess.run(["mount", "-o", "remount,ro", str(mirror.root)], check=False).returncode == 0

            wait_for(remounted, every=0.2, seen=lambda: recorders(mirror))
            mirror.database.update("hall", mirror_enabled=1)
            told(mirror, "read-only")
            settle(mirror, "gate", "hall")
            assert "read-only" in mirror.status()["hall"]["last_error"]
            is_calm(mirror, "read-only")
            mount("-o", "remount,rw", mirror.root)
            well_again(mirror, "gate", "hall")


@at_once
def test_a_volume_that_is_found_damaged(mirror: Mirror, port: int) -> None:
    """A file system that refuses writes because it is damaged is reported as read-only. When it is repaired, recording
    goes on by itself."""
    image = mirror.home / "image"
    subprocess.run(["mkfs.ext4", "-q", str(image), "200M"], check=True)
    with mounted(mirror.root, "-o", "loop,errors=remount-ro", image):
        real(mirror, port, "gate", "hall")
        with mirror.up(watched=True):
            wait_until_grown(mirror, "gate", "hall")
            closed = closed_digests(mirror.root)
            os.sync()
            device = subprocess.check_output(["findmnt", "-no", "SOURCE", str(mirror.root)], text=True).strip()
            Path(f"/sys/fs/ext4/{Path(device).name}/trigger_fs_error").write_text("a test")
            told(mirror, "read-only")
            settle(mirror, "gate", "hall")
            assert "read-only" in mirror.status()["hall"]["last_error"].lower()
            is_calm(mirror, "read-only")
            unmount(mirror.root)
            # As long as anybody uses the old mount, the image would be mounted as it is, with the error.
            wait_for(lambda: not subprocess.check_output(["losetup", "-j", str(image)]))
            mount("-o", "loop,errors=remount-ro", image, mirror.root)
            well_again(mirror, "gate", "hall")
            wait_until_grown(mirror, "gate", "hall")
            assert digests(closed) == closed


@at_once
def test_a_volume_that_is_not_there_at_the_start(mirror: Mirror, port: int) -> None:
    """Without its volume `up` runs and writes nothing to the disk below. When the volume is mounted, all is recorded by
    itself."""
    disk = mirror.home / "disk"
    real(mirror, port, "gate", "hall")
    with tmpfs(disk, 200):
        with mounted(mirror.root, "--bind", disk):
            mirror.run("reconcile", code=5)
        with mirror.up(watched=True):
            told(mirror, "has lost its marker")
            settle(mirror, "gate", "hall")
            is_calm(mirror, "has lost its marker")
            assert list(mirror.root.iterdir()) == []
            with mounted(mirror.root, "--bind", disk):
                well_again(mirror, "gate", "hall")
                wait_until_grown(mirror, "gate", "hall")


@at_once
def test_a_volume_that_is_unmounted_while_recording(mirror: Mirror, port: int) -> None:
    """Nothing is written to the disk below. When the volume is mounted again, recording goes on by itself, and closed
    segments are as before."""
    disk = mirror.home / "disk"
    real(mirror, port, "gate", "hall")
    with tmpfs(disk, 200), mounted(mirror.root, "--bind", disk), mirror.up(watched=True):
        wait_until_grown(mirror, "gate", "hall")
        closed = closed_digests(mirror.root)
        unmount(mirror.root)
        told(mirror, "has lost its marker")
        settle(mirror, "gate", "hall")
        is_calm(mirror, "has lost its marker")
        assert list(mirror.root.iterdir()) == []
        mount("--bind", disk, mirror.root)
        well_again(mirror, "gate", "hall")
        wait_until_grown(mirror, "gate", "hall")
        assert digests(closed) == closed


@at_once
def test_a_volume_that_is_swapped_for_another(mirror: Mirror, port: int) -> None:
    """Once the watcher sees a different volume, nothing more is recorded there. With the right volume recording goes on
    by itself."""
    disk, other = mirror.home / "disk", mirror.home / "other"
    real(mirror, port, "gate", "hall")
    with tmpfs(disk, 200), tmpfs(other, 200), mounted(mirror.root, "--bind", disk):
        (other / MARKER).write_text("another\n")
        # Disks that are used in turn hold the same cameras, so a path of ours exists on the wrong one as well.
        (other / "gate").mkdir()
        with mirror.up(watched=True):
            wait_until_grown(mirror, "gate", "hall")
            closed = closed_digests(disk)
            mount("--bind", other, mirror.root)
            told(mirror, "holds the marker of another volume")
            settle(mirror, "gate", "hall")
            before = closed_digests(other)
            is_calm(mirror, "holds the marker of another volume")
            assert closed_digests(other) == before
            assert not (other / "hall").exists()
            unmount(mirror.root)
            well_again(mirror, "gate", "hall")
            wait_until_grown(mirror, "gate", "hall")
            assert closed_digests(other) == before
            assert digests(closed) == closed


@at_once
def test_a_volume_that_hangs(mirror: Mirror, port: int) -> None:
    """A volume that hangs blocks only its recorders. When it answers, all is well by itself, with one writer for each
    directory."""
    disk = mirror.home / "disk"
    real(mirror, port, "gate", "hall", "yard")
    with bindfs_volume(mirror) as server, mirror.up(watched=True):
        wait_until_grown(mirror, "gate", "hall", "yard")
        closed = closed_digests(disk)
        with hung(server):
            kill(recorders(mirror)["yard"])
            told(mirror, "does not answer within")
            wait_until_published_again(mirror)
            assert "mirror-gate" in mirror.supervisorctl("status")
            assert "does not answer within" in mirror.run("reconcile", code=6).stderr
            mirror.database.update("hall", mirror_enabled=0)
            wait_for(lambda: states(mirror).get("hall") not in {"STARTING", "RUNNING"})
            wait_until_published_again(mirror)
        well_again(mirror, "gate", "yard")
        wait_for(lambda: not ffmpegs(mirror, "hall") and "hall" not in recorders(mirror))
        wait_until_grown(mirror, "gate", "yard")
        assert digests(closed) == closed


@at_once
def test_up_ends_though_the_volume_hangs(mirror: Mirror, port: int) -> None:
    """SIGTERM ends `up` though the volume hangs. Processes that are stuck in a system call end when the volume
    answers."""
    real(mirror, port, "gate", "hall")
    with bindfs_volume(mirror) as server, mirror.up(watched=True) as process:
        wait_until_grown(mirror, "gate", "hall")
        writers = [*ffmpegs(mirror, "gate"), *ffmpegs(mirror, "hall")]
        with hung(server):
            wait_for(lambda: all(waits_for_fuse(pid) for pid in writers))
            process.terminate()
            assert process.wait(180) == 0


@at_once
def test_a_primary_that_hangs_keeps_out_only_a_volume_that_was_never_used(mirror: Mirror, port: int) -> None:
    """At the very first use the root is refused and not touched, since it might be the primary's. A root that was used
    before is used."""
    real(mirror, port, "gate")
    with bindfs_volume(mirror, "recordings") as server:
        with hung(server):
            commands = [["up"], ["reconcile"], ["reconcile", "--dry-run"], ["adopt-volume"]]
            with ThreadPoolExecutor() as pool:
                for result in pool.map(lambda command: mirror.run(*command, code=6), commands):
                    assert f"{mirror.home / 'recordings'} does not answer" in result.stderr
            assert not mirror.root.exists()
        with mirror.up(watched=True):
            wait_until_grown(mirror, "gate")
            closed = closed_digests(mirror.root)
            with hung(server):
                real(mirror, port, "hall")
                wait_until_grown(mirror, "gate", "hall")
                mirror.run("reconcile")
        server.send_signal(signal.SIGSTOP)
        with mirror.up(watched=True), hung(server):
            assert "So it can't be checked whether the mirror root is apart from the primary's" in mirror.up_log()
            wait_until_grown(mirror, "gate", "hall")
        assert digests(closed) == closed
