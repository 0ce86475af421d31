"""Whether a camera answers, tried on loopback."""

import asyncio
import contextlib

import pytest
from support.listeners import listening, refusing, silent

from heldar_mirror.watcher.probe import Address, address_of, answering


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("rtsp://10.0.0.1/stream", ("10.0.0.1", 554)),
        ("rtsp://10.0.0.1:8554/stream", ("10.0.0.1", 8554)),
        ("rtsp://admin:p%40ss%2Fw%3Ard@10.0.0.1:8554/stream?channel=1", ("10.0.0.1", 8554)),
        ("rtsp://admin@gate.example", ("gate.example", 554)),
        ("rtsp://[fd00::1]/stream", ("fd00::1", 554)),
        ("rtsp://admin:x@[fd00::1]:8554/stream", ("fd00::1", 8554)),
        ("RTSP://GATE.example/stream", ("gate.example", 554)),
        ("rtsp://10.0.0.1:/stream", ("10.0.0.1", 554)),
        ("rtsps://10.0.0.1/stream", ("10.0.0.1", 322)),
        ("http://10.0.0.1/stream", ("10.0.0.1", 80)),
        ("https://10.0.0.1/stream", ("10.0.0.1", 443)),
        ("ftp://10.0.0.1/stream", None),
        ("rtsp://", None),
        ("rtsp:///stream", None),
        ("rtsp://:8554/stream", None),
        ("rtsp://10.0.0.1:99999/stream", None),
        ("rtsp://10.0.0.1:port/stream", None),
        ("rtsp://[fd00::1/stream", None),
        ("rtsp://admin:p[ss@10.0.0.1/stream", None),
        ("", None),
    ],
)
def test_where_a_camera_is_asked(url: str, expected: Address | None) -> None:
    """Host and port come from the URL, and the port from its scheme if the URL has none. Without them there is no
    address."""
    assert address_of(url) == expected


def ask(*addresses: Address) -> set[Address]:
    return asyncio.run(answering(addresses))


def test_those_who_accept_are_told_from_those_who_do_not() -> None:
    """A camera that accepts a connection answers, whatever it sends then. One that refuses or is silent does not."""
    with listening() as here, refusing() as closed, silent() as nowhere:
        assert ask(here, closed, nowhere, here) == {here}
        assert ask(closed, nowhere) == set()
    assert ask() == set()


def test_the_silent_are_asked_all_at_once() -> None:
    """Many silent cameras take no longer than one."""
    with contextlib.ExitStack() as stack:
        here = stack.enter_context(listening())
        silents = [stack.enter_context(silent()) for _ in range(40)]

        async def ask_within(seconds: float) -> set[Address]:
            return await asyncio.wait_for(answering([*silents, here]), seconds)

        # One after another they would take a minute.
        assert asyncio.run(ask_within(30)) == {here}


def test_a_camera_with_an_ipv6_address_is_asked() -> None:
    """A camera can answer at an IPv6 address as well as at an IPv4 one."""
    try:
        with listening("::1") as here:
            assert ask(here, ("::1", 1)) == {here}
    except OSError as error:
        pytest.skip(f"no IPv6 on loopback: {error}")


def test_a_camera_with_a_name_is_asked() -> None:
    """A name is looked up."""
    with listening() as (_, port):
        assert ask(("localhost", port), ("localhost", 1)) == {("localhost", port)}


@pytest.mark.parametrize("name", ["a..b", ".", "x" * 64, f"{'x' * 64}.example", "x" * 300, "caf\u00e9..b", "\udc80"])
def test_a_name_that_can_not_be_one_does_not_answer(name: str) -> None:
    """Whatever the table holds as an address, the other cameras are still asked."""
    with listening() as here:
        assert ask((name, 554), here) == {here}
