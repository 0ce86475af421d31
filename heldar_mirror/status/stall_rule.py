"""The rule for a stall: how long a file may stay as it is. ffmpeg's own timeout does not notice every stall."""

from heldar_mirror.proc.open_segments import Segment

MIN_STALL_SECONDS = 60.0
MAX_STALL_SECONDS = 300.0


def stall_seconds(segment_seconds: float) -> float:
    """Return for how many seconds a file may stay as it is: three times its segment's length, but 60 to 300 s."""
    return min(max(3.0 * segment_seconds, MIN_STALL_SECONDS), MAX_STALL_SECONDS)


def is_overdue(segment: Segment, segment_seconds: float, now: float) -> bool:
    """Return whether an open segment is so old at `now` (Unix seconds) that it must be stalled.

    ffmpeg closes a segment at the first keyframe after `segment_seconds`. So its age shows a stall, even if one look
    can't show whether it grows.
    """
    return now > segment.begun + segment_seconds + stall_seconds(segment_seconds)
