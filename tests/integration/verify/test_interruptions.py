"""A verify that is killed, interrupted, or hangs with a volume: what it has proven by then is remembered."""

import itertools
import json
import shutil
import signal
import subprocess
import sys
import threading

import pytest
from support import HERE
from support.made_footage import begun_of, settings_of
from support.mirror import Mirror
from support.mounts import bindfs_volume, hung, waits_for_fuse
from support.two_copies import verify
from support.users import as_root
from support.waiting import COMMAND_SECONDS, processes_of, wait_for

from heldar_mirror.sides import side
from heldar_mirror.verify.budget import Budget
from heldar_mirror.verify.memory import Scope, opened_memory
from heldar_mirror.verify.outcomes import Level
from heldar_mirror.verify.report import Report
from heldar_mirror.verify.run import End
from heldar_mirror.verify.verify import Request, Verify

READER = "heldar_mirror.sides.reader"


@pytest.mark.slow
def test_a_verify_killed_at_each_of_its_steps_is_finished_by_the_next(mirror: Mirror) -> None:
    """What it had noted is not looked at again, and all is proven in the end."""
    mirror.database.update("hall", mirror_enabled=0)
    shutil.rmtree(mirror.root / "hall")
    for path in mirror.segments("gate")[:-5]:
        path.unlink()
    for step in itertools.count(1):
        for path in mirror.state.glob("proofs.db*"):
            path.unlink()
        command = [sys.executable, str(HERE / "kill_at_step.py"), str(step), "verify", "--jobs", "1"]
        killed = subprocess.run(
            command, env=mirror.env, capture_output=True, text=True, timeout=COMMAND_SECONDS, check=False
        )
        noted = killed.stderr.count(" note gate")
        _, cameras = verify(mirror, "--older-than", "1h")
        assert cameras["gate"]["proven"] == 5
        assert cameras["gate"]["counts"].get("looked_at", 0) == 5 - noted
        if killed.returncode == 0:
            break
        assert killed.returncode == -signal.SIGKILL, killed.stderr
    for name in ("open verify.lock", "open proofs.db", "take stock of gate", "note gate"):
        assert name in killed.stderr


@as_root
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_it_with_a_report(mirror: Mirror, number: signal.Signals) -> None:
    """It ends as soon as the volume has answered. A second signal ends it even if that never does."""
    verify(mirror, "gate")
    recordings = mirror.home / "recordings"
    recordings.rename(mirror.home / "saved")
    with bindfs_volume(mirror, "recordings") as server:
        shutil.copytree(mirror.home / "saved", recordings, dirs_exist_ok=True)
        for signals in (1, 2):
            with hung(server):
                process = subprocess.Popen(
                    mirror.command("verify", "--json"), env=mirror.env, stdout=subprocess.PIPE, text=True
                )
                # What asks first whether both roots are apart gives up on it after a while.
                wait_for(lambda: any(map(waits_for_fuse, reading(mirror))))
                process.send_signal(number)
                if signals == 2:
                    wait_for(lambda: not pending(process.pid, number))  # noqa: B023
                    process.send_signal(number)
                    assert process.wait(COMMAND_SECONDS) == 130
            output, _ = process.communicate(timeout=COMMAND_SECONDS)
            assert process.returncode == 130
            if signals == 1:
                report = json.loads(output)
                assert report["end"] == "interrupted"
                assert {camera["camera_id"] for camera in report["cameras"] if camera["proven"]} == {"gate"}


def reading(mirror: Mirror) -> list[int]:
    """Return the processes that read the primary."""
    return [pid for pid, command in processes_of(f"{mirror.home}/recordings").items() if READER in command]


def pending(pid: int, number: signal.Signals) -> bool:
    """Whether a signal has not reached a process yet."""
    with open(f"/proc/{pid}/status") as file:
        masks = [int(line.split()[1], 16) for line in file if line.startswith(("SigPnd", "ShdPnd"))]
    return any(mask >> (number - 1) & 1 for mask in masks)


def run(mirror: Mirror, level: Level = Level.PACKETS) -> Report:
    """Verify in this process."""
    request = Request(Scope(level, 0, 1 << 40, 1 << 40), (), Budget(), 1, threading.Event())
    return Verify(settings_of(mirror), request, lambda *_: None).run()


@as_root
@pytest.mark.parametrize("place", ["recordings", "mirror"])
def test_a_side_that_hangs_is_reported(mirror: Mirror, monkeypatch: pytest.MonkeyPatch, place: str) -> None:
    """And what is known of both is shown. It hangs after some segments were looked at."""
    monkeypatch.setattr(side, "IDLE_ANSWER_SECONDS", 1)
    directory = mirror.home / place
    directory.rename(mirror.home / "saved")
    with bindfs_volume(mirror, place) as server:
        shutil.copytree(mirror.home / "saved", directory, dirs_exist_ok=True, symlinks=True)
        begun = begun_of(mirror.segments("gate")[3])
        with opened_memory(settings_of(mirror)) as memory:
            assert memory.camera_ids() == []
        request = Request(Scope(Level.PACKETS, 0, begun, 1 << 40), (), Budget(), 1, threading.Event())
        assert Verify(settings_of(mirror), request, lambda *_: None).run().end is End.DONE
        with hung(server):
            report = run(mirror)
    assert report.end is End.LOST
    (problem,) = report.problems
    assert f"volume at {directory} does not answer within 1 s" in problem
    assert report.exit_code == 8
    assert [camera.standing.proven for camera in report.cameras] == [4, 4]


def test_one_at_a_time(mirror: Mirror) -> None:
    """A second one is refused at once, and says why."""
    with opened_memory(settings_of(mirror)):
        refused = mirror.run("verify", code=7)
    assert "another heldar-mirror verify is running" in refused.stderr
