"""One track of files that follow each other, as it is compared."""

from array import array
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import NamedTuple

from heldar_mirror.sides.recorded import PacketTrack


class Stream(NamedTuple):
    """One track of files that follow each other: of one file of the mirror, or of some of the primary.

    `seconds` says when each packet begins, by its file's name. `sizes` has four bytes for each, and `digests` has 32,
    or is empty. `starts` has the first packet of each file, and the number of all packets at the end.
    """

    sizes: bytes
    digests: bytes
    seconds: "array[float]"
    starts: list[int]

    def length(self) -> int:
        """Return the number of packets."""
        return len(self.seconds)

    def end_of_file(self, packet: int) -> int:
        """Return where the file ends that holds a packet."""
        return self.starts[bisect_right(self.starts, packet)]

    def start_of_file(self, packet: int) -> int:
        """Return where the file begins that holds a packet."""
        return self.starts[bisect_right(self.starts, packet) - 1]

    def times(self, reach: float) -> Iterator[tuple[float, float]]:
        """Yield the times that are at most so many seconds from a packet (Unix seconds, each from when to when)."""
        begin = 0
        for number, (one, other) in enumerate(pairwise(self.seconds), 1):
            if not 0 <= other - one <= 2 * reach:
                yield self.seconds[begin] - reach, one + reach
                begin = number
        if self.seconds:
            yield self.seconds[begin] - reach, self.seconds[-1] + reach


EMPTY = Stream(b"", b"", array("d"), [0, 0])


def spacing(track: PacketTrack) -> float:
    """Return the usual time between two packets of a track, in seconds."""
    return sorted(track.durations)[len(track) // 2] / track.timescale if len(track) else 0.0


def streamed(begun: int, track: PacketTrack) -> Stream:
    """Return the stream of a track of one file, which begins at a Unix time by its name."""
    seconds = array("d", (begun + time / track.timescale for time in track.times))
    if track.handler == "soun" and len(track) > 1:
        # ffmpeg writes the first packet of each track at the file's very beginning, though sound begins a little before
        # or after it. Sound keeps its pace, so the second packet says when the first one is.
        seconds[0] = seconds[1] - spacing(track)
    return Stream(track.sizes.tobytes(), track.digests, seconds, [0, len(seconds)])


def joined(files: Sequence[Stream | None]) -> Stream:
    """Return the streams of files that follow each other as one. A file may lack the track."""
    found = [each or EMPTY for each in files]
    seconds, starts = array("d"), [0]
    for each in found:
        seconds += each.seconds
        starts.append(len(seconds))
    return Stream(b"".join(each.sizes for each in found), b"".join(each.digests for each in found), seconds, starts)
