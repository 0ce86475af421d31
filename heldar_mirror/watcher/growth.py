"""When each open segment last grew. Pure; times are monotonic seconds."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from heldar_mirror.proc.open_segments import Segment
from heldar_mirror.status.stall_rule import MAX_STALL_SECONDS, stall_seconds

# After a longer pause between two looks, growth is measured anew, since a segment may have grown unseen.
BLIND_SECONDS = 30.0


@dataclass
class Growth:
    """The open segment of each running recorder, and since when it has not grown or changed."""

    since: dict[str, tuple[Segment | None, float]] = field(default_factory=dict)
    seen_at: float = 0.0

    def seen(self, segments: Mapping[str, Segment | None], now: float) -> None:
        """Take note at `now` of the segment that every running recorder has open, or None if it has none open yet."""
        old = self.since if now - self.seen_at <= BLIND_SECONDS else {}
        self.seen_at = now
        self.since = {
            camera_id: old[camera_id] if camera_id in old and old[camera_id][0] == segment else (segment, now)
            for camera_id, segment in segments.items()
        }

    def stalled(self, segment_seconds: Mapping[str, int]) -> list[str]:
        """Return the cameras whose file has not grown for too long, given the length of their segments in seconds."""
        return sorted(
            camera_id
            for camera_id, (_, since) in self.since.items()
            if self.seen_at - since > stall_seconds(segment_seconds.get(camera_id, MAX_STALL_SECONDS))
        )

    def forget(self, camera_id: str) -> None:
        """Measure a camera's growth anew, since its program changed its state."""
        self.since.pop(camera_id, None)
