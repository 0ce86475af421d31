"""One run of ffmpeg: starting it, following what it reports, and ending it if it must be ended."""

import posix
import select
import time

from .blotting import blot
from .ffmpeg import hide_credentials
from .log import Tail
from .media import REPORT_SECONDS, STALLED, Media
from .segments import AHEAD, ENDLESS, Segments

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from .ffmpeg import Child

# The next file is looked for at least this often while it may appear.
LOOK_SECONDS = 0.25


class Run:
    """One run of ffmpeg, and what is known of it. The segments' `length` is in seconds, `begun` is Unix time.

    `cause` is why the recorder itself ended it, or no text. `cut` says whether the camera ended the connection.
    """

    def __init__(self, directory: str, length: float) -> None:
        self.begun = time.time()
        self._length = length
        self.segments = Segments(directory, str(int(self.begun)))
        self.media = Media()
        self.tail = Tail()
        self.status = 0
        self.cause = ""
        self.cut = False

    def should_end(self, pid: int) -> str:
        """Return why ffmpeg, which is process `pid`, must be ended, or no text."""
        if self.segments.is_ahead:
            return AHEAD
        if self.media.has_stopped(pid):
            return f"{STALLED} for {time.monotonic() - self.media.since:.0f} s, though it keeps the connection"
        return ENDLESS if self.segments.is_endless(self._length) else ""


def run_ffmpeg(spec: "dict[str, list[str]]", run: Run, child: "Child") -> None:
    """Run ffmpeg to its end. Raises OSError if it can't be started."""
    url_bytes, blotted = spec["url"][0].encode(), blot(spec["url"][0], spec["secret"]).encode()
    opened: list[int] = []
    try:
        for _ in range(3):
            opened += posix.pipe()
        stderr, stderr_writer, listing, listing_writer, report, report_writer = opened
        output = [
            *["-progress", f"pipe:{report_writer}", "-stats_period", str(REPORT_SECONDS)],
            *["-segment_list", f"pipe:{listing_writer}", "-segment_list_type", "flat", run.segments.pattern()],
        ]
        for fd in (listing_writer, report_writer):
            posix.set_inheritable(fd, True)
        child.spawn([*spec["arg"], *output], stderr_writer)
        for fd in (stderr_writer, listing_writer, report_writer):
            opened.remove(fd)
            posix.close(fd)
        takers = {stderr: run.tail.add, listing: run.segments.closed, report: run.media.add}
        follow(child, run, takers, lambda: hide_credentials(child.pid, url_bytes, blotted))
        run.status = child.wait()
        for fd in (listing, report):
            while data := posix.read(fd, 65536):
                takers[fd](data)
    finally:
        for fd in opened:
            posix.close(fd)
    run.cut = run.status == 0 and not run.cause and run.media.was_cut()
    run.segments.finish()


def follow(child: "Child", run: Run, takers: "dict[int, Callable[[bytes], None]]", hide: "Callable[[], bool]") -> None:
    """Follow ffmpeg until its stderr is closed, and end it if it must be ended.

    `takers` are who takes what comes from each of ffmpeg's pipes, of which stderr is the first. `hide()` is called
    until it returns true.
    """
    stderr, *_ = following = list(takers)
    segments, hidden, wait = run.segments, False, 0.05
    for fd in following:
        child.poll.register(fd, select.POLLIN)
    while stderr in following:
        ready = child.ready(wait if segments.awaited or not hidden else REPORT_SECONDS)
        hidden = hidden or hide()
        wait = min(wait * 1.5, LOOK_SECONDS)
        was_awaited = segments.awaited
        for fd in ready:
            data = posix.read(fd, 65536)
            takers[fd](data)
            if not data:
                child.poll.unregister(fd)
                following.remove(fd)
        if segments.awaited:
            wait = wait if was_awaited else 0.005
            segments.look(child.pid)
        if not run.cause and not child.stopping and (cause := run.should_end(child.pid)):
            run.cause = cause
            child.end()
        if stderr in ready:
            # If a camera's timestamps run backwards, ffmpeg writes a line per packet. Bulk reads keep that cheap.
            time.sleep(0.1)
    for fd in following:
        child.poll.unregister(fd)
