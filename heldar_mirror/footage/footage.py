"""A camera's segments, as its directory lists them."""

from array import array
from collections.abc import Collection
from dataclasses import dataclass, field

# The size of a segment that has not been measured yet.
UNMEASURED = -1


@dataclass
class Footage:
    """One camera's segments, oldest first: when each was begun (Unix seconds), and its size in bytes.

    A stub has size 0; any size may be UNMEASURED. A segment takes 16 bytes of memory.
    """

    begun: "array[int]" = field(default_factory=lambda: array("q"))
    sizes: "array[int]" = field(default_factory=lambda: array("q"))

    def drop(self, indexes: Collection[int]) -> None:
        """Remove the segments at these indexes, run by run, since most of them are neighbours."""
        end = start = -1
        for index in [*sorted(indexes, reverse=True), -2]:
            if index != start - 1:
                if start >= 0:
                    del self.begun[start:end]
                    del self.sizes[start:end]
                end = index + 1
            start = index
