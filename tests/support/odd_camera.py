"""Cameras with a fault, on loopback. Each is served by a thread of the test's process."""

import asyncio
import contextlib
import socket
import threading
from collections.abc import Iterator

from support.waiting import PATIENCE_SECONDS

BABBLE = b"what answers here is no camera\r\n" * 10
GARBAGE = b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n"


class OddCamera:
    """A camera that behaves in one manner at a time, at its own port.

    `well` relays to a real camera. `stalled` does so too, but holds the media back. `refuses` refuses connections.
    `silent` accepts and sends nothing. `garbage` sends an error and closes the connection. `babbles` never stops
    sending text.
    """

    def __init__(self, well_port: int, manner: str) -> None:
        self._well_port = well_port
        self._manner = "refuses"
        self._server: asyncio.Server | None = None
        self._clients: set[asyncio.StreamWriter] = set()
        # This keeps the port reserved while the camera refuses connections.
        self._reservation = socket.socket()
        self._reservation.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self._reservation.bind(("127.0.0.1", 0))
        self.port: int = self._reservation.getsockname()[1]
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()
        self.become(manner)

    def become(self, manner: str) -> None:
        """Change the manner. Cut off all clients, unless the change is between `well` and `stalled`."""
        asyncio.run_coroutine_threadsafe(self._become(manner), self._loop).result(PATIENCE_SECONDS)

    def close(self) -> None:
        self.become("refuses")
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()
        self._reservation.close()

    async def _become(self, manner: str) -> None:
        before, self._manner = self._manner, manner
        if {before, manner} == {"well", "stalled"}:
            return
        if self._server:
            self._server.close()
            self._server = None
        for client in self._clients:
            client.transport.abort()
        if manner != "refuses":
            self._server = await asyncio.start_server(self._serve, "127.0.0.1", self.port)

    async def _serve(self, reader: asyncio.StreamReader, client: asyncio.StreamWriter) -> None:
        self._clients.add(client)
        try:
            if self._manner in {"well", "stalled"}:
                await self._relay(reader, client)
            elif self._manner == "silent":
                await reader.read(-1)
            elif self._manner == "garbage":
                await reader.read(1)
                client.write(GARBAGE)
                await client.drain()
            while self._manner == "babbles":
                client.write(BABBLE)
                await client.drain()
                await asyncio.sleep(0.05)
        except (OSError, asyncio.IncompleteReadError):
            pass  # one of the two ends closed the connection
        finally:
            self._clients.discard(client)
            client.close()

    async def _relay(self, reader: asyncio.StreamReader, client: asyncio.StreamWriter) -> None:
        from_camera, to_camera = await asyncio.open_connection("127.0.0.1", self._well_port)
        asking = asyncio.create_task(self._forward_questions(reader, to_camera))
        try:
            await self._forward_answers(from_camera, client)
        finally:
            asking.cancel()
            to_camera.transport.abort()

    async def _forward_questions(self, reader: asyncio.StreamReader, to_camera: asyncio.StreamWriter) -> None:
        # The camera encodes separately for each port in the URL. With its own port all clients get the same packets.
        ours, its = f"://127.0.0.1:{self.port}/".encode(), f"://127.0.0.1:{self._well_port}/".encode()
        with contextlib.suppress(OSError):
            while data := await reader.read(65536):
                to_camera.write(data.replace(ours, its))
                await to_camera.drain()
        # When the client is gone, close the camera's connection, which also ends the reading from the camera.
        to_camera.transport.abort()

    async def _forward_answers(self, from_camera: asyncio.StreamReader, client: asyncio.StreamWriter) -> None:
        while first := await from_camera.read(1):
            if first == b"$":  # an interleaved packet: channel, length, data; even channels hold media, odd ones RTCP
                head = await from_camera.readexactly(3)
                data = head + await from_camera.readexactly(int.from_bytes(head[1:], "big"))
                if self._manner == "stalled" and head[0] % 2 == 0:
                    continue
            else:
                data = await from_camera.readuntil(b"\n")
            client.write(first + data)
            await client.drain()


@contextlib.contextmanager
def odd_cameras(well_port: int, **manners: str) -> Iterator[dict[str, OddCamera]]:
    """Start cameras, each in its manner, and yield them by name until the block ends."""
    with contextlib.ExitStack() as stack:
        cameras = {}
        for name, manner in manners.items():
            cameras[name] = OddCamera(well_port, manner)
            stack.callback(cameras[name].close)
        yield cameras
