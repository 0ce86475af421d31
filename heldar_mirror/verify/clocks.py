"""Whether the clocks of the two sides differ by more than a comparison allows for.

A file of the mirror that matches nothing of its time is looked for in the primary's files from the nearest on, by sizes
alone. What is found is a hint for a person: nothing is proven by it.
"""

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator

from heldar_mirror.verify.alignment import FAR_RUN, NEAR_SECONDS, align, is_varied
from heldar_mirror.verify.files import Content, Contents
from heldar_mirror.verify.streams import Stream
from heldar_mirror.verify.windows import SKEW_SECONDS

# So many files of the primary are read: hours on both sides. A clock that nobody sets drifts by seconds a day.
MOST_FILES = 300

# A file lies in at most three files of the same length, or in shorter ones, so this share of one matches.
SHARE = 1 / 3


def clock_difference(primary: Contents, mirror: Contents, begun: int) -> float | None:
    """Return by how many seconds the primary's clock is ahead, by a file of the mirror. None if it is not found so.

    A neighbour of the file has to lie as far from its time: a single file may have been swapped. Raises HungError.
    """
    file = bisect_left(mirror.begun, begun)
    nearest = sorted(range(len(primary.begun)), key=lambda each: abs(primary.begun[each] - begun))[:MOST_FILES]
    ahead = next(_found(mirror.content(file), map(primary.content, nearest)), 0.0)
    if abs(ahead) <= SKEW_SECONDS:
        return None
    neighbours = [each for each in (file - 1, file + 1) if 0 <= each < len(mirror.begun)]
    return ahead if not neighbours or any(_lies_at(ahead, primary, mirror, each) for each in neighbours) else None


def _lies_at(ahead: float, primary: Contents, mirror: Contents, file: int) -> bool:
    """Return whether a file of the mirror lies in the primary so many seconds later."""
    last = bisect_right(primary.begun, mirror.begun[file] + ahead)
    beside = range(max(0, last - 2), min(last + 2, len(primary.begun)))
    return any(abs(each - ahead) <= NEAR_SECONDS for each in _found(mirror.content(file), map(primary.content, beside)))


def _found(ours: Content, files: Iterable[Content]) -> Iterator[float]:
    """Yield by how many seconds those files of the primary are ahead that hold enough of a file of the mirror.

    The first track counts that can be told from others, mostly the picture.
    """
    key = next((key for key, stream in ours.streams.items() if is_varied(stream)), None)
    if key is None:
        return
    mirror = ours.streams[key]
    starts = range(0, mirror.length() - FAR_RUN + 1, mirror.length() // 8)
    runs = [mirror.sizes[4 * at : 4 * (at + FAR_RUN)] for at in starts]
    for theirs in files:
        primary = theirs.streams.get(key)
        # Nearly all files have none of these runs, which takes a hundredth of the time.
        if primary and any(run in primary.sizes for run in runs):
            yield from _offset(mirror, primary, ours.tolerance(key))


def _offset(mirror: Stream, primary: Stream, tolerance: float) -> Iterator[float]:
    """Yield the offset, if enough of one of the two streams matches in one block."""
    longest = max(align(mirror, primary, tolerance), key=lambda block: block.packets, default=None)
    if longest and longest.packets >= max(FAR_RUN, SHARE * min(mirror.length(), primary.length())):
        yield primary.seconds[longest.primary] - mirror.seconds[longest.mirror]
