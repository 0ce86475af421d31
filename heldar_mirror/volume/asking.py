"""Asking a volume that may hang, through a child process.

See docs/decisions.md, "A volume is asked by a child process, which stays for the next question".
"""

import atexit
import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from heldar_mirror.errors import HungError

# A child that has not answered after this long hangs. The time includes its start on a busy machine.
VOLUME_ANSWER_SECONDS = 10
ANSWER_BYTES = 1 << 16
ASK_VOLUME = Path(__file__).with_name("ask_volume.py")

Child = tuple["subprocess.Popen[bytes]", socket.socket]

# The children that wait for the next question, each with our end of its socket.
_idle: list[Child] = []
# The children that hang in a question, by its task and path.
_stuck: dict[tuple[str, Path], "subprocess.Popen[bytes]"] = {}


def ask(task: str, path: Path, volume: str = "") -> str:
    """Return a child's answer to one of the questions in `ask_volume.py`.

    Raises OSError if the answer is no, and HungError if there is none in time.
    """
    hung = HungError(f"{path} does not answer within {VOLUME_ANSWER_SECONDS} s: is its volume hung?")
    if (task, path) in _stuck:
        if _stuck[task, path].poll() is None:
            raise hung  # a second child would hang as well, and could not be killed either
        del _stuck[task, path]
    for child, ours in _children():
        try:
            ours.send(os.fsencode(f"{task}\0{path}\0{volume}"))
            answer = os.fsdecode(ours.recv(ANSWER_BYTES))
        except TimeoutError:
            ours.close()
            child.kill()  # not waited for: a kill takes effect only after the hung call
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
    """Yield the idle children, any of which may have been killed meanwhile, and then a new one."""
    with suppress(IndexError):
        while True:
            yield _idle.pop()
    yield _start()


def _start() -> Child:
    """Start a child that answers each message with one, until our end of its socket is closed."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    ours.settimeout(VOLUME_ANSWER_SECONDS)
    with theirs:
        theirs.setblocking(True)  # socket.setdefaulttimeout() may have set a timeout
        child = subprocess.Popen(
            [sys.executable, "-I", "-S", str(ASK_VOLUME)],
            stdin=theirs.fileno(),
            stdout=theirs.fileno(),
            cwd="/",
            env={},  # so that no secret reaches it
            start_new_session=True,  # so that a terminal's Ctrl-C doesn't either
        )
    return child, ours


def _end(child: "subprocess.Popen[bytes]", ours: socket.socket) -> None:
    """End an idle child."""
    ours.close()
    child.kill()
    child.wait()


@atexit.register
def dismiss() -> None:
    """End the idle children. This is called at exit, and before the process becomes a different user."""
    while _idle:
        _end(*_idle.pop())
