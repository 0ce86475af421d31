"""Finding out whether ffmpeg can answer the login that a camera asks for. It is imported only after a 401."""

import _socket
import time

from .camera import host_of, literal

TYPE_CHECKING = False
if TYPE_CHECKING:
    from .ffmpeg import Child

UNANSWERABLE = "the camera asks for a login that ffmpeg can't do"

ANSWER_SECONDS = 3.0
ANSWER_BYTES = 8192


def unanswerable(url: str, child: "Child") -> str:
    """Return which login a camera asks for if ffmpeg can't do it, or no text. Also none if it can't be found out.

    This asks the camera as ffmpeg does before it logs in, so the camera counts no failed login.
    """
    host_port = host_of(url)
    if not host_port or not url.lower().startswith("rtsp://"):
        return ""  # rtsps would need TLS
    host, port = host_port
    rest = url.partition("://")[2]
    shown = f"[{host}]" if ":" in host else host
    end = next((i for i, c in enumerate(rest) if c in "/?#"), len(rest))
    request = f"DESCRIBE rtsp://{shown}:{port}{rest[end:]} RTSP/1.0\r\nCSeq: 1\r\nAccept: application/sdp\r\n\r\n"
    peers = literal(host, port)
    if not peers:
        from .lookup import look_up

        peers, _ = look_up(host, port, child)
    for peer in peers[:2]:  # a stop must not wait for long
        try:
            return unknown_login(_asked(*peer, request.encode()).decode(errors="replace"))
        except OSError:
            pass  # it refuses, or is silent
    return ""


def _asked(family: int, address: "tuple[object, ...]", request: bytes) -> bytes:
    """Return the head of what a server answers to a request, or what came of it in time. Raises OSError."""
    until = time.monotonic() + ANSWER_SECONDS
    answer = b""
    connection = _socket.socket(family, _socket.SOCK_STREAM)
    try:
        connection.settimeout(ANSWER_SECONDS)
        connection.connect(address)
        connection.send(request)
        while b"\r\n\r\n" not in answer and len(answer) < ANSWER_BYTES and (left := until - time.monotonic()) > 0:
            connection.settimeout(left)
            chunk = connection.recv(4096)
            if not chunk:
                break
            answer += chunk
    finally:
        connection.close()
    return answer


def unknown_login(answer: str) -> str:
    """Return the login that an RTSP answer asks for if ffmpeg can't do it, or no text.

    Among several challenges ffmpeg prefers Digest to Basic, and takes the last Digest. Of Digest it knows MD5 and
    MD5-sess, with the quality of protection `auth` or none (libavformat/httpauth.c of 5.1 and 9.0).
    """
    if answer.split(" ", 2)[1:2] != ["401"]:
        return ""
    wanted = []
    for line in answer.split("\r\n"):
        key, _, value = line.partition(":")
        if key.lower() == "www-authenticate":
            wanted.append(value.strip())
    digests = [value for value in wanted if value.lower().startswith("digest ")]
    if not digests:
        is_known = any(value.lower().startswith("basic ") for value in wanted)
        return "" if is_known else ", ".join(value.partition(" ")[0] for value in wanted)
    algorithm, protection = (parameter(digests[-1], name) for name in ("algorithm", "qop"))
    if algorithm not in ("", "MD5", "MD5-sess"):
        return f"Digest with {algorithm}"
    if protection and "auth" not in [each.strip() for each in protection.split(",")]:
        return f"Digest with qop {protection}"
    return ""


def parameter(challenge: str, name: str) -> str:
    """Return the value of a parameter of a challenge, without quotes, or no text."""
    for part in challenge.partition(" ")[2].split(", " if '", ' in challenge else ","):
        key, _, value = part.strip().partition("=")
        if key.lower() == name:
            return value.strip().strip('"')
    return ""
