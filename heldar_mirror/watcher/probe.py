"""Asking whether a camera accepts a TCP connection. Unlike an ffmpeg, that costs microseconds and no process."""

import asyncio
import urllib.parse
from collections.abc import Iterable

Address = tuple[str, int]

ANSWER_SECONDS = 1.5
DEFAULT_PORTS = {"rtsp": 554, "rtsps": 322, "http": 80, "https": 443}


def address_of(url: str) -> Address | None:
    """Return host and port of a camera's URL, or None if the URL doesn't give both."""
    try:
        parts = urllib.parse.urlsplit(url)
        host, port = parts.hostname, parts.port or DEFAULT_PORTS.get(parts.scheme)
    except ValueError:
        return None
    return (host, port) if host and port else None


async def answering(addresses: Iterable[Address]) -> set[Address]:
    """Return the addresses that accept a connection within ANSWER_SECONDS. All are asked at once."""
    asked = sorted(set(addresses))
    answers = await asyncio.gather(*map(_answers, asked))
    return {address for address, answer in zip(asked, answers, strict=True) if answer}


async def _answers(address: Address) -> bool:
    try:
        _, writer = await asyncio.wait_for(asyncio.open_connection(*address), ANSWER_SECONDS)
    except (OSError, asyncio.TimeoutError, UnicodeError):  # UnicodeError: the host is no possible name
        return False
    writer.close()
    return True
