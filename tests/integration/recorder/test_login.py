"""Asking a camera which login it wants."""

import contextlib
import socket
import threading
from collections.abc import Callable

import pytest

from heldar_mirror.recorder import login
from heldar_mirror.recorder.ffmpeg import Child

CHALLENGE = b'RTSP/1.0 401 Unauthorized\r\nWWW-Authenticate: Digest realm="c", algorithm=SHA-256\r\n\r\n'


def at_once(client: socket.socket) -> None:
    client.recv(1 << 16)  # the request
    client.sendall(CHALLENGE)


def byte_by_byte(client: socket.socket) -> None:
    with contextlib.suppress(OSError):
        while True:
            client.sendall(b"R")
            threading.Event().wait(0.05)


def never(client: socket.socket) -> None:
    client.recv(1 << 16)  # the request
    client.recv(1)  # until the client gives up


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
@pytest.mark.parametrize(
    ("answer", "expected"), [(at_once, "Digest with SHA-256"), (byte_by_byte, ""), (never, ""), (None, "")]
)
def test_a_camera_is_asked_for_no_longer_than_a_moment(
    monkeypatch: pytest.MonkeyPatch, answer: Callable[[socket.socket], None] | None, expected: str, host: str
) -> None:
    """A camera that answers without end, or not at all, does not keep the recorder from recording."""
    monkeypatch.setattr(login, "ANSWER_SECONDS", 1.0)
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve() -> None:
            client, _ = server.accept()
            with client:
                if answer:
                    answer(client)

        thread = threading.Thread(target=serve)
        thread.start()
        assert login.unanswerable(f"rtsp://a:b@{host}:{server.getsockname()[1]}/x", Child()) == expected
        thread.join()


def test_a_camera_that_cannot_be_asked_is_not_judged(monkeypatch: pytest.MonkeyPatch) -> None:
    """If Linux gives no socket, as for IPv6 where it has none, nothing is said."""
    monkeypatch.setattr(login, "literal", lambda host, port: [(socket.AF_APPLETALK, (host, port))])
    assert login.unanswerable("rtsp://127.0.0.1:1/x", Child()) == ""
