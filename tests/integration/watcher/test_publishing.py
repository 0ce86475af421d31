"""The status that the watcher publishes, and what `status` shows without a watcher."""

import contextlib
import json
import os

import pytest
from support.following import busy_kernel, recorded, status_file, wait_until_recorded
from support.mirror import Mirror
from support.running import recorders, wait_until_recording
from support.waiting import wait_for

pytestmark = pytest.mark.slow


def test_a_stopped_watcher_is_told_of_and_status_shows_what_it_can(watched: Mirror) -> None:
    """Without a watcher `status` says that nothing follows the table, and still shows the cameras."""
    watched.database.add("gate")
    wait_until_recording(watched, "gate")
    wait_for(lambda: watched.json("status")["well"])
    watched.supervisorctl("stop", "watch")
    try:
        result = watched.run("status", code=1)
        assert "the watcher is not running" in result.stdout
        assert "supervisorctl start watch" in result.stdout
        assert "1 of 1 mirrors record" in result.stdout
        watched.database.add("hall")
        status = watched.status()
        assert status["hall"]["wanted"]
        assert status["gate"]["well"]
        assert recorders(watched).keys() == {"gate"}
    finally:
        watched.supervisorctl("start", "watch")
    wait_until_recorded(watched, {"gate": 60, "hall": 60})
    wait_for(lambda: watched.json("status")["well"])


def test_the_status_file_is_replaced_whole(watched: Mirror) -> None:
    """The status file is whole at each read while things change, and it does not stay the same file for long."""
    inodes, reads = set[int](), 0
    expected: dict[str, int] = {}
    with contextlib.ExitStack() as stack:
        stack.enter_context(busy_kernel(watched.database))
        for number in range(4):
            watched.database.add(f"camera_{number}")
            expected[f"camera_{number}"] = 60
            # If cameras are added faster than the status is published, one file may show several of them.
            while recorded(watched) != {name: [60] for name in expected} or (number == 3 and len(inodes) < 2):
                for _ in range(50):
                    with status_file(watched).open() as file:
                        report = json.load(file)
                        inodes.add(os.fstat(file.fileno()).st_ino)
                    assert {"at", "cameras", "problems", "known", "version", "well"} == report.keys()
                    reads += 1
    assert reads > 100
