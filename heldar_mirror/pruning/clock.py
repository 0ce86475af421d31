"""The wall clock, and whether it is to be believed. All pure but for `uptime`."""

import time
from dataclasses import dataclass

# A clock that was set forward by so much, or is so far ahead after a boot, may be wrong, and what goes by age would be
# gone; so that waits until somebody could have noticed.
STEP_SECONDS = 600


OFF_SECONDS = 86_400


STEPPED_SECONDS = 3600


@dataclass(frozen=True)
class Clock:
    """When the wall clock was `seen` last, how far it is from the one that counts seconds since the boot, and until
    when, by the latter, it is doubted."""

    boot: str
    offset: float
    seen: float
    doubted_until: float = 0.0

    def read(self, boot: str, now: float, uptime: float) -> "Clock":
        """Return what is known after another look at both clocks."""
        # After a boot: a machine that was off for long, or one whose clock is wrong until somebody tells it the time.
        ahead = now - uptime - self.offset if boot == self.boot else now - self.seen - OFF_SECONDS
        doubted = ahead > STEP_SECONDS
        until = self.doubted_until if boot == self.boot else 0.0
        return Clock(boot, now - uptime, now, uptime + STEPPED_SECONDS if doubted else until)


def uptime() -> float:
    return time.clock_gettime(time.CLOCK_BOOTTIME)
