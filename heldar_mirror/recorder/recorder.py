"""The recorder of one camera: it waits for the camera, runs one ffmpeg, names its segments, and logs how it ended.

supervisord starts it as `python -I -S start_recorder.py SPEC GENERATION`, and restarts it: a recorder starts only one
ffmpeg. Its memory is paid once per camera, so it imports only the few built-in modules that it needs; `os` alone would
cost a tenth more.

A launch spec is a file of `key=value` lines:

    camera      the camera's id
    root        the mirror root, which must hold the marker of `volume`
    volume      the volume's id
    directory   the camera's directory, a child of the root
    secret      a text that must never be shown; any number of these lines
    url         the URL that is recorded
    arg         one argument of ffmpeg's command line, which begins with ffmpeg itself; any number of these lines. The
                recorder appends where ffmpeg writes.

ffmpeg numbers its files, `.new-UNIXTIME-NUMBER.mp4`, and lists on a pipe which ones it has closed. See
docs/decisions.md, "The recorder names the segments".
"""

import _socket
import fcntl
import posix
import select
import time

TYPE_CHECKING = False
if TYPE_CHECKING:
    import signal as _signal  # for the type checker; at run time its enums would cost 0.7 MB
    from collections.abc import Callable
else:
    import _signal

TAIL_BYTES = 8192
EROFS, ETIMEDOUT, EINPROGRESS = 30, 110, 115  # loading the module errno would cost memory
MARKER = ".heldar-mirror"
LOCK = ".heldar-mirror.lock"
SEGMENT_NAME = "%Y%m%d_%H%M%S.mp4"
# So ffmpeg's files are called until they have their names: with the Unix time at which the run began, and a number.
NUMBERED = ".new-"

# With less free space no recording is begun, since ffmpeg crashes on a full volume and each attempt leaves a stub.
MIN_FREE_BYTES = 64 << 20
# One of these texts is in the last words of a recording that ended, or did not begin, because a write found no room.
NO_ROOM = ("is full:", "No space left on device", "Disk quota exceeded")

# Exit status after a run shorter than START_SECONDS (the stanza's startsecs), or if the camera did not answer for that
# long. The stanza expects it, so supervisord doesn't restart at once, even if it is so busy that it notices late.
FAILED_SOON = 75
START_SECONDS = 30

# While it waits, the recorder asks for a connection this often, and gives a silent camera this long to answer. The last
# attempt, after START_SECONDS, may take as long as ffmpeg's own `-timeout`, since a slow link may need that. Then the
# recorder ends, and the watcher, which needs no process for it, goes on asking.
KNOCK_SECONDS = 0.5
ANSWER_SECONDS = 1.5
LAST_ANSWER_SECONDS = 15.0
RTSP_PORT = 554
# A recorder logs this when its camera refuses or is silent. `status` looks for it, to show that the recorder waits.
NO_CONNECTION = "no connection to the camera"

# An ffmpeg that does not end is killed after this long. After the stanza's stopwaitsecs, which is longer, supervisord
# would kill the recorder before it can tidy up.
KILL_AFTER_SECONDS = 7

# To Linux this counts like a tenth of the machine's memory: more than supervisord uses, less than a program that leaks.
OOM_SCORE_ADJ = b"100"

# The next file is looked for at least this often while it may appear.
LOOK_MILLISECONDS = 250

# A name is a second. If segments are cut faster for so long that names lie this far in the future, ffmpeg is ended.
# A new one begins to count anew, so a camera's clock that has jumped is caught up with.
AHEAD_SECONDS = 300
AHEAD = "segments were cut more than once a second for so long that their names lie 5 minutes in the future"

FIELDS = ("generation", "camera", "root", "volume", "directory", "secret", "url", "arg")


class RefusedError(Exception):
    """Recording must not start; the text says why and what to do."""


def spans_of_secrets(text: str, secrets: "tuple[str, ...] | list[str]") -> "list[tuple[int, int]]":
    """Return the start and end of each secret in `text`, in order. Overlapping ones are merged, to be hidden whole."""
    found = []
    for secret in filter(None, secrets):
        at = text.find(secret)
        while at >= 0:
            found.append((at, at + len(secret)))
            at = text.find(secret, at + 1)
    merged: list[tuple[int, int]] = []
    for start, end in sorted(found):
        if merged and start < merged[-1][1]:
            merged[-1] = merged[-1][0], max(end, merged[-1][1])
        else:
            merged.append((start, end))
    return merged


def mask(text: str, secrets: "tuple[str, ...] | list[str]" = ()) -> str:
    """Return `text` without credentials.

    Each of `secrets` is replaced wherever it occurs. Then, after every `://`, everything up to the last `@` of the
    authority is replaced; the authority ends at the next `/`, white space or quote. Other text stays as it is.
    """
    for start, end in reversed(spans_of_secrets(text, secrets)):
        text = f"{text[:start]}***{text[end:]}"
    head, separator, rest = text.partition("://")
    parts = [head]
    while separator:
        end = next((i for i, c in enumerate(rest) if c in "/'\"" or c.isspace()), len(rest))
        at = rest.rfind("@", 0, end)
        if at >= 0:
            rest = "***" + rest[at:]
        head, next_separator, rest = rest.partition("://")
        parts += [separator, head]
        separator = next_separator
    return "".join(parts)


def blot(url: str, secrets: "tuple[str, ...] | list[str]") -> str:
    """Return `url` with each byte of its secrets and its user information replaced by a star, at the same length."""
    for start, end in reversed(spans_of_secrets(url, secrets)):
        url = url[:start] + "*" * len(url[start:end].encode()) + url[end:]
    start = url.find("://") + 3
    end = next((i for i in range(start, len(url)) if url[i] in "/'\""), len(url))
    at = max(url.rfind("@", start, end), start)
    return url[:start] + "*" * len(url[start:at].encode()) + url[at:]


def parse_spec(text: str) -> "dict[str, list[str]]":
    """Return the fields of a launch spec's text, each with its values in order. Raises ValueError if it is not one."""
    spec: dict[str, list[str]] = {field: [] for field in FIELDS}
    for number, line in enumerate(text.split("\n"), 1):
        key, equals, value = line.partition("=")
        if equals and key in spec:
            spec[key].append(value)
        elif line:
            raise ValueError(f"line {number} is none of a launch spec")
    for field in ("generation", "camera", "root", "volume", "directory", "url", "arg"):
        if not spec[field]:
            raise ValueError(f"a launch spec without {field}")
    return spec


def read(path: str) -> bytes:
    """Return the content of a file. Raises OSError, which names the file."""
    fd = posix.open(path, posix.O_RDONLY)
    try:
        chunks = []
        while chunk := posix.read(fd, 65536):
            chunks.append(chunk)
        return b"".join(chunks)
    except OSError as error:
        raise OSError(error.errno, error.strerror, path) from None  # read()'s own error doesn't name it
    finally:
        posix.close(fd)


def say(level: str, text: str) -> None:
    """Print one line that begins with the time. Characters that can't be printed are shown as `?`."""
    stamp = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
    line = "".join(c if c.isprintable() else "?" for c in text)
    try:
        posix.write(1, f"{stamp} {level} {line}\n".encode(errors="replace"))
    except OSError:
        pass  # supervisord has ended, so nobody would read this


def prove_volume(root: str, volume: str) -> int:
    """Return a descriptor of the marker, locked as in use. Raises RefusedError if the marker doesn't hold `volume`."""
    path = f"{root}/{MARKER}"
    try:
        fd = posix.open(path, posix.O_RDONLY | posix.O_NOFOLLOW | posix.O_NONBLOCK)
    except FileNotFoundError:
        raise RefusedError(
            f"mirror root {root} has lost its marker {MARKER}: is the volume mounted? "
            "For a new volume: heldar-mirror adopt-volume"
        ) from None
    fcntl.flock(fd, fcntl.LOCK_SH)  # before reading, since an adoption writes under an exclusive lock
    if posix.read(fd, 200).decode(errors="replace").strip() != volume:
        raise RefusedError(
            f"mirror root {root} holds the marker of another volume or instance. Mount the right one, "
            "or make this one ours: heldar-mirror adopt-volume"
        )
    return fd


def is_read_only(marker: int) -> bool:
    """Return whether the file system is read-only, which a damaged ext4 becomes without showing it as an option."""
    try:
        posix.utime(marker)
    except OSError as error:
        return error.errno == EROFS
    return False


def check_room(root: str, marker: int) -> None:
    """Raise RefusedError if the volume can't be written to, or has too little room to begin a recording.

    `marker` is the descriptor of the proven marker.
    """
    volume = posix.statvfs(root)
    if is_read_only(marker):
        reason = "is read-only: expected to write there. See dmesg: a file system that is damaged becomes so"
    elif volume.f_blocks and volume.f_bavail * volume.f_frsize < MIN_FREE_BYTES:  # 0 blocks in total means unknown
        reason = f"is full: expected at least {MIN_FREE_BYTES >> 20} MiB of free space. Make room there"
    elif volume.f_files and not volume.f_favail:
        reason = "is full: it has no inode left, expected one for each segment. Make room there"
    else:
        return
    raise RefusedError(f"mirror root {root} {reason}; recording begins by itself then")


def lock_directory(directory: str) -> int:
    """Make the camera directory, but not its parents, lock it for one writer, and return the lock's descriptor.

    Raises RefusedError if it is no directory, or has a writer; OSError if it can't be used.
    """
    try:
        posix.mkdir(directory)
    except FileExistsError:
        pass
    try:
        posix.close(posix.open(directory, posix.O_RDONLY | posix.O_DIRECTORY | posix.O_NOFOLLOW))
    except OSError as error:
        raise RefusedError(
            f"{directory}: {error.strerror}: expected a directory of the recorders' user; a symbolic link would lead "
            "out of the volume that was proven"
        ) from None
    fd = posix.open(f"{directory}/{LOCK}", posix.O_RDWR | posix.O_CREAT | posix.O_NOFOLLOW, 0o640)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise RefusedError(f"another recorder is writing to {directory}: see who holds {LOCK} there") from None
    return fd


def note_run(lock: int, directory: str, run: str) -> None:
    """Write into the lock file whose directory it is, and which run's files may lack their names; none if it is empty.

    By its first line the pruner recognizes a camera directory, and leaves a copy of it alone, since a copy's name
    differs.
    """
    content = f"{directory.rpartition('/')[2]}\n{run}".encode()
    posix.pwrite(lock, content, 0)
    posix.ftruncate(lock, len(content))


def unfinished_run(lock: int) -> str:
    """Return the run whose files may lack their names, by the lock file, or no text."""
    return posix.pread(lock, 300, 0).partition(b"\n")[2].decode(errors="replace")


def exists(path: str) -> bool:
    """Return whether there is a file at `path`, if only a link. Raises OSError if that can't be seen."""
    try:
        posix.lstat(path)
    except FileNotFoundError:
        return False
    return True


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


def name_leftovers(directory: str) -> None:
    """Name the files that a recorder or a machine which was killed has left under their numbers; remove stubs.

    The caller holds the directory's lock. A file was opened when the one before it was written last, but not before its
    run began. Raises OSError, also if a file can't be named: then nothing may be recorded there.
    """
    names = posix.listdir(directory)
    left = sorted(filter(is_numbered, names), key=run_and_number)
    named = [name for name in names if len(name) == 19 and name[:8].isdecimal() and name.endswith(".mp4")]
    before = f"{directory}/{max(named)}" if left and named else ""
    for name in left:
        path = f"{directory}/{name}"
        if is_stub(path):
            posix.unlink(path)
            continue
        opened = float(run_and_number(name)[0])
        if before:
            opened = max(opened, posix.stat(before).st_mtime)
        before = name_file(directory, name, min(opened, posix.stat(path).st_mtime))


def run_and_number(name: str) -> "tuple[int, int]":
    """Return when the run began that wrote a numbered file (Unix time), and its number; zeros if it is not one."""
    run, _, number = name[len(NUMBERED) : -len(".mp4")].partition("-")
    return (int(run), int(number)) if run.isdecimal() and number.isdecimal() else (0, 0)


def is_stub(path: str) -> bool:
    """Return whether an mp4 file has no `moof` box, so that nothing was recorded in it. Raises OSError."""
    fd = posix.open(path, posix.O_RDONLY | posix.O_NOFOLLOW | posix.O_NONBLOCK)
    try:
        end, at = posix.fstat(fd).st_size, 0
        while at + 8 <= end:
            header = posix.pread(fd, 8, at)
            if header[4:] == b"moof":
                return False
            size = int.from_bytes(header[:4], "big")
            if size < 8:
                break
            at += size
        return True
    finally:
        posix.close(fd)


def peer_of(url: str) -> "tuple[int, tuple[str, int]] | None":
    """Return family, address and port of ffmpeg's first connection for a URL, or None if they aren't certain.

    They aren't if the host is a name, which must be looked up, if the scheme isn't plain RTSP, so that ffmpeg may use
    a proxy, or if a raw password may look like an address.
    """
    scheme, _, rest = url.partition("://")
    end = next((i for i, c in enumerate(rest) if c in "/?#"), len(rest))
    _, at, host_port = rest[:end].rpartition("@")
    if host_port.startswith("["):
        address, _, port = host_port[1:].rpartition("]")
    else:
        address, _, port = host_port.partition(":")
    port = port.removeprefix(":") or str(RTSP_PORT)
    family = _socket.AF_INET6 if ":" in address else _socket.AF_INET
    try:
        _socket.inet_pton(family, address)
    except OSError:
        return None
    if scheme.lower() != "rtsp" or (not at and "@" in rest) or not port.isdecimal() or int(port) > 65535:
        return None
    return family, (address, int(port))


def knock(family: int, address: "tuple[str, int]", patience: float, is_over: "Callable[[], bool]") -> str:
    """Return why an address accepts no connection within `patience` seconds, or an empty text if it does.

    `is_over()` is called four times a second; once it returns true, the wait ends.
    """
    connection = _socket.socket(family, _socket.SOCK_STREAM | _socket.SOCK_NONBLOCK)
    try:
        poll = select.poll()
        poll.register(connection.fileno(), select.POLLOUT)
        until = time.monotonic() + patience
        error = connection.connect_ex(address)
        while error == EINPROGRESS and not is_over():
            if poll.poll(250):
                error = connection.getsockopt(_socket.SOL_SOCKET, _socket.SO_ERROR)
            elif time.monotonic() > until:
                error = ETIMEDOUT
        return posix.strerror(error) if error else ""
    finally:
        connection.close()


def wait_for_camera(url: str, child: "Child") -> None:
    """Wait until the camera accepts a connection, or the recorder is stopped. Asking costs a hundredth of an ffmpeg.

    Raises RefusedError if the camera has accepted none after START_SECONDS.
    """
    peer, said, until = peer_of(url), False, time.monotonic() + START_SECONDS
    while peer and not child.stopping:
        last = time.monotonic() > until
        patience = LAST_ANSWER_SECONDS if last else ANSWER_SECONDS
        reason = knock(*peer, patience, lambda: child.stopping)
        if not reason or child.stopping:
            break
        address, port = peer[1]
        problem = f"{NO_CONNECTION} at {address}, port {port}: {reason}"
        if last:
            raise RefusedError(f"{problem}. It is started again as soon as it accepts one")
        if not said:
            say("ERROR", f"{problem}. Asking until it accepts one")
            said = True
        time.sleep(KNOCK_SECONDS)


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
        return False  # a descriptor was closed meanwhile, or ffmpeg ended, and then `drain` ends soon
    except OSError:
        return True
    return True


class Child:
    """The one ffmpeg. It is sent at most one SIGTERM, since after a second one it would lose its last segment.

    `stopping` says that the recorder is stopped, and `signalled` that ffmpeg was sent the SIGTERM.
    """

    def __init__(self) -> None:
        self.pid = 0
        self.begun = 0.0
        self.stopping = False
        self.signalled = False

    def lasted(self) -> float:
        """Return for how many seconds ffmpeg has run, or 0 if it was not started."""
        return time.monotonic() - self.begun if self.begun else 0.0

    def stop(self, *_: object) -> None:
        """End ffmpeg, or start none: the handler of SIGTERM."""
        self.stopping = True
        self.end()

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
            posix.kill(self.pid, _signal.SIGKILL)

    def spawn(self, args: "list[str]", stderr: int) -> None:
        """Start ffmpeg. It dies with this process."""
        guard = ["setpriv", "--pdeathsig", "KILL"]
        environment = {k: v for k, v in posix.environ.items() if not k.startswith(b"HELDAR_")}
        # If we die before the parent-death signal is armed it never arrives, so sh checks its parent first.
        begin = 'test "$PPID" = "$1" && shift && exec "$@"'
        guard += ["--", "sh", "-c", begin, "heldar-mirror", str(posix.getpid())]
        null = posix.open("/dev/null", posix.O_RDWR)
        self.begun = time.monotonic()
        self.pid = posix.posix_spawnp(
            guard[0],
            [*guard, *args],
            {**environment, b"TZ": b"UTC"},
            file_actions=[
                (posix.POSIX_SPAWN_DUP2, null, 0),
                (posix.POSIX_SPAWN_DUP2, null, 1),
                (posix.POSIX_SPAWN_DUP2, stderr, 2),
            ],
            setsigdef=[_signal.SIGPIPE, _signal.SIGXFSZ],
        )
        posix.close(null)
        if self.stopping:
            self.stop()

    def wait(self) -> int:
        """Wait until ffmpeg has ended. Return its exit status, or the negated number of the signal that ended it."""
        _, status = posix.waitpid(self.pid, 0)
        self.pid = 0
        return posix.waitstatus_to_exitcode(status)


class Segments:
    """The files of one run of ffmpeg. Each gets its name as soon as it is open.

    `path` is the file that was named last, and `is_ahead` whether its name lies too far in the future. `awaited` says
    whether the next file may be there at any moment. `error` is the first error of naming one.
    """

    def __init__(self, directory: str, run: str) -> None:
        self.directory = directory
        self.run = run
        self.number = 0
        self.path = ""
        self.awaited = True
        self.is_ahead = False
        self.error = ""
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
            self.awaited = True

    def look(self) -> None:
        """Name the next file if it is there."""
        numbered = f"{NUMBERED}{self.run}-{self.number}.mp4"
        try:
            if not exists(f"{self.directory}/{numbered}"):
                return
            now = time.time()
            self.path = name_file(self.directory, numbered, now)
            self.is_ahead = self.path > segment_path(self.directory, now + AHEAD_SECONDS)
        except OSError as error:
            self.error = self.error or f"cannot name {numbered}: {error}"
        self.number += 1
        self.awaited = False

    def finish(self) -> None:
        """Name what ffmpeg left last, and remove it if it is a stub."""
        self.look()
        try:
            if self.path and is_stub(self.path):
                posix.unlink(self.path)
        except OSError as error:
            self.error = self.error or f"cannot see whether its last file is a stub: {error}"


class Tail:
    """The last whole lines of ffmpeg's stderr, at most TAIL_BYTES."""

    def __init__(self) -> None:
        self._bytes = b""
        self._is_cut = False

    def add(self, chunk: bytes) -> None:
        """Add what ffmpeg has written."""
        self._bytes += chunk
        if len(self._bytes) > TAIL_BYTES:
            self._bytes, self._is_cut = self._bytes[-TAIL_BYTES:], True

    def lines(self, secrets: "list[str]") -> "list[str]":
        """Return the lines, masked."""
        # The first line may begin in the middle of a password, which could not be recognized then.
        whole = self._bytes.partition(b"\n")[2] if self._is_cut else self._bytes
        return mask(whole.decode(errors="replace"), secrets).splitlines()


def follow(child: Child, stderr: int, listing: int, segments: Segments, hide: "Callable[[], bool]") -> Tail:
    """Follow ffmpeg until its stderr is closed, and return the tail of that.

    `listing` is the pipe on which ffmpeg lists the files that it has closed. `hide()` is called until it returns true.
    ffmpeg is ended if nobody reads our own output any more, because supervisord was killed before our parent-death
    signal was armed.
    """
    tail, hidden, wait = Tail(), False, 50.0
    takers = {stderr: tail.add, listing: segments.closed}
    poll = select.poll()
    for fd in takers:
        poll.register(fd, select.POLLIN)
    poll.register(1, 0)
    while stderr in takers:
        ready = dict(poll.poll(wait if segments.awaited or not hidden else None))
        hidden = hidden or hide()
        wait = 5.0 if listing in ready else min(wait * 1.5, LOOK_MILLISECONDS)
        if unread := ready.pop(1, 0):
            poll.unregister(1)
            if unread & select.POLLERR:
                child.stop()
        for fd in ready:
            data = posix.read(fd, 65536)
            takers[fd](data)
            if not data:
                poll.unregister(fd)
                del takers[fd]
        if segments.awaited:
            segments.look()
        if segments.is_ahead:
            child.end()
        if stderr in ready:
            # If a camera's timestamps run backwards, ffmpeg writes a line per packet. Bulk reads keep that cheap.
            time.sleep(0.1)
    return tail


def record(spec: "dict[str, list[str]]", child: Child) -> None:
    """Record until ffmpeg ends, and log how it ended. Raises RefusedError or OSError if recording can't start."""
    directory = spec["directory"][0]
    wait_for_camera(spec["url"][0], child)
    volume = prove_volume(spec["root"][0], spec["volume"][0])
    check_room(spec["root"][0], volume)
    lock = lock_directory(directory)
    if unfinished_run(lock):
        name_leftovers(directory)
    now = time.time()
    if free_second(directory, now) > now + AHEAD_SECONDS:
        raise RefusedError(f"{AHEAD}. Recording begins again when the first of them has been reached")
    if child.stopping:
        return
    for fd in (volume, lock):
        posix.set_inheritable(fd, True)
    segments = Segments(directory, str(int(now)))
    note_run(lock, directory, segments.run)
    lines = run_ffmpeg(spec, segments, child)
    if segments.error:
        lines.append(segments.error)
    else:
        note_run(lock, directory, "")
    if segments.is_ahead:
        lines.append(AHEAD)
    say("INFO" if child.stopping else "ERROR", " | ".join(line.strip() for line in lines if line.strip()))


def run_ffmpeg(spec: "dict[str, list[str]]", segments: Segments, child: Child) -> "list[str]":
    """Run ffmpeg to its end. Return how it ended, and then the tail of its stderr, masked, in lines."""
    url, secrets = spec["url"][0], spec["secret"]
    url_bytes, blotted = url.encode(), blot(url, secrets).encode()
    (stderr, stderr_writer), (listing, listing_writer) = posix.pipe(), posix.pipe()
    posix.set_inheritable(listing_writer, True)
    output = ["-segment_list", f"pipe:{listing_writer}", "-segment_list_type", "flat", segments.pattern()]
    child.spawn([*spec["arg"], *output], stderr_writer)
    posix.close(stderr_writer)
    posix.close(listing_writer)
    tail = follow(child, stderr, listing, segments, lambda: hide_credentials(child.pid, url_bytes, blotted))
    status = child.wait()
    while listed := posix.read(listing, 65536):
        segments.closed(listed)
    segments.finish()
    how = f"signal {-status}" if status < 0 else f"exit status {status}"
    how = f"{'stopped' if child.stopping else 'ffmpeg ended'} after {child.lasted():.0f} s, {how}"
    return [how, *tail.lines(secrets)]


def offer_first() -> None:
    """Have Linux, if memory is short, kill this recorder and its ffmpeg before supervisord, watcher and primary."""
    try:
        fd = posix.open("/proc/self/oom_score_adj", posix.O_WRONLY)
        try:
            posix.write(fd, OOM_SCORE_ADJ)
        finally:
            posix.close(fd)
    except OSError:
        pass  # the score is higher already, and we may not lower it


def main(path: str) -> int:
    """Record by the launch spec at `path`, and return the exit status."""
    begun = time.monotonic()
    offer_first()
    child = Child()
    _signal.signal(_signal.SIGTERM, child.stop)
    _signal.signal(_signal.SIGALRM, child.give_up)
    run(path, child)
    if child.stopping:
        return 0
    # A busy supervisord may notice the end too late to see that the run was short, so the exit status says it.
    was_not_started = not child.begun
    return FAILED_SOON if was_not_started or time.monotonic() - begun < START_SECONDS else 1


def run(path: str, child: Child) -> None:
    """Record by the launch spec at `path`, and log any error."""
    try:
        record(parse_spec(read(path).decode()), child)
    except FileNotFoundError as error:
        if error.filename != path:
            say("ERROR", f"cannot record: {error}")
            return
        say(
            "INFO",
            f"no launch spec {path}: the camera is not to be mirrored, or specs lie on a tmpfs and the machine has "
            "booted since. To have it written: heldar-mirror reconcile",
        )
    except (RefusedError, OSError) as error:
        say("ERROR", f"cannot record: {error}")
    except ValueError as error:
        say("ERROR", f"cannot record: {path}: {error}. Have it written anew: heldar-mirror reconcile")
