"""When a file that does not grow is a stall, one that ffmpeg's own timeout did not catch."""

from heldar_mirror.proc.open_segments import Segment

MIN_STALL_SECONDS = 60.0
MAX_STALL_SECONDS = 300.0


def stall_seconds(segment_seconds: float) -> float:
    """Return for how long a file may stay as it is: three times its segment's length, from 60 to 300 s."""
    return min(max(3.0 * segment_seconds, MIN_STALL_SECONDS), MAX_STALL_SECONDS)


def is_overdue(segment: Segment, segment_seconds: float, now: float) -> bool:
    """Whether an open segment is stalled by its age. One look can't show whether it grows, but it shows that ffmpeg has
    not closed it: ffmpeg does that at the first keyframe after `segment_seconds`. `now` is in Unix seconds."""
    return now > segment.begun + segment_seconds + stall_seconds(segment_seconds)
