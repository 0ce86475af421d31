"""A network of a test's own, with addresses that never answer, and with its own names."""

import contextlib
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from support import HERE
from support.camera import ScriptedCamera
from support.mirror import Mirror

# A neighbour is known by an address of its hardware that nobody has. So what is sent to it is lost without a word.
DEAD_IPV4, DEAD_IPV6 = "10.9.0.53", "fd00:9::2"
NAME_SERVER = "127.0.0.54"
BEGIN = f"""
ip link set lo up
ip link add here type veth peer name there
ip address add 10.9.0.1/24 dev here
ip address add fd00:9::1/64 dev here nodad
ip link set here up
ip link set there up
ip neigh add {DEAD_IPV4} lladdr 02:00:00:00:00:53 dev here nud permanent
ip neigh add {DEAD_IPV6} lladdr 02:00:00:00:00:02 dev here nud permanent
for file in hosts resolv.conf; do mount --bind "$0/$file" "/etc/$file"; done
echo ready
exec cat
"""


@dataclass
class Network:
    """A namespace of Linux for network and mounts. `hosts` and `name_servers` say who is found by which name."""

    home: Path
    pid: int = 0

    def inside(self, command: list[str]) -> list[str]:
        """Return a command that runs another one in this network."""
        return ["nsenter", f"--target={self.pid}", "--net", "--mount", f"--wd={Path.cwd()}", "--", *command]

    def add_hosts(self, *lines: str) -> None:
        """Have names found, each line as in /etc/hosts."""
        with (self.home / "hosts").open("a") as hosts:
            hosts.writelines(f"{line}\n" for line in lines)

    def ask_name_servers(self, *addresses: str) -> None:
        (self.home / "resolv.conf").write_text("".join(f"nameserver {address}\n" for address in addresses))

    @contextlib.contextmanager
    def name_server(self) -> Iterator[None]:
        """A server at NAME_SERVER, until the block ends, that finds each name at 127.0.0.1."""
        process = subprocess.Popen(
            self.inside([sys.executable, str(HERE / "name_server.py"), NAME_SERVER]), stdout=subprocess.PIPE, text=True
        )
        try:
            assert process.stdout
            assert process.stdout.readline() == "ready\n"
            yield
        finally:
            process.kill()
            process.communicate()


@dataclass
class MirrorInside(Mirror):
    """A mirror in a network of its own."""

    network: Network | None = None

    def command(self, *args: str) -> list[str]:
        assert self.network
        return self.network.inside(super().command(*args))


@dataclass
class CameraInside(ScriptedCamera):
    """Cameras in a network of their own, at all of its addresses."""

    network: Network | None = None

    def command(self) -> list[str]:
        assert self.network
        return self.network.inside(super().command())


@contextlib.contextmanager
def own_network(home: Path) -> Iterator[Network]:
    """A network that only processes started in it see. `home` gets its files."""
    network = Network(home)
    (home / "hosts").write_text("127.0.0.1 localhost\n::1 localhost\n")
    network.ask_name_servers()
    unshare = ["unshare", "--net", "--mount", "--", "setpriv", "--pdeathsig", "KILL", "--", "sh", "-euc", BEGIN]
    process = subprocess.Popen([*unshare, str(home)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout
        assert process.stdout.readline() == "ready\n"
        network.pid = process.pid
        yield network
    finally:
        process.kill()
        process.communicate()
