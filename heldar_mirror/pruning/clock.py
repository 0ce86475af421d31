"""The clocks that pruning reads, and whether the wall clock is believed."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

# A wall clock that was set forward by more than this may be wrong, and all footage would seem too old. So nothing is
# removed by age for DOUBT_SECONDS, in which a person can notice.
STEP_SECONDS = 600
DOUBT_SECONDS = 3600

# After a boot the wall clock may be ahead by this much more, since the machine may have been off for so long.
OFF_SECONDS = 86_400


@dataclass(frozen=True)
class WallClock:
    """The last reading of the wall clock.

    `boot` is the id of the boot in which it was read, `seen` the time that it showed (Unix seconds), and `offset` that
    time less the seconds since the boot. The clock is doubted until `doubted_until`, in seconds since the boot.
    """

    boot: str
    offset: float
    seen: float
    doubted_until: float = 0.0

    def read(self, boot: str, now: float, uptime: float) -> "WallClock":
        """Return the next reading: the wall clock showed `now` at `uptime` seconds after the boot `boot`."""
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

    `wall` returns Unix seconds. `monotonic` measures lengths of time. `uptime` returns the seconds since the boot,
    including those of a suspend, and `boot` returns the id of that boot.
    """

    wall: Callable[[], float] = time.time
    monotonic: Callable[[], float] = time.monotonic
    uptime: Callable[[], float] = _uptime
    boot: Callable[[], str] = _boot_id

    def read(self, before: WallClock | None) -> WallClock:
        """Return a reading of the wall clock after the reading `before`. Without one the clock is believed."""
        boot, now, up = self.boot(), self.wall(), self.uptime()
        return (before or WallClock(boot, now - up, now)).read(boot, now, up)
