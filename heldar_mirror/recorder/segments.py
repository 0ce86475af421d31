"""The names of segments, and giving them to the files that ffmpeg numbers.

ffmpeg numbers its files, `.new-UNIXTIME-NUMBER.mp4`, and lists on a pipe which ones it has closed. See
docs/decisions.md, "The recorder names the segments".
"""

import posix
import time

from .files import exists

SEGMENT_NAME = "%Y%m%d_%H%M%S.mp4"
# ffmpeg's files are called so until they have their names, with the Unix time at which the run began, and a number.
NUMBERED = ".new-"

# A name is a second. If segments are cut faster for so long that names lie this far in the future, ffmpeg is ended.
# A new one begins to count anew, so a camera's clock that has jumped is caught up with.
AHEAD_SECONDS = 300

# ffmpeg opens a file within milliseconds of closing the one before. A program in its place may not keep it open.
OPENING_SECONDS = 0.2

# A camera whose timestamps stand still never lets ffmpeg cut. Its segment is ended when it is much older than it should
# be, since keyframes may come minutes apart, or larger than any camera makes it (bytes per second of its length).
ENDLESS = "the segment grows without end: do the camera's timestamps stand still?"
ENDLESS_SECONDS = 1800.0
ENDLESS_RATE = 12_500_000
ENDLESS_BYTES = 256 << 20

AHEAD = "segments were cut more than once a second for so long that their names lie 5 minutes in the future"


def segment_path(directory: str, seconds: float) -> str:
    """Return the path of the segment that begins at a Unix time."""
    return f"{directory}/{time.strftime(SEGMENT_NAME, time.gmtime(seconds))}"


def free_second(directory: str, seconds: float) -> int:
    """Return the first second, from a Unix time on, of which no segment is named. Raises OSError."""
    second = int(seconds)
    while exists(segment_path(directory, second)):
        second += 1
    return second


def is_numbered(name: str) -> bool:
    """Return whether this is the name of a file that ffmpeg has numbered, and that has no name of its own yet."""
    return name.startswith(NUMBERED) and name.endswith(".mp4")


def name_file(directory: str, numbered: str, opened: float) -> str:
    """Name a numbered file after the second at which it was opened (Unix time), or the next free one. Return its path.

    The caller holds the directory's lock, so nobody takes the name between the look and the rename. Raises OSError.
    """
    path = segment_path(directory, free_second(directory, opened))
    posix.rename(f"{directory}/{numbered}", path)
    return path


def run_and_number(name: str) -> "tuple[int, int]":
    """Return when the run began that wrote a numbered file (Unix time), and its number; zeros if it is not one."""
    run, _, number = name[len(NUMBERED) : -len(".mp4")].partition("-")
    return (int(run), int(number)) if run.isdecimal() and number.isdecimal() else (0, 0)


def has_open(pid: int, name: str) -> bool:
    """Return whether a process has a file of this name open, or False if that can't be seen."""
    try:
        return any(
            posix.readlink(f"/proc/{pid}/fd/{fd}").endswith(f"/{name}") for fd in posix.listdir(f"/proc/{pid}/fd")
        )
    except OSError:
        return False  # a descriptor was closed meanwhile, or the process has ended


class Segments:
    """The files of one run of ffmpeg. Each gets its name as soon as it is open.

    `path` is the file that was named last, `opened` when that was (monotonic seconds), and `is_ahead` whether its name
    lies too far in the future. `awaited` says whether the next file may be there at any moment. `error` is the first
    error of naming one.
    """

    def __init__(self, directory: str, run: str) -> None:
        self.directory = directory
        self.run = run
        self.number = 0
        self.path = ""
        self.opened = 0.0
        self.awaited = True
        self.is_ahead = False
        self.error = ""
        self._awaited_since = time.monotonic()
        self._rest = b""

    def pattern(self) -> str:
        """Return the name that ffmpeg is given. In it each '%' but that of the number is doubled."""
        return f"{self.directory.replace('%', '%%')}/{NUMBERED}{self.run}-%d.mp4"

    def closed(self, listed: bytes) -> None:
        """Take note of what ffmpeg has listed: the names of the files that it has closed, a line each."""
        *lines, self._rest = (self._rest + listed).split(b"\n")
        for line in lines:
            _, last = run_and_number(line.decode(errors="replace"))
            for number in range(self.number, last + 1):
                self.look()
                self.number = number + 1
            self.awaited, self._awaited_since = True, time.monotonic()

    def look(self, pid: int = 0) -> None:
        """Name the next file if it is there. `pid` is that of ffmpeg if it may be opening the file just now.

        On a FUSE file system, a look at that moment would leave the file without a name in /proc/PID/fd, where `status`
        finds the open segment. So for a while it is looked for only there.
        """
        numbered = f"{NUMBERED}{self.run}-{self.number}.mp4"
        may_be_opening = pid and time.monotonic() - self._awaited_since < OPENING_SECONDS
        try:
            if not (has_open(pid, numbered) if may_be_opening else exists(f"{self.directory}/{numbered}")):
                return
            now = time.time()
            self.path, self.opened = name_file(self.directory, numbered, now), time.monotonic()
            self.is_ahead = self.path > segment_path(self.directory, now + AHEAD_SECONDS)
        except OSError as error:
            self.error = self.error or f"cannot name {numbered}: {error}"
        self.number += 1
        self.awaited = False

    def is_endless(self, length: float) -> bool:
        """Return whether the open file is far beyond its length, in seconds."""
        if not self.path:
            return False
        try:
            size = posix.stat(self.path).st_size
        except OSError:
            return False  # somebody has deleted it
        age = time.monotonic() - self.opened
        return age > 2 * length + ENDLESS_SECONDS or size > length * ENDLESS_RATE + ENDLESS_BYTES

    def finish(self) -> None:
        """Name what ffmpeg left last, and remove it if it is a stub."""
        from .leftovers import is_stub

        self.look()
        try:
            if self.path and is_stub(self.path):
                posix.unlink(self.path)
        except OSError as error:
            self.error = self.error or f"cannot see whether its last file is a stub: {error}"
