"""Spans of time, sorted and merged, so that an overlap is found quickly."""

import math
from bisect import bisect_right
from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(init=False)
class Spans:
    """Spans of Unix time in order. Spans that overlap or touch are merged."""

    spans: list[tuple[float, float]]

    def __init__(self, spans: Iterable[tuple[float, float]] = ()) -> None:
        begins: list[float] = []
        ends: list[float] = []
        for begin, end in sorted(spans):
            if not ends or begin > ends[-1]:
                begins.append(begin)
                ends.append(end)
            elif end > ends[-1]:
                ends[-1] = end
        self.spans = list(zip(begins, ends, strict=True))

    def __bool__(self) -> bool:
        return bool(self.spans)

    def overlap(self, start: float, end: float) -> bool:
        """Return whether one of the spans overlaps or touches the time from `start` to `end`."""
        index = bisect_right(self.spans, (end, math.inf))
        return index > 0 and self.spans[index - 1][1] >= start
