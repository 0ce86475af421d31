#!/usr/bin/env python3
"""An RTSP camera whose path says how it behaves: scripted_camera.py PORT USER PASSWORD LOG. It prints `ready PORT`.

`rtsp://…/PROFILE` behaves as PROFILES says. What follows the name, as in `/PROFILE/2`, makes a camera of its own. Each
camera sends its frames at the same times to all its clients. LOG gets a line `TIME CAMERA EVENT` for each thing of
note, with the time in monotonic seconds.
"""

import argparse
import asyncio
import base64
import contextlib
import ctypes
import functools
import hashlib
import itertools
import math
import re
import signal
import struct
import subprocess
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

PR_SET_PDEATHSIG = 1
REALM, NONCE = "camera", "0123456789abcdef"
CLOCK_RATE = 90_000
# The largest part of a frame in one packet. Over TCP it need not fit into one of the network's.
PACKET_BYTES = 1400
RTCP_SECONDS = 5
# A stream repeats itself after this time, or after a keyframe's if that is longer.
STREAM_SECONDS = 10
DARK = "color=black:size=320x240:rate={rate}"
LIVELY = "testsrc2=size=320x240:rate={rate}"
# 7 MB a second at 10 frames/s.
SNOW = "testsrc2=size=1280x720:rate={rate},noise=alls=100:allf=t"


def true(seconds: float) -> float:
    return seconds


def stray(seconds: float) -> float:
    """One frame in 2 s is stamped ten hours ahead."""
    return seconds + (37_600 if seconds % 2 < 0.01 and seconds > 1 else 0)


@dataclass(frozen=True)
class Profile:
    """How a camera behaves. Times are in seconds.

    rate             frames/s
    keyframe_every   the time between two keyframes
    source           what it shows: a source of ffmpeg's, with `{rate}` for the frames/s
    clock            the time in a frame's stamp, by the time since the session's first frame
    greets           a client's first frame is a keyframe; else it joins the others where they are
    media_for        after this time a session gets no more frames, but RTCP goes on
    held_back        in each minute the frames of the first so many seconds are sent late, and at once
    setup            the status that each SETUP gets
    sessions         how many clients may play: `any`; `newest`, which ends the one before; `first`, and others get 453
    challenges       the algorithms of the digests that it asks for, in this order
    refuses_for      so long after its start no password is right, as of a camera that boots
    answers_after    the time that each answer takes
    """

    rate: int = 10
    keyframe_every: float = 2
    source: str = LIVELY
    clock: Callable[[float], float] = true
    greets: bool = False
    media_for: float = math.inf
    held_back: float = 0
    setup: str = "200 OK"
    sessions: str = "any"
    challenges: tuple[str, ...] = ()
    refuses_for: float = 0
    answers_after: float = 0


PROFILES = {
    "plain": Profile(),
    "rate5": Profile(rate=5),
    "rate2": Profile(rate=2),
    "rate1": Profile(rate=1),
    "key75": Profile(rate=5, keyframe_every=75, greets=True),
    "key100": Profile(rate=5, keyframe_every=100, greets=True),
    "key300": Profile(rate=5, keyframe_every=300, greets=True),
    "far": Profile(rate=5, keyframe_every=100),
    "joined": Profile(rate=5, keyframe_every=20),
    "dark": Profile(rate=5, keyframe_every=50, greets=True, source=DARK),
    "stray": Profile(clock=stray),
    "twice": Profile(clock=lambda seconds: seconds * 2),
    "fourfold": Profile(clock=lambda seconds: seconds * 4),
    "eightfold": Profile(clock=lambda seconds: seconds * 8, keyframe_every=0.5),
    "still": Profile(clock=lambda _: 0),
    "flood": Profile(clock=lambda _: 0, source=SNOW),
    "back": Profile(clock=lambda seconds: seconds - (3600 if seconds >= 20 else 0)),
    "forth": Profile(clock=lambda seconds: seconds + (3600 if seconds >= 20 else 0)),
    "saw": Profile(clock=lambda seconds: seconds - 3 * (seconds // 10)),
    "burst": Profile(held_back=30),
    "mute": Profile(media_for=20),
    "newest": Profile(sessions="newest"),
    "first": Profile(sessions="first"),
    "busy453": Profile(setup="453 Not Enough Bandwidth"),
    "busy503": Profile(setup="503 Service Unavailable"),
    "wrong": Profile(challenges=("MD5",), refuses_for=math.inf),
    "boots": Profile(challenges=("MD5",), refuses_for=40),
    "md5": Profile(challenges=("MD5",)),
    "sha256": Profile(challenges=("SHA-256",)),
    "sha256_first": Profile(challenges=("SHA-256", "MD5")),
    "sha256_last": Profile(challenges=("MD5", "SHA-256")),
    "slow": Profile(answers_after=3),
}


@dataclass(frozen=True)
class Stream:
    """An endless H.264 stream: its parameter sets, and the units of each frame."""

    parameter_sets: list[bytes]
    frames: list[list[bytes]]


@functools.cache
def encoded(rate: int, keyframe_every: float, source: str) -> Stream:
    """Return a stream with exactly these keyframes."""
    distance = round(rate * keyframe_every)
    frames = distance * math.ceil(STREAM_SECONDS / keyframe_every)
    keys = f"keyint={distance}:min-keyint={distance}:scenecut=0:bframes=0:slices=1:threads=1"
    command = ["ffmpeg", "-v", "error", "-f", "lavfi", "-i", source.format(rate=rate), "-frames:v", str(frames)]
    command += ["-c:v", "libx264", "-preset", "ultrafast", "-x264-params", keys, "-f", "h264", "-"]
    units = re.split(b"\0\0\0?\1", subprocess.run(command, capture_output=True, check=True).stdout)[1:]
    parameter_sets = [unit for unit in units if unit[0] & 31 in (7, 8)][:2]
    stream = Stream(parameter_sets, [])
    for unit in units:
        if unit[0] & 31 == 5:
            stream.frames.append([*parameter_sets, unit])
        elif unit[0] & 31 == 1:
            stream.frames.append([unit])
    assert len(stream.frames) == frames
    return stream


def payloads(unit: bytes) -> Iterator[bytes]:
    """Yield the RTP payloads of a unit (RFC 6184): itself, or its fragments if it is too long."""
    if len(unit) <= PACKET_BYTES:
        yield unit
        return
    for at in range(1, len(unit), PACKET_BYTES):
        edges = (at == 1) << 7 | (at + PACKET_BYTES >= len(unit)) << 6
        yield bytes([unit[0] & 0xE0 | 28, edges | unit[0] & 31]) + unit[at : at + PACKET_BYTES]


def digest(algorithm: str, *parts: str) -> str:
    return hashlib.new(algorithm.replace("-", ""), ":".join(parts).encode()).hexdigest()


class Cameras:
    """All cameras of one server: what they remember about their clients."""

    def __init__(self, user: str, password: str, log: Path) -> None:
        self.user = user
        self.password = password
        self.begun = time.monotonic()
        self.playing: dict[str, Client] = {}
        self._log = log

    def note(self, camera: str, event: str) -> None:
        with self._log.open("a") as log:
            log.write(f"{time.monotonic():.2f} {camera} {event}\n")

    def accepts(self, profile: Profile, method: str, request: str) -> bool:
        """Return whether a request holds the right answer to one of the camera's challenges."""
        found = re.search(r"Authorization: Digest (.*)", request)
        fields: dict[str, str] = dict(re.findall(r'(\w+)="?([^",]*)"?', found[1])) if found else {}
        algorithm = fields.get("algorithm", "MD5")
        if not found or algorithm not in profile.challenges or time.monotonic() < self.begun + profile.refuses_for:
            return False
        user = digest(algorithm, self.user, REALM, self.password)
        return digest(algorithm, user, NONCE, digest(algorithm, method, fields["uri"])) == fields["response"]


class Client:
    """One connection of a client, and the camera that its first URL names."""

    def __init__(self, cameras: Cameras, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.cameras = cameras
        self.reader = reader
        self.writer = writer
        self.camera = ""
        self.profile = Profile()
        self.channel = 0
        self.sent = 0
        self.playing: asyncio.Task[None] | None = None

    async def serve(self) -> None:
        """Answer until the client is gone."""
        try:
            while first := await self.reader.read(1):
                if first == b"$":  # what a client sends on a channel is RTCP
                    head = await self.reader.readexactly(3)
                    await self.reader.readexactly(int.from_bytes(head[1:], "big"))
                else:
                    await self.answer((first + await self.reader.readuntil(b"\r\n\r\n")).decode())
                    await self.writer.drain()
        except (OSError, asyncio.IncompleteReadError):
            pass  # the client is gone
        finally:
            if self.cameras.playing.get(self.camera) is self:
                del self.cameras.playing[self.camera]
            if self.playing:
                self.playing.cancel()
                self.cameras.note(self.camera, "gone")
            self.writer.close()

    async def answer(self, request: str) -> None:
        method, url = request.split()[:2]
        self.camera = self.camera or re.sub(r"^\w+://[^/]*/", "", url).rstrip("/")
        name = self.camera.split("/")[0]
        await asyncio.sleep(PROFILES[name].answers_after if name in PROFILES else 0)
        if method == "OPTIONS":
            self.reply(request, headers="Public: OPTIONS, DESCRIBE, SETUP, PLAY, TEARDOWN, GET_PARAMETER\r\n")
        elif name not in PROFILES:
            self.reply(request, "404 Not Found")
        else:
            self.profile = PROFILES[name]
            if self.is_let_in(method, request):
                await self.obey(method, url, request)

    def reply(self, request: str, status: str = "200 OK", headers: str = "", body: str = "") -> None:
        sequence = re.search(r"CSeq: *(\d+)", request, re.IGNORECASE)
        length = f"Content-Length: {len(body)}\r\n" if body else ""
        number = sequence[1] if sequence else "0"
        self.writer.write(f"RTSP/1.0 {status}\r\nCSeq: {number}\r\n{headers}{length}\r\n{body}".encode())

    def is_let_in(self, method: str, request: str) -> bool:
        if not self.profile.challenges or self.cameras.accepts(self.profile, method, request):
            return True
        self.cameras.note(self.camera, "refused a login" if "Authorization:" in request else "asked for a login")
        asked = f'WWW-Authenticate: Digest realm="{REALM}", nonce="{NONCE}", algorithm='
        self.reply(request, "401 Unauthorized", "".join(f"{asked}{one}\r\n" for one in self.profile.challenges))
        return False

    async def obey(self, method: str, url: str, request: str) -> None:
        if method == "DESCRIBE":
            headers = f"Content-Base: {url.rstrip('/')}/\r\nContent-Type: application/sdp\r\n"
            self.reply(request, headers=headers, body=await self.description())
        elif method == "SETUP":
            self.set_up(request)
        else:
            self.reply(request, headers="Session: 1\r\n")
            if method == "PLAY":
                self.cameras.note(self.camera, "plays")
                self.playing = asyncio.create_task(self.play())

    def set_up(self, request: str) -> None:
        other = self.cameras.playing.get(self.camera)
        status = self.profile.setup
        if other and self.profile.sessions == "first":
            status = "453 Not Enough Bandwidth"
        if status != "200 OK":
            self.cameras.note(self.camera, "refused a session")
            self.reply(request, status)
            return
        if other and self.profile.sessions == "newest":
            self.cameras.note(self.camera, "cut off a session")
            other.writer.transport.abort()
        self.cameras.playing[self.camera] = self
        channels = re.search(r"interleaved=(\d+)-(\d+)", request)
        assert channels
        self.channel = int(channels[1])
        transport = f"RTP/AVP/TCP;unicast;{channels[0]}"
        self.reply(request, headers=f"Session: 1;timeout=60\r\nTransport: {transport}\r\n")

    async def stream(self) -> Stream:
        profile = self.profile
        return await asyncio.to_thread(encoded, profile.rate, profile.keyframe_every, profile.source)

    async def description(self) -> str:
        sets = ",".join(base64.b64encode(one).decode() for one in (await self.stream()).parameter_sets)
        head = "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=camera\r\nc=IN IP4 0.0.0.0\r\nt=0 0\r\na=control:*\r\n"
        video = "m=video 0 RTP/AVP 96\r\na=rtpmap:96 H264/90000\r\na=control:video\r\n"
        return f"{head}{video}a=fmtp:96 packetization-mode=1;sprop-parameter-sets={sets}\r\n"

    async def play(self) -> None:
        """Send from now on what the camera sends, until the client is gone."""
        profile, frames = self.profile, (await self.stream()).frames
        begun = self.cameras.begun
        first = math.ceil((time.monotonic() - begun) * profile.rate)
        late, reported = b"", -math.inf
        with contextlib.suppress(OSError):
            for number in itertools.count(first):
                at = number / profile.rate
                await asyncio.sleep(begun + at - time.monotonic())
                seconds = (number - first) / profile.rate
                stamp = int(CLOCK_RATE * (1000 + profile.clock(seconds))) % 2**32
                if at >= reported + RTCP_SECONDS:
                    reported = at
                    self.writer.write(self.report(stamp))
                if seconds < profile.media_for:
                    late += self.packets(frames[(number - first * profile.greets) % len(frames)], stamp)
                if at % 60 >= profile.held_back:
                    self.writer.write(late)
                    late = b""
                await self.writer.drain()

    def packets(self, frame: list[bytes], stamp: int) -> bytes:
        """Return a frame as RTP packets (RFC 3550), each with its channel and length."""
        packets = b""
        for unit, is_last in zip(frame, [*([False] * (len(frame) - 1)), True], strict=True):
            parts = list(payloads(unit))
            for number, part in enumerate(parts, 1):
                marker = (is_last and number == len(parts)) << 7
                head = struct.pack(">BBHII", 0x80, marker | 96, self.sent % 2**16, stamp, 0x1234)
                packets += struct.pack(">cBH", b"$", self.channel, len(head) + len(part)) + head + part
                self.sent += 1
        return packets

    def report(self, stamp: int) -> bytes:
        """Return a sender report, the packet of RTCP that says at which time of day a frame is stamped so."""
        now = time.time() + 2_208_988_800  # seconds since 1900
        report = struct.pack(">BBHIIIIII", 0x80, 200, 6, 0x1234, int(now), int(now % 1 * 2**32), stamp, self.sent, 0)
        return struct.pack(">cBH", b"$", self.channel + 1, len(report)) + report


async def serve(address: str, port: int, cameras: Cameras) -> None:
    server = await asyncio.start_server(
        lambda reader, writer: Client(cameras, reader, writer).serve(), address, port, reuse_address=True
    )
    print("ready", server.sockets[0].getsockname()[1], flush=True)
    async with server:
        await server.serve_forever()


def main() -> None:
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGTERM)
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--address", default="127.0.0.1", help="where to listen")
    parser.add_argument("port", type=int, help="0 takes any free port")
    parser.add_argument("user")
    parser.add_argument("password")
    parser.add_argument("log", type=Path)
    arguments = parser.parse_args()
    cameras = Cameras(arguments.user, arguments.password, arguments.log)
    asyncio.run(serve(arguments.address, arguments.port, cameras))


if __name__ == "__main__":
    main()
