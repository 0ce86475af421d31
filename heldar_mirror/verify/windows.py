"""Which files of the two sides are compared with each other, by their names and ends alone."""

from array import array
from bisect import bisect_right
from collections.abc import Sequence
from itertools import accumulate

# Names are off by this much at most: both sides run on machines whose clocks agree within a second, a name is cut to a
# second, and one session may lag behind the other by what the camera and the sockets hold back.
SKEW_SECONDS = 30


class Windows:
    """For each file of the mirror, the files of the primary that may hold its packets: its window.

    Files are given by their indexes. A window reaches SKEW_SECONDS beyond the file, and one file further on both sides:
    if the clock was stepped, the next file is named by a different time. It takes 16 bytes of memory a file.
    """

    def __init__(self, primary: Sequence[int], mirror: Sequence[int], ends: Sequence[float]) -> None:
        """Take when the files of both sides begin, in order, and when those of the mirror end (Unix seconds)."""
        follows = [*mirror[1:], float("inf")] if mirror else []
        # A damaged file may claim any end, so the next file's beginning bounds it.
        until = (min(end, after + SKEW_SECONDS) + SKEW_SECONDS for end, after in zip(ends, follows, strict=True))
        count = len(primary)
        self._first = array("q", (max(0, bisect_right(primary, each - SKEW_SECONDS) - 1) for each in mirror))
        after = (min(count, bisect_right(primary, each) + 1) for each in until)
        self._after = array("q", accumulate(after, max))
        self._count = count

    def of(self, mirror: int) -> range:
        """Return the files of the primary that are in the window of a file of the mirror."""
        return range(self._first[mirror], self._after[mirror])

    def around(self, primary: int) -> range:
        """Return the files of the mirror whose windows hold a file of the primary."""
        return range(bisect_right(self._after, primary), bisect_right(self._first, primary))

    def alone(self) -> list[int]:
        """Return the files of the primary that are in no window: at their time the mirror has nothing."""
        return [each for each in range(self._count) if not self.around(each)]


def surroundings(primary: Sequence[int], mirror: Sequence[int], begun: int, last: int) -> tuple[range, range]:
    """Return which files of the primary and of the mirror suffice to compare those that begin from `begun` to `last`.

    Both sides are given by when their files begin, in order. With fewer files a packet could be counted twice.
    """
    reach = 4 * SKEW_SECONDS
    ours = range(
        max(0, bisect_right(mirror, begun - reach) - 2),
        min(len(mirror), bisect_right(mirror, _after(mirror, last) + reach) + 2),
    )
    if not ours:
        return range(0), ours
    theirs = range(
        max(0, bisect_right(primary, mirror[ours.start] - reach) - 2),
        min(len(primary), bisect_right(primary, _after(mirror, mirror[ours.stop - 1]) + reach) + 2),
    )
    return theirs, ours


def _after(begun: Sequence[int], file: int) -> int:
    """Return when the file begins that follows one, which is given by its beginning; or that one, if it is the last."""
    return begun[min(bisect_right(begun, file), len(begun) - 1)]
