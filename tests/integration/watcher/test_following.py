"""The watcher follows the table under a real supervisord, with a stand-in for ffmpeg. Tests change only the
database."""

import contextlib
import functools
import random
import re
import shutil
import sqlite3
import subprocess
import sys
import time
from pathlib import Path

import pytest
from support import HERE
from support.following import (
    GREETING,
    busy_kernel,
    come_to_rest,
    commits,
    overheard,
    published,
    wait_until_recorded,
    watcher,
)
from support.listeners import open_port
from support.mirror import SCHEMA, Database, Mirror
from support.running import recorders, wait_until_recording
from support.waiting import wait_for

pytestmark = pytest.mark.slow


def test_a_committed_row_is_applied(watched: Mirror) -> None:
    """A row that is committed starts, changes or stops its mirror, and leaves the others alone."""
    watched.database.add("gate")
    watched.database.add("hall", mirror_enabled=0)
    before = wait_until_recording(watched, "gate")
    watching = rf"watching {watched.database.path} by (inotify|polling)"
    wait_for(lambda: re.search(watching, watched.watch_log()))
    watched.database.update("hall", mirror_enabled=1, segment_seconds=30)
    wait_until_recorded(watched, {"gate": 60, "hall": 30})
    watched.database.update("hall", segment_seconds=40)
    wait_until_recorded(watched, {"gate": 60, "hall": 40})
    wait_for(lambda: watched.json("status")["well"])
    watched.database.update("hall", enabled=0)
    wait_until_recorded(watched, {"gate": 60})
    stopped = {"camera_id": "hall", "wanted": False, "state": None, "segment": None, "well": True}
    wait_for(lambda: any(camera | stopped == camera for camera in published(watched)["cameras"]))
    assert recorders(watched) == before
    watched.database.execute("DELETE FROM cameras")
    wait_until_recorded(watched, {})
    wait_for(lambda: published(watched)["cameras"] == [])


def test_a_database_that_never_rests_is_followed_and_supervisord_is_not_asked(watched: Mirror) -> None:
    """A hundred unrelated commits a second cause no request to supervisord, and keep no change from being applied."""
    watched.database.add("gate")
    before = wait_until_recording(watched, "gate")
    with busy_kernel(watched.database), overheard(watched) as methods:
        wait_for(lambda: commits(watched.database) > 300)
        # At each tick it is asked whether it is there, which costs it nothing.
        assert set(methods) <= {GREETING}
        watched.database.add("hall")
        wait_until_recorded(watched, {"gate": 60, "hall": 60})
        watched.database.update("hall", segment_seconds=30)
        wait_until_recorded(watched, {"gate": 60, "hall": 30})
        watched.database.update("hall", mirror_enabled=0)
        wait_until_recorded(watched, {"gate": 60})
        assert "supervisor.reloadConfig" in methods
        assert commits(watched.database) > 300
    assert recorders(watched) == before


def test_a_burst_of_changes_ends_right(watched: Mirror) -> None:
    """However many rows change at once, in the end exactly the right set is recorded."""
    chance = random.Random(3)
    with contextlib.closing(sqlite3.connect(watched.database.path, isolation_level=None)) as kernel:
        for _ in range(300):
            camera_id = f"camera_{chance.randrange(10)}"
            kernel.execute(
                "INSERT OR REPLACE INTO cameras "
                "(id, name, vendor, address, rtsp_port, mirror_enabled, segment_seconds) "
                "VALUES (?, 'x', 'hikvision', '127.0.0.1', ?, ?, ?)",
                (camera_id, open_port(), chance.randrange(2), chance.randrange(10, 60)),
            )
            if chance.random() < 0.2:
                kernel.execute("DELETE FROM cameras WHERE id = ?", (camera_id,))
            time.sleep(chance.random() * 0.02)
        expected = dict(kernel.execute("SELECT id, segment_seconds FROM cameras WHERE mirror_enabled"))
        assert expected
        wait_until_recorded(watched, expected)
    wait_for(lambda: watched.json("status")["well"])


def test_a_commit_that_shows_only_after_its_event_is_followed(watched: Mirror) -> None:
    """A commit that can be read only after its event, since it waits for its disk, is followed before the next tick."""
    library = watched.home / "slow_sync.so"
    source = HERE / "slow_sync.c"
    subprocess.run(["cc", "-shared", "-fPIC", "-O1", "-Wall", "-o", str(library), str(source)], check=True)
    kernel = (
        "import sqlite3, sys; sqlite3.connect(sys.argv[1], isolation_level=None).execute(sys.argv[2], sys.argv[3:])"
    )
    insert = (
        "INSERT INTO cameras (id, name, vendor, address, rtsp_port, mirror_enabled) "  # noqa: S608
        f"VALUES (?, 'x', 'hikvision', '127.0.0.1', {open_port()}, 1)"
    )

    def has_recorders(count: int) -> bool:
        return len(recorders(watched)) == count

    took = []
    with contextlib.closing(sqlite3.connect(watched.database.path)) as other:
        other.execute("SELECT 1 FROM cameras").fetchone()  # so that no commit is followed by a checkpoint
        for number in range(4):
            command = [sys.executable, "-c", kernel, str(watched.database.path), insert, f"gate{number}"]
            subprocess.run(command, env={"LD_PRELOAD": str(library)}, check=True)
            committed = time.monotonic()
            wait_for(functools.partial(has_recorders, number + 1), seen=watched.watch_log)
            took.append(time.monotonic() - committed)
            time.sleep(2)  # until the watcher waits for a tick again
    # A tick comes 10 s after the last look, so at least 8 s after a commit. A busy machine may delay one camera.
    assert len([seconds for seconds in took if seconds < 8]) >= 3, took


def test_a_database_that_is_replaced_by_rename_is_followed(watched: Mirror) -> None:
    """What a restored database asks for is applied, and so is what is committed to it later."""
    watched.database.add("gate")
    watched.database.add("hall")
    gate = wait_until_recording(watched, "gate", "hall")["gate"]
    restored = Database(watched.home / "restored.db")
    restored.execute(f"PRAGMA journal_mode=WAL; {SCHEMA}")
    restored.add("gate")
    restored.add("yard")
    come_to_rest(watched.database)
    restored.path.replace(watched.database.path)
    wait_until_recorded(watched, {"gate": 60, "yard": 60})
    watched.database.add("attic")
    wait_until_recorded(watched, {"gate": 60, "yard": 60, "attic": 60})
    assert recorders(watched)["gate"] == gate


def test_a_directory_that_goes_away_and_comes_back_is_followed(watched: Mirror) -> None:
    """While the database's directory is gone mirrors go on, and the problem is reported. When it is back, it is
    followed as before."""
    watched.database.add("gate")
    before = wait_until_recording(watched, "gate")
    directory, kept = watched.database.path.parent, watched.home / "kept"
    shutil.copytree(directory, kept)
    try:
        shutil.rmtree(directory)
        wait_for(lambda: f"cannot read the cameras in {watched.database.path}" in str(published(watched)["problems"]))
        assert recorders(watched) == before
        Database(kept / watched.database.path.name).add("hall")
    finally:
        kept.rename(directory)
    wait_until_recorded(watched, {"gate": 60, "hall": 60})
    watched.database.update("hall", segment_seconds=30)
    wait_until_recorded(watched, {"gate": 60, "hall": 30})
    assert recorders(watched)["gate"] == before["gate"]
    wait_for(lambda: watched.json("status")["well"])
    wait_for(lambda: "database: all well again" in watched.watch_log())


def test_a_directory_that_is_not_there_yet_is_waited_for(mirror: Mirror) -> None:
    """If the database's directory appears after the start, its cameras are recorded without help."""
    mirror.database.add("gate")
    away = mirror.database.path.parent.rename(mirror.home / "away")
    with mirror.up(watched=True):
        wait_for(lambda: "cannot read the cameras in" in str(published(mirror)["problems"]))
        assert recorders(mirror) == {}
        away.rename(mirror.database.path.parent)
        wait_until_recorded(mirror, {"gate": 60})


@pytest.mark.parametrize("link", ["file", "directory"])
def test_a_link_to_the_database_is_followed_to_where_it_is_written(watched: Mirror, link: str) -> None:
    """If the database or its directory is a link, the watcher watches the directory in which the file is written."""
    directory, real = watched.database.path.parent, watched.home / "real"
    come_to_rest(watched.database)
    if link == "file":
        real.mkdir()
        target = watched.database.path.rename(real / watched.database.path.name)
        watched.database.path.symlink_to(target)
    else:
        directory.rename(real)
        directory.symlink_to(real)
    try:
        wait_for(lambda: real.stat().st_ino in watched_directories(watcher(watched)))
        watched.database.add("gate")
        wait_until_recorded(watched, {"gate": 60})
    finally:
        come_to_rest(watched.database)
        if link == "file":
            target.replace(watched.database.path)
            real.rmdir()
        else:
            directory.unlink()
            real.rename(directory)
    wait_for(lambda: directory.stat().st_ino in watched_directories(watcher(watched)))


def watched_directories(pid: int) -> set[int]:
    """Return the inodes that a process watches by inotify."""
    found = set()
    for entry in Path(f"/proc/{pid}/fdinfo").iterdir():
        with contextlib.suppress(OSError):
            found |= {
                int(inode, 16) for inode in re.findall(r"^inotify .*\bino:(\w+)", entry.read_text(), re.MULTILINE)
            }
    return found
