"""Checking whether the volume can be recorded to."""

from collections.abc import Callable, Collection
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from heldar_mirror.errors import MirrorError, StateError
from heldar_mirror.proc.mounts import Mount, mount_of
from heldar_mirror.settings import Settings
from heldar_mirror.state.volumes import remembered_volume
from heldar_mirror.volume.marker import check_room
from heldar_mirror.watcher.async_gateway import AsyncGateway, Call
from heldar_mirror.watcher.problems import Log, Problems


@dataclass(eq=False)
class VolumeGuard:
    """Checks the volume, and ends recorders that would write to a different one.

    `recording` returns the cameras that have a segment open. `adopted` is called when a different volume was adopted,
    since the launch specs still name the old one. `mount_of` returns the mount of a path.
    """

    settings: Callable[[], Settings]
    call: Call
    gateway: AsyncGateway
    problems: Problems
    log: Log
    recording: Callable[[], Collection[str]]
    adopted: Callable[[], object]
    mount_of: Callable[[Path], Mount] = mount_of

    _volume_id: str | None = field(init=False)
    _proven: tuple[Path, Mount] | None = field(default=None, init=False)

    def __post_init__(self) -> None:
        self._volume_id = None
        with suppress(StateError):  # the first check reports it
            self._volume_id = remembered_volume(self.settings())

    async def check(self) -> None:
        """Check that the mirror root is on the remembered volume, and has room. Note a problem if not."""
        settings = self.settings()
        try:
            volume_id = await self.call(remembered_volume, settings)
            if volume_id is not None:
                root = await self.call(check_room, settings.mirror_root, volume_id)
                if volume_id != self._volume_id:
                    self.adopted()
                self._proven, self._volume_id = (root, self.mount_of(root)), volume_id
            self.problems.clear("volume")
        except MirrorError as error:
            self.problems.note("volume", str(error))
            if self._proven and self.mount_of(self._proven[0]) != self._proven[1]:
                await self._end_recorders()

    async def _end_recorders(self) -> None:
        """End all recorders, since the volume is no longer mounted at the mirror root. ffmpeg opens each segment by its
        path, so the next one would be written to a different volume."""
        recording = sorted(self.recording())
        if recording:
            self.log(f"ending {len(recording)} recorders: the volume is no longer mounted at the mirror root")
            try:
                await self.gateway.signal(recording, "TERM")
            except MirrorError as error:
                self.problems.note("supervisord", str(error))
