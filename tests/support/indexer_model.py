"""A model of Heldar's indexer, orphan sweep and refill, as they are known, for tests of what a restore leads to.

It keeps files and rows in memory, and its clock is passed in. `look_at` takes the files from a real directory.
"""

import os
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from math import floor
from pathlib import Path

from heldar_mirror.footage.names import segment_begun, segment_name
from heldar_mirror.footage.spans import Spans
from heldar_mirror.packets.index import read_length

SCAN_SECONDS = 10
# How long the last file of a directory must lie untouched, beyond a segment's length.
GRACE_SECONDS = 15
ORPHAN_SECONDS = 3600
# A file that is not longer is never indexed.
SHORTEST_SECONDS = 0.05
# Whole seconds without footage that are no gap yet.
LONGEST_PAUSE = 3


@dataclass
class File:
    """A file of the primary's directory. `seconds` is the length that ffprobe tells, or None if it can't read it."""

    size: int
    seconds: float | None
    modified: float


@dataclass
class Row:
    """A row of `segments`, which has the camera and the name as its path."""

    begun: float
    end: float
    size: int
    evidence: bool = False


@dataclass
class Gap:
    """A row of `recording_gaps`."""

    begin: float
    end: float
    filled: bool = False


@dataclass
class Camera:
    """A camera's directory, its rows by the names of their files, and its gaps by when they begin."""

    files: dict[str, File] = field(default_factory=dict)
    rows: dict[str, Row] = field(default_factory=dict)
    gaps: dict[float, Gap] = field(default_factory=dict)
    # What the orphan sweep has deleted.
    swept: set[str] = field(default_factory=set)

    def mp4_files(self) -> list[str]:
        """Return the names that the indexer looks at, in its order."""
        return sorted(name for name in self.files if name.endswith(".mp4"))

    def playable(self) -> Spans:
        """Return for which times there is a row whose file is there and readable."""
        files = {name for name, file in self.files.items() if file.seconds is not None}
        return Spans((row.begun, row.end) for name, row in self.rows.items() if name in files)


class IndexerModel:
    """Heldar's kernel, as far as the files of its recordings are concerned."""

    def __init__(self, *, segment_seconds: float = 60, retention_seconds: float = 300) -> None:
        # Of the settings, not of a camera's row.
        self._segment_seconds = segment_seconds
        self._sweeps_until_orphans = max(1, ORPHAN_SECONDS // retention_seconds)
        self._retention_seconds = retention_seconds
        self.cameras: defaultdict[str, Camera] = defaultdict(Camera)

    def run(self, begin: float, end: float) -> None:
        """Let the kernel run from its start to its end: a sweep comes first, and then everything at its intervals."""
        sweeps, next_sweep = 0, begin
        now = begin
        while now <= end:
            if now >= next_sweep:
                if sweeps % self._sweeps_until_orphans == 0:
                    self.sweep_orphans(now)
                sweeps += 1
                next_sweep += self._retention_seconds
            self.scan(now)
            now += SCAN_SECONDS

    def scan(self, now: float) -> int:
        """Index what is closed and not indexed yet, of one camera after the other; return how often ffprobe was run."""
        return sum(self.index(camera, name) for camera in self.cameras.values() for name in self.closed(camera, now))

    def sweep_orphans(self, now: float) -> None:
        """Delete each old file without a row."""
        for camera in self.cameras.values():
            for name in camera.mp4_files():
                if name not in camera.rows and now - camera.files[name].modified >= ORPHAN_SECONDS:
                    del camera.files[name]
                    camera.swept.add(name)

    def begin_refill(self, camera_id: str, gap: Gap) -> bool:
        """Begin to fetch a gap from the camera; return False if its file is there, so that it counts as filled."""
        name = segment_name(floor(gap.begin))
        if name in self.cameras[camera_id].files:
            gap.filled = True
            return False
        self.cameras[camera_id].files[f"{name}.part"] = File(1000, None, gap.end)
        return True

    def end_refill(self, camera_id: str, gap: Gap, fetched: File) -> None:
        """Rename what was fetched. It takes the place of a file that has the name by now."""
        name = segment_name(floor(gap.begin))
        del self.cameras[camera_id].files[f"{name}.part"]
        self.cameras[camera_id].files[name] = fetched
        gap.filled = True

    def closed(self, camera: Camera, now: float) -> Iterator[str]:
        names = camera.mp4_files()
        for name in names:
            quiet = now - camera.files[name].modified
            if name != names[-1] or quiet >= self._segment_seconds + GRACE_SECONDS:
                yield name

    def index(self, camera: Camera, name: str) -> int:
        file, row, begun = camera.files[name], camera.rows.get(name), segment_begun(name)
        if row:
            return self._repair(row, file)
        if begun is None:
            return 0
        if file.seconds is None or file.seconds <= SHORTEST_SECONDS or not file.size:
            return 1
        known_end = max((each.end for each in camera.rows.values()), default=None)
        camera.rows[name] = Row(begun, _end(begun, file.seconds), file.size)
        if known_end is not None:
            for each in camera.rows.values():
                if each.begun < begun < each.end:
                    each.end = begun
            if floor(begun - known_end) > LONGEST_PAUSE:
                camera.gaps.setdefault(known_end, Gap(known_end, begun))
        return 1

    def _repair(self, row: Row, file: File) -> int:
        """Correct the size and the end of a row whose file has another size. Other rows are left as they are."""
        if file.size in (row.size, 0):
            return 0
        row.size = file.size
        if file.seconds is not None and file.seconds > SHORTEST_SECONDS:
            row.end = _end(row.begun, file.seconds)
        return 1


def _end(begun: float, seconds: float) -> float:
    """Return when a file ends, in whole milliseconds."""
    return begun + floor(seconds * 1000) / 1000


def look_at(directory: Path) -> dict[str, File]:
    """Return the plain files of a camera's directory."""
    found = {}
    for path in directory.iterdir():
        if path.is_symlink() or not path.is_file():
            continue
        with path.open("rb") as file:
            about = os.fstat(file.fileno())
            seconds = read_length(file.fileno()).end  # as ffprobe, which counts from 0 on
        found[path.name] = File(about.st_size, seconds or None, about.st_mtime)
    return found
