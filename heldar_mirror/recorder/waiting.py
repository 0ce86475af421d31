"""Waiting until the camera accepts a connection, for as long as that takes.

An attempt to connect costs a hundredth of an ffmpeg. It is as patient as ffmpeg itself, so it never keeps a camera from
being recorded.
"""

import _socket
import posix
import select
import time

from .camera import EINPROGRESS, KNOCK_SECONDS, literal
from .log import say

TYPE_CHECKING = False
if TYPE_CHECKING:
    from .camera import Peer
    from .ffmpeg import Child

# A new attempt follows a refusal after KNOCK_SECONDS, and one without an answer after ANSWER_SECONDS; after the first
# EAGER_SECONDS both follow after CALM_SECONDS. An attempt is given up after PATIENCE_SECONDS, like ffmpeg's `-timeout`.
ANSWER_SECONDS = 1.5
EAGER_SECONDS = 30.0
CALM_SECONDS = 2.0
PATIENCE_SECONDS = 15.0

# Only a camera that accepts no connection for so long was away, and not just slow.
AWAY_SECONDS = 5.0

# A name is looked up again after this long.
LOOK_UP_SECONDS = 30.0

# After about this long ffmpeg is started all the same, since it may reach what we can't, such as through a wrapper that
# enters a network namespace. A thousand recorders that wait together start some sixty of them a minute.
BLIND_SECONDS = 900.0

# A recorder logs this when its camera refuses or is silent. `status` looks for it, to show that the recorder waits.
NO_CONNECTION = "no connection to the camera"


class Knocking:
    """Attempts to connect to a camera, any number of them at the same time."""

    def __init__(self, child: "Child") -> None:
        self._child = child
        self._open: dict[int, tuple[_socket.socket, float]] = {}

    def ask(self, peers: "list[Peer]") -> str:
        """Begin to connect to each peer, and wait for a while. Return why none has accepted, or no text if one has."""
        reason = "no answer"
        for peer in peers:
            if not (error := self._begin(*peer)):
                return ""
            if error != EINPROGRESS:
                reason = posix.strerror(error)
        refused_until = time.monotonic() + KNOCK_SECONDS
        until = time.monotonic() + ANSWER_SECONDS
        while not self._child.stopping:
            left = (until if self._open else refused_until) - time.monotonic()
            if left <= 0:
                break
            for fd in self._child.ready(left):
                if not (error := self._end(fd)):
                    return ""
                reason = posix.strerror(error)
        for fd, (_, begun) in list(self._open.items()):
            if time.monotonic() - begun > PATIENCE_SECONDS:
                self._end(fd)
        return reason

    def _begin(self, family: int, address: "tuple[object, ...]") -> int:
        """Begin an attempt. Return its error, as a rule EINPROGRESS, or 0 if the connection was accepted at once."""
        try:
            connection = _socket.socket(family, _socket.SOCK_STREAM | _socket.SOCK_NONBLOCK)
        except OSError as error:
            return error.errno or EINPROGRESS  # Linux without IPv6, or no descriptor is left
        error_number: int = connection.connect_ex(address)
        if error_number == EINPROGRESS:
            self._open[connection.fileno()] = connection, time.monotonic()
            self._child.poll.register(connection.fileno(), select.POLLOUT)
        return error_number

    def _end(self, fd: int) -> int:
        """End an attempt, and return its error, or 0 if the connection was accepted."""
        connection, _ = self._open.pop(fd)
        self._child.poll.unregister(fd)
        error: int = connection.getsockopt(_socket.SOL_SOCKET, _socket.SO_ERROR)
        connection.close()
        return error

    def close(self) -> None:
        """End all attempts."""
        for fd in list(self._open):
            self._end(fd)


def wait(host: str, port: int, child: "Child") -> bool:
    """Wait until the camera accepts a connection, or the recorder is stopped. Return whether it was away."""
    begun = time.monotonic()
    # The recorders that a dead switch has made wait at the same moment start their ffmpegs at different ones.
    blind = begun + BLIND_SECONDS * (0.5 + posix.getpid() % 100 / 100)
    numeric = literal(host, port)
    peers, looked_up, unknown = numeric, begun - LOOK_UP_SECONDS, ""
    # Each reason is told once: of a camera that is off, "no answer" and "No route to host" alternate.
    said: set[str] = set()
    asking = 0.0
    knocking = Knocking(child)
    try:
        while not child.stopping and (now := time.monotonic()) < blind:
            if not numeric and now - looked_up >= LOOK_UP_SECONDS:
                from .lookup import look_up

                found, unknown = look_up(host, port, child)
                peers, looked_up = found or peers, time.monotonic()
            asked = time.monotonic()
            refused = knocking.ask(peers)
            asking += time.monotonic() - asked
            if not refused:
                break
            reason = refused if peers else unknown
            if reason not in said and not child.stopping:
                say("ERROR", f"{NO_CONNECTION} at {host}, port {port}: {reason}. Asking until it accepts one")
                said.add(reason)
            if now - begun > EAGER_SECONDS:
                child.ready(CALM_SECONDS)
    finally:
        knocking.close()
    return asking > AWAY_SECONDS
