"""One camera's segments as a directory holds them."""

from array import array
from collections.abc import Collection
from dataclasses import dataclass, field

# The size of a segment that was not looked at yet.
UNKNOWN = -1


@dataclass
class Footage:
    """One camera's segments, oldest first: when each was begun (Unix seconds), and its bytes, 0 where nothing was
    recorded in it, or UNKNOWN. 16 bytes a segment, however many there are."""

    begun: "array[int]" = field(default_factory=lambda: array("q"))
    sizes: "array[int]" = field(default_factory=lambda: array("q"))

    def drop(self, indexes: Collection[int]) -> None:
        """Forget segments; in runs, since those that go mostly lie side by side."""
        end = start = -1
        for index in [*sorted(indexes, reverse=True), -2]:
            if index != start - 1:
                if start >= 0:
                    del self.begun[start:end]
                    del self.sizes[start:end]
                end = index + 1
            start = index
