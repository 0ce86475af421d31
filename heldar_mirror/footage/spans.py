"""Spans of time: sorted, merged and searched."""

import math
from bisect import bisect_right
from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(init=False)
class Spans:
    """The times of a camera whose segments must stay, those that touch as one, in order."""

    spans: list[tuple[float, float]]

    def __init__(self, spans: Iterable[tuple[float, float]] = ()) -> None:
        self.spans = []
        for start, end in sorted(spans):
            if self.spans and start <= self.spans[-1][1]:
                self.spans[-1] = self.spans[-1][0], max(end, self.spans[-1][1])
            else:
                self.spans.append((start, end))

    def __bool__(self) -> bool:
        return bool(self.spans)

    def overlap(self, start: float, end: float) -> bool:
        """Whether a span touches a locked time."""
        index = bisect_right(self.spans, (end, math.inf))
        return index > 0 and self.spans[index - 1][1] >= start
