"""The recorder of one camera: it waits for the camera, runs ffmpeg, names its segments, and logs how it ended.

supervisord starts it as `python -I -S start_recorder.py SPEC GENERATION`. It stays until it is stopped, or until an
ffmpeg has ended that ran for long: then supervisord starts the next recorder. Its memory is paid once per camera, so
this package imports only the few built-in modules that it needs; `os` alone would cost a tenth more.
"""

import posix

from .camera import wait_for_camera
from .ffmpeg import Child
from .files import as_text, read
from .launch_spec import parse_spec, segment_seconds
from .log import say
from .run import Run, run_ffmpeg
from .segments import AHEAD, AHEAD_SECONDS, free_second
from .volume import LOCK, RefusedError, check_room, lock_directory, note_run, prove_volume, unfinished_run

TYPE_CHECKING = False
if TYPE_CHECKING:
    import signal as _signal  # for the type checker; at run time its enums would cost 0.7 MB

    from .tries import Tries
else:
    import _signal

# After a run of at least this many seconds the recorder ends, and supervisord starts the next one at once. It is longer
# than the stanza's startsecs, so supervisord has taken the program for a running one. A camera that allows one session
# ends ours sooner, and must be remembered.
LONG_SECONDS = 60.0

# If the volume can't be used, or the directory, this is tried again after so many seconds.
REFUSED_SECONDS = 5.0

# To Linux this counts like a tenth of the machine's memory: more than supervisord uses, less than a program that leaks.
OOM_SCORE_ADJ = b"100"


def record(spec: "dict[str, list[str]]", child: Child, *, trial: bool) -> "Run | None":
    """Record until ffmpeg ends, and return its run, or None if the recorder was stopped before it began.

    With `trial` a trial write must succeed before. Raises RefusedError or OSError if recording can't start.
    """
    directory = spec["directory"][0]
    volume = prove_volume(spec["root"][0], spec["volume"][0], by_recorder=True)
    lock = -1
    try:
        check_room(spec["root"][0], volume)
        lock = lock_directory(directory)
        if unfinished_run(lock):
            from .leftovers import name_leftovers

            name_leftovers(directory)
        if trial:
            from .trial import try_writing

            try_writing(spec["root"][0], directory)
        run = Run(directory, segment_seconds(spec))
        if free_second(directory, run.begun) > run.begun + AHEAD_SECONDS:
            raise RefusedError(f"{AHEAD}. Recording begins again when the first of them has been reached")
        if child.stopping:
            return None
        for fd in (volume, lock):
            posix.set_inheritable(fd, True)
        note_run(lock, directory, run.segments.run)
        run_ffmpeg(spec, run, child)
        if not run.segments.error:
            try:
                note_run(lock, directory, "")
            except OSError as error:
                run.segments.error = f"cannot write {directory}/{LOCK}: {error}"
        return run
    finally:
        posix.close(volume)
        if lock >= 0:
            posix.close(lock)


def keep_recording(spec: "dict[str, list[str]]", child: Child) -> int:
    """Record until the recorder is stopped, or a long run has ended. Return the exit status."""
    tries: Tries | None = None
    refused = ""
    while not child.stopping:
        # While the volume can't be used the camera is left in peace.
        if not refused and wait_for_camera(spec["url"][0], child) and tries:
            tries.camera_was_away()
        if child.stopping:
            break
        try:
            run = record(spec, child, trial=bool(tries and tries.is_out_of_room))
        except (RefusedError, OSError) as error:
            if str(error) != refused:
                refused = str(error)
                say("ERROR", f"cannot record: {refused}")
            child.ready(REFUSED_SECONDS)
            continue
        if not run:
            break
        refused = ""
        seconds, lines = child.lasted(), run.tail.lines()
        how = f"signal {-run.status}" if run.status < 0 else f"exit status {run.status}"
        how = f"{'stopped' if child.stopping else 'ffmpeg ended'} after {seconds:.0f} s, {how}"
        if child.stopping:
            report("INFO", how, run.cause, *masked(lines, spec["secret"]), run.segments.error)
            break
        tries = tries or no_tries()
        tries.ended(lines, seconds, cut=run.cut, received=run.media.received)
        told = masked([*tries.notes(spec["url"][0], child), *lines], spec["secret"])
        report("ERROR", how, run.cause, *told, run.segments.error)
        if seconds >= LONG_SECONDS:
            return 1
        child.ready(tries.pause())
    return 0


def no_tries() -> "Tries":
    """Return the tries before the first one has ended. Until then a recorder does without the module."""
    from .tries import Tries

    return Tries()


def masked(lines: "list[str]", secrets: "list[str]") -> "list[str]":
    """Return lines with words of ffmpeg's or the camera's, without secrets."""
    from .masking import mask

    text = mask("\n".join(lines), secrets)
    return text.encode(errors="surrogateescape").decode(errors="replace").splitlines()


def report(level: str, *parts: str) -> None:
    """Log the parts that have a text, in one line."""
    say(level, " | ".join(part.strip() for part in parts if part.strip()))


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
    """Record by the launch spec at `path`, and return the exit status.

    A recorder without a usable spec ends at once. supervisord gives it up after a few tries, and then the watcher has
    the spec written and starts it.
    """
    offer_first()
    child = Child()
    _signal.signal(_signal.SIGTERM, child.stop)
    _signal.signal(_signal.SIGALRM, child.give_up)
    try:
        spec = parse_spec(as_text(read(path)))
    except FileNotFoundError:
        say(
            "INFO",
            f"no launch spec {path}: the camera is not to be mirrored, or specs lie on a tmpfs and the machine has "
            "booted since. To have it written: heldar-mirror reconcile",
        )
        return 0
    except OSError as error:
        say("ERROR", f"cannot record: {error}")
        return 0
    except ValueError as error:
        say("ERROR", f"cannot record: {path}: {error}. Have it written anew: heldar-mirror reconcile")
        return 0
    try:
        return keep_recording(spec, child)
    except ImportError as error:
        say("INFO", f"the package was upgraded while this recorder ran, so the next one goes on: {error}")
        return 1
