"""The child process that prunes for the watcher: how the watcher keeps it, and what it does."""

import os
from collections.abc import Callable, Mapping
from contextlib import suppress
from functools import partial

from heldar_mirror.children import TERM_WITH_US
from heldar_mirror.errors import MirrorError
from heldar_mirror.keeping.keeper import OUR_COMMAND, Keeper
from heldar_mirror.keeping.protocol import LaterLines, publish
from heldar_mirror.proc.processes import parent_and_user
from heldar_mirror.proc.recorders import Ours, ours
from heldar_mirror.pruning.loop import PruningLoop
from heldar_mirror.pruning.pruner import make_pruner
from heldar_mirror.pruning.settings import PruningSettings
from heldar_mirror.settings import Settings

# The child's end.


def run_child(settings: PruningSettings, log: Callable[[str], None]) -> None:
    """Prune until standard input ends. `log` is called with what was removed.

    Each later line on standard input names cameras whose recordings ended because a write found no room: that is tried
    at once. Raises BrokenPipeError if nobody reads standard output.
    """
    pruner = make_pruner(settings, partial(_find_ours, settings))
    PruningLoop(pruner, settings.retention_interval, log, publish, LaterLines(0, pruner.suspect).wait).run()


def _find_ours(settings: PruningSettings) -> Ours:
    """Return what makes a process a recorder of ours. Raises MirrorError.

    Our parent is the watcher, and the watcher's is supervisord.
    """
    supervisord = 0
    with suppress(OSError):
        supervisord, _ = parent_and_user(os.getppid())
    if not supervisord:
        raise MirrorError("the watcher has ended")  # and so do we
    return ours(supervisord, settings.specs_dir, settings.user)


# The watcher's end.


class PruningProcess(Keeper):
    """Keeps a child running that prunes."""

    name = "pruning"
    command = (*TERM_WITH_US, *OUR_COMMAND, "prune", "--forever")
    # The child that was told of cameras last, and when their recordings had ended.
    _noted_by: int | None = None
    _noted: dict[str, float]

    @staticmethod
    def settings_of(settings: Settings) -> PruningSettings:
        """Return the settings that the child gets."""
        return PruningSettings.of(settings)

    def note_failed(self, failed: Mapping[str, float]) -> None:
        """Take note of the cameras whose recordings ended because a write found no room, and when (Unix seconds).

        The child is told of each of them once, as soon as it has begun and reads its input.
        """
        child = self.listening
        if child is None:
            return
        if child != self._noted_by:
            self._noted_by, self._noted = child, {}
        if new := [camera_id for camera_id, at in failed.items() if self._noted.get(camera_id) != at]:
            self.tell(new)
            self._noted.update(failed)
