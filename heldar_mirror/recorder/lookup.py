"""Looking up a camera's name. It is imported only for cameras that have one."""

import _socket
import posix

TYPE_CHECKING = False
if TYPE_CHECKING:
    import signal as _signal  # for the type checker

    from .camera import Peer
    from .ffmpeg import Child
else:
    import _signal

# A name server that doesn't answer is given up after this long. The resolver's own limits are shorter as a rule.
LOOK_UP_LIMIT = 60.0


def look_up(host: str, port: int, child: "Child") -> "tuple[list[Peer], str]":
    """Return the peers of a host, and why there are none."""
    try:
        text = _ask_apart(host, port, child) or "!the resolver crashed"
    except OSError as error:
        text = f"!{error.strerror}"  # no process could be started
    if text.startswith("!"):
        return [], f"cannot look up its name: {text[1:]}"
    return [_peer(*line.split()) for line in text.splitlines()], ""


def _ask_apart(host: str, port: int, child: "Child") -> str:
    """Return what `_ask` returns, or no text if it crashed. Raises OSError if no process can be started.

    A forked process asks, since the resolver would cost this one 1.4 MB for good, and may block for long.
    """
    answer, writer = posix.pipe()
    try:
        pid = posix.fork()
        if not pid:
            try:
                for name in posix.environ:  # by some of them the resolver would answer differently from ffmpeg's
                    posix.unsetenv(name)
                posix.write(writer, _ask(host, port).encode(errors="replace"))
            finally:
                posix._exit(0)  # noqa: SLF001
        posix.close(writer)
        writer = -1
        is_answered = child.is_ready(answer, LOOK_UP_LIMIT)
        posix.kill(pid, _signal.SIGKILL)
        posix.waitpid(pid, 0)
        return posix.read(answer, 65536).decode() if is_answered else "!the name servers don't answer"
    finally:
        posix.close(answer)
        if writer >= 0:
            posix.close(writer)


def _ask(host: str, port: int) -> str:
    """Return the addresses of a host, one a line, or `!` and why there are none."""
    try:
        found = _socket.getaddrinfo(host.encode(), port, 0, _socket.SOCK_STREAM)
    except OSError as error:
        return f"!{error.strerror or error}"
    return "\n".join(f"{family} {' '.join(map(str, address))}" for family, _, _, _, address in found)


def _peer(family: str, host: str, *numbers: str) -> "Peer":
    return int(family), (host, *map(int, numbers))
