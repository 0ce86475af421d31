"""Restoring files of a mirror into the primary, for tests: plans made by hand, of real recordings."""

import threading
from collections.abc import Iterable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from heldar_mirror.restore.applying import Applying, Planned
from heldar_mirror.restore.following import Times, Wait
from heldar_mirror.restore.plan import LeftOut, NewFile, Piece
from heldar_mirror.restore.result import Result
from heldar_mirror.restore.writing import Writer
from heldar_mirror.sides.side import Side
from heldar_mirror.state.volumes import remembered_volume
from support.made_footage import begun_of, camera_directory, settings_of
from support.mirror import Mirror
from support.two_sides import SEGMENT_SECONDS, record

CAMERA = "gate"
BEGUN = 1_800_000_000

# A scan each moment, and a last file that counts as closed soon.
QUICK = Times(look=0.1)


class OfCamera(NamedTuple):
    """What is planned for a camera."""

    files: Sequence[NewFile]
    left_out: Sequence[LeftOut] = ()


class Plan(NamedTuple):
    """What is planned."""

    cameras: Sequence[OfCamera]


def whole(path: Path, seconds: float = SEGMENT_SECONDS) -> NewFile:
    """Return the plan of a file that is a copy of a segment of the mirror."""
    begun = begun_of(path)
    piece = Piece(begun, None, begun)
    return NewFile(path.parent.name, begun, (piece,), begun, begun + seconds, path.stat().st_size)


def recorded_by_mirror(mirror: Mirror, count: int, camera_id: str = CAMERA) -> list[NewFile]:
    """Let the mirror record so many segments, which follow each other. Return the plans of their copies."""
    begun = range(BEGUN, BEGUN + count * SEGMENT_SECONDS, SEGMENT_SECONDS)
    return [whole(path) for path in record(camera_directory(mirror, camera_id), begun)]


@dataclass
class Restore:
    """A restore in this process, with the real writer and the real sides."""

    mirror: Mirror
    wait: Wait = Wait.WHILE_RUNNING
    times: Times = QUICK
    interrupted: threading.Event = field(default_factory=threading.Event)
    told: list[tuple[str, float]] = field(default_factory=list)

    def run(self, files: Iterable[NewFile], left_out: Sequence[LeftOut] = ()) -> Result:
        """Restore files."""
        with ExitStack() as stack:
            writer, primary, mirror = opened(self.mirror, stack)
            restore = Applying(
                self.mirror.database.path,
                writer,
                primary,
                mirror,
                lambda *what: self.told.append(what),
                self.wait,
                self.interrupted,
                self.times,
            )
            plan: Planned = Plan([OfCamera(list(files), left_out)])
            return restore.run(plan)


def opened(mirror: Mirror, stack: ExitStack) -> tuple[Writer, Side, Side]:
    """Open the writer and both sides, until the stack ends."""
    settings = settings_of(mirror)
    assert settings.mirror_root
    writer = stack.enter_context(Writer(settings, into_empty=True))
    primary = stack.enter_context(Side("primary", settings.recordings_dir))
    volume = remembered_volume(settings) or ""
    return writer, primary, stack.enter_context(Side("mirror", settings.mirror_root, volume=volume))
