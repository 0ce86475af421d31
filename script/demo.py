"""The demo: a camera server, a Heldar database with four cameras, a primary that records two of them, and the mirror at
work on it."""

import contextlib
import json
import os
import signal
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from types import FrameType
from typing import Any

import click
from rich.console import Console
from rich.live import Live
from rich.text import Text
from support.loop import primary_command

from heldar_mirror.cli.status import latest_report, status_lines
from heldar_mirror.footage.names import segment_begun
from heldar_mirror.footage.times import UTC, shown_time
from heldar_mirror.heldar.cameras import parse_camera
from heldar_mirror.heldar.tables import read_cameras
from heldar_mirror.manifests.form import DIRECTORY
from heldar_mirror.settings import Settings, load_settings
from heldar_mirror.verify.windows import SKEW_SECONDS

SUPPORT = Path(__file__).parent.parent / "tests/support"
USER, PASSWORD = "admin", "p@ss/w:rd"
SEGMENT_SECONDS = 5
ACT_SECONDS = 25
# The third act waits for so many segments of the primary, and deletes some of them.
SEGMENTS, LOST = 5, slice(1, 3)
SECOND_ACT = "UPDATE cameras SET mirror_enabled = 1 - mirror_enabled WHERE id IN ('gate', 'hall')"

console = Console(highlight=False)


def heldar_mirror(*args: str) -> list[str]:
    return [sys.executable, "-m", "heldar_mirror", *args]


@contextlib.contextmanager
def child(name: str, command: list[str], home: Path) -> Iterator["subprocess.Popen[bytes]"]:
    """Run a process until the block ends, with its output in a log file. If we are killed, it is ended too."""
    with (home / f"{name}.log").open("wb") as log:
        process = subprocess.Popen(
            ["setpriv", "--pdeathsig", "TERM", "--", *command], stdout=log, stderr=log, start_new_session=True
        )
    try:
        yield process
    finally:
        process.terminate()
        process.wait()


def make_database(path: Path, port: int) -> None:
    """Make a Heldar database: two cameras that mirror, one that doesn't, and one that wants to but has no URL."""
    with contextlib.closing(sqlite3.connect(path)) as connection, connection:
        connection.executescript("PRAGMA journal_mode=WAL;" + (SUPPORT / "heldar.sql").read_text())
        for camera_id, vendor, mirror_enabled in (
            ("gate", "hikvision", 1),
            ("yard", "dahua", 1),
            ("hall", "hikvision", 0),
        ):
            connection.execute(
                "INSERT INTO cameras (id, name, vendor, address, rtsp_port, username, password, segment_seconds, "
                "mirror_enabled) VALUES (?, ?, ?, '127.0.0.1', ?, ?, ?, ?, ?)",
                (camera_id, camera_id.title(), vendor, port, USER, PASSWORD, SEGMENT_SECONDS, mirror_enabled),
            )
        connection.execute("INSERT INTO cameras (id, name, mirror_enabled) VALUES ('attic', 'Attic', 1)")


@contextlib.contextmanager
def primary(home: Path) -> Iterator[None]:
    """Record gate and yard as Heldar's kernel does, until the block ends."""
    rows = [row for row in read_cameras(home / "heldar.db") if row["id"] in {"gate", "yard"}]
    directory = home / "recordings"
    commands = {
        camera.id: primary_command("ffmpeg", camera, directory / camera.id)
        for camera in (parse_camera(row, unseal=str) for row in rows)
    }
    for camera_id in commands:
        (directory / camera_id).mkdir()
    (home / "commands.json").write_text(json.dumps(commands))
    with child("primary", [sys.executable, str(SUPPORT / "seeds_loop.py"), str(home / "commands.json")], home):
        yield


def index(database: Path, segments: list[Path]) -> None:
    """Put segments into Heldar's index, as its indexer does."""
    times = [(path, begun_of(path)) for path in segments]
    rows = [
        (str(path), path.parent.name, str(path), shown_time(begun, UTC), shown_time(begun + SEGMENT_SECONDS, UTC))
        for path, begun in times
    ]
    with contextlib.closing(sqlite3.connect(database)) as connection, connection:
        connection.executemany(
            "INSERT INTO segments (id, camera_id, path, start_time, end_time) VALUES (?, ?, ?, ?, ?)", rows
        )


def begun_of(segment: Path) -> int:
    return segment_begun(segment.name) or 0


def lose_some(home: Path) -> bool:
    """Delete segments from the middle of the primary's recording of yard.

    Return whether `coverage` finds the hole, and `verify` proves what both sides still have.
    """
    while len(segments := sorted((home / "recordings/yard").glob("*.mp4"))) < SEGMENTS:
        time.sleep(0.5)
    index(home / "heldar.db", segments[:-1])
    lost = segments[LOST]
    console.print(f"\nNow the primary loses {' and '.join(path.name for path in lost)} of yard:\n", style="bold")
    for path in lost:
        path.unlink()
    first = min((home / "mirror/yard").glob("*.mp4"))
    since = shown_time(max(begun_of(first), begun_of(segments[0])), UTC)
    hole = shown("coverage", "yard", "--since", since)
    console.print("\nAnd is the rest the same? It takes a moment: the last half minute is left out.", style="bold")
    wait_for_verify(home, begun_of(lost[-1]) + SEGMENT_SECONDS)
    proof = shown("verify", "gate", "yard")
    counts = sum((Counter(camera["counts"]) for camera in proof["cameras"]), Counter())
    proven = counts["identical"] > 0 and not counts["different"] and not counts["only_primary"]
    return "only mirror" in hole["totals"] and proven and unchanged(home / "mirror")


def shown(*args: str) -> dict[str, Any]:
    """Show a command and what it prints. Return what it says as JSON."""
    console.print(f"$ heldar-mirror {' '.join(args)}", soft_wrap=True)
    subprocess.run(heldar_mirror(*args), check=False)
    printed = subprocess.run(heldar_mirror(*args, "--json"), capture_output=True, check=False).stdout
    report: dict[str, Any] = json.loads(printed)
    return report


def wait_for_verify(home: Path, hole_end: int) -> None:
    """Wait until `verify` looks at a segment after the hole: it leaves out what is near the primary's open segment."""
    enough = hole_end + 2 * SEGMENT_SECONDS + SKEW_SECONDS
    while begun_of(max((home / "recordings/yard").glob("*.mp4"))) < enough:
        time.sleep(0.5)


def unchanged(root: Path) -> bool:
    """Check the mirror's files of yard with its manifest, by a tool that every machine has."""
    command = f"sha256sum -c --quiet --ignore-missing {DIRECTORY}/yard/*.open && echo all are as they were recorded"
    console.print("\nHas a file of the mirror been changed since?", style="bold")
    console.print(f"$ {command}", soft_wrap=True)
    return subprocess.run(command, shell=True, cwd=root, check=False).returncode == 0  # noqa: S602 - a constant


def watch(seconds: float) -> None:
    """Show the status table: live on a terminal, otherwise every five seconds."""
    settings = load_settings(os.environ)
    end = time.monotonic() + seconds
    if not console.is_terminal:
        while time.monotonic() < end:
            time.sleep(min(5, max(0, end - time.monotonic())))
            console.print(table(settings))
        return
    with Live(console=console, auto_refresh=False) as live:
        while time.monotonic() < end:
            live.update(table(settings), refresh=True)
            time.sleep(0.5)


def table(settings: Settings) -> Text:
    return Text.from_ansi("\n".join(status_lines(latest_report(settings), console.width)))


def playable(segment: Path) -> int:
    """Return how many frames of a segment can be read."""
    command = ["ffprobe", "-v", "error", "-count_frames", "-select_streams", "v", "-show_entries"]
    command += ["stream=nb_read_frames", "-of", "csv=p=0", str(segment)]
    output = subprocess.run(command, capture_output=True, text=True, check=False).stdout.strip().strip(",")
    return int(output) if output.isdigit() else 0


def found(root: Path) -> bool:
    """Print what was recorded. Return whether both cameras that mirror from the start have playable segments."""
    frames = {
        camera_id: [playable(segment) for segment in sorted((root / camera_id).glob("*.mp4"))]
        for camera_id in ("gate", "yard", "hall")
    }
    for camera_id, counts in frames.items():
        good = sum(count > 0 for count in counts)
        console.print(f"{camera_id}: {good} of {len(counts)} segments playable, {sum(counts)} frames")
    return all(any(frames[camera_id]) for camera_id in ("gate", "yard"))


def play(home: Path, seconds: float) -> bool:
    """Play three acts, and watch what follows until `seconds` are over. Return whether the third act went well."""
    with child("camera", ["/usr/bin/python3", str(SUPPORT / "rtsp_camera.py"), "0", USER, PASSWORD], home) as camera:
        while not (ready := (home / "camera.log").read_text()).startswith("ready"):
            if camera.poll() is not None:
                raise click.ClickException(f"the camera server ended: {ready}")
            time.sleep(0.1)
        make_database(home / "heldar.db", int(ready.split()[1]))
        console.print("Two cameras mirror, one doesn't, and one wants to but has no URL.", style="bold")
        with primary(home), child("up", heldar_mirror("up"), home) as mirror:
            while not (home / "state/supervisor.sock").exists():
                if mirror.poll() is not None:
                    raise click.ClickException((home / "up.log").read_text())
                time.sleep(0.1)
            act = min(ACT_SECONDS, seconds / 2)
            watch(act)
            console.print("\nNow somebody switches two mirrors over in Heldar, and does nothing else:", style="bold")
            console.print(f"{SECOND_ACT}\n", soft_wrap=True)
            with contextlib.closing(sqlite3.connect(home / "heldar.db")) as connection, connection:
                connection.execute(SECOND_ACT)
            watch(act)
            good = lose_some(home)
            watch(seconds - 2 * act)
            return good


@click.command()
@click.option(
    "--seconds", type=click.FloatRange(min=20), default=float("inf"), help="End by itself; without it at Ctrl-C."
)
def main(seconds: float) -> None:
    """Show the mirror at work on real RTSP streams, in a directory of its own."""
    home = Path(tempfile.mkdtemp(prefix="heldar-mirror-demo-"))
    for directory in ("recordings", "mirror"):
        (home / directory).mkdir()
    for name in [name for name in os.environ if name.startswith("HELDAR_")]:
        del os.environ[name]
    os.environ |= {
        "HELDAR_ENV_FILE": str(home / "heldar.env"),
        "HELDAR_MIRROR_ENV_FILE": str(home / "mirror.env"),
        "HELDAR_DATABASE_URL": f"sqlite://{home}/heldar.db",
        "HELDAR_RECORDINGS_DIR": str(home / "recordings"),
        "HELDAR_MIRROR_RECORDINGS_DIR": str(home / "mirror"),
        "HELDAR_MIRROR_STATE_DIR": str(home / "state"),
    }
    signal.signal(signal.SIGTERM, interrupt)
    good = True
    with contextlib.suppress(KeyboardInterrupt):
        good = play(home, seconds)
    console.print("\nThe mirror is stopped.", style="bold")
    good = found(home / "mirror") and good
    console.print(
        f"The files are in {home}/mirror, the logs in {home}/state/log; delete them as you like.", soft_wrap=True
    )
    sys.exit(0 if good else 1)


def interrupt(_number: int, _frame: FrameType | None) -> None:
    raise KeyboardInterrupt


if __name__ == "__main__":
    main()
