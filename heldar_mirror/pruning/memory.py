"""What pruning has to know for longer than it runs."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field

from heldar_mirror.footage.spans import Spans
from heldar_mirror.pruning.clock import Clock
from heldar_mirror.settings import Settings
from heldar_mirror.state.directory import replace_file, state_errors

RETENTION = "retention.json"


@dataclass(frozen=True)
class Retention:
    """What pruning has to know for longer than it runs: the cameras that the table had or has, when those that it has
    no more were missed first (Unix seconds), the clock, and what was locked when that was last read."""

    known: frozenset[str] = frozenset()
    deleted: Mapping[str, float] = field(default_factory=dict)
    clock: Clock | None = None
    locks: Mapping[str, Spans] = field(default_factory=dict)


def read_retention(settings: Settings) -> Retention:
    """Return what was remembered of the cameras' retention. Raises StateError; ValueError where it is damaged."""
    with state_errors(settings):
        try:
            saved = json.loads((settings.state_dir / RETENTION).read_text())
            return Retention(
                frozenset(map(str, saved["known"])),
                {name: float(since) for name, since in saved["deleted"].items()},
                Clock(**saved["clock"]) if saved["clock"] else None,
                {name: Spans(map(tuple, spans)) for name, spans in saved["locks"].items()},
            )
        except FileNotFoundError:
            return Retention()
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise ValueError(f"{settings.state_dir / RETENTION} is damaged: {error}") from None


def write_retention(retention: Retention, settings: Settings) -> None:
    """Remember the cameras' retention. Raises StateError."""
    saved = {
        "known": sorted(retention.known),
        "deleted": retention.deleted,
        "clock": retention.clock and vars(retention.clock),
        "locks": {name: locks.spans for name, locks in retention.locks.items()},
    }
    with state_errors(settings):
        replace_file(settings.state_dir / RETENTION, json.dumps(saved), 0o600, None)
