"""The mirror's volume: proven by a marker in its root, and never the primary's."""

import atexit
import fcntl
import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from heldar_mirror.errors import HungError, VolumeError
from heldar_mirror.proc.mounts import place_of
from heldar_mirror.recorder.recorder import MARKER
from heldar_mirror.settings import Settings

# What a child process is given to answer, its start on a busy machine included.
ANSWER_SECONDS = 10
ANSWER_BYTES = 1 << 16
ASK_VOLUME = Path(__file__).with_name("ask_volume.py")

Child = tuple["subprocess.Popen[bytes]", socket.socket]

# Those that wait for the next question, each with our end of its socket; and those that did not come back from one.
_idle: list[Child] = []
_stuck: dict[tuple[str, Path], "subprocess.Popen[bytes]"] = {}


def check_apart(root: Path, recordings_dir: Path) -> str | None:
    """Refuse a mirror root that equals, contains or lies in the primary's directory, links and bind mounts resolved.

    Returns a warning where both are on one file system, else None. Raises VolumeError; HungError where one of them does
    not answer, so that it can't be told.
    """
    try:
        mirror, primary = Path(_ask("real", root)), Path(_ask("real", recordings_dir))
    except OSError as error:
        raise VolumeError(f"cannot tell mirror root {root} from the primary's {recordings_dir}: {error}") from None
    here, there = place_of(mirror), place_of(primary)
    if _nested(mirror, primary) or (here.device == there.device and _nested(here.inside, there.inside)):
        raise VolumeError(
            f"HELDAR_MIRROR_RECORDINGS_DIR={root} is, holds or lies in the primary's recordings {recordings_dir}"
            f"{f' (by way of {mirror})' if mirror != root else ''}: expected a directory apart, on another volume"
        )
    if here.device == there.device:
        return f"the mirror root {root} is on the primary's file system: one dead disk would take both copies"
    return None


def _nested(one: Path, other: Path) -> bool:
    return one == other or one in other.parents or other in one.parents


def prove(root: Path, volume: str) -> None:
    """Check that the mirror root is the volume that we know. Raises VolumeError."""
    _check("prove", root, volume)


def check_room(root: Path, volume: str) -> Path:
    """Check that a recording could begin in the mirror root: the volume that we know, with room. Raises VolumeError.

    Returns the root with links resolved.
    """
    return _check("room", root, volume)


def _check(task: str, root: Path, volume: str) -> Path:
    try:
        return Path(_ask(task, root, volume))
    except OSError as error:
        raise VolumeError(str(error)) from None


def _ask(task: str, path: Path, volume: str = "") -> str:
    """Return what a child process finds out. Raises OSError for a refusal, and HungError where nothing comes back."""
    hung = HungError(f"{path} does not answer within {ANSWER_SECONDS} s: is its volume hung?")
    if (task, path) in _stuck:
        if _stuck[task, path].poll() is None:
            raise hung  # and no second process that is beyond all signals
        del _stuck[task, path]
    for child, ours in _children():
        try:
            ours.send(os.fsencode(f"{task}\0{path}\0{volume}"))
            answer = os.fsdecode(ours.recv(ANSWER_BYTES))
        except TimeoutError:
            ours.close()
            child.kill()  # and no waiting: it may be beyond that
            _stuck[task, path] = child
            raise hung from None
        except ConnectionError:
            answer = ""
        if answer:
            _idle.append((child, ours))
            if answer[0] == "-":
                raise OSError(answer[1:])
            return answer[1:]
        _end(child, ours)
    raise OSError(f"{ASK_VOLUME.name} ended with {child.returncode}")


def _children() -> Iterator[Child]:
    """Yield those that wait, any of which may have been killed meanwhile, and at last one that is started now."""
    with suppress(IndexError):
        while True:
            yield _idle.pop()
    yield _start()


def _start() -> Child:
    """Start a child that answers one message with one, until the other end of its socket is closed."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    ours.settimeout(ANSWER_SECONDS)
    with theirs:
        theirs.setblocking(True)  # whatever is the default
        child = subprocess.Popen(
            [sys.executable, "-I", "-S", str(ASK_VOLUME)],
            stdin=theirs.fileno(),
            stdout=theirs.fileno(),
            cwd="/",
            env={},  # no secret of ours is its business
            start_new_session=True,  # nor is a terminal's Ctrl-C
        )
    return child, ours


def _end(child: "subprocess.Popen[bytes]", ours: socket.socket) -> None:
    """End a child that is not at a question."""
    ours.close()
    child.kill()
    child.wait()


@atexit.register
def dismiss() -> None:
    """End the children that wait for the next question: who becomes another user, or has no more, needs none."""
    while _idle:
        _end(*_idle.pop())


def make_root(root: Path, umask: int, owner: tuple[int, int] | None) -> None:
    """Make a mirror root that is used for the first time, if it is missing; an empty one is handed to `owner`."""
    try:
        if not root.is_dir():
            root.mkdir(parents=True)
            root.chmod(0o777 & ~umask)
        if owner and not os.listdir(root):
            os.chown(root, *owner, follow_symlinks=False)
    except OSError as error:
        raise _unusable(root, error) from None


def mark(settings: Settings, volume: str, owner: tuple[int, int] | None, *, take_over: bool) -> None:
    """Make the mirror root ours, with a marker that says `volume`. Raises VolumeError.

    The root is made where it is missing, for `owner` (user and group id) if given. A marker that says something else
    is replaced to `take_over` alone, and never while recorders are at work: each of them has a shared lock on it.
    """
    root = settings.mirror_root
    assert root is not None  # noqa: S101 - the callers' matter
    make_root(root, settings.umask, owner)
    try:
        fd = os.open(root / MARKER, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o644)
        with open(fd, "r+") as marker:
            fcntl.flock(marker, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if (found := marker.read().strip()) and found != volume and not take_over:
                raise _foreign(root)
            os.fchmod(fd, 0o666 & ~settings.umask)
            if owner:
                os.fchown(fd, *owner)
            marker.seek(0)
            marker.write(f"{volume}\n")
            marker.truncate()
            marker.flush()
            os.fsync(fd)
    except BlockingIOError:
        raise VolumeError(
            f"mirror root {root} is in use by recorders, of this instance or of another: expected a root of its own "
            "for each. Stop them, or set HELDAR_MIRROR_RECORDINGS_DIR to another directory"
        ) from None
    except OSError as error:
        raise _unusable(root, error) from None


def _foreign(root: Path) -> VolumeError:
    return VolumeError(
        f"mirror root {root} holds the marker of another volume, or of another instance. "
        "Mount the right one; if this one is to be ours: heldar-mirror adopt-volume"
    )


def _unusable(root: Path, error: OSError) -> VolumeError:
    return VolumeError(
        f"cannot use mirror root {root}: {error}. Expected a directory that the recorders' user can write; "
        "make it, or set HELDAR_MIRROR_RECORDINGS_DIR to another"
    )
