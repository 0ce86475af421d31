"""The clocks that pruning reads, and whether the wall clock can be believed."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

# A wall clock that was set forward by more than this may be wrong. Everything would seem over its time, so nothing is
# removed by age for DOUBT_SECONDS, in which somebody can notice.
STEP_SECONDS = 600

# After a boot a wall clock may be ahead of when it was last read by this much more: the machine may have been off.
OFF_SECONDS = 86_400

DOUBT_SECONDS = 3600


@dataclass(frozen=True)
class WallClock:
    """What is known of the wall clock since it was read last.

    `boot` is the id of the boot in which it was read, `offset` its distance from the seconds since that boot, `seen`
    the time that it showed (Unix seconds). It is doubted until `doubted_until`, in seconds since the boot.
    """

    boot: str
    offset: float
    seen: float
    doubted_until: float = 0.0

    def read(self, boot: str, now: float, uptime: float) -> "WallClock":
        """Return what is known after the wall clock showed `now`, at `uptime` seconds after the boot `boot`."""
        same_boot = boot == self.boot
        ahead = now - uptime - self.offset if same_boot else now - self.seen - OFF_SECONDS
        if ahead > STEP_SECONDS:
            return WallClock(boot, now - uptime, now, uptime + DOUBT_SECONDS)
        return WallClock(boot, now - uptime, now, self.doubted_until if same_boot else 0.0)


def _uptime() -> float:
    return time.clock_gettime(time.CLOCK_BOOTTIME)


def _boot_id() -> str:
    return Path("/proc/sys/kernel/random/boot_id").read_text().strip()


@dataclass(frozen=True)
class Clocks:
    """The clocks of the machine; a test hands in its own.

    `wall` gives Unix seconds. `monotonic` measures lengths of time. `uptime` gives the seconds since the boot, those of
    a suspend included, and `boot` that boot's id.
    """

    wall: Callable[[], float] = time.time
    monotonic: Callable[[], float] = time.monotonic
    uptime: Callable[[], float] = _uptime
    boot: Callable[[], str] = _boot_id

    def read(self, before: WallClock | None) -> WallClock:
        """Return what is known of the wall clock now. A clock that was never read before is believed."""
        boot, now, up = self.boot(), self.wall(), self.uptime()
        return (before or WallClock(boot, now - up, now)).read(boot, now, up)
