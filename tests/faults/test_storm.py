"""Many edits and kills at once: whatever the table says and whichever process is killed, in the end all is right."""

import contextlib
import os
import random
import subprocess
import time
from dataclasses import dataclass, field

import pytest
from support.inspection import (
    SHOWN_PASSWORD,
    Wanted,
    processes_of_mirror,
    segment_writers,
    supervisor,
    wait_until_right,
    watcher_pid,
)
from support.listeners import answering
from support.mirror import GROWING_FFMPEG, Mirror
from support.running import kill, plan_counts
from support.waiting import wait_for

# To run other storms: STORM_SEEDS=2,3 script/test tests/faults/test_storm.py
SEEDS = [int(seed) for seed in os.environ.get("STORM_SEEDS", "1").split(",")]
BURSTS = 60

CAMERAS = [f"c{number:02}" for number in range(12)]
SECONDS = [100, 120, 150, 300]
FLAGS = ["enabled", "record_enabled", "mirror_enabled"]


@dataclass
class Storm:
    """The rows of the table, and the edits and kills that go on meanwhile."""

    mirror: Mirror
    ports: list[int]
    dice: random.Random
    rows: dict[str, dict[str, object]] = field(default_factory=dict)
    edits: int = 0
    kills: int = 0
    by_hand: list["subprocess.Popen[bytes]"] = field(default_factory=list)

    def wanted(self) -> dict[str, Wanted]:
        """Return what is to be recorded in the end, by Heldar's rules alone."""
        return {name: wanted_of(row) for name, row in self.rows.items() if all(row[flag] for flag in FLAGS)}

    def edit(self) -> None:
        """Add a camera, delete one, or change one. Flags are set back to 1 more often than they are set to 0."""
        self.edits += 1
        name = self.dice.choice(CAMERAS)
        if name not in self.rows:
            self.rows[name] = {
                "rtsp_port": self.dice.choice(self.ports),
                "segment_seconds": self.dice.choice(SECONDS),
                "record_stream": "main",
                "main_stream_url": None,
                **dict.fromkeys(FLAGS, 1),
            }
            self.mirror.database.add(name, **self.rows[name])
        elif self.dice.random() < 0.1:
            del self.rows[name]
            self.mirror.database.execute("DELETE FROM cameras WHERE id = ?", name)
        else:
            change = self.change(self.rows[name])
            self.rows[name] |= change
            self.mirror.database.update(name, **change)

    def change(self, row: dict[str, object]) -> dict[str, object]:
        """Make up a change of a row. It may leave the row as it is."""
        if off := [flag for flag in FLAGS if not row[flag]]:
            return {self.dice.choice(off): 1}
        port = self.dice.choice(self.ports)
        return self.dice.choice(
            [
                {self.dice.choice(FLAGS): 0},
                {"segment_seconds": self.dice.choice(SECONDS)},
                {"rtsp_port": port},
                {"record_stream": self.dice.choice(["main", "sub"])},
                {"main_stream_url": f"rtsp://someone:s3cret@127.0.0.1:{port}/live", "record_stream": "main"},
                {"main_stream_url": None},
            ]
        )

    def strike(self) -> None:
        """Start a reconcile, or kill an ffmpeg, a recorder, the watcher or a reconcile that was started by hand."""
        what = self.dice.choice(["ffmpeg", "ffmpeg", "recorder", "recorder", "watcher", "reconcile", "any"])
        if what == "reconcile" and len(self.by_hand) < 2:
            self.by_hand.append(
                subprocess.Popen(
                    self.mirror.command("reconcile"),
                    env=self.mirror.env,
                    stdout=subprocess.DEVNULL,
                    stderr=subprocess.DEVNULL,
                )
            )
            return
        pids = self.victims(what)
        if pids:
            with contextlib.suppress(ProcessLookupError):
                kill(self.dice.choice(sorted(pids)))
                self.kills += 1
        self.by_hand = [process for process in self.by_hand if process.poll() is None]

    def victims(self, what: str) -> list[int]:
        if what == "watcher":
            return [pid] if (pid := watcher_pid(self.mirror)) else []
        if what == "reconcile":
            return [process.pid for process in self.by_hand]
        if what == "ffmpeg":
            return [pid for pids in segment_writers(self.mirror.root).values() for pid in pids]
        spared = "supervisord", "heldar_mirror up"
        all_of_them = {
            pid: command
            for pid, command in processes_of_mirror(self.mirror).items()
            if command and not any(name in command for name in spared)
        }
        if what == "recorder":
            return [pid for pid, command in all_of_them.items() if "start_recorder.py" in command]
        return list(all_of_them)

    def end(self) -> None:
        """Wait until the reconciles that were started by hand have ended."""
        for process in self.by_hand:
            process.wait(180)


def wanted_of(row: dict[str, object]) -> Wanted:
    """Return what a row asks for."""
    url = row["main_stream_url"] if row["record_stream"] == "main" else None
    channel = {"main": 101, "sub": 102}[str(row["record_stream"])]
    built = f"rtsp://admin:{SHOWN_PASSWORD}@127.0.0.1:{row['rtsp_port']}/Streaming/Channels/{channel}"
    return Wanted(str(url or built), int(str(row["segment_seconds"])))


@pytest.mark.slow
@pytest.mark.parametrize("seed", SEEDS)
def test_after_a_storm_exactly_the_right_cameras_are_recorded(mirror: Mirror, seed: int) -> None:
    """After hundreds of edits of the table, during which ffmpegs, recorders, watchers and reconciles were killed, each
    camera that wants a mirror has one recorder with the right command line, and nothing else runs. Nobody helps."""
    print(f"seed {seed}")
    mirror.env["HELDAR_FFMPEG_BIN"] = str(GROWING_FFMPEG)
    with answering() as port, answering() as other_port:
        storm = Storm(mirror, [port, other_port], random.Random(seed))
        for _ in CAMERAS:
            storm.edit()
        with mirror.up(watched=True):
            supervisord = supervisor(mirror).getPID()
            for _ in range(BURSTS):
                for _ in range(storm.dice.randint(1, 9)):
                    storm.edit()
                for _ in range(storm.dice.randint(0, 3)):
                    storm.strike()
                time.sleep(storm.dice.uniform(0, 0.5))
            storm.end()
            print(f"{storm.edits} edits, {storm.kills} kills, {len(storm.wanted())} cameras to record")
            wait_until_right(mirror, storm.wanted())
            assert supervisor(mirror).getPID() == supervisord
            wait_for(lambda: mirror.run("status", code=None).returncode == 0)
            assert plan_counts(mirror.run("reconcile")) == {"unchanged": len(storm.wanted())}
            wait_until_right(mirror, storm.wanted())
        wait_for(lambda: not processes_of_mirror(mirror), seen=lambda: processes_of_mirror(mirror))
