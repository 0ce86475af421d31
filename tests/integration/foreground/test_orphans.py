"""`up` collects what becomes its child because the parent has ended, as process 1 of a container does."""

import os
import signal
import sys
from pathlib import Path

import pytest
from support.mirror import Mirror
from support.running import kill, recorders, wait_until_recording
from support.users import as_root
from support.waiting import processes_of, wait_for
from support.watched import watcher_pid

# A shell that leaves a process of its own behind before it becomes `up`.
LEAVING = ["sh", "-c", 'sleep 1 & exec "$@"', "sh"]
# Have the orphans among our descendants become our children (PR_SET_CHILD_SUBREAPER), and become the command.
SUBREAPER = "import ctypes, os, sys; ctypes.CDLL(None).prctl(36, 1); os.execv(sys.argv[1], sys.argv[1:])"


class ContainedMirror(Mirror):
    """A mirror whose `up` is process 1 of a container."""

    def command(self, *args: str) -> list[str]:
        command = super().command(*args)
        if args != ("up",):
            return command
        return ["unshare", "--pid", "--fork", "--mount-proc", "--kill-child=TERM", *LEAVING, *command]


class AdoptingMirror(Mirror):
    """A mirror whose `up` is a subreaper."""

    def command(self, *args: str) -> list[str]:
        command = super().command(*args)
        return (
            [sys.executable, "-c", SUBREAPER, "/bin/" + LEAVING[0], *LEAVING[1:], *command]
            if args == ("up",)
            else command
        )


@pytest.fixture(params=[pytest.param(ContainedMirror, marks=as_root), AdoptingMirror])
def adopting(request: pytest.FixtureRequest, mirror: Mirror) -> Mirror:
    """A mirror with the cameras `gate` and `hall`, whose `up` gets the orphans."""
    made: Mirror = request.param(mirror.home, mirror.database, mirror.env)
    for camera_id in ("gate", "hall"):
        made.database.add(camera_id)
    return made


def stat(pid: int) -> tuple[str, int]:
    """Return the state of a process, and its parent."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return fields[0], int(fields[1])


def supervisord(mirror: Mirror) -> int:
    (pid,) = processes_of(f"supervisord --nodaemon --configuration {mirror.state}")
    return pid


def children(parent: int) -> set[int]:
    text = Path(f"/proc/{parent}/task/{parent}/children").read_text()
    return set(map(int, text.split()))


def test_orphans_are_collected(adopting: Mirror) -> None:
    """No zombie stays of what killed recorders and a killed watcher leave behind, nor of a process from before. Other
    children are left alone."""
    with adopting.up(watched=True) as process:
        before = wait_until_recording(adopting, "gate", "hall")
        up = stat(supervisord(adopting))[1]
        watcher = next(pid for pid in children(supervisord(adopting)) if pid not in before.values())
        for pid in (*before.values(), watcher):
            kill(pid)
        wait_for(lambda: (now := recorders(adopting)).keys() == before.keys() and not now.items() & before.items())
        wait_until_recording(adopting, "gate", "hall")
        wait_for(lambda: watcher_pid(adopting) > 0)
        wait_for(lambda: children(up) == {supervisord(adopting)}, seen=lambda: children(up))
        os.kill(up, signal.SIGTERM)  # `unshare` itself ignores it
        assert process.wait(180) == 0


def test_the_end_of_supervisord_is_reported_as_it_was(adopting: Mirror) -> None:
    """Its exit status is not collected as that of an orphan."""
    with adopting.up(watched=True) as process:
        wait_until_recording(adopting, "gate", "hall")
        kill(supervisord(adopting))
        assert process.wait(180) == 5
    assert "supervisord ended by itself, with exit status -9" in adopting.up_log()
