"""The watcher under its supervisord: what a person or a signal does to either, and how it wakes supervisord."""

import contextlib
import fcntl
import os
import signal
from pathlib import Path

import pytest
from support.following import GREETING, overheard, published, wait_until_recorded, watcher
from support.mirror import Mirror
from support.running import kill, recorders, wait_until_recording
from support.waiting import wait_for

pytestmark = pytest.mark.slow


def test_what_a_person_removed_is_put_back_and_what_he_stopped_stays_stopped(watched: Mirror) -> None:
    """A program that was removed from supervisord comes back. One that was stopped does not, and the status says so."""
    watched.database.add("gate")
    watched.database.add("hall")
    wait_until_recording(watched, "gate", "hall")
    watched.supervisorctl("stop", "mirror-gate", "mirror-hall")
    wait_until_recorded(watched, {})
    assert "removed" in watched.supervisorctl("remove", "mirror-gate")
    wait_until_recorded(watched, {"gate": 60})
    watched.database.add("yard")
    wait_until_recorded(watched, {"gate": 60, "yard": 60})
    wait_for(
        lambda: {camera["camera_id"] for camera in published(watched)["cameras"] if camera["well"]} == {"gate", "yard"}
    )
    hall = watched.status()["hall"]
    assert hall | {"wanted": True, "state": "STOPPED", "segment": None, "well": False} == hall
    assert "STOPPED" in watched.run("status", code=1).stdout.upper()


def test_a_watcher_that_is_killed_comes_back_and_goes_on(watched: Mirror) -> None:
    """A kill -9 of the watcher disturbs no recorder, and a change that is made meanwhile is applied."""
    watched.database.add("gate")
    before = wait_until_recording(watched, "gate")
    pid = watcher(watched)
    kill(pid)
    watched.database.add("hall")
    wait_until_recorded(watched, {"gate": 60, "hall": 60})
    assert watcher(watched) != pid
    assert recorders(watched)["gate"] == before["gate"]
    wait_for(lambda: watched.json("status")["well"])


def test_a_stop_does_not_wait_for_what_the_watcher_waits_for(watched: Mirror) -> None:
    """SIGTERM ends the watcher though its reconcile waits for a lock. The next watcher applies the change."""
    lock = watched.state / "lock"
    pid = watcher(watched)
    with lock.open("w") as other:
        fcntl.flock(other, fcntl.LOCK_EX)
        watched.database.add("gate")
        wait_for(lambda: lock in opened(pid))
        log = watched.logs / "supervisord.log"
        told = len(log.read_text())
        assert "watch: stopped" in watched.supervisorctl("stop", "watch")
        # If the watcher had waited, supervisord would have killed it.
        assert "stopped: watch (terminated by SIGTERM)" in log.read_text()[told:]
        watched.supervisorctl("start", "watch")
        assert recorders(watched) == {}
    wait_until_recorded(watched, {"gate": 60})


def opened(pid: int) -> set[Path]:
    found = set()
    for descriptor in Path(f"/proc/{pid}/fd").iterdir():
        with contextlib.suppress(OSError):
            found.add(descriptor.readlink())
    return found


def kill_and_see_greeting(mirror: Mirror, camera_id: str, methods: list[str]) -> None:
    """Kill a camera's recorder, and see supervisord greeted and the camera recorded again."""
    recorder, greeted = recorders(mirror)[camera_id], methods.count(GREETING)
    kill(recorder)
    # The greeting of a tick comes every 10 s, so without a wake-up one of two cameras in a row would be late.
    wait_for(lambda: methods.count(GREETING) > greeted, seconds=5)
    wait_for(lambda: recorders(mirror).get(camera_id) not in (None, recorder))
    wait_until_recording(mirror, camera_id)


def test_supervisord_is_woken_where_a_recorder_ends_and_once_for_many(mirror: Mirror) -> None:
    """When a recorder ends, the watcher greets supervisord, which starts the recorder then and not a second or two
    later. Many that end together cause one or two greetings. The next watcher does the same."""
    alone, together = ["gate", "hall"], [f"yard_{number}" for number in range(12)]
    for camera_id in alone + together:
        mirror.database.add(camera_id)
    with mirror.up(watched=True):
        wait_until_recording(mirror, *alone, *together)
        wait_for(lambda: {camera["state"] for camera in published(mirror)["cameras"]} == {"RUNNING"})
        with overheard(mirror) as methods:
            for camera_id in alone:
                kill_and_see_greeting(mirror, camera_id, methods)
            before = recorders(mirror)
            supervisord = int((mirror.state / "supervisord.pid").read_text())
            os.kill(supervisord, signal.SIGSTOP)
            try:
                greeted = methods.count(GREETING)
                for camera_id in together:
                    kill(before[camera_id])
                wait_for(lambda: not recorders(mirror).keys() & set(together))
                wait_for(lambda: methods.count(GREETING) > greeted, seconds=5)
            finally:
                os.kill(supervisord, signal.SIGCONT)
            wait_until_recording(mirror, *together)
            assert methods.count(GREETING) - greeted <= 4  # two for the ends, and those of a tick or two
            assert recorders(mirror) | {id_: before[id_] for id_ in together} == before

            kill(watcher(mirror))
            wait_for(lambda: "supervisor.getAllProcessInfo" in methods, seen=lambda: methods)
            wait_for(lambda: mirror.json("status")["well"])
            for camera_id in together[:3]:
                kill_and_see_greeting(mirror, camera_id, methods)


def test_a_watcher_is_of_no_use_on_a_terminal(mirror: Mirror) -> None:
    """Without supervisord at its standard input `watch` names the command that starts a watcher, and makes nothing."""
    result = mirror.run("watch", code=2)
    assert "heldar-mirror up brings a watcher along" in result.stderr
    assert not mirror.state.exists()
