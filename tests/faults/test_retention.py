"""Pruning while the watcher is at work and nobody helps: a volume that fills, clocks that jump, kills and hangs.

Most of the time goes into waiting, for a tick and for a volume to fill. So much of it happens at once.
"""

import contextlib
import json
import math
import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from datetime import datetime, timezone
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from support.examples import KEY, seal
from support.mirror import PASSWORD, Mirror, new_home
from support.mounts import bindfs_volume, hung, tmpfs, waits_for_fuse
from support.recordings import closed_digests, digests, gaps, named_by_ffmpeg, packets, wait_until_grown
from support.running import ffmpegs, kill, wait_until_recording
from support.side_by_side import AtOnce
from support.stepping_clock import HOUR, Clock
from support.users import as_root
from support.waiting import processes_of, wait_for
from support.watched import (
    published,
    times_logged,
    wait_until_published_again,
    wait_until_shown,
    wait_until_well,
    watcher_pid,
)

from heldar_mirror.footage.names import segment_begun, segment_name
from heldar_mirror.heldar import camera_url
from heldar_mirror.heldar.cameras import parse_camera
from heldar_mirror.heldar.tables import read_cameras
from heldar_mirror.programs.record_command import build_record_command

pytestmark = [as_root, pytest.mark.slow, pytest.mark.timeout(900)]

MIB = 1 << 20
YEAR = 365 * 24 * HOUR
FLOOR_GIB = "0.125"
FLOOR = 128 * MIB
SECONDS = 4  # of a segment that a real ffmpeg records

at_once = AtOnce()
ordeals = at_once.fixture(7)


def pruners(mirror: Mirror) -> list[int]:
    """Return the process ids of a mirror's prune children: there is one, or none."""
    path = f"PATH={mirror.env['PATH']}".encode()
    found = []
    for pid in processes_of("heldar_mirror prune "):
        with contextlib.suppress(OSError):
            if path in Path(f"/proc/{pid}/environ").read_bytes().split(b"\0"):
                found.append(pid)
    return found


def another_pruner(mirror: Mirror, *before: int) -> int:
    """Wait until there is one prune child and none of `before` is left; return it."""
    found: list[int] = wait_for(lambda: (now := pruners(mirror)) and len(now) == 1 and now[0] not in before and now)
    return found[0]


@contextlib.contextmanager
def pruned(mirror: Mirror, **settings: str) -> Iterator[Any]:
    """Run `up` with a watcher that prunes every second unless `settings` say otherwise; nothing of it is left at the
    end."""
    mirror.env |= {"HELDAR_MIRROR_MIN_FREE_GB": FLOOR_GIB, "HELDAR_RETENTION_INTERVAL_S": "1"} | settings
    try:
        with mirror.up(watched=True) as process:
            another_pruner(mirror)
            yield process
    finally:
        deadline = time.monotonic() + 180
        while (left := pruners(mirror)) and time.monotonic() < deadline:
            time.sleep(0.1)
        for pid in left:
            kill(pid)
    assert not left


def put(mirror: Mirror, camera_id: str, *begun: float, size: int = 8192) -> list[str]:
    """Put closed segments into a camera directory, begun at these Unix times; return their names."""
    directory = mirror.root / camera_id
    directory.mkdir(parents=True, exist_ok=True)
    names = [segment_name(int(at)) for at in begun]
    for name in names:
        (directory / name).write_bytes(bytes(size))
    return names


def names(mirror: Mirror, camera_id: str) -> set[str]:
    return {path.name for path in mirror.segments(camera_id)}


def begun_at(name: str) -> int:
    begun = segment_begun(name)
    assert begun is not None
    return begun


def lock(mirror: Mirror, camera_id: str, begun: float, ended: float, column: str) -> None:
    """Lock a segment of the primary, as Heldar's kernel does."""
    times = (datetime.fromtimestamp(at, timezone.utc).isoformat() for at in (begun, ended))
    mirror.database.execute(
        f"INSERT INTO segments (id, camera_id, path, start_time, end_time, {column}) VALUES (?, ?, ?, ?, ?, 1)",  # noqa: S608
        *(f"{camera_id}-{begun}", camera_id, f"/primary/{camera_id}/{begun}", *times),
    )


def free(directory: Path) -> int:
    room = os.statvfs(directory)
    return room.f_bavail * room.f_frsize


def leave(directory: Path, left: int) -> None:
    """Leave this many bytes free on a volume, by means of a file that is none of the mirror's."""
    with (directory / "ballast").open("ab") as ballast:
        size = ballast.tell() + free(directory) - left
        if size > ballast.tell():
            os.posix_fallocate(ballast.fileno(), 0, size)
        else:
            os.truncate(ballast.fileno(), size)


def open_segments(mirror: Mirror, camera_id: str) -> list[str]:
    """Return the segments that a camera's ffmpeg has open. Linux marks the path of a deleted one."""
    found = []
    for pid in ffmpegs(mirror, camera_id):
        with contextlib.suppress(OSError):
            for fd in Path(f"/proc/{pid}/fd").iterdir():
                with contextlib.suppress(OSError):
                    found.append(os.readlink(fd))  # noqa: PTH115 - it may be no path
    return [path for path in found if path.startswith(f"{mirror.root}/{camera_id}/2")]


def swept(mirror: Mirror, times: int = 2) -> None:
    """Wait until all rules were applied this many times."""
    path = mirror.state / "retention.json"
    for _ in range(times):
        before = path.stat().st_ino if path.exists() else 0
        wait_for(partial(is_new, path, before), seen=mirror.watch_log)


def is_new(path: Path, before: int) -> bool:
    return path.exists() and path.stat().st_ino != before


def goes(mirror: Mirror, camera_id: str) -> None:
    """Check that a segment that is over its time is deleted."""
    old = time.time() - 3 * 24 * HOUR
    name, _ = put(mirror, camera_id, old, old + 60)  # the first one lasts until the second begins
    wait_for(lambda: name not in names(mirror, camera_id))


def lacks(left: Callable[[str], set[str]], name: str) -> bool:
    return name not in left("gate")


def has_ended(mirror: Mirror, pid: int) -> bool:
    return pid not in pruners(mirror)


@contextlib.contextmanager
def primary(mirror: Mirror, home: Path) -> Iterator[Mirror]:
    """A second recording of the mirror's one camera on another disk, of which nothing is deleted. It holds what was
    sent."""
    (row,) = read_cameras(mirror.database.path)
    camera = parse_camera(row, unseal=str)
    sent = Mirror(home, mirror.database)
    (sent.root / camera.id).mkdir(parents=True)
    url = camera_url.record_url(camera)
    process = subprocess.Popen(
        [*build_record_command("ffmpeg", camera, url), *named_by_ffmpeg(sent.root / camera.id)],
        env=mirror.env | {"TZ": "UTC"},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        yield sent
    finally:
        process.terminate()
        process.wait()


# A volume that fills


@at_once
def test_recorders_fill_a_small_volume_and_its_floor_holds(mirror: Mirror, port: int) -> None:
    """While cameras record on a full volume, their recorders and ffmpegs stay the same, there is no gap, and the newest
    footage is kept."""
    mirror.env["HELDAR_FFMPEG_BIN"] = "ffmpeg"
    ids = [f"c{number}" for number in range(5)]
    with tmpfs(mirror.root, 300), new_home() as home:
        mirror.database.add("c0", rtsp_port=port, record_stream="sub", segment_seconds=SECONDS)
        with primary(mirror, home) as sent:
            wait_for(lambda: len(sent.segments("c0")) > 2)
            for camera_id in ids[1:]:
                mirror.database.add(camera_id, rtsp_port=port, record_stream="sub", segment_seconds=SECONDS)
            leave(mirror.root, FLOOR + 20 * MIB)
            # The ticks make room. The other rules have nothing to do.
            with pruned(mirror, HELDAR_RETENTION_INTERVAL_S="300"):
                # At first timestamps may jump, and ffmpeg ends then.
                wait_until_grown(mirror, *ids)
                writers = {camera_id: ffmpegs(mirror, camera_id) for camera_id in ids}
                seen, least = {camera_id: set[str]() for camera_id in ids}, math.inf

                def turned_over() -> bool:
                    nonlocal least
                    gone = 0
                    for camera_id in ids:
                        now = names(mirror, camera_id)
                        seen[camera_id] |= now
                        gone += len(seen[camera_id] - now)
                        assert not [path for path in open_segments(mirror, camera_id) if "deleted" in path]
                    least = min(least, free(mirror.root))
                    return gone >= 60 and times_logged(mirror, " floor)") >= 3

                wait_for(turned_over, seconds=300, every=0.2, seen=mirror.watch_log)
                assert {camera_id: ffmpegs(mirror, camera_id) for camera_id in ids} == writers
                wait_until_well(mirror)
            assert least >= FLOOR
            ended = len(sent.segments("c0"))
            wait_for(lambda: len(sent.segments("c0")) > ended + 1)
        gone, left = list[int](), list[int]()
        for camera_id in ids:
            now = names(mirror, camera_id)
            assert max(seen[camera_id] - now) < min(now)
            gone += map(begun_at, seen[camera_id] - now)
            left += map(begun_at, now)
        # Except for a segment that was the newest of its camera at the last look.
        assert max(gone) <= min(left) + SECONDS
        whole = packets(sent.segments("c0"))
        lacking = {camera_id: max(gaps(whole, packets(mirror.segments(camera_id))), default=0.0) for camera_id in ids}
        assert {camera_id: gap for camera_id, gap in lacking.items() if gap > 0.2} == {}


@at_once
def test_what_is_locked_stays_however_full_it_is(mirror: Mirror, port: int) -> None:
    """All that is not locked is deleted. Then the shortage is reported, once, and recording goes on. What is unlocked
    is deleted as well."""
    mirror.env["HELDAR_FFMPEG_BIN"] = "ffmpeg"
    with tmpfs(mirror.root, 300):
        for camera_id in ("gate", "hall"):
            mirror.database.add(camera_id, rtsp_port=port, segment_seconds=SECONDS)
        since = int(time.time()) - 2 * HOUR
        times = range(since, since + 3000, 100)
        gate, hall = (put(mirror, camera_id, *times, size=MIB) for camera_id in ("gate", "hall"))
        for column, first in (("locked", 5), ("evidence_locked", 20)):
            for at in times[first : first + 4]:
                lock(mirror, "gate", at + 10, at + 90, column)
        with pruned(mirror):
            wait_until_recording(mirror, "gate", "hall")
            swept(mirror)
            assert {*gate, *hall} <= names(mirror, "gate") | names(mirror, "hall")
            leave(mirror.root, 70 * MIB)
            wait_until_shown(mirror, "nothing more may be deleted", "locked in Heldar")
            wait_for(lambda: not {*hall} & names(mirror, "hall"))
            for _ in range(3):
                swept(mirror)
                # The segment that begins when a locked one ends may hold its last moment, so it stays as well.
                left = names(mirror, "gate") & {*gate}
                assert {*gate[5:9], *gate[20:24]} <= left <= {*gate[4:10], *gate[19:25]}
            assert free(mirror.root) < FLOOR
            writers, newest = (ffmpegs(mirror, "gate"), ffmpegs(mirror, "hall")), max(names(mirror, "gate"))
            wait_for(lambda: begun_at(max(names(mirror, "gate"))) > begun_at(newest) + 5 * SECONDS)
            assert (ffmpegs(mirror, "gate"), ffmpegs(mirror, "hall")) == writers
            times_told = times_logged(mirror, "nothing more may be deleted")
            mirror.database.execute("UPDATE segments SET locked = 0")
            wait_for(lambda: not {*gate[5:9]} & names(mirror, "gate"))
            swept(mirror)
            assert {*gate[20:24]} <= names(mirror, "gate")
            (mirror.root / "ballast").unlink()
            wait_until_well(mirror)
        assert times_told == 1


@at_once
def test_somebodys_big_file_costs_no_more_than_the_room_it_takes(mirror: Mirror, port: int) -> None:
    """A large file that was written once says nothing about what recorders will write until the next look, so no
    footage is deleted for it."""
    with tmpfs(mirror.root, 300):
        mirror.database.add("gate")
        now = int(time.time())
        old = put(mirror, "gate", *range(now - 3000, now - 1000, 25), size=MIB)
        with pruned(mirror, HELDAR_RETENTION_INTERVAL_S="300"):
            wait_until_recording(mirror, "gate")
            time.sleep(12)  # longer than a tick
            assert {*old} <= names(mirror, "gate")
            leave(mirror.root, FLOOR - 5 * MIB)
            wait_for(lambda: free(mirror.root) >= FLOOR)
            time.sleep(12)
            left = names(mirror, "gate") & {*old}
        assert {*old[40:]} <= left


@at_once
def test_without_its_database_the_floor_still_holds(mirror: Mirror, port: int) -> None:
    """Without the database the oldest segments are deleted for room, and none by age. It is reported that locks can't
    be read, and the locks that were read last hold."""
    with tmpfs(mirror.root, 300):
        mirror.database.add("gate", retention_hours=3)
        now = int(time.time())
        old, young = range(now - 10_000, now - 8200, 30), range(now - 3000, now - 1000, 100)
        first = put(mirror, "gate", *old, size=MIB)
        later = put(mirror, "gate", *young, size=MIB)
        lock(mirror, "gate", old[2] + 20, old[2] + 40, "evidence_locked")
        leave(mirror.root, FLOOR + 8 * MIB)
        with pruned(mirror):
            swept(mirror)
            away = mirror.database.path.parent
            away.rename(mirror.home / "away")
            wait_until_shown(mirror, "cannot read the cameras")
            (aged,) = put(mirror, "gate", now - 100 * HOUR)
            time.sleep(3)
            assert {aged, *first, *later} <= names(mirror, "gate")
            leave(mirror.root, FLOOR - 4 * MIB)
            wait_for(lambda: free(mirror.root) >= FLOOR)
            wait_for(lambda: "by the locks that were read last" in mirror.watch_log())
            assert aged not in names(mirror, "gate")
            assert {*later, first[2]} <= names(mirror, "gate")
            assert max({*first} - names(mirror, "gate")) < min(names(mirror, "gate") - {*first[1:4]})
            (mirror.home / "away").rename(away)
            wait_until_well(mirror)
            assert first[2] in names(mirror, "gate")


# The clock


@at_once
def test_an_open_segment_stays_whatever_the_clock_says(mirror: Mirror, port: int) -> None:
    """An open segment stays, though it is over its time and its quota, and not the newest because the clock was set.
    Its ffmpeg goes on."""
    mirror.env["HELDAR_FFMPEG_BIN"] = "ffmpeg"
    clock = Clock(mirror.home)
    mirror.env |= clock.env
    clock.jump(-3 * HOUR)
    mirror.database.add("gate", rtsp_port=port, segment_seconds=HOUR, retention_hours=1, storage_quota_bytes=1)
    mirror.database.add("hall", rtsp_port=port, segment_seconds=SECONDS, retention_hours=1, storage_quota_bytes=1)
    with pruned(mirror):
        wait_until_recording(mirror, "gate", "hall")
        wait_for(lambda: len(open_segments(mirror, "gate")) == 1)
        (held,) = open_segments(mirror, "gate")
        node, now = Path(held).stat().st_ino, time.time()
        lost = set[str]()

        def left(camera_id: str) -> set[str]:
            for each in ("gate", "hall"):
                lost.update(path for path in open_segments(mirror, each) if "deleted" in path)
            return names(mirror, camera_id)

        for place in (0, -2 * HOUR):
            old = put(mirror, "gate", now - 2.5 * HOUR, now - 2.4 * HOUR)
            clock.jump(place)
            wait_for(partial(lacks, left, old[0]), every=0.02, seen=mirror.watch_log)
            assert old[1] in names(mirror, "gate")
            seen = set[str]()

            def many_gone(seen: set[str] = seen) -> bool:
                now = left("hall")
                seen |= now
                return len(seen - now) >= 4

            wait_for(many_gone, every=0.02, seen=mirror.watch_log)
            assert Path(held).stat().st_ino == node
            assert open_segments(mirror, "gate") == [held]
        assert lost == set()


@at_once
def test_a_clock_that_is_set_a_year_forward_costs_no_footage(mirror: Mirror, port: int) -> None:
    """After the clock was set forward nothing is deleted by age, also after a restart, and the status says so. When the
    clock is set right nothing is deleted either."""
    mirror.env["HELDAR_FFMPEG_BIN"] = "ffmpeg"
    clock = Clock(mirror.home)
    mirror.env |= clock.env
    mirror.database.add("gate", rtsp_port=port, segment_seconds=SECONDS, retention_hours=1)
    now = time.time()
    recent = put(mirror, "gate", *(now - minutes * 60 for minutes in (40, 30, 20)))
    with pruned(mirror):
        wait_until_recording(mirror, "gate")
        goes(mirror, "gate")
        swept(mirror)
        clock.jump(YEAR)
        wait_until_shown(mirror, "the clock was set forward: nothing goes by age")
        wait_for(lambda: begun_at(max(names(mirror, "gate"))) > now + YEAR / 2)
        before = names(mirror, "gate")
        swept(mirror, 3)
        assert {*recent} <= before <= names(mirror, "gate")
    with pruned(mirror):
        wait_until_shown(mirror, "the clock was set forward: nothing goes by age")
        clock.jump(0)
        swept(mirror, 3)
        assert before <= names(mirror, "gate")


# Who prunes


@at_once
def test_with_a_killed_watcher_its_pruner_ends_and_the_next_one_has_its_own(mirror: Mirror, port: int) -> None:
    """There are never two pruners, and what is over its time is deleted again."""
    mirror.database.add("gate")
    with pruned(mirror):
        wait_until_recording(mirror, "gate")
        goes(mirror, "gate")
        for _ in range(2):
            before, parent = another_pruner(mirror), watcher_pid(mirror)
            kill(parent)
            wait_for(partial(has_ended, mirror, before))
            another_pruner(mirror, before)
            assert watcher_pid(mirror) != parent
            goes(mirror, "gate")
        wait_until_well(mirror)


@at_once
def test_a_killed_pruner_is_told_of_and_begun_again(mirror: Mirror, port: int) -> None:
    """A pruner that was killed is reported. The next one does its work, and then the report is well."""
    mirror.database.add("gate")
    with pruned(mirror):
        wait_until_recording(mirror, "gate")
        before = another_pruner(mirror)
        kill(before)
        wait_for(lambda: "pruning ended with -9" in mirror.watch_log())
        another_pruner(mirror, before)
        goes(mirror, "gate")
        wait_until_well(mirror)


@at_once
def test_a_stopped_pruner_stops_nobody_else(mirror: Mirror, port: int) -> None:
    """The watcher goes on while its pruner is stopped, and so does the pruner when it may. When `up` ends or the
    watcher dies, a stopped pruner is gone."""
    mirror.database.add("gate")
    with pruned(mirror):
        wait_until_recording(mirror, "gate")
        goes(mirror, "gate")
        before = another_pruner(mirror)
        os.kill(before, signal.SIGSTOP)
        mirror.database.add("hall")
        wait_until_recording(mirror, "gate", "hall")
        wait_until_published_again(mirror)
        os.kill(before, signal.SIGCONT)
        goes(mirror, "gate")
        assert pruners(mirror) == [before]
        os.kill(before, signal.SIGSTOP)
        kill(watcher_pid(mirror))
        last = another_pruner(mirror, before)
        goes(mirror, "gate")
        os.kill(last, signal.SIGSTOP)


@at_once
def test_a_pruner_takes_the_settings_that_the_watcher_reads_anew(mirror: Mirror, port: int) -> None:
    """After SIGHUP there is a new pruner with the new interval and floor. If the new settings are wrong, the old pruner
    stays."""
    mirror.database.add("gate", retention_hours=1)
    file = mirror.home / "mirror.env"
    file.write_text("HELDAR_RETENTION_INTERVAL_S=3600\nHELDAR_MIRROR_MIN_FREE_GB=0.125\n")
    with tmpfs(mirror.root, 300):
        now = time.time()
        old, _ = put(mirror, "gate", now - 3 * HOUR, now - 2 * HOUR)
        younger = put(mirror, "gate", *(now - minutes * 60 for minutes in (50, 40, 30)), size=4 * MIB)
        leave(mirror.root, 140 * MIB)
        with pruned(mirror, HELDAR_RETENTION_INTERVAL_S="", HELDAR_MIRROR_MIN_FREE_GB=""):
            wait_until_recording(mirror, "gate")
            first = another_pruner(mirror)
            time.sleep(12)  # longer than a tick
            assert {old, *younger} <= names(mirror, "gate")
            file.write_text("HELDAR_RETENTION_INTERVAL_S=often\n")
            os.kill(watcher_pid(mirror), signal.SIGHUP)
            wait_for(lambda: any("previous settings stay in force" in text for text in published(mirror)["problems"]))
            assert pruners(mirror) == [first]
            file.write_text("HELDAR_RETENTION_INTERVAL_S=1\nHELDAR_MIRROR_MIN_FREE_GB=0.125\n")
            os.kill(watcher_pid(mirror), signal.SIGHUP)
            wait_for(lambda: old not in names(mirror, "gate"))
            second = another_pruner(mirror, first)
            assert {*younger} <= names(mirror, "gate")
            # A floor of 143.4 MiB: it is enough to delete the oldest 4 MiB.
            file.write_text("HELDAR_RETENTION_INTERVAL_S=1\nHELDAR_MIRROR_MIN_FREE_GB=0.14\n")
            os.kill(watcher_pid(mirror), signal.SIGHUP)
            wait_for(lambda: younger[0] not in names(mirror, "gate"))
            another_pruner(mirror, first, second)
            swept(mirror)
            assert {*younger[1:]} <= names(mirror, "gate")
            wait_until_well(mirror)


@at_once
def test_what_a_pruner_told_is_over_with_the_settings_that_caused_it(mirror: Mirror, port: int) -> None:
    """A floor that can't be reached is reported. After SIGHUP with one that can, nothing is."""
    mirror.database.add("gate")
    file = mirror.home / "mirror.env"
    file.write_text("HELDAR_MIRROR_MIN_FREE_GB=5\n")
    with tmpfs(mirror.root, 300), pruned(mirror, HELDAR_MIRROR_MIN_FREE_GB=""):
        leave(mirror.root, 140 * MIB)
        wait_until_shown(mirror, "less than the floor of 150.0 MiB is free, and nothing more may be deleted")
        file.write_text("HELDAR_MIRROR_MIN_FREE_GB=0.125\n")
        os.kill(watcher_pid(mirror), signal.SIGHUP)
        wait_until_well(mirror)


@at_once
def test_a_pruner_has_no_secret(mirror: Mirror, port: int) -> None:
    """Neither its environment nor its command line holds the key that `up` was given, or a password."""
    mirror.database.add("gate", password=seal(PASSWORD.encode()))
    mirror.env["HELDAR_MIRROR_SPECS_DIR"] = str(mirror.state / "specs")
    mirror.env["HELDAR_SECRET_KEY"] = KEY
    with pruned(mirror):
        wait_until_recording(mirror, "gate")
        goes(mirror, "gate")
        for _ in range(2):
            pid = another_pruner(mirror)
            shown = Path(f"/proc/{pid}/environ").read_bytes() + Path(f"/proc/{pid}/cmdline").read_bytes()
            assert b"PATH=" in shown
            assert not [text for text in (KEY, PASSWORD, quote(PASSWORD, safe="")) if text.encode() in shown]
            os.kill(watcher_pid(mirror), signal.SIGHUP)
            another_pruner(mirror, pid)
        wait_until_well(mirror)


@at_once
def test_a_pruner_of_a_root_that_was_never_used_waits_idly(mirror: Mirror, port: int) -> None:
    """At a first `up` without a database nothing is deleted and no CPU time is used. The pruner works once the root is
    in use."""
    mirror.database.add("gate")
    old, _ = put(mirror, "gate", time.time() - 48 * HOUR, time.time() - 47 * HOUR)
    mirror.database.path.parent.rename(mirror.home / "away")
    with pruned(mirror):
        wait_until_shown(mirror, "cannot read the cameras")
        pid = another_pruner(mirror)

        def cpu() -> float:
            fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
            return sum(map(int, fields[11:13])) / os.sysconf("SC_CLK_TCK")

        time.sleep(3)  # the pruner has started, and the interval is over
        before, since = cpu(), time.monotonic()
        time.sleep(5)
        assert old in names(mirror, "gate")
        share = (cpu() - before) / (time.monotonic() - since)
        (mirror.home / "away").rename(mirror.database.path.parent)
        wait_until_recording(mirror, "gate")
        wait_for(lambda: old not in names(mirror, "gate"))
        wait_until_well(mirror)
    assert share < 0.05


@at_once
def test_a_volume_that_hangs_hangs_nobody_but_its_pruner(mirror: Mirror, port: int) -> None:
    """The watcher, `status` and the stop of `up` go on while the volume hangs. When it answers, pruning goes on by
    itself."""
    mirror.env["HELDAR_FFMPEG_BIN"] = "ffmpeg"
    mirror.database.add("gate", rtsp_port=port, segment_seconds=SECONDS)
    mirror.database.add("hall", rtsp_port=port, segment_seconds=SECONDS, mirror_enabled=0)
    begun = time.time() - 1
    with bindfs_volume(mirror) as server:
        with pruned(mirror):
            wait_until_recording(mirror, "gate")
            goes(mirror, "gate")
            closed = {
                path: digest for path, digest in closed_digests(mirror.root).items() if begun_at(path.name) > begun
            }
            before = another_pruner(mirror)
            with hung(server):
                wait_for(lambda: waits_for_fuse(before))
                wait_until_shown(mirror, "does not answer within")
                os.kill(watcher_pid(mirror), signal.SIGHUP)
                wait_until_published_again(mirror)
                mirror.database.update("hall", mirror_enabled=1)
                assert "mirror-gate" in mirror.supervisorctl("status")
                assert len(pruners(mirror)) <= 1
            wait_until_recording(mirror, "gate", "hall")
            wait_until_well(mirror)
            another_pruner(mirror, before)
            goes(mirror, "gate")
            assert digests(closed) == closed
        with pruned(mirror) as process:
            wait_until_recording(mirror, "gate", "hall")
            before = another_pruner(mirror)
            with hung(server):
                wait_for(lambda: waits_for_fuse(before))
                process.terminate()
                assert process.wait(180) == 0


# Cameras that are deleted


def deleted(mirror: Mirror) -> dict[str, float]:
    """Return when deleted cameras were first missed, as the state remembers it."""
    found: dict[str, float] = json.loads((mirror.state / "retention.json").read_text())["deleted"]
    return found


@at_once
def test_a_deleted_cameras_footage_goes_in_time_also_across_a_restart(mirror: Mirror, port: int) -> None:
    """The footage of a deleted camera is deleted when its time is over, also if a restart comes between. So is its
    directory, unless it holds a foreign file."""
    hours = 0.01
    now = time.time()
    ids = ["gate", "hall", "yard"]
    for camera_id in ids:
        mirror.database.add(camera_id)
        put(mirror, camera_id, *(now - minutes * 60 for minutes in (30, 20, 10)))
    with pruned(mirror, HELDAR_MIRROR_DELETED_RETENTION_HOURS=str(hours)):
        wait_until_recording(mirror, *ids)
        swept(mirror)
        assert deleted(mirror) == {}
        note = mirror.root / "yard/note.txt"
        note.write_text("mine")
        mirror.database.execute("DELETE FROM cameras WHERE id IN ('gate', 'yard')")
        wait_for(lambda: deleted(mirror).keys() == {"gate", "yard"})
        since = deleted(mirror)
        wait_for(lambda: not ffmpegs(mirror, "gate") and not ffmpegs(mirror, "yard"))
    end = min(since.values()) + hours * HOUR
    left = {camera_id: names(mirror, camera_id) for camera_id in ids}
    if time.time() < end:
        assert all(len(found) >= 3 for found in left.values())
    with pruned(mirror):

        def gone() -> bool:
            # Look first, then read the clock: if the directory is gone, its time must be over by then.
            is_gone, at = not (mirror.root / "gate").exists(), time.time()
            assert at >= end or names(mirror, "gate") == left["gate"]
            return is_gone

        wait_for(gone, seen=mirror.watch_log)
        wait_for(lambda: list((mirror.root / "yard").glob("*.mp4")) == [])
        swept(mirror)
        assert note.read_text() == "mine"
        assert "gate" not in deleted(mirror)
        assert deleted(mirror).get("yard", since["yard"]) == since["yard"]
        assert left["hall"] <= names(mirror, "hall")
        # A camera that gets the same id later is a new one.
        mirror.database.add("gate")
        wait_until_recording(mirror, "gate")
        swept(mirror)
        assert len(names(mirror, "gate")) == 1
        wait_until_well(mirror)
