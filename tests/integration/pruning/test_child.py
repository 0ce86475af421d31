"""The process that prunes for the watcher, and the class that keeps it running."""

import asyncio
import json
import pickle
import subprocess
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from support.made_footage import HOUR, camera_directory, make_segment, settings_of
from support.mirror import Mirror
from support.waiting import wait_for

from heldar_mirror.keeping.protocol import MAX_LINE, decode_settings, encode_settings
from heldar_mirror.pruning.child import PruningProcess
from heldar_mirror.pruning.settings import PruningSettings
from heldar_mirror.settings import Settings, parse_settings

SETTINGS = parse_settings({"HELDAR_MIRROR_RECORDINGS_DIR": "/mirror", "HELDAR_MIRROR_STATE_DIR": "/state"})
SECONDS = 120


class Kept:
    """A child that is kept running, and what it reported."""

    def __init__(self, script: str) -> None:
        self.settings: Settings = SETTINGS
        self.reports: list[list[str]] = []
        self.pruning = PruningProcess(lambda: self.settings, self.reports.append, ["sh", "-c", script], 0.01)

    def until(self, *conditions: Callable[[], object]) -> None:
        """Keep it running until one condition after the other holds."""
        asyncio.run(asyncio.wait_for(self._until(conditions), SECONDS))

    async def _until(self, conditions: tuple[Callable[[], object], ...]) -> None:
        task = asyncio.create_task(self.pruning.keep_running())
        try:
            for holds in conditions:
                while not holds():
                    assert not task.done()
                    await asyncio.sleep(0.01)
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)


def test_a_child_is_given_the_settings_and_its_problems_are_reported(tmp_path: Path) -> None:
    """It has the settings that are in force when it starts, in one line of a pipe that stays open."""
    kept = Kept(f'read line; echo "$line" > {tmp_path}/line; echo \'["a", "b"]\'; echo \'[]\'; read end')
    kept.until(lambda: len(kept.reports) == 2)
    assert kept.reports == [["a", "b"], []]
    assert decode_settings((tmp_path / "line").read_bytes(), PruningSettings) == PruningSettings.of(SETTINGS)


def test_a_child_that_ended_is_reported_and_started_again() -> None:
    """With its exit status, or the signal that ended it."""
    kept = Kept("exit 3")
    kept.until(lambda: len(kept.reports) >= 2)
    assert set(map(tuple, kept.reports)) == {("pruning ended with 3, and is started again: see above",)}
    kept = Kept("kill -KILL $$")
    kept.until(lambda: kept.reports)
    assert kept.reports[0] == ["pruning ended with -9, and is started again: see above"]


def test_a_restart_hands_over_the_new_settings_and_is_no_problem(tmp_path: Path) -> None:
    kept = Kept(f"read line; echo \"$line\" >> {tmp_path}/lines; echo '[]'; read end")

    def restart() -> bool:
        kept.settings = replace(SETTINGS, min_free_bytes=1)
        kept.pruning.restart()
        return True

    kept.until(lambda: kept.reports, restart, lambda: len(kept.reports) == 2)
    lines = (tmp_path / "lines").read_bytes().splitlines()
    assert [decode_settings(line, PruningSettings).min_free_bytes for line in lines] == [SETTINGS.min_free_bytes, 1]
    assert kept.reports == [[], []]


def test_a_child_is_told_once_of_each_recording_that_found_no_room(tmp_path: Path) -> None:
    """But not before it reads its input, and anew after it was started again."""
    kept = Kept(f"read line; echo '[]'; while read line; do echo \"$line\" >> {tmp_path}/lines; done")

    def lines() -> list[object]:
        path = tmp_path / "lines"
        return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []

    def fail(count: int, **failed: float) -> Callable[[], bool]:
        """Note these again and again, as the watcher does, until the child has so many lines."""

        def noted() -> bool:
            kept.pruning.note_failed(failed)
            return len(lines()) == count

        return noted

    def restart() -> bool:
        kept.pruning.restart()
        return True

    kept.until(fail(1, gate=1.0), fail(2, gate=1.0, hall=1.0), fail(3, gate=2.0), restart, fail(4, gate=2.0, hall=1.0))
    assert lines() == [["gate"], ["hall"], ["gate"], ["gate", "hall"]]


def test_a_restart_of_what_does_not_run_does_nothing() -> None:
    Kept("true").pruning.restart()


def test_a_child_that_can_not_be_started_is_reported() -> None:
    reports = list[list[str]]()
    pruning = PruningProcess(lambda: SETTINGS, reports.append, ["/nonexistent"], restart_seconds=60)

    async def run() -> None:
        task = asyncio.create_task(pruning.keep_running())
        while not reports:
            await asyncio.sleep(0.01)
        task.cancel()

    asyncio.run(asyncio.wait_for(run(), SECONDS))
    assert reports[0][0].startswith("pruning can't go on: ")


@pytest.mark.parametrize("output", ["echo hello", "echo 5", "echo '[5]'", "echo '{\"a\": 1}'", "printf '\\377\\n'"])
def test_a_report_that_is_not_understood_does_no_harm(output: str) -> None:
    """A newer child may report in another format."""
    kept = Kept(f"{output}; read line; read end")
    kept.until(lambda: kept.reports)
    assert kept.reports[0] == ["pruning reports in a format that this watcher does not know: restart heldar-mirror"]


def test_a_line_that_is_too_long_does_no_harm() -> None:
    """It is a problem, and the child is started again."""
    kept = Kept(f"head -c {2 * MAX_LINE} /dev/zero; read line; read end")
    kept.until(lambda: len(kept.reports) == 2)
    assert {report[0] for report in kept.reports} == {
        f"pruning can't go on: its process wrote a line of more than {MAX_LINE} bytes"
    }


def test_half_a_line_is_not_reported() -> None:
    """A child that is killed may leave one."""
    kept = Kept("printf '[\"a'; kill -KILL $$")
    kept.until(lambda: kept.reports)
    assert kept.reports[0][0].startswith("pruning ended with -9")


# The child itself.


class Trap:
    """Something whose pickle writes a file when it is loaded."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[object, ...]:
        return Path.touch, (self.path,)


def test_whatever_arrives_on_standard_input_is_refused_without_being_run(mirror: Mirror) -> None:
    """Exit status 2 with what was expected, and no traceback."""
    trap = mirror.home / "trap"
    for content in (b"", b"garbage", b"[" * 60_000, b"\xff\xfe\n", pickle.dumps(Trap(trap)), b'{"mirror_root": 5}\n'):
        result = subprocess.run(
            mirror.command("prune", "--forever"), env=mirror.env, input=content, capture_output=True, check=False
        )
        assert result.returncode == 2
        assert b"--forever is for the watcher alone: " in b" ".join(result.stderr.split())
        assert b"Traceback" not in result.stderr
        assert result.stdout == b""
    closed = subprocess.run(
        ["sh", "-c", 'exec "$@" <&-', "sh", *mirror.command("prune", "--forever")],
        env=mirror.env,
        capture_output=True,
        check=False,
    )
    assert closed.returncode == 2
    assert b"Traceback" not in closed.stderr
    assert not trap.exists()


def test_a_child_prunes_until_its_input_ends(mirror: Mirror) -> None:
    """Its output is a line of problems, and its log says what was removed."""
    mirror.run("adopt-volume")
    mirror.database.add("gate", retention_hours=1)
    for hours in (9, 8, 7):
        make_segment(camera_directory(mirror, "gate"), time.time() - HOUR * hours)
    settings = settings_of(mirror, retention_interval=1, min_free_bytes=1)
    with subprocess.Popen(
        mirror.command("prune", "--forever"),
        env=mirror.env,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as child:
        assert child.stdin
        child.stdin.write(encode_settings(PruningSettings.of(settings)))
        child.stdin.flush()
        wait_for(lambda: len(mirror.segments("gate")) == 1)
        output, log = child.communicate(timeout=SECONDS)
    assert child.returncode == 0
    assert [json.loads(line) for line in output.splitlines()] == [[]]
    assert b"pruned 2 segments, 2.0 KiB (2 age)" in log


def test_a_child_whose_watcher_is_gone_ends(mirror: Mirror) -> None:
    """Nobody reads its output any more, which is no error."""
    mirror.run("adopt-volume")
    child = subprocess.Popen(
        mirror.command("prune", "--forever"),
        env=mirror.env,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    assert child.stdin
    assert child.stdout
    assert child.stderr
    child.stdout.close()
    child.stdin.write(encode_settings(PruningSettings.of(settings_of(mirror))))
    child.stdin.flush()
    assert child.wait(SECONDS) == 0
    assert child.stderr.read() == b""
    child.stdin.close()
    child.stderr.close()
