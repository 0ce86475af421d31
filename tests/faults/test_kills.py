"""Whichever process is killed, and whenever, what should record does.

Each directory has one writer, and nothing else is left.
"""

import contextlib
import math
import os
import re
import signal
import subprocess
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest
from support.breakable_mirror import Watched, kill_at_step, new_watched, processes
from support.inspection import (
    frozen_watcher,
    hikvision,
    processes_of_mirror,
    segment_writers,
    supervisor,
    wait_until_right,
    watcher_pid,
)
from support.listeners import answering
from support.mirror import Mirror
from support.running import fail_for_good, ffmpegs, kill, plan_counts, recorders
from support.scripts import script
from support.users import new_mirror
from support.waiting import wait_for
from support.watched import published

from heldar_mirror.footage.names import segment_begun
from heldar_mirror.recorder.recorder import REFUSED_SECONDS

# Stands in for util-linux' setpriv, by which a recorder starts its ffmpeg, and is as slow as on a busy machine.
SLOW_SETPRIV = """#!/bin/sh
if [ "$2" = KILL ]; then
    touch "{home}/begun"
    while [ -e "{home}/hold" ]; do sleep 0.05; done
fi
exec {setpriv} "$@"
"""


@pytest.fixture(scope="module")
def running() -> Iterator[Watched]:
    """A mirror that runs with its watcher and three cameras, for tests that leave it as it was."""
    with new_watched() as watched, watched.mirror.up(watched=True):
        watched.wait_until_right()
        yield watched


def test_a_killed_ffmpeg_is_started_again_by_itself(running: Watched) -> None:
    """Recording goes on in a new segment, the status says what happened, and no other camera is touched."""
    mirror = running.mirror
    others, segments = processes(mirror, "hall", "yard"), mirror.segments("gate")
    # The killed ffmpeg leaves a stub, which is removed. In its second, the next segment would have the same name.
    wait_for(lambda: time.time() >= (segment_begun(segments[-1].name) or math.inf) + 1)
    (killed,) = ffmpegs(mirror, "gate")
    kill(killed)
    wait_for(lambda: ffmpegs(mirror, "gate") not in ([], [killed]))
    running.wait_until_right()
    assert mirror.segments("gate") != segments
    wait_for(lambda: re.search(r"ffmpeg ended after \d+ s, signal 9", str(mirror.status().get("gate"))))
    assert processes(mirror, "hall", "yard") == others


def test_an_ffmpeg_dies_with_its_recorder(running: Watched) -> None:
    """After a kill -9 of the recorder no directory ever has two writers, and the next recorder's ffmpeg is alone."""
    mirror = running.mirror
    others, recorder = processes(mirror, "gate", "yard"), recorders(mirror)["hall"]
    (orphan,) = ffmpegs(mirror, "hall")
    kill(recorder)
    seen = [[orphan]]
    while seen[-1] in ([], [orphan]):
        seen.append(segment_writers(mirror.root).get("hall", []))
    assert len(seen[-1]) == 1
    assert orphan not in seen[-1]
    running.wait_until_right()
    assert processes(mirror, "gate", "yard") == others


@pytest.mark.slow
def test_an_ffmpeg_that_only_begins_dies_with_its_recorder(mirror: Mirror) -> None:
    """A recorder that is killed before its ffmpeg is bound to die with it leaves no ffmpeg that runs on alone."""
    setpriv = subprocess.run(["which", "setpriv"], capture_output=True, text=True, check=True).stdout.strip()
    script(mirror.home / "bin/setpriv", SLOW_SETPRIV.format(setpriv=setpriv, home=mirror.home))
    hold = mirror.home / "hold"
    hold.touch()
    with answering() as port:
        mirror.database.add("gate", rtsp_port=port)
        with mirror.up(watched=True):
            wait_for((mirror.home / "begun").exists)
            before = wait_for(lambda: recorders(mirror).get("gate"))
            kill(before)
            wait_for(lambda: not Path(f"/proc/{before}").exists())
            hold.unlink()
            wait_until_right(mirror, {"gate": hikvision(port)})


@pytest.mark.slow
def test_a_killed_watcher_comes_back_and_catches_up(running: Watched) -> None:
    """The next watcher applies what changed in the table meanwhile, and starts what had failed for good, of which it
    gets no event. Other recorders are not touched."""
    mirror = running.mirror
    before = processes(mirror, "gate")
    with frozen_watcher(mirror) as dead:  # it gets no events any more, and supervisord doesn't start a new one yet
        fail_for_good(mirror, "yard")
        running.add("late")
        running.change("hall", 130)
        kill(dead)
    running.wait_until_right()
    assert watcher_pid(mirror) not in (0, dead)
    running.remove("late")
    running.wait_until_right()
    assert processes(mirror, "gate") == before


@pytest.mark.slow
@pytest.mark.parametrize("text", [None, "", "generation=1\ncamera=yard\n"], ids=["lost", "empty", "cut"])
def test_a_launch_spec_that_was_lost_or_damaged_is_written_anew(running: Watched, text: str | None) -> None:
    """A recorder that starts without a whole launch spec ends, and so often that supervisord gives it up. The watcher
    has the spec written, and the camera is recorded."""
    mirror = running.mirror
    before, writers = processes(mirror, "gate", "hall"), ffmpegs(mirror, "yard")
    spec = mirror.state / "specs/yard.spec"
    if text is None:
        spec.unlink()
    else:
        spec.write_text(text)  # in place, which the watcher does not notice
    kill(recorders(mirror)["yard"])
    wait_for(lambda: ffmpegs(mirror, "yard") not in ([], writers))
    running.wait_until_right()
    assert spec.read_text().startswith("generation=")
    assert processes(mirror, "gate", "hall") == before


@pytest.mark.slow
def test_a_recorder_that_was_ended_by_hand_is_started_again(mirror: Mirror) -> None:
    """It ends without an error, as at a stop, but supervisord did not stop it. No watcher is needed."""
    mirror.database.add("gate")
    with mirror.up():
        wait_for(lambda: "RUNNING" in mirror.supervisorctl("status", "mirror-gate"), every=1)
        before = recorders(mirror)["gate"]
        os.kill(before, signal.SIGTERM)
        wait_for(lambda: recorders(mirror).get("gate") not in (None, before))


def test_a_watcher_that_is_killed_all_the_time_is_always_there_again(running: Watched) -> None:
    """supervisord does not give up a watcher that is killed several times as soon as it begins. No recorder is
    touched."""
    mirror = running.mirror
    before = processes(mirror, "gate", "hall", "yard")
    killed = [0]
    for _ in range(5):
        # Until supervisord notices the kill, it names the killed process.
        killed.append(wait_for(lambda: (pid := watcher_pid(mirror)) not in (0, killed[-1]) and pid))
        kill(killed[-1])
    running.add("late")
    running.wait_until_right()
    running.remove("late")
    running.wait_until_right()
    assert processes(mirror, "gate", "hall", "yard") == before


def test_reconciles_by_hand_and_the_watcher_do_not_get_in_each_others_way(running: Watched) -> None:
    """Two reconciles at once on the command line, while the watcher follows the same changes: all succeed, and the
    result is right."""
    mirror = running.mirror
    before = processes(mirror, "gate")
    for number in range(3):
        running.add(f"coming{number}")
        running.change("yard", 140 + number)
        if number:
            running.remove(f"coming{number - 1}")
        with contextlib.ExitStack() as stack:
            commands = [
                stack.enter_context(
                    subprocess.Popen(mirror.command("reconcile", *args), env=mirror.env, stdout=subprocess.DEVNULL)
                )
                for args in ((), ("hall",))
            ]
            assert [command.wait(180) for command in commands] == [0, 0]
        running.wait_until_right()
    running.remove("coming2")
    running.wait_until_right()
    assert processes(mirror, "gate") == before
    assert plan_counts(mirror.run("reconcile")) == {"unchanged": 3}


def test_what_somebody_else_applied_of_a_table_that_changed_back_is_undone(running: Watched) -> None:
    """If a reconcile by hand applies a change that is taken back before the watcher reads it, the watcher undoes it."""
    mirror = running.mirror
    running.wait_until_right()
    with frozen_watcher(mirror):
        mirror.database.add("mistaken", rtsp_port=running.port)
        mirror.database.update("hall", segment_seconds=145)
        mirror.run("reconcile")
        mirror.database.update("hall", segment_seconds=running.wanted["hall"].segment_seconds)
        mirror.database.execute("DELETE FROM cameras WHERE id = 'mistaken'")
    running.wait_until_right()


@pytest.mark.slow
def test_what_a_killed_reconcile_left_half_done_the_watcher_finishes(running: Watched) -> None:
    """The camera that a killed reconcile was restarting records again, though the table does not change and nobody
    reconciles."""
    assert kill_at_step(running.mirror, "removeProcessGroup", "gate").returncode == -signal.SIGKILL
    running.wait_until_right()


@pytest.mark.slow
def test_a_camera_that_a_killed_reconcile_had_only_stopped_records_again(running: Watched) -> None:
    """A camera is recorded again whose row asked for no mirror for a moment, and whose reconcile was killed after it
    had stopped the recorder."""
    mirror = running.mirror
    running.wait_until_right()
    with frozen_watcher(mirror):
        mirror.database.update("hall", mirror_enabled=0)
        assert kill_at_step(mirror, "removeProcessGroup").returncode == -signal.SIGKILL
        mirror.database.update("hall", mirror_enabled=1)
    running.wait_until_right()


@pytest.mark.slow
@pytest.mark.parametrize("whom", ["supervisord", "everything"])
def test_after_a_massacre_exactly_one_set_runs_again(whom: str) -> None:
    """After a kill -9 of supervisord, which `up` reports, or of all processes at once, nothing lives on. The next `up`
    records all, and applies what has changed since."""
    with new_watched() as watched:
        mirror = watched.mirror
        with mirror.up(watched=True) as up:
            watched.wait_until_right()
            if whom == "supervisord":
                kill(supervisor(mirror).getPID())
                assert up.wait(180) == 5
                assert "supervisord ended by itself" in mirror.up_log()
            else:
                for pid in processes_of_mirror(mirror):
                    with contextlib.suppress(ProcessLookupError):
                        kill(pid)
                up.wait(180)
            wait_for(lambda: not processes_of_mirror(mirror), seen=lambda: processes_of_mirror(mirror))
            assert segment_writers(mirror.root) == {}
        watched.remove("gate")
        watched.change("hall", 130)
        watched.add("late")
        with mirror.up(watched=True):
            watched.wait_until_right()
            wait_for(lambda: mirror.run("status", code=None).returncode == 0)
        wait_for(lambda: not processes_of_mirror(mirror), seen=lambda: processes_of_mirror(mirror))


@pytest.mark.slow
def test_supervisord_killed_while_it_starts_everything_leaves_nothing(mirror: Mirror) -> None:
    """Whenever supervisord is killed during its start, no recorder, ffmpeg or watcher lives on, and the next `up`
    records all."""
    with answering() as port:
        wanted = {f"c{number}": hikvision(port) for number in range(10)}
        for camera_id in wanted:
            mirror.database.add(camera_id, rtsp_port=port)
        end_starts(mirror)
        with mirror.up(watched=True):
            wait_until_right(mirror, wanted)


def end_starts(mirror: Mirror) -> None:
    """Kill supervisord three times at different moments of its start."""
    for number in range(3):
        with subprocess.Popen(mirror.command("up"), env=mirror.env, stderr=subprocess.DEVNULL) as up:
            try:
                # The first recorder is only just forked then; later ones have got further.
                wait_for(partial(has_begun, mirror, 4 * number + 1), every=0.001)
                kill(int((mirror.state / "supervisord.pid").read_text()))
                assert up.wait(180) == 5
            finally:
                up.terminate()
        wait_for(lambda: not processes_of_mirror(mirror), seen=lambda: processes_of_mirror(mirror))


def has_begun(mirror: Mirror, number: int) -> bool:
    return len(recorders(mirror)) >= number


class Sharing(Mirror):
    """An instance whose mirror root is outside its home."""

    @property
    def root(self) -> Path:
        return Path(self.env["HELDAR_MIRROR_RECORDINGS_DIR"])


@pytest.mark.slow
def test_an_instance_whose_root_was_taken_over_records_nothing_there(home: Path) -> None:
    """If another instance takes over the mirror root, the one that lost it says so, and leaves the other alone."""
    with new_mirror(Sharing) as first, new_mirror(Sharing) as second, answering() as port:
        for mirror in (first, second):
            mirror.env["HELDAR_MIRROR_RECORDINGS_DIR"] = str(home / "shared")
            mirror.database.add("gate", rtsp_port=port)
        wanted = {"gate": hikvision(port)}
        first.run("reconcile", code=5)  # the root becomes its own, though nothing runs yet
        second.run("adopt-volume")
        with second.up(watched=True):
            wait_until_right(second, wanted)
            before, contents = recorders(second), sorted((home / "shared/gate").iterdir())
            writers = ffmpegs(second, "gate")
            with first.up(watched=True):
                wait_for(lambda: "holds the marker of another volume or instance" in first.watch_log())
                refused = "cannot record: mirror root"
                wait_for(lambda: any(refused in (camera["last_error"] or "") for camera in published(first)["cameras"]))
                time.sleep(REFUSED_SECONDS + 3)  # a recorder that ignored the marker would begin then
                assert ffmpegs(first, "gate") == writers  # both have the same root
                assert "is in use by recorders" in first.run("adopt-volume", code=6).stderr
            assert recorders(second) == before
            assert sorted((home / "shared/gate").iterdir()) == contents
            wait_until_right(second, wanted)
        first.run("adopt-volume")
