"""Whether a camera accepts a TCP connection. That costs microseconds and no process, unlike an ffmpeg."""

import asyncio
import urllib.parse
from collections.abc import Iterable

Address = tuple[str, int]

ANSWER_SECONDS = 1.5
DEFAULT_PORTS = {"rtsp": 554, "rtsps": 322, "http": 80, "https": 443}


def address_of(url: str) -> Address | None:
    """Return host and port of a camera's URL, or None if it has none that can be asked."""
    try:
        parts = urllib.parse.urlsplit(url)
        host, port = parts.hostname, parts.port or DEFAULT_PORTS.get(parts.scheme)
    except ValueError:
        return None
    return (host, port) if host and port else None


async def answering(addresses: Iterable[Address]) -> set[Address]:
    """Return the addresses that accept a connection. All are asked at once."""
    places = sorted(set(addresses))
    answers = await asyncio.gather(*map(_answers, places))
    return {place for place, answer in zip(places, answers, strict=True) if answer}


async def _answers(address: Address) -> bool:
    try:
        _, writer = await asyncio.wait_for(asyncio.open_connection(*address), ANSWER_SECONDS)
    except (OSError, asyncio.TimeoutError, UnicodeError):  # UnicodeError: the host can't be a name
        return False
    writer.close()
    return True
