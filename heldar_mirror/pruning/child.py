"""The child process that prunes for the watcher: how the watcher keeps it, and what it does."""

import os
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from functools import partial

from heldar_mirror.children import TERM_WITH_US
from heldar_mirror.errors import MirrorError
from heldar_mirror.keeping.keeper import OUR_COMMAND, RESTART_SECONDS, Keeper
from heldar_mirror.keeping.protocol import LaterLines, encode_settings, publish
from heldar_mirror.proc.processes import parent_and_user
from heldar_mirror.proc.recorders import Ours, ours
from heldar_mirror.pruning.loop import PruningLoop
from heldar_mirror.pruning.pruner import make_pruner
from heldar_mirror.pruning.settings import PruningSettings
from heldar_mirror.settings import Settings

COMMAND = (*TERM_WITH_US, *OUR_COMMAND, "prune", "--forever")


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
    """Keeps a child running that prunes. `settings` returns the settings in force; the others are as in `Keeper`."""

    def __init__(
        self,
        settings: Callable[[], Settings],
        report: Callable[[list[str]], None],
        command: Sequence[str] = COMMAND,
        restart_seconds: float = RESTART_SECONDS,
    ) -> None:
        def line() -> bytes:
            return encode_settings(PruningSettings.of(settings()))

        super().__init__("pruning", command, line, report, restart_seconds)
        self._noted_by: int | None = None
        self._noted: dict[str, float] = {}

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
