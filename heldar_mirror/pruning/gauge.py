"""How much room the volume lacks, how fast it is written to, and how soon to look again."""

from collections.abc import Callable
from dataclasses import dataclass

from heldar_mirror.volume.room import Room

# The time between two looks at the room. It is shorter if the headroom can't hold what is written in HEADROOM_TICKS.
TICK_SECONDS = 10.0
MIN_TICK_SECONDS = 1.0

# As much as was written since the last look may be written until the next one. Twice as much is kept free beyond the
# floor, but at most this share of the floor, since a person's copy of one large file says nothing about the next tick.
HEADROOM_TICKS = 2
HEADROOM_SHARE = 0.25

# A volume is nearly full if its free inodes are fewer than this number, and fewer than this share of all inodes.
MIN_INODES = 10_000
INODES_SHARE = 0.01

# The pruner judges whether deleting gives room after it has deleted this many bytes, or this share of a small volume.
JUDGED_BYTES = 64 << 20
JUDGED_SHARE = 1 / 64


@dataclass(frozen=True)
class Lack:
    """What a volume lacks. A number that is not above 0 means that nothing is lacking.

    `bytes` are missing to floor and headroom, `floor_bytes` to the floor alone, and `inodes` are missing inodes.
    """

    bytes: float
    floor_bytes: float
    inodes: float

    def __bool__(self) -> bool:
        """Whether room must be made."""
        return self.bytes > 0 or self.inodes > 0

    @property
    def is_below_floor(self) -> bool:
        """Whether the floor itself is not kept."""
        return self.floor_bytes > 0 or self.inodes > 0


class Gauge:
    """Measures how fast the volume is written to, from one look at its free space to the next."""

    def __init__(self, min_free_bytes: int, monotonic: Callable[[], float]) -> None:
        self._min_free_bytes = min_free_bytes
        self._monotonic = monotonic
        self._looked_at: float | None = None
        self._free = 0
        self.bytes_per_second = 0.0

    def start(self, free: int) -> None:
        """Begin a run with `free` bytes free. What became less since the last look was written since then."""
        if self._looked_at is not None:
            passed = max(self._monotonic() - self._looked_at, MIN_TICK_SECONDS)
            self.bytes_per_second = max(0, self._free - free) / passed

    def look(self, free: int) -> None:
        """Note that `free` bytes were free after room was made."""
        self._looked_at, self._free = self._monotonic(), free

    @property
    def is_due(self) -> bool:
        """Whether the last look was more than TICK_SECONDS ago. False before the first look."""
        return self._looked_at is not None and self._monotonic() - self._looked_at > TICK_SECONDS

    @property
    def tick(self) -> float:
        """The time until the next look, in seconds."""
        until_headroom_is_used = self._min_free_bytes * HEADROOM_SHARE / HEADROOM_TICKS
        return min(TICK_SECONDS, max(MIN_TICK_SECONDS, until_headroom_is_used / max(self.bytes_per_second, 1.0)))

    def floor(self, room: Room) -> int:
        """Return the bytes to keep free: those of the settings, but at most half of the volume."""
        return min(self._min_free_bytes, room.total // 2) if room.total else self._min_free_bytes

    def headroom(self, room: Room) -> float:
        """Return the bytes to keep free beyond the floor: what may be written until the next look, twice."""
        return min(HEADROOM_TICKS * self.tick * self.bytes_per_second, self.floor(room) * HEADROOM_SHARE)

    def lack(self, room: Room) -> Lack:
        """Return what a volume with this room lacks. A volume that does not report its size lacks no bytes."""
        floor_bytes = self.floor(room) - room.free if room.total else 0
        inodes = min(MIN_INODES, room.inodes * INODES_SHARE) - room.free_inodes if room.inodes else 0
        return Lack(floor_bytes + self.headroom(room) if room.total else 0, floor_bytes, inodes)


def judged_bytes(room: Room) -> float:
    """Return after how many deleted bytes it is judged what that gave."""
    return min(JUDGED_BYTES, room.total * JUDGED_SHARE) if room.total else JUDGED_BYTES
