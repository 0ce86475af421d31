"""When a segment ends: whether its end must be read from the file, and what is made of the length that it gives."""

from typing import NamedTuple

# ffmpeg cuts at the first keyframe after the usual length. Most cameras send one at least this often (seconds).
CUT_SECONDS = 5.0
# Names have whole seconds, a recorder gives one a moment after the file was opened, and lengths are those of the
# camera's clock. A gap of at least 3 s, as Heldar counts them, is still seen.
JOIN_SECONDS = 2.0
# Linux takes the mtime of a file from a clock that is late by up to a tick, at most 0.01 s.
TICK_SECONDS = 0.01
# Linux writes to the disk what a file was given at the latest half a minute ago, but its mtime may be there before.
SETTLED_SECONDS = 60.0
# A file that was written so lately may still be open: the primary's ffmpeg writes 256 KiB at a time, which takes so
# long at 17 kbit/s.
OPEN_SECONDS = 120.0


class Written(NamedTuple):
    """The size of a file in bytes, and when it was written last (Unix seconds)."""

    size: int
    mtime: float


class Evidence:
    """Tells which segments surely reach the next one, so that their own ends need not be read.

    The segments of a camera are shown to it from the newest to the oldest. `usual` is their usual length in seconds,
    and a file of at most `stub_bytes` may be a stub. `reached` is when a segment begins that is not shown, the next one
    after the newest that is.
    """

    def __init__(self, usual: float, stub_bytes: int, reached: float) -> None:
        self._usual = usual
        self._stub_bytes = stub_bytes
        # Each segment from here on was cut into the next one until this time (Unix seconds).
        self._reached = reached

    def is_enough(self, begun: int, following: int | None, written: Written) -> bool:
        """Return whether a segment surely reaches the following one, which is None for a camera's newest segment.

        ffmpeg closes a file, which writes to it, just before it opens the next one, after the usual length. Everything
        else is no evidence: a copied file was written later, the file of a killed recorder earlier, and one that was
        closed because its camera was silent is shorter. Nor is it enough if the recording did not go on so for a while,
        since a power failure may take from a file what was written last. If a camera falls silent, and is back in the
        same second as its connection times out, just when the next segment is due, those 15 s are taken for recorded.
        So is a silence within a segment.
        """
        if following is not None:
            is_usual = abs(following - begun - self._usual) <= CUT_SECONDS
            is_written_until_then = following - TICK_SECONDS <= written.mtime < following + 1
            if is_usual and is_written_until_then and written.size > self._stub_bytes:
                return self._reached >= following + SETTLED_SECONDS
        self._reached = begun
        return False


def end_of(  # noqa: PLR0913 - what is known of one segment
    begun: int,
    following: int | None,
    length: float,
    written: Written,
    segment_seconds: float,
    *,
    join_seconds: float = JOIN_SECONDS,
) -> float:
    """Return when a segment ends (Unix seconds), by its length.

    A beginning that follows within `join_seconds` is its end, or within half a usual length if that is less, so that a
    missing segment is always seen. An end beyond the following beginning is left as it is: that segment may be a stub.
    But no packet is from after the last write: a camera whose timestamps leap, or run too fast, gives a length that
    never was. A clock that is wrong by less than a segment's usual length is forgiven, since a network drive has its
    own.
    """
    end = begun + length
    if written.mtime >= begun:
        end = min(end, max(written.mtime + JOIN_SECONDS, begun + segment_seconds + CUT_SECONDS))
    if following is not None and abs(following - end) <= min(join_seconds, segment_seconds / 2):
        return following
    return end


def may_be_open(written: Written, now: float) -> bool:
    """Return whether a file was written so lately that it may still be open."""
    return abs(now - written.mtime) <= OPEN_SECONDS
