"""Asking a volume that may hang, by way of a child process."""

import atexit
import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from heldar_mirror.errors import HungError

# What a child process is given to answer, its start on a busy machine included.
ANSWER_SECONDS = 10


ANSWER_BYTES = 1 << 16


ASK_VOLUME = Path(__file__).with_name("ask_volume.py")


Child = tuple["subprocess.Popen[bytes]", socket.socket]


# Those that wait for the next question, each with our end of its socket; and those that did not come back from one.
_idle: list[Child] = []


_stuck: dict[tuple[str, Path], "subprocess.Popen[bytes]"] = {}


def ask(task: str, path: Path, volume: str = "") -> str:
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
