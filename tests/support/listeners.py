"""Addresses that answer a camera's caller in one way or another."""

import contextlib
import socket
import threading
from collections.abc import Iterator

from heldar_mirror.watcher.probe import Address


@contextlib.contextmanager
def listening(host: str = "127.0.0.1", port: int = 0, backlog: int = 5) -> Iterator[Address]:
    """Somebody who listens, and never says a word."""
    with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((host, port))
        listener.listen(backlog)
        yield host, listener.getsockname()[1]


@contextlib.contextmanager
def refusing() -> Iterator[Address]:
    """An address that nobody listens at, and nobody else can take meanwhile."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        yield "127.0.0.1", taken.getsockname()[1]


@contextlib.contextmanager
def silent() -> Iterator[Address]:
    """An address that answers neither yes nor no: its queue is full, so the kernel drops whoever knocks."""
    with listening(backlog=0) as address, contextlib.ExitStack() as stack:
        for _ in range(3):
            caller = stack.enter_context(socket.socket())
            caller.setblocking(False)
            caller.connect_ex(address)
        yield address


@contextlib.contextmanager
def answering() -> Iterator[int]:
    """A port at which any camera seems to answer: connections are accepted, and closed."""
    with socket.create_server(("127.0.0.1", 0), backlog=4096) as server:

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
