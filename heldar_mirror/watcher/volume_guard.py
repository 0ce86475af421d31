"""Whether the volume can be recorded to."""

from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from pathlib import Path

from heldar_mirror.errors import MirrorError
from heldar_mirror.proc.mounts import Place, place_of
from heldar_mirror.settings import Settings
from heldar_mirror.state.volumes import remembered_volume
from heldar_mirror.volume.marker import check_room
from heldar_mirror.watcher.async_gateway import AsyncGateway, Call
from heldar_mirror.watcher.problems import Log, Problems


@dataclass(eq=False)
class VolumeGuard:
    """Checks the volume, and ends recorders that would write to a different one.

    `recording` gives the cameras that have a segment open. `adopted` is called when the mirror root has become a
    different volume, so that the launch specs name the old one. `place_of` says what is mounted at a path.
    """

    settings: Callable[[], Settings]
    call: Call
    gateway: AsyncGateway
    problems: Problems
    log: Log
    recording: Callable[[], Collection[str]]
    adopted: Callable[[], object]
    place_of: Callable[[Path], Place] = place_of
    # Whether the last check found nothing wrong. Before the first one, recorders check for themselves.
    usable: bool = field(default=True, init=False)

    _volume_id: str | None = field(init=False)
    _proven: tuple[Path, Place] | None = field(default=None, init=False)

    def __post_init__(self) -> None:
        self._volume_id = remembered_volume(self.settings())

    async def check(self) -> None:
        """Check that the mirror root is the volume we know, and has room."""
        settings = self.settings()
        try:
            volume_id = await self.call(remembered_volume, settings)
            if volume_id is not None:
                root = await self.call(check_room, settings.mirror_root, volume_id)
                if volume_id != self._volume_id:
                    self.adopted()
                self._proven, self._volume_id = (root, self.place_of(root)), volume_id
            self.usable = True
            self.problems.clear("volume")
        except MirrorError as error:
            self.usable = False
            self.problems.note("volume", str(error))
            if self._proven and self.place_of(self._proven[0]) != self._proven[1]:
                await self._end_misplaced()

    async def _end_misplaced(self) -> None:
        """End all recorders: at the mirror root something else is mounted now, or nothing. ffmpeg opens each segment by
        its path, so the next one would land there."""
        recording = sorted(self.recording())
        if recording:
            self.log(f"ending {len(recording)} recorders: their segments would go where the volume is not any more")
            try:
                await self.gateway.signal(recording, "TERM")
            except MirrorError as error:
                self.problems.note("supervisord", str(error))
