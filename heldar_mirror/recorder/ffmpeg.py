"""The one ffmpeg: starting it, ending it, and hiding the password in its arguments."""

import posix
import select
import time

from .files import read

TYPE_CHECKING = False
if TYPE_CHECKING:
    import signal as _signal  # for the type checker; at run time its enums would cost 0.7 MB
else:
    import _signal

# An ffmpeg that does not end is killed after this long. After the stanza's stopwaitsecs, which is longer, supervisord
# would kill the recorder before it can tidy up.
KILL_AFTER_SECONDS = 7

# ffmpeg inherits only these variables: where programs are, and how texts are encoded. Others would have it write its
# URL into a file (FFREPORT), go through a proxy, or run the code of others (LD_PRELOAD).
INHERITED = (b"PATH", b"LANG", b"LC_ALL", b"LC_CTYPE")


def ffmpeg_environment() -> "dict[bytes, bytes]":
    """Return the environment of an ffmpeg, whose names of segments are in UTC."""
    return {name: posix.environ[name] for name in INHERITED if name in posix.environ} | {b"TZ": b"UTC"}


class Child:
    """The one ffmpeg. It is sent at most one SIGTERM, since after a second one it would lose its last segment.

    `stopping` says that the recorder is stopped, and `signalled` that ffmpeg was sent the SIGTERM. `poll` has the
    descriptors that `ready` waits for.
    """

    def __init__(self) -> None:
        self.poll = select.poll()
        self.poll.register(1, 0)
        self._woken, self._waker = posix.pipe()
        self.poll.register(self._woken, select.POLLIN)
        self.pid = 0
        self.begun = 0.0
        self.stopping = False
        self.signalled = False

    def lasted(self) -> float:
        """Return for how many seconds ffmpeg has run, or 0 if it was not started."""
        return time.monotonic() - self.begun if self.begun else 0.0

    def stop(self, *_: object) -> None:
        """End ffmpeg, or start none: the handler of SIGTERM."""
        if not self.stopping:
            self.stopping = True
            posix.write(self._waker, b"!")
        self.end()

    def ready(self, seconds: float) -> "dict[int, int]":
        """Wait for the descriptors of `poll`, and return the events of those that are ready.

        The wait is over at once when the recorder is stopped, and each later one unless ffmpeg runs. The recorder is
        also stopped if nobody reads our output any more, because supervisord was killed before our parent-death signal
        was armed.
        """
        if self.stopping and not self.pid:
            seconds = 0
        ready = dict(self.poll.poll(seconds * 1000))
        if ready.pop(self._woken, 0):
            posix.read(self._woken, 1)
        if unread := ready.pop(1, 0):
            self.poll.unregister(1)
            if unread & select.POLLERR:
                self.stop()
        return ready

    def is_ready(self, fd: int, seconds: float) -> bool:
        """Wait for a descriptor alone, and return whether it can be read. The recorder's stop ends the wait at once."""
        poll = select.poll()
        for each in (fd, self._woken):
            poll.register(each, select.POLLIN)
        return fd in dict(poll.poll(seconds * 1000))

    def end(self) -> None:
        """End ffmpeg if it runs."""
        if self.pid and not self.signalled:
            self.signalled = True
            try:
                posix.kill(self.pid, _signal.SIGTERM)
                _signal.alarm(KILL_AFTER_SECONDS)
            except ProcessLookupError:
                pass  # it has just ended by itself

    def give_up(self, *_: object) -> None:
        """Kill an ffmpeg that has not ended. Without media from its camera it ignores the first SIGTERM."""
        if self.pid:
            try:
                posix.kill(self.pid, _signal.SIGKILL)
            except ProcessLookupError:
                pass  # it has just ended by itself

    def spawn(self, args: "list[str]", stderr: int) -> None:
        """Start ffmpeg. It dies with this process. Raises OSError if it can't be started."""
        guard = ["setpriv", "--pdeathsig", "KILL"]
        # If we die before the parent-death signal is armed it never arrives, so sh checks its parent first.
        begin = 'test "$PPID" = "$1" && shift && exec "$@"'
        guard += ["--", "sh", "-c", begin, "heldar-mirror", str(posix.getpid())]
        null = posix.open("/dev/null", posix.O_RDWR)
        try:
            self.begun = time.monotonic()
            self.pid = posix.posix_spawnp(
                guard[0],
                [*guard, *args],
                ffmpeg_environment(),
                file_actions=[
                    (posix.POSIX_SPAWN_DUP2, null, 0),
                    (posix.POSIX_SPAWN_DUP2, null, 1),
                    (posix.POSIX_SPAWN_DUP2, stderr, 2),
                ],
                setsigdef=[_signal.SIGPIPE, _signal.SIGXFSZ],
            )
        finally:
            posix.close(null)
        if self.stopping:
            self.stop()

    def wait(self) -> int:
        """Wait until ffmpeg has ended. Return its exit status, or the negated number of the signal that ended it."""
        _, status = posix.waitpid(self.pid, 0)
        self.pid = 0
        _signal.alarm(0)
        self.signalled = False
        return posix.waitstatus_to_exitcode(status)


def hide_credentials(pid: int, url: bytes, blotted: bytes) -> bool:
    """Overwrite the URL in what `ps` shows of process `pid`. Return False if this must be called again.

    The URL is overwritten once ffmpeg has a socket, since ffmpeg has copied it by then. If Linux refuses (Yama's
    ptrace_scope is 2 or 3), the URL stays visible; then /proc should be mounted with hidepid.
    """
    proc = f"/proc/{pid}"
    try:
        if not any(posix.readlink(f"{proc}/fd/{fd}").startswith("socket:") for fd in posix.listdir(f"{proc}/fd")):
            return False
        at = read(f"{proc}/cmdline").find(url)
        if at >= 0:
            # Field 48 is where the arguments start. The first field after the name, in parentheses, is field 3.
            start = int(read(f"{proc}/stat").rpartition(b")")[2].split()[48 - 3])
            memory = posix.open(f"{proc}/mem", posix.O_WRONLY)
            try:
                posix.pwrite(memory, blotted, start + at)
            finally:
                posix.close(memory)
    except (FileNotFoundError, ProcessLookupError):
        return False  # a descriptor was closed meanwhile, or ffmpeg ended, and then `follow` ends soon
    except OSError:
        return True
    return True
