"""The recorder of one camera: it waits for the camera, runs one ffmpeg, names its segments, and logs how it ended.

supervisord starts it as `python -I -S start_recorder.py SPEC GENERATION`, and restarts it: a recorder starts only one
ffmpeg. Its memory is paid once per camera, so this package imports only the few built-in modules that it needs; `os`
alone would cost a tenth more.
"""

import posix
import select
import time

from .camera import START_SECONDS, wait_for_camera
from .ffmpeg import Child, hide_credentials
from .files import read
from .launch_spec import parse_spec
from .log import Tail, say
from .masking import blot
from .segments import AHEAD, AHEAD_SECONDS, Segments, free_second
from .volume import RefusedError, check_room, lock_directory, note_run, prove_volume, unfinished_run

TYPE_CHECKING = False
if TYPE_CHECKING:
    import signal as _signal  # for the type checker; at run time its enums would cost 0.7 MB
    from collections.abc import Callable
else:
    import _signal

# Exit status after a run shorter than START_SECONDS (the stanza's startsecs), or if the camera did not answer for that
# long. The stanza expects it, so supervisord doesn't restart at once, even if it is so busy that it notices late.
FAILED_SOON = 75

# To Linux this counts like a tenth of the machine's memory: more than supervisord uses, less than a program that leaks.
OOM_SCORE_ADJ = b"100"

# The next file is looked for at least this often while it may appear.
LOOK_MILLISECONDS = 250


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
        from .leftovers import name_leftovers

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
