"""TCP addresses that accept, refuse or ignore a connection, in place of a camera."""

import contextlib
import functools
import socket
import threading
from collections.abc import Iterator

Address = tuple[str, int]

# What lasts until the process ends.
_lasting = contextlib.ExitStack()


@contextlib.contextmanager
def listening(host: str = "127.0.0.1", port: int = 0, backlog: int = 5) -> Iterator[Address]:
    """An address that accepts connections and never sends anything."""
    with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((host, port))
        listener.listen(backlog)
        yield host, listener.getsockname()[1]


@contextlib.contextmanager
def refusing() -> Iterator[Address]:
    """An address that refuses connections. It stays reserved, so that no other process can listen there."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        yield "127.0.0.1", taken.getsockname()[1]


@contextlib.contextmanager
def silent() -> Iterator[Address]:
    """An address that neither accepts nor refuses: its queue is full, so Linux drops each attempt to connect."""
    with listening(backlog=0) as address, contextlib.ExitStack() as stack:
        for _ in range(3):
            caller = stack.enter_context(socket.socket())
            caller.setblocking(False)
            caller.connect_ex(address)
        yield address


@contextlib.contextmanager
def answering(port: int = 0) -> Iterator[int]:
    """A port on loopback, by default any that is free. It accepts each connection and closes it, so that a camera seems
    to be there."""
    with socket.create_server(("127.0.0.1", port), backlog=4096) as server:

        def accept() -> None:
            with contextlib.suppress(OSError):
                while True:
                    server.accept()[0].close()

        thread = threading.Thread(target=accept, daemon=True)
        thread.start()
        try:
            yield server.getsockname()[1]
        finally:
            server.shutdown(socket.SHUT_RDWR)
            thread.join()


@functools.cache
def open_port() -> int:
    """Return a port on loopback that accepts connections until this process ends.

    Cameras whose ffmpeg is a stand-in seem to be there at this port.
    """
    return _lasting.enter_context(answering())
