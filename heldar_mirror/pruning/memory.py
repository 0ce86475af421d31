"""What pruning must remember when its process ends, in the file `retention.json` of the state directory."""

import json
import math
import time
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from heldar_mirror.footage.spans import Spans
from heldar_mirror.heldar.retention import Policy
from heldar_mirror.pruning.clock import Clocks, WallClock
from heldar_mirror.pruning.outcome import Pruned
from heldar_mirror.recorder import files
from heldar_mirror.state.directory import StateSettings, replace_file, state_errors
from heldar_mirror.state.reading import checked

RETENTION_FILE = "retention.json"

# No time in the file is further from 1970 than this, except for the ends of locks.
MAX_SECONDS = 1 << 40


@dataclass(frozen=True)
class Retention:
    """What is remembered.

    `cameras` are all cameras that are in the table, or were and have footage. For each that is not in it any more,
    `deleted` gives when it was first missing (Unix seconds). `locks` are the locked times as they were read last.
    """

    cameras: frozenset[str] = frozenset()
    deleted: Mapping[str, float] = field(default_factory=dict)
    clock: WallClock | None = None
    locks: Mapping[str, Spans] = field(default_factory=dict)


def read_retention(settings: StateSettings) -> Retention:
    """Return what is remembered. Raises StateError if the file can't be read, ValueError if it is damaged."""
    path = settings.state_dir / RETENTION_FILE
    with state_errors(settings):
        try:
            return parse_retention(files.as_text(files.read(str(path))))
        except FileNotFoundError:
            return Retention()
        except ValueError as error:
            raise ValueError(f"{path} is damaged: {error}") from None


def parse_retention(text: str) -> Retention:
    """Return what is remembered, from the text of the file. Raises ValueError if it is not one that was written."""
    try:
        saved = json.loads(text)
        return Retention(
            frozenset(checked(name, str) for name in checked(saved["known"], list)),
            {name: _time(since) for name, since in saved["deleted"].items()},
            _clock(**saved["clock"]) if saved["clock"] is not None else None,
            {name: Spans(map(_span, checked(spans, list))) for name, spans in saved["locks"].items()},
        )
    except (KeyError, TypeError, AttributeError, OverflowError, RecursionError) as error:
        raise ValueError(f"{type(error).__name__}: {error}"[:200]) from None


def _time(value: Any) -> float:
    return float(checked(value, float, most=MAX_SECONDS))


def _span(value: Any) -> tuple[float, float]:
    start, end = checked(value, list)
    return float(checked(start, float, most=math.inf)), float(checked(end, float, most=math.inf))


def _clock(*, boot: Any, offset: Any, seen: Any, doubted_until: Any = 0.0) -> WallClock:
    return WallClock(checked(boot, str), _time(offset), _time(seen), _time(doubted_until))


def write_retention(retention: Retention, settings: StateSettings) -> None:
    """Save what is remembered, in place of what was saved before. Raises StateError."""
    with state_errors(settings):
        replace_file(settings.state_dir / RETENTION_FILE, retention_text(retention), 0o600, None)


def retention_text(retention: Retention) -> str:
    """Return the text of the file."""
    saved = {
        "known": sorted(retention.cameras),
        "deleted": retention.deleted,
        "clock": retention.clock and vars(retention.clock),
        "locks": {name: locks.spans for name, locks in retention.locks.items()},
    }
    return json.dumps(saved)


class Memory:
    """Recalls what is remembered once, and saves it whenever it has changed.

    `read` and `write` are `read_retention` and `write_retention` for a state directory; a dry run writes nothing. All
    footage of a camera that was deleted from the table is removed `deleted_seconds` after it was first missing.
    """

    def __init__(
        self,
        read: Callable[[], Retention],
        write: Callable[[Retention], None],
        deleted_seconds: float,
        clocks: Clocks,
    ) -> None:
        self._read = read
        self._write = write
        self._deleted_seconds = deleted_seconds
        self._clocks = clocks
        self._saved: Retention | None = None

    @property
    def is_recalled(self) -> bool:
        """Whether `recall` was called."""
        return self._saved is not None

    @property
    def retention(self) -> Retention:
        """What is remembered. `recall` must have been called."""
        assert self._saved is not None  # noqa: S101 - the pruner recalls it first
        return self._saved

    def recall(self, pruned: Pruned) -> None:
        """Read what is remembered. If it is damaged, begin anew and add a problem. Raises StateError."""
        try:
            self._saved = self._read()
        except ValueError as error:
            pruned.add_problem(
                f"{error}. It is begun anew, so the footage of deleted cameras stays for its whole time again"
            )
            self._saved = Retention()

    def note_cameras(
        self,
        in_table: Collection[str],
        listed: Collection[str],
        directories: Collection[str],
        locks: Mapping[str, Spans],
    ) -> None:
        """Note which cameras are in the table, and save that, the locks and a reading of the wall clock.

        `listed` are the cameras whose footage was listed. `directories` are all directories in the mirror root, so that
        a camera whose directory could not be listed this time is not forgotten. Raises StateError.
        """
        before, now = self.retention, self._clocks.wall()
        clock = self._clocks.read(before.clock)
        missing = ((before.deleted.keys() & set(directories)) | set(listed)) - set(in_table)
        # A remembered time in the future was read from a wrong clock.
        deleted = {name: min(before.deleted.get(name, now), now) for name in missing}
        cameras = frozenset({*in_table, *deleted, *(before.cameras & set(directories))})
        self._save(Retention(cameras, deleted, clock, locks))

    def forget_deleted(self, camera_ids: Collection[str]) -> None:
        """Forget deleted cameras of which nothing is left. Raises StateError."""
        left = {name: since for name, since in self.retention.deleted.items() if name not in camera_ids}
        self._save(replace(self.retention, deleted=left))

    def believed_now(self, pruned: Pruned) -> float:
        """Return the time by which age is judged: now, or -math.inf and a problem while the wall clock is doubted."""
        now, up, clock = self._clocks.wall(), self._clocks.uptime(), self.retention.clock
        if clock is None or up >= clock.doubted_until:
            return now
        until = time.strftime("%H:%M", time.gmtime(now + clock.doubted_until - up))
        pruned.add_problem(
            f"the clock was set forward: nothing goes by age until {until} of its time, UTC. "
            "If it is wrong, set it right until then"
        )
        return -math.inf

    def deleted_policies(self, now: float, pruned: Pruned) -> dict[str, Policy]:
        """Return the policies of the cameras that were deleted from the table, with `now` from `believed_now`.

        Those whose time is not over yet are added to `pruned.waiting`.
        """
        policies = {}
        for name, since in self.retention.deleted.items():
            policies[name] = Policy(delete_all=now - since >= self._deleted_seconds)
            if not policies[name].delete_all:
                pruned.waiting[name] = since + self._deleted_seconds
        return policies

    def _save(self, retention: Retention) -> None:
        if retention != self._saved:
            self._write(retention)
            self._saved = retention
