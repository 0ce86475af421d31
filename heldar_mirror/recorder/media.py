"""Whether ffmpeg still receives media, by what it reports with `-progress`.

The segments can't tell: fragments reach them at keyframes only, and smart codecs send one in some minutes.
"""

import time

# ffmpeg is to report this often. ffmpeg 9 also takes that long to notice a SIGTERM.
REPORT_SECONDS = 2

# Without media for STALL_SECONDS the camera counts as stalled. Before the first keyframe ffmpeg counts nothing, so it
# may take longer. If unread data waits for an ffmpeg that is stuck, such as in a frozen volume, it may be stuck for
# STUCK_SECONDS.
STALL_SECONDS = 60.0
FIRST_KEYFRAME_SECONDS = 300.0
STUCK_SECONDS = 300.0

# That data waits unread is looked for this often. It costs some milliseconds, and a frozen volume makes all recorders
# look.
LOOK_SECONDS = 30.0

# If media came until so shortly before the end, the camera ended the connection: ffmpeg's own timeout takes 15 s.
CUT_SECONDS = 10.0

# After a longer time between two looks the recorder was paused itself, so the time begins anew.
BLIND_SECONDS = 30.0

STALLED = "the camera sends no media"


class Media:
    """What ffmpeg has received.

    `received` says whether there was any media, and `since` when ffmpeg last reported some while it ran (monotonic
    seconds).
    """

    def __init__(self) -> None:
        self.received = False
        self.since = self._looked = time.monotonic()
        self._next_look = 0.0
        self._counts: list[bytes] = []
        self._reported: list[bytes] = []
        self._rest = b""

    def add(self, report: bytes) -> None:
        """Take note of a part of ffmpeg's reports: lines of `key=value`, the last of each `progress`."""
        *lines, self._rest = (self._rest + report).split(b"\n")
        for line in lines:
            key, _, value = line.partition(b"=")
            # A camera without video has only a time, and one whose clock stands still only frames. Before there is any,
            # they are 0, no number, or the smallest of all.
            if key in (b"frame", b"out_time_us") and value.strip(b" -0").isdigit() and len(value) < 19:
                self._counts.append(value)
            elif key == b"progress":
                if self._counts != self._reported:
                    self.received = True
                    if value == b"continue":
                        self.since = time.monotonic()
                self._reported, self._counts = self._counts, []

    def was_cut(self) -> bool:
        """Return whether media came until ffmpeg ended, which was just now."""
        return time.monotonic() - self.since < CUT_SECONDS

    def has_stopped(self, pid: int) -> bool:
        """Return whether the camera sends ffmpeg, which is process `pid`, no media any more."""
        now = time.monotonic()
        if now - self._looked > BLIND_SECONDS:
            self.since = now
        self._looked = now
        silent = now - self.since
        if silent < (STALL_SECONDS if self.received else FIRST_KEYFRAME_SECONDS):
            return False
        if silent > STUCK_SECONDS:
            return True
        if now < self._next_look:
            return False
        from .unread import has_unread

        self._next_look = now + LOOK_SECONDS
        return not has_unread(pid)
