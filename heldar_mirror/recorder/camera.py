"""Waiting until the camera accepts a connection."""

import _socket
import posix
import select
import time

from .log import say
from .volume import RefusedError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from .ffmpeg import Child

ETIMEDOUT, EINPROGRESS = 110, 115  # loading the module errno would cost memory

# If the camera did not answer for this long, the recorder ends.
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
