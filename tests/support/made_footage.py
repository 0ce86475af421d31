"""Made-up footage on real directories and real file systems, for tests of what is deleted."""

import contextlib
import fcntl
import json
import os
import subprocess
from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime, timezone
from functools import partial
from pathlib import Path
from typing import Any

from heldar_mirror.footage.names import segment_begun, segment_name
from heldar_mirror.pruning.outcome import Progress, no_progress
from heldar_mirror.pruning.pruner import Pruner, make_pruner
from heldar_mirror.pruning.settings import PruningSettings
from heldar_mirror.reconcile.adopt import adopt_volume
from heldar_mirror.settings import Settings, load_settings
from heldar_mirror.state.directory import prepare
from heldar_mirror.supervisord.gateway import find_ours
from support.mirror import Mirror

HOUR = 3600
MIB = 1 << 20
LOCK = ".heldar-mirror.lock"

# The smallest floor that the settings allow.
FLOOR = {"HELDAR_MIRROR_MIN_FREE_GB": "0.125"}
FLOOR_BYTES = 128 * MIB

# The box that distinguishes a recording from a stub.
FRAGMENT = b"\0\0\0\x08moof"


def camera_directory(mirror: Mirror, camera_id: str) -> Path:
    """Return a camera's directory, made as a recorder makes it."""
    directory = mirror.root / camera_id
    directory.mkdir(exist_ok=True)
    (directory / LOCK).write_text(camera_id)
    return directory


@contextlib.contextmanager
def recorded(mirror: Mirror, *camera_ids: str) -> Iterator[None]:
    """Hold the locks of cameras' directories, as their recorders do, until the block ends."""
    with contextlib.ExitStack() as stack:
        for camera_id in camera_ids:
            lock = stack.enter_context((camera_directory(mirror, camera_id) / LOCK).open())
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield


def make_segment(directory: Path, begun: float, size: int = 1000) -> Path:
    """Put a segment into a directory. Its blocks are really allocated, and a size of 0 makes a stub."""
    path = directory / segment_name(int(begun))
    with path.open("xb") as file:
        if size:
            file.write(FRAGMENT)
            if size > 1 << 16:
                os.posix_fallocate(file.fileno(), 0, size)
            else:
                file.write(bytes(size - len(FRAGMENT)))
    return path


def begun_of(path: Path) -> int:
    """Return when a segment began."""
    begun = segment_begun(path.name)
    assert begun is not None
    return begun


def lock_in_heldar(mirror: Mirror, path: Path, seconds: float | None = 0, column: str = "evidence_locked") -> None:
    """Lock a segment of the primary that begins when one of the mirror does. Without a length it has no end yet."""
    start = datetime.fromtimestamp(begun_of(path), timezone.utc)
    end = None if seconds is None else datetime.fromtimestamp(begun_of(path) + seconds, timezone.utc).isoformat()
    mirror.database.execute(
        f"INSERT INTO segments (id, camera_id, path, start_time, end_time, {column}) VALUES (?, ?, ?, ?, ?, 1)",  # noqa: S608
        *(str(path), path.parent.name, f"/recordings/{path.parent.name}/{path.name}", start.isoformat(), end),
    )


def settings_of(mirror: Mirror, **changes: Any) -> Settings:
    """Return the settings of a mirror, with `changes`."""
    return replace(load_settings(mirror.env), **changes)


def adopt(mirror: Mirror) -> None:
    """Make the mirror root that of the mirror, as its first start does."""
    mirror.root.mkdir(exist_ok=True)
    settings = settings_of(mirror)
    prepare(settings)
    adopt_volume(settings, take_over=True)


def pruner_of(mirror: Mirror, *, dry_run: bool = False, progress: Progress = no_progress, **changes: Any) -> Pruner:
    """Return a pruner of a mirror, with `changes` to its settings."""
    whole = settings_of(mirror, **changes)
    settings = PruningSettings.of(whole)
    return make_pruner(settings, partial(find_ours, whole), dry_run=dry_run, progress=progress)


def snapshot(*tops: Path) -> dict[str, tuple[int, int, int, int, bytes | None]]:
    """Return everything below directories: what each file is, when it was changed, and what it holds."""
    found = {}
    for top in tops:
        for path in [top, *sorted(top.rglob("*"))]:
            about = path.lstat()
            holds = path.read_bytes() if path.is_file() and not path.is_symlink() and about.st_size < MIB else None
            found[str(path)] = (about.st_mode, about.st_ino, about.st_size, about.st_mtime_ns, holds)
    return found


def removed_counts(report: dict[str, Any]) -> dict[tuple[str, str], int]:
    """Return how many segments were removed by camera and rule, from what `--json` printed."""
    return {(each["camera_id"], each["rule"]): each["segments"] for each in report["removed"]}


def run_prune(mirror: Mirror, *args: str, code: int = 0, **env: str) -> Any:
    """Prune on the command line, and return what it printed as JSON."""
    return json.loads(mirror.run("prune", "--json", *args, code=code, **env).stdout)


@contextlib.contextmanager
def mounted_volume(mirror: Mirror, kind: str, size: int = 400, options: str = "") -> Iterator[Path]:
    """Mount a file system of so many MiB as the mirror root and adopt it. It is unmounted at the end."""
    mirror.root.mkdir(exist_ok=True)
    if kind == "tmpfs":
        args = ["-t", "tmpfs", "-o", f"size={size}m{options}", "tmpfs"]
    else:
        image = mirror.home / f"image.{kind}"
        with image.open("xb") as file:
            file.truncate(size * MIB)
        subprocess.run([f"mkfs.{kind}", "-q", str(image)], check=True, capture_output=True)
        args = ["-o", f"loop{options}", str(image)]
    subprocess.run(["mount", *args, str(mirror.root)], check=True)
    try:
        adopt(mirror)
        yield mirror.root
    finally:
        subprocess.run(["umount", "--lazy", str(mirror.root)], check=True)


def free_bytes(root: Path) -> int:
    """Return the free space of a volume."""
    found = os.statvfs(root)
    return found.f_bavail * found.f_frsize


def fill_volume(mirror: Mirror, *camera_ids: str, until: int, size: int = 4 * MIB, newest: float) -> list[Path]:
    """Put segments of the cameras in turn, a minute apart, the last at `newest`, until only `until` bytes are free."""
    root = mirror.root
    os.sync()
    count = max(0, (free_bytes(root) - until) // size)
    made = []
    for number in range(count):
        camera_id = camera_ids[number % len(camera_ids)]
        made.append(make_segment(camera_directory(mirror, camera_id), newest - 60 * (count - number), size))
    subprocess.run(["sync", "--file-system", str(root)], check=True)
    return made
