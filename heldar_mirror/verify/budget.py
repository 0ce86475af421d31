"""How much one `verify` may do: so long, so many bytes, or such a share of the mirror."""

import math
import re
import time
from collections.abc import Callable
from contextlib import suppress
from typing import NamedTuple

from heldar_mirror.footage.times import TimeError, parse_length

UNITS = {"B": 1, **{f"{letter}iB": 1 << 10 * (number + 1) for number, letter in enumerate("KMGT")}}
AMOUNT = re.compile(r"([0-9]{1,9}(?:\.[0-9]{1,9})?) ?(%|[KMGT]?i?B)")


class Budget(NamedTuple):
    """The limits of a run. None means without a limit.

    `bytes` are those that are read, of both sides. `share` is that of the mirror's bytes that are looked at, at most 1.
    """

    seconds: float | None = None
    bytes: int | None = None
    share: float | None = None


def parse_budget(text: str) -> Budget:
    """Return the budget that a text such as 30m, 20GiB or 10% gives. Raises ValueError, with what was expected."""
    match = AMOUNT.fullmatch(text.strip())
    if match and match[2] == "%" and 0 < float(match[1]) <= 100:
        return Budget(share=float(match[1]) / 100)
    if match and match[2] in UNITS and float(match[1]) > 0:
        return Budget(bytes=math.ceil(float(match[1]) * UNITS[match[2]]))
    if not match and not text.strip().isdigit():
        with suppress(TimeError):
            if seconds := parse_length(text):
                return Budget(seconds=seconds)
    raise ValueError(
        f"{text[:60]!r} is no budget: expected a time such as 30m or 1h30m, a size such as 20GiB (MiB, GiB or TiB), "
        "or a share of at most 100%"
    )


class Purse:
    """What is left of a budget from now on. It may be used by several threads, one at a time.

    What is begun is ended, so each thread may go beyond the budget by one segment.
    """

    def __init__(self, budget: Budget, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._budget = budget
        self._monotonic = monotonic
        self._begun = monotonic()
        self._whole = self._due = 0
        self.read = 0
        self.looked = 0

    def plan(self, whole: int, due: int) -> None:
        """Take the bytes of the mirror, of which a share is counted, and how many of them are to be looked at."""
        self._whole, self._due = whole, due

    def spend(self, read: int, looked: int) -> None:
        """Count bytes that were read, and bytes of the mirror that were looked at."""
        self.read += read
        self.looked += looked

    def elapsed(self) -> float:
        """Return for how many seconds it has been in use."""
        return self._monotonic() - self._begun

    def is_empty(self) -> bool:
        """Return whether nothing more may be begun."""
        return self._spent() >= 1

    def done(self) -> float:
        """Return which share is done of what can be done, from 0 to 1."""
        return min(1.0, max(self._spent(), self.looked / self._due if self._due else 1.0))

    def _spent(self) -> float:
        """Return which share of the budget is spent, by the limit that is reached first."""
        seconds, read, share = self._budget
        return max(
            self.elapsed() / seconds if seconds else 0.0,
            self.read / read if read else 0.0,
            self.looked / (share * self._whole) if share and self._whole else 0.0,
        )
