"""Made-up packets of two sides that record the same camera, cut differently, without any files."""

import functools
import math
from array import array
from bisect import bisect_left
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise
from random import Random

from heldar_mirror.errors import UnreadableError
from heldar_mirror.sides.recorded import Identity, Packets, PacketTrack
from heldar_mirror.verify.comparer import Comparer
from heldar_mirror.verify.comparison import Comparison

# Units of time in a second, by handler.
TIMESCALES = {"vide": 90_000, "soun": 8_000}
# Packets in a second.
RATES = {"vide": 25, "soun": 50}
CAMERA = "gate"
BEGUN = 1_800_000_000


# The size of a packet, by its number in its track.
Size = Callable[[Random, int], int]


@dataclass(frozen=True)
class Made:
    """One packet: its track, when it is sent (seconds after BEGUN), its size, and what is in it.

    The first 32 bytes of the content stand for its digest, which need not be computed then.
    """

    handler: str
    at: float
    size: int
    content: bytes


def made_packets(seed: int, seconds: float, sizes: Mapping[str, Size]) -> list[Made]:
    """Return the packets of a camera, in order. `sizes` gives the size of each by its track and its number."""
    return list(_made_packets(seed, seconds, tuple(sizes.items())))


@functools.lru_cache(10)
def _made_packets(seed: int, seconds: float, sizes: tuple[tuple[str, Size], ...]) -> tuple[Made, ...]:
    random, made = Random(seed), list[Made]()
    for handler, size in sizes:
        rate = RATES[handler]
        numbers = range(int(seconds * rate))
        made += (Made(handler, each / rate, size(random, each), random.randbytes(8)) for each in numbers)
    return tuple(in_order(made))


def in_order(packets: list[Made]) -> list[Made]:
    """Return packets as a camera sends them."""
    return sorted(packets, key=lambda packet: packet.at)


def video(random: Random, number: int) -> int:
    # This is several times as fast as `randrange`, and there are many packets.
    return int(random.uniform(30_000, 60_000) if number % 50 == 0 else random.uniform(500, 9_000))


def aac(random: Random, number: int) -> int:
    return int(random.uniform(300, 360))


def pcm(random: Random, number: int) -> int:
    return 160


@dataclass(eq=False, repr=False)
class MadeSide:
    """The files of one side by their beginnings. It says which were read, and how often."""

    files: dict[int, list[Made]] = field(default_factory=dict, repr=False)
    begin_times: dict[int, float] = field(default_factory=dict)
    unreadable: set[int] = field(default_factory=set)
    damaged: dict[int, str] = field(default_factory=dict)
    read: list[int] = field(default_factory=list)
    hashed: list[int] = field(default_factory=list)
    # The file that is written to between any two looks at it.
    changed: int | None = None

    def __repr__(self) -> str:
        return f"files begun at {self.begin_times}"

    def packets(self, camera_id: str, begun: int) -> Packets:
        assert camera_id == CAMERA
        self.read.append(begun)
        return self._packets(begun, hashed=False)

    def hashes(self, camera_id: str, begun: int) -> Packets:
        assert camera_id == CAMERA
        self.hashed.append(begun)
        return self._packets(begun, hashed=True)

    def _packets(self, begun: int, *, hashed: bool) -> Packets:
        if begun in self.unreadable:
            raise UnreadableError(f"{begun} can't be read")
        tracks = []
        for number, (handler, timescale) in enumerate(TIMESCALES.items()):
            own = [packet for packet in self.files[begun] if packet.handler == handler]
            times = [round((packet.at - self.begin_times[begun]) * timescale) for packet in own]
            track = PacketTrack(
                number,
                handler,
                timescale,
                array("I", [packet.size for packet in own]),
                array("q", times),
                array("I", [later - time for time, later in pairwise([*times, times[-1] + 1])] if times else []),
                bytes(len(own)),
                b"".join([packet.content[:32].ljust(32) for packet in own]) if hashed else b"",
            )
            if own:
                tracks.append(track)
        return Packets(
            tracks, self.damaged.get(begun), cut=False, identity=Identity(hashed and begun == self.changed, 0, begun)
        )

    def begun(self) -> list[int]:
        return sorted(self.files)

    def ends(self) -> list[float]:
        """Return when the files end, by their last packets."""
        return [
            begun
            + max([packet.at for packet in self.files[begun]], default=self.begin_times[begun])
            - self.begin_times[begun]
            for begun in self.begun()
        ]


def cut(packets: Sequence[Made], at: Sequence[float], named: Callable[[float], float] = lambda time: time) -> MadeSide:
    """Return a side whose files are cut at these times. `named` gives the time by which a file is named.

    The packets are in order.
    """
    side = MadeSide()
    edges = [*sorted(at), float("inf")]
    times = [packet.at for packet in packets]
    for begin, end in pairwise(edges):
        own = list(packets[bisect_left(times, begin) : bisect_left(times, end)])
        name = int(BEGUN + named(begin))
        if own and name not in side.files:
            side.files[name] = own
            side.begin_times[name] = own[0].at
        elif own:
            # Two files can't have one name: the recorder waits for the next second, and it is one file here.
            side.files[name] += own
    return side


def late(seed: int) -> Callable[[float], float]:
    """Return names that are late by up to a second, as those of a real recorder."""
    random = Random(seed)
    return lambda time: time + random.random()


def two_sides(sound: Size = aac, seconds: float = 90, every: float = 30) -> tuple[MadeSide, MadeSide]:
    """Return two recordings that begin and end together. The mirror's files are shorter than the primary's."""
    packets = made_packets(1, seconds, {"vide": video, "soun": sound})

    def times(step: float) -> list[float]:
        return [number * step for number in range(math.ceil(seconds / step))]

    return cut(packets, times(every), late(1)), cut(packets, times(every / 1.5 + 0.1), late(2))


def comparer(primary: MadeSide, mirror: MadeSide, *, hashed: bool = True) -> Comparer:
    return Comparer(CAMERA, (primary, primary.begun()), (mirror, mirror.begun(), mirror.ends()), hashed=hashed)


def compared(primary: MadeSide, mirror: MadeSide, *, hashed: bool = True) -> list[Comparison]:
    """Compare each file of the mirror, and check that each packet of both sides is counted once."""
    made = comparer(primary, mirror, hashed=hashed)
    found = [made.compare(begun) for begun in mirror.begun() if begun not in mirror.unreadable]
    counted = counts(found)
    alone = made.alone()
    for handler in TIMESCALES:
        ours = sum(
            packet.handler == handler
            for begun, own in mirror.files.items()
            if begun not in mirror.unreadable
            for packet in own
        )
        theirs = sum(
            packet.handler == handler
            for begun, own in primary.files.items()
            if begun not in alone and begun not in primary.unreadable
            for packet in own
        )
        both = counted["identical", handler] + counted["differ", handler]
        assert both + counted["only_mirror", handler] + counted["unknown_mirror", handler] == ours
        assert both + counted["only_primary", handler] + counted["unknown_primary", handler] == theirs
    return found


class Counts(dict[tuple[str, str], int]):
    def __missing__(self, key: tuple[str, str]) -> int:
        return 0


def counts(found: Sequence[Comparison]) -> Counts:
    """Return the number of packets by what was found, and by handler."""
    made = Counts()
    for track in (track for each in found for track in each.tracks):
        made["identical", track.handler] += track.identical
        made["unknown_primary", track.handler] += track.unknown_primary
        made["unknown_mirror", track.handler] += track.unknown_mirror
        for name in ("differ", "only_primary", "only_mirror"):
            made[name, track.handler] += sum(run.packets for run in getattr(track, name))
    return made


def flipped(packet: Made) -> Made:
    return replace(packet, content=b"flipped" + packet.content)


def resized(packet: Made) -> Made:
    return replace(packet, size=packet.size + 1, content=b"resized" + packet.content)
