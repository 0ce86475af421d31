"""The process that keeps manifests for the watcher, and the class that keeps it running."""

import asyncio
import json
import subprocess
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from support.listing import Listed
from support.mirror import Mirror
from support.waiting import wait_for

from heldar_mirror.footage.names import segment_name
from heldar_mirror.keeping.protocol import decode_settings, encode_settings
from heldar_mirror.manifests.child import ManifestsProcess
from heldar_mirror.manifests.settings import ManifestSettings
from heldar_mirror.settings import parse_settings

SETTINGS = parse_settings({"HELDAR_MIRROR_RECORDINGS_DIR": "/mirror", "HELDAR_MIRROR_STATE_DIR": "/state"})
OFF = replace(SETTINGS, manifests=False)
SECONDS = 120
NOW = int(time.time()) - 3600


def test_a_child_runs_while_manifests_are_kept(tmp_path: Path) -> None:
    """It has the settings that are in force when it starts. While they are switched off there is none."""
    runs = tmp_path / "runs"
    script = f'read line; echo "$line" >> {runs}; echo \'["a"]\'; read end; echo end >> {runs}'
    settings, reports = [OFF], list[list[str]]()
    keeper = ManifestsProcess(lambda: settings[0], reports.append, ["sh", "-c", script], 0.01)

    def lines() -> list[str]:
        return runs.read_text().splitlines() if runs.exists() else []

    async def until(condition: Callable[[], object]) -> None:
        while not condition():
            await asyncio.sleep(0.01)

    async def run() -> None:
        task = asyncio.create_task(keeper.keep_running())
        await until(lambda: reports)
        assert (reports, lines()) == ([[]], [])
        settings[0] = SETTINGS
        keeper.restart()
        await until(lambda: len(reports) == 2)
        settings[0] = OFF
        keeper.restart()
        await until(lambda: len(reports) == 3)
        settings[0] = replace(SETTINGS, umask=0)
        keeper.restart()
        await until(lambda: len(reports) == 4)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

    asyncio.run(asyncio.wait_for(run(), SECONDS))
    assert reports == [[], ["a"], [], ["a"]]
    found = [decode_settings(line.encode(), ManifestSettings) for line in lines()]
    assert found == [ManifestSettings.of(SETTINGS), ManifestSettings.of(replace(SETTINGS, umask=0))]


def test_whatever_arrives_on_standard_input_is_refused(mirror: Mirror) -> None:
    """Exit status 2 with what was expected, and no traceback."""
    for content in (b"", b"garbage", b"[" * 60_000, b"\xff\xfe\n", b'{"mirror_root": 5}\n'):
        result = subprocess.run(
            mirror.command("keep-manifests"), env=mirror.env, input=content, capture_output=True, check=False
        )
        assert result.returncode == 2
        assert b"this is for the watcher alone: " in b" ".join(result.stderr.split())
        assert b"Traceback" not in result.stderr
        assert result.stdout == b""


def start(mirror: Mirror, listed: Listed) -> "subprocess.Popen[bytes]":
    child = subprocess.Popen(
        mirror.command("keep-manifests"),
        env=mirror.env,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    assert child.stdin
    child.stdin.write(encode_settings(listed.settings))
    child.stdin.flush()
    return child


def test_a_child_lists_segments_until_its_input_ends(mirror: Mirror) -> None:
    """Its output is a line of problems."""
    listed = Listed(mirror.home)
    listed.put(NOW)
    with start(mirror, listed) as child:
        wait_for(lambda: len(listed.listed()) == 1)
        with listed.recording(NOW + 60):
            pass
        wait_for(lambda: len(listed.listed()) == 2)
        output, log = child.communicate(timeout=SECONDS)
    assert listed.listed() == [segment_name(NOW), segment_name(NOW + 60)]
    assert (child.returncode, log) == (0, b"")
    assert [json.loads(line) for line in output.splitlines()] == [[]]
    listed.lister.lookout.closings.close()


def test_a_child_whose_watcher_is_gone_ends(mirror: Mirror) -> None:
    """Nobody reads its output any more, which is no error."""
    listed = Listed(mirror.home)
    with start(mirror, listed) as child:
        assert child.stdin
        assert child.stdout
        assert child.stderr
        child.stdout.close()
        assert child.wait(SECONDS) == 0
        assert child.stderr.read() == b""
    listed.lister.lookout.closings.close()
