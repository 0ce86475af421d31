"""Faults of supervisord, and what people do in it, while the watcher follows the table."""

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator

import pytest
from support.mirror import GROWING_FFMPEG, Mirror
from support.running import kill, recorders, wait_until_recording
from support.users import new_mirror
from support.waiting import processes_of, wait_for
from support.watched import (
    is_recorded_in,
    times_logged,
    wait_until_recorded,
    wait_until_shown,
    wait_until_well,
    watcher_pid,
)

CAMERAS = {"gate", "hall", "yard"}


CANT_READ = "can't read its files, and nothing was applied"


@pytest.fixture(scope="module")
def watched() -> Iterator[Mirror]:
    """A mirror that runs and follows its table of three cameras."""
    with new_mirror() as mirror:
        mirror.env["HELDAR_FFMPEG_BIN"] = str(GROWING_FFMPEG)
        for camera_id in CAMERAS:
            mirror.database.add(camera_id)
        with mirror.up(watched=True):
            wait_until_recorded(mirror, CAMERAS)
            wait_until_well(mirror)
            yield mirror


@contextlib.contextmanager
def supervisorctl(mirror: Mirror, *args: str) -> Iterator[None]:
    """Run supervisorctl as a person who starts something. It waits longer than the test does."""
    command = [sys.executable, "-m", "supervisor.supervisorctl", "-c", str(mirror.state / "supervisord.conf"), *args]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL) as waiting:
        try:
            yield
        finally:
            waiting.kill()


def supervisord(mirror: Mirror) -> int:
    return int((mirror.state / "supervisord.pid").read_text())


@pytest.mark.slow
@pytest.mark.parametrize("who", ["the watcher", "reconcile"])
def test_supervisord_killed_in_the_middle_of_an_apply_is_right_at_the_next_up(mirror: Mirror, who: str) -> None:
    """supervisord is killed when all cameras change and some are stopped already. Nothing is left over, and the next
    `up` is right."""
    cameras = {f"c{number:02}" for number in range(12)}
    for camera_id in cameras:
        mirror.database.add(camera_id)
    with mirror.up(watched=who == "the watcher") as up:
        before = wait_until_recording(mirror, *cameras)
        cameras.remove("c00")
        mirror.database.execute("DELETE FROM cameras WHERE id = 'c00'; UPDATE cameras SET segment_seconds = 61")
        command = mirror.command("reconcile" if who == "reconcile" else "--version")
        with subprocess.Popen(command, env=mirror.env, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE) as reconcile:
            wait_for(lambda: before.items() - recorders(mirror).items(), every=0.001)
            kill(supervisord(mirror))
            assert up.wait(180) == 5
            _, errors = reconcile.communicate(timeout=180)
        if who == "reconcile":
            assert reconcile.returncode == 5, errors
            assert b"supervisord does not answer" in errors
        wait_for(lambda: not processes_of(str(mirror.home)))
    with mirror.up(watched=True):
        wait_for(lambda: all(is_recorded_in(mirror, name, 61) for name in cameras))
        assert recorders(mirror).keys() == cameras


@pytest.mark.slow
def test_a_configuration_that_can_not_be_read_is_told_once_and_what_waits_is_applied_later(watched: Mirror) -> None:
    """A bad stanza, and then a bad configuration, are each reported once, and what runs goes on. When it is mended, the
    change that waited is applied."""
    before, pid = wait_until_recorded(watched, CAMERAS), watcher_pid(watched)
    configuration, said = watched.state / "supervisord.conf", times_logged(watched, CANT_READ)
    good = configuration.read_text()
    (watched.state / "bad.conf").write_text("[program:bad]\nautostart=true\n")
    try:
        configuration.write_text(good.replace("files=programs.conf", "files=programs.conf bad.conf"))
        watched.database.update("gate", segment_seconds=61)
        wait_for(lambda: times_logged(watched, CANT_READ) == said + 1)
        wait_until_shown(watched, "program:bad")
        # It is read again, and reported again only if the reason differs.
        configuration.write_text("supervisord\n")
        os.kill(pid, signal.SIGHUP)
        wait_for(lambda: times_logged(watched, CANT_READ) == said + 2)
        wait_until_shown(watched, "no section headers", "what runs goes on")
        os.kill(pid, signal.SIGHUP)
        time.sleep(2)
        assert recorders(watched) == before
    finally:
        configuration.write_text(good)
        (watched.state / "bad.conf").unlink()
    wait_for(lambda: is_recorded_in(watched, "gate", 61))
    after = wait_until_recorded(watched, CAMERAS)
    assert {name for name in CAMERAS if after[name] != before[name]} == {"gate"}
    assert times_logged(watched, CANT_READ) == said + 2
    assert times_logged(watched, "Traceback") == 0


@pytest.mark.slow
def test_a_person_who_updates_while_the_table_changes_is_in_nobodys_way(watched: Mirror) -> None:
    """`supervisorctl update` is run again and again while the watcher applies changes. In the end each change is
    applied, once."""
    for seconds in (71, 72, 73):
        watched.database.execute(f"UPDATE cameras SET segment_seconds = {seconds}")  # noqa: S608
        # The first of the two that reads the new programs file applies it.
        for _ in range(3):
            watched.supervisorctl("update")
    wait_for(lambda: all(is_recorded_in(watched, name, 73) for name in CAMERAS))
    wait_until_well(watched)
    assert recorders(watched).keys() == CAMERAS
    assert times_logged(watched, "Traceback") == 0


@pytest.mark.slow
def test_what_a_person_stopped_stays_stopped_while_others_are_followed(watched: Mirror) -> None:
    """`status` says how to start a camera that was stopped by hand. Other changes are applied. A reconcile that names
    the camera starts it."""
    wait_until_recorded(watched, CAMERAS)
    watched.supervisorctl("stop", "mirror-gate")
    watched.database.update("hall", segment_seconds=81)
    wait_for(lambda: is_recorded_in(watched, "hall", 81))
    held = "gate: stopped by hand; to start it: heldar-mirror reconcile gate"
    wait_until_shown(watched, held, "2 of 3 mirrors record")
    assert recorders(watched).keys() == CAMERAS - {"gate"}
    watched.run("reconcile", "gate")
    wait_until_recorded(watched, CAMERAS)


@pytest.mark.slow
def test_what_a_person_removed_or_ended_comes_back(watched: Mirror) -> None:
    """A program that was removed from supervisord, restarted or ended by a signal is recorded again, since the table
    asks for it."""
    before = wait_until_recorded(watched, CAMERAS)
    watched.supervisorctl("stop", "mirror-gate")
    assert "removed" in watched.supervisorctl("remove", "mirror-gate")
    assert "ERROR" in watched.supervisorctl("remove", "mirror-yard")
    watched.supervisorctl("signal", "TERM", "mirror-hall")
    with supervisorctl(watched, "restart", "mirror-yard"):
        wait_for(
            lambda: (now := recorders(watched)).keys() == CAMERAS and not before.items() & now.items(),
            seen=lambda: watched.supervisorctl("status"),
        )
        wait_until_recorded(watched, CAMERAS)
    wait_until_well(watched)


@pytest.mark.slow
def test_all_stopped_and_started_by_a_person_is_followed_again(watched: Mirror) -> None:
    """`stop all` stops the watcher too, and `status` says so. After `start all` what changed meanwhile is applied."""
    wait_until_recorded(watched, CAMERAS)
    watched.supervisorctl("stop", "all")
    assert recorders(watched) == {}
    wait_until_shown(watched, "the watcher is not running", "supervisorctl start watch", "0 of 3 mirrors record")
    watched.database.update("gate", segment_seconds=91)
    with supervisorctl(watched, "start", "all"):
        wait_for(lambda: is_recorded_in(watched, "gate", 91))
        wait_until_recorded(watched, CAMERAS)


@pytest.mark.slow
def test_a_socket_that_is_gone_is_told_and_up_can_still_be_ended(mirror: Mirror) -> None:
    """Without supervisord's socket recording goes on. `status` reports that, also when a change waits. SIGTERM of `up`
    ends everything."""
    for camera_id in CAMERAS:
        mirror.database.add(camera_id)
    with mirror.up(watched=True) as up:
        before = wait_until_recorded(mirror, CAMERAS)
        wait_until_well(mirror)
        (mirror.state / "supervisor.sock").unlink()
        wait_for(lambda: times_logged(mirror, "supervisord does not answer at"))
        mirror.database.update("gate", segment_seconds=61)
        wait_for(lambda: "\narg=61\n" in (mirror.state / "specs/gate.spec").read_text())
        wait_until_shown(mirror, "supervisord does not answer at", "3 of 3 mirrors record")
        assert recorders(mirror) == before
        assert times_logged(mirror, "supervisord does not answer at") == 1
        up.terminate()
        assert up.wait(180) == 0
        assert not processes_of(str(mirror.home))
