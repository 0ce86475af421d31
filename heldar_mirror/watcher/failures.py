"""What is remembered of each program over time: when it failed for good, and when its file last grew. All pure.

Times are monotonic seconds.
"""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field

from heldar_mirror.proc.open_segments import Segment

# supervisord's states of a program that failed and that it does not start any more by itself. One that ran for long
# passes through EXITED as well, and is started at once: to start it again then is harmless.
FAILED = ("FATAL", "EXITED")

# A camera that answers, and whose recorder failed for good all the same, waits this long between tries.
RETRY_SECONDS = 30.0

# A file that has not grown for three times its segment's length, within these bounds, is a stall that ffmpeg's own
# timeout did not catch.
MIN_STALL_SECONDS = 60.0
MAX_STALL_SECONDS = 300.0

# Who did not look for so long has not seen whether a file grew.
BLIND_SECONDS = 30.0


@dataclass
class Failures:
    """The programs that failed for good, and from when on each may be tried."""

    due_at: dict[str, float] = field(default_factory=dict)
    tried_at: dict[str, float] = field(default_factory=dict)

    def heard(self, name: str, state: str, now: float) -> None:
        """Take note of a program's change of state."""
        if state in FAILED:
            self.due_at[name] = max(now, self.tried_at.get(name, -RETRY_SECONDS) + RETRY_SECONDS)
            return
        self.due_at.pop(name, None)
        if state in {"RUNNING", "STOPPED"}:
            self.tried_at.pop(name, None)

    def due(self, now: float) -> list[str]:
        """Return the programs that may be tried."""
        return sorted(name for name, at in self.due_at.items() if at <= now)

    def tried(self, names: Iterable[str], now: float) -> None:
        """Take note of a try, of which nothing may come."""
        for name in names:
            self.tried_at[name] = now
            self.due_at[name] = now + RETRY_SECONDS

    def keep(self, names: Collection[str]) -> None:
        """Forget all programs but these."""
        for times in (self.due_at, self.tried_at):
            for name in times.keys() - names:
                del times[name]


@dataclass
class Growth:
    """When the open segment of each running recorder last grew, or was another one."""

    since: dict[str, tuple[Segment | None, float]] = field(default_factory=dict)
    seen_at: float = 0.0

    def seen(self, segments: Mapping[str, Segment | None], now: float) -> None:
        """Take note of what every running recorder has open; None where it has nothing open yet."""
        old = self.since if now - self.seen_at <= BLIND_SECONDS else {}
        self.seen_at = now
        self.since = {
            camera_id: old[camera_id] if camera_id in old and old[camera_id][0] == segment else (segment, now)
            for camera_id, segment in segments.items()
        }

    def stalled(self, segment_seconds: Mapping[str, int]) -> list[str]:
        """Return the cameras whose file was seen not to grow for too long."""
        return sorted(
            camera_id
            for camera_id, (_, since) in self.since.items()
            if self.seen_at - since > stall_seconds(segment_seconds.get(camera_id, MAX_STALL_SECONDS))
        )

    def forget(self, camera_id: str) -> None:
        """Begin anew with a camera whose program changed its state."""
        self.since.pop(camera_id, None)


def stall_seconds(segment_seconds: float) -> float:
    """Return how long a file may not grow, given the length of its segments."""
    return min(max(3.0 * segment_seconds, MIN_STALL_SECONDS), MAX_STALL_SECONDS)
