"""The process that prunes for the watcher."""

import json
import os
import select
import time
from collections.abc import Callable

from heldar_mirror.errors import MirrorError, VolumeError
from heldar_mirror.pruning.outcome import Pruned
from heldar_mirror.pruning.pruner import Pruner
from heldar_mirror.settings import Settings
from heldar_mirror.state.volumes import remembered_volume

# So many problems are told at a time.
TOLD = 20


def keep_pruning(settings: Settings, tell: Callable[[str], None]) -> None:
    """Prune until standard input ends: for room at every tick, and by all rules at every interval.

    A line of JSON on standard output is the list of what is wrong, each time that changes; `tell` is given what went.
    """
    pruner, lasting, last = Pruner(settings), list[str](), None
    sweep_at = time.monotonic() + settings.retention_interval
    while True:
        sweep = time.monotonic() >= sweep_at
        pruned = _prune(pruner, settings, sweep=sweep)
        if sweep:
            sweep_at, lasting = time.monotonic() + settings.retention_interval, pruned.problems
        if pruned.segments or pruned.directories:
            tell(pruned.line())
        problems = list(dict.fromkeys([*lasting, *pruned.problems, *pruned.shortages]))
        if len(problems) > TOLD:
            problems[TOLD:] = [f"… and {len(problems) - TOLD} more: heldar-mirror prune --dry-run"]
        if problems != last:
            os.write(1, f"{json.dumps(problems)}\n".encode())
            last = problems
        if select.select([0], [], [], min(pruner.tick, settings.retention_interval))[0]:
            return


def _prune(pruner: "Pruner", settings: Settings, *, sweep: bool) -> Pruned:
    """Prune, if the volume was ever used; what keeps that from being done is a problem."""
    try:
        pruned = pruner.prune(sweep=sweep) if remembered_volume(settings) else Pruned()
    except VolumeError:
        return Pruned()  # which the watcher looks for itself
    except MirrorError as error:
        return Pruned(problems=[str(error)])
    if pruned.database_error:
        pruned.problems.append(str(pruned.database_error))
    return pruned
