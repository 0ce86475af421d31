"""A mirror that is joined: a supervisord that isn't ours runs it."""

import contextlib
import socket
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from support.users import MirrorForAll
from support.waiting import COMMAND_SECONDS, PATIENCE_SECONDS, wait_for, wait_for_none

ADMIN, ADMIN_PASSWORD = "sysadmin", "letmein"  # for the HTTP interface of the test's supervisord


@dataclass
class Joined(MirrorForAll):
    """A mirror in a supervisord that also runs `other`, and `mirror-foreign`, whose name looks like one of ours."""

    port: int = 0

    @property
    def configuration(self) -> Path:
        return self.home / "supervisord.conf"

    def configure(self, more: str = "") -> None:
        self.configuration.write_text(
            f"""
[inet_http_server]
port=127.0.0.1:{self.port}
username={ADMIN}
password={ADMIN_PASSWORD}
[supervisord]
nodaemon=true
user=root
logfile={self.home}/supervisord.log
pidfile={self.home}/supervisord.pid
childlogdir={self.home}
[rpcinterface:supervisor]
supervisor.rpcinterface_factory=supervisor.rpcinterface:make_main_rpcinterface
[supervisorctl]
serverurl=http://127.0.0.1:{self.port}
username={ADMIN}
password={ADMIN_PASSWORD}
[program:other]
command={self.home}/sleep infinity
[program:mirror-foreign]
command={self.home}/sleep infinity
[include]
files={self.home}/programs*.conf
{more}
"""
        )

    def join(self) -> None:
        """Make the mirror use this supervisord, with a prefix of its own, and recorders that run as the user games."""
        self.env |= {
            "HELDAR_MIRROR_PROGRAMS_FILE": str(self.home / "programs.conf"),
            "HELDAR_MIRROR_SUPERVISOR_USERNAME": ADMIN,
            "HELDAR_MIRROR_SUPERVISOR_PASSWORD": ADMIN_PASSWORD,
            "HELDAR_MIRROR_PREFIX": "heldar_",
            "HELDAR_MIRROR_USER": "games",
        }

    def supervisorctl(self, *args: str) -> str:
        command = [sys.executable, "-m", "supervisor.supervisorctl", "-c", str(self.configuration), *args]
        return subprocess.run(command, capture_output=True, text=True, timeout=COMMAND_SECONDS, check=False).stdout

    def pids(self, *names: str) -> list[int]:
        return [int(self.supervisorctl("pid", name)) for name in names]

    @contextlib.contextmanager
    def supervisord(self) -> Iterator[None]:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        self.env["HELDAR_MIRROR_SUPERVISOR_URL"] = f"http://127.0.0.1:{self.port}"
        self.configure()
        (self.home / "sleep").symlink_to("/bin/sleep")
        with (self.home / "up.log").open("w") as log:
            process = subprocess.Popen(
                [sys.executable, "-m", "supervisor.supervisord", "-c", str(self.configuration)], stdout=log, stderr=log
            )
        try:
            wait_for(lambda: "pid" in self.supervisorctl("status", "other"))
            yield
        finally:
            process.terminate()
            try:
                process.wait(PATIENCE_SECONDS)
            except subprocess.TimeoutExpired:
                process.kill()
            left = wait_for_none(str(self.home))
        assert not left, left
