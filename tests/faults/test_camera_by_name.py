"""Cameras that are away at first, by address and by name, in a network with dead addresses and dead name servers.

Nobody does anything when they are back, and the mirror records them all.
"""

import time
from collections.abc import Iterator
from dataclasses import dataclass

import pytest
from support.inspection import log_of
from support.mirror import mirror_env, new_database, new_home
from support.own_network import DEAD_IPV4, DEAD_IPV6, NAME_SERVER, CameraInside, MirrorInside, own_network
from support.users import as_root
from support.waiting import wait_for

pytestmark = [as_root, pytest.mark.slow, pytest.mark.timeout(900)]

HOSTS = [
    "127.0.0.1 by-hosts",
    "::1 only-ipv6",
    # A name's IPv6 addresses are tried first.
    f"{DEAD_IPV6} dead-ipv6",
    "127.0.0.1 dead-ipv6",
    f"{DEAD_IPV6} both-dead-first",
    f"{DEAD_IPV4} both-dead-first",
    "127.0.0.1 both-dead-first",
]
CAMERAS = {
    "ipv4": "127.0.0.1",
    "ipv6": "[::1]",
    "by_hosts": "by-hosts",
    "only_ipv6": "only-ipv6",
    "dead_ipv6": "dead-ipv6",
    "both_dead_first": "both-dead-first",
    # The first name server never answers, so each look-up takes 5 s.
    "by_server": "by-server.example",
    "named_later": "named-later",
}
# After this time supervisord has given up each program that did not start.
AWAY_SECONDS = 50


@dataclass
class Scene:
    mirror: MirrorInside
    camera: CameraInside


@pytest.fixture(scope="module")
def returned(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    """Cameras that were away when their mirror began, and are there now."""
    files = tmp_path_factory.mktemp("network")
    with own_network(files) as network, network.name_server(), new_home() as home:
        network.add_hosts(*HOSTS)
        network.ask_name_servers(DEAD_IPV4, NAME_SERVER)
        database = new_database(home)
        mirror = MirrorInside(home, database, mirror_env(home, database), network)
        mirror.env["HELDAR_FFMPEG_BIN"] = "ffmpeg"
        camera = CameraInside(8554, "", log=files / "log", network=network)
        for name, host in CAMERAS.items():
            database.add(name, main_stream_url=camera.url(f"plain/{name}", host), segment_seconds=10)
        with mirror.up(watched=True):
            wait_for(lambda: all(log_of(mirror, f"mirror-{name}") for name in CAMERAS))
            time.sleep(AWAY_SECONDS)
            camera.plug_in()
            network.add_hosts("127.0.0.1 named-later")
            try:
                yield Scene(mirror, camera)
            finally:
                camera.unplug()


@pytest.mark.parametrize("name", CAMERAS)
def test_a_camera_that_is_back_is_recorded(returned: Scene, name: str) -> None:
    """However a camera is found, and however long that takes, its recording begins by itself."""
    wait_for(lambda: b"moof" in b"".join(path.read_bytes() for path in returned.mirror.segments(name)))
