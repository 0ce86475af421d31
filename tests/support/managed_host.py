"""Booted hosts that Ansible manages. They have Heldar's user and database, and can reach cameras."""

import contextlib
import json
import os
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from support import TREE
from support.booted_host import Host, booted_host
from support.camera import Camera
from support.mirror import PASSWORD, SCHEMA, USER, new_home

ANSIBLE = TREE / "deploy/ansible"
CAMERAS = ("gate", "hall", "yard")
NEXT = "9.9.9"
# The unit may not write here unless the role allows it.
ROOT = "/data/mirror"
SECRET = "bWFkZS11cC1rZXktb2YtdGhlLXRlc3RzLW9ubHkhISE="

EXECUTE = """import sqlite3, sys
connection = sqlite3.connect("/var/lib/heldar/heldar.db")
for script in sys.argv[1:]:
    connection.executescript(script)
connection.close()
"""


@dataclass
class Managed:
    """A host for Ansible to manage. It has Heldar's user and database, and can reach cameras."""

    host: Host
    home: Path
    camera: Camera
    variables: dict[str, object]

    def play(self, *options: str, failed: bool = False, **variables: object) -> str:
        """Apply the example's playbook to the host, and return Ansible's output. It must fail if `failed` is true."""
        return self._play({self.host.address: {}}, options, failed, variables)

    def refusals(self, cases: Sequence[Mapping[str, object]]) -> list[str]:
        """Apply the playbook with the variables of each case at once. Each must fail and change nothing.

        Return Ansible's messages of each.
        """
        names = [f"case{number}" for number in range(len(cases))]
        hosts = {name: {"ansible_host": self.host.address, **case} for name, case in zip(names, cases, strict=True)}
        output = self._play(hosts, ["--forks", "9"], True, {})
        lines = [" ".join(re.findall(rf"^fatal: \[{name}\].*(?:\n .*)*", output, re.MULTILINE)) for name in names]
        assert set(re.findall(r"changed=(\d+)", output)) == {"0"}, output
        return [" ".join(found.split()) for found in lines]

    def _play(
        self,
        hosts: Mapping[str, Mapping[str, object]],
        options: Sequence[str],
        failed: bool,
        variables: Mapping[str, object],
    ) -> str:
        login = {
            "ansible_user": "root",
            "ansible_ssh_private_key_file": str(self.host.key),
            "ansible_ssh_common_args": shlex.join(self.host.ssh_options),
            "ansible_python_interpreter": "/usr/bin/python3",
        }
        inventory = self.home / "inventory.json"
        inventory.write_text(
            json.dumps({"nvrs": {"hosts": hosts, "vars": login | self.variables | dict(variables)}}),
        )
        kept = {name: value for name, value in os.environ.items() if name == "PATH" or name.startswith("PIP_")}
        done = subprocess.run(
            [Path(sys.executable).with_name("ansible-playbook"), "-i", inventory, "playbook.yml", *options],
            cwd=ANSIBLE,
            env={"HOME": str(self.home), "LC_ALL": "C.UTF-8", "ANSIBLE_NOCOLOR": "1", **kept},
            capture_output=True,
            text=True,
            timeout=600,
            check=False,
        )
        output = done.stdout + done.stderr
        assert (done.returncode != 0) == failed, output
        assert SECRET not in output
        return output

    def execute(self, *scripts: str) -> None:
        """Run SQL scripts on the database as Heldar's user."""
        self.host.run("runuser", "-u", "heldar", "--", "python3", "-c", EXECUTE, *scripts)

    def all_well(self) -> bool:
        """Whether all cameras are mirrored, and the status reports no problem."""
        if self.camera.process and self.camera.process.poll() is not None:
            # When the host loses its power, its readers vanish, and GStreamer's server may crash.
            self.camera.unplug()
            self.camera.plug_in()
        report = json.loads(self.host.run("heldar-mirror", "status", "--json", code=None).stdout or "{}")
        return bool(report.get("well")) and sum(bool(camera["segment"]) for camera in report["cameras"]) == len(CAMERAS)

    def describe_state(self) -> str:
        """Return what shows why a wait failed: the status, and the ends of the journals."""
        status = self.host.run("heldar-mirror", "status", code=None)
        return f"{status.stdout}{status.stderr}{self.host.journal('heldar-mirror')[-4000:]}"

    def pids(self, command: str) -> list[int]:
        """Return the processes whose command matches, by their ids on the host."""
        return [int(pid) for pid in self.host.run("pgrep", "-f", command, code=None).stdout.split()]

    def mirroring(self) -> list[int]:
        """Return the processes that an upgrade must not restart: each recorder, its ffmpeg, and supervisord."""
        return self.pids(r"start_recorder\.py|^ffmpeg |/usr/bin/supervisord|-m supervisor\.supervisord|mirror up$")

    def segments(self) -> dict[str, str]:
        """Return the owner of each segment, by its path below the mirror root."""
        listed = self.host.shell(rf"find {ROOT} -name '*.mp4' -printf '%P %u\n'")
        return dict(line.rsplit(" ", 1) for line in listed.splitlines())

    def left(self) -> list[str]:
        """Return all paths that are named after heldar-mirror, without footage and the tests' own files."""
        prune = " -o ".join(f"-path {place}" for place in ("/proc", "/sys", ROOT, "/opt/wheels", "/root"))
        return self.host.shell(rf"find / \( {prune} \) -prune -o -name '*heldar*mirror*' -print").split()


@contextlib.contextmanager
def managed_host() -> Iterator[Managed]:
    """A host without heldar-mirror."""
    camera = Camera()
    try:
        with new_home() as home, booted_host() as host:
            camera.address = host.gateway
            camera.plug_in()
            host.shell(
                "useradd --system heldar; mkdir /data /etc/heldar;install -d -o heldar -g heldar -m 750 /var/lib/heldar"
            )
            variables: dict[str, object] = {
                "heldar_mirror_recordings_dir": ROOT,
                "heldar_mirror_pip_conf": {"no-index": True, "find-links": ["/opt/wheels", "/root/index"]},
                "heldar_mirror_settings": {"HELDAR_DATABASE_URL": "sqlite:///var/lib/heldar/heldar.db"},
            }
            made = Managed(host, home, camera, variables)
            made.execute("PRAGMA journal_mode=WAL", SCHEMA)
            for camera_id in CAMERAS:
                made.execute(
                    "INSERT INTO cameras (id, name, vendor, address, rtsp_port, username, password, segment_seconds, "  # noqa: S608
                    f"mirror_enabled) VALUES ('{camera_id}', '{camera_id}', 'hikvision', '{host.gateway}', "
                    f"{camera.port}, '{USER}', '{PASSWORD}', 5, 1)"
                )
            try:
                yield made
            finally:
                # Ansible keeps its SSH connection open for the next play.
                for socket in (home / ".ansible/cp").glob("*"):
                    subprocess.run(["ssh", "-q", "-O", "exit", "-S", socket, "root"], check=False)
    finally:
        camera.unplug()


def changes(output: str) -> int:
    """Return how many tasks of a play changed something, from its output."""
    return int(re.findall(r"changed=(\d+)", output)[-1])


def pending(output: str) -> str:
    """Return what waits for a restart, from the output of a play."""
    return "".join(re.findall(r"restart pending: .*", output))
