"""Where the camera is, and whether it accepts a connection. Only if it does not, `waiting` is imported."""

import _socket
import select

TYPE_CHECKING = False
if TYPE_CHECKING:
    from .ffmpeg import Child

EINPROGRESS = 115  # loading the module errno would cost memory

PORTS = {"rtsp": 554, "rtsps": 322}

# The first attempt to connect may take this long.
KNOCK_SECONDS = 0.5

# Family, and address as `_socket` takes it.
Peer = tuple[int, tuple[object, ...]]


def host_of(url: str) -> "tuple[str, int] | None":
    """Return host and port of ffmpeg's first connection for a URL, or None if they aren't certain."""
    scheme, _, rest = url.partition("://")
    end = next((i for i, c in enumerate(rest) if c in "/?#"), len(rest))
    _, _, host_port = rest[:end].rpartition("@")
    if host_port.startswith("["):
        host, _, port = host_port[1:].rpartition("]")
    else:
        host, _, port = host_port.partition(":")
    port = port.removeprefix(":") or str(PORTS.get(scheme.lower(), ""))
    # With an '@' behind it, what looks like the host may be a part of a password.
    if not host or "@" in rest[end:] or not port.isdecimal() or len(port) > 5 or int(port) > 65535:
        return None
    return host, int(port)


def literal(host: str, port: int) -> "list[Peer]":
    """Return the peer of a numeric address, or none if the host is a name."""
    family = _socket.AF_INET6 if ":" in host else _socket.AF_INET
    try:
        _socket.inet_pton(family, host)
    except OSError:
        return []
    return [(family, (host, port))]


def accepts(family: int, address: "tuple[object, ...]", child: "Child") -> bool:
    """Return whether a peer accepts a connection at once."""
    try:
        connection = _socket.socket(family, _socket.SOCK_STREAM | _socket.SOCK_NONBLOCK)
    except OSError:
        return False  # Linux without IPv6, or no descriptor is left
    error: int = connection.connect_ex(address)
    if error == EINPROGRESS:
        child.poll.register(connection.fileno(), select.POLLOUT)
        is_decided = connection.fileno() in child.ready(KNOCK_SECONDS)
        child.poll.unregister(connection.fileno())
        error = connection.getsockopt(_socket.SOL_SOCKET, _socket.SO_ERROR) if is_decided else EINPROGRESS
    connection.close()
    return not error


def wait_for_camera(url: str, child: "Child") -> bool:
    """Wait until the camera accepts a connection, or the recorder is stopped. Return whether it was away."""
    host_port = host_of(url)
    if not host_port or any(accepts(*peer, child) for peer in literal(*host_port)):
        return False
    from .waiting import wait

    return wait(*host_port, child)
