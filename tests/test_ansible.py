"""The Ansible role, applied over SSH to booted hosts: with a supervisord of its own, and beside Debian's 4.2.5.

The tests of each host follow one another, from a host that knows nothing of us to one that has only the footage left.
"""

import json
import os
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml
from conftest import PASSWORD, SCHEMA, USER, Camera, new_home, wait_for
from host import Host, booted_host
from packages import TREE, build, run

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]

ANSIBLE = TREE / "deploy/ansible"
CAMERAS = ("gate", "hall", "yard")
NEXT = "9.9.9"
SECRET = "bWFkZS11cC1rZXktb2YtdGhlLXRlc3RzLW9ubHkhISE="

EXECUTE = """import sqlite3, sys
connection = sqlite3.connect("/var/lib/heldar/heldar.db")
for script in sys.argv[1:]:
    connection.executescript(script)
connection.close()
"""


@dataclass
class Managed:
    """A host with Heldar's user and database, and with cameras in reach, to be managed by Ansible."""

    host: Host
    home: Path
    wheel: Path
    next_wheel: Path
    variables: dict[str, object]

    def play(self, *options: str, failed: bool = False, **variables: object) -> str:
        """Apply the example's playbook to the host, and return what Ansible says."""
        host = {
            "ansible_user": "root",
            "ansible_ssh_private_key_file": str(self.host.key),
            "ansible_ssh_common_args": shlex.join(self.host.ssh_options),
            "ansible_python_interpreter": "/usr/bin/python3",
        }
        inventory = self.home / "inventory.json"
        nvrs = {"hosts": {self.host.address: host}, "vars": self.variables | variables}
        inventory.write_text(json.dumps({"nvrs": nvrs}))
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
        """Write to the database as Heldar does: as its user."""
        self.host.run("runuser", "-u", "heldar", "--", "python3", "-c", EXECUTE, *scripts)

    def all_well(self) -> bool:
        """Whether all cameras are mirrored, and nothing is complained of."""
        report = json.loads(self.host.run("heldar-mirror", "status", "--json", code=None).stdout or "{}")
        return bool(report.get("well")) and sum(bool(camera["segment"]) for camera in report["cameras"]) == len(CAMERAS)

    def pids(self, command: str) -> list[int]:
        """Return the processes whose command matches, by their numbers in there."""
        return [int(pid) for pid in self.host.run("pgrep", "-f", command, code=None).stdout.split()]

    def mirroring(self) -> list[int]:
        """Return what an upgrade may not restart: each recorder, its ffmpeg, and supervisord."""
        return self.pids(r"start_recorder\.py|^ffmpeg |/usr/bin/supervisord|-m supervisor\.supervisord|mirror up$")

    def segments(self) -> dict[str, str]:
        """Return the owner of each segment that is closed for good."""
        listed = self.host.shell("cd /mnt/mirror; find . -name '*.mp4' -printf '%P %u\n'")
        return dict(line.rsplit(" ", 1) for line in listed.splitlines())

    def left(self) -> list[str]:
        """Return what is named like us, and neither footage, nor the tests', nor a user's."""
        prune = " -o ".join(f"-path {place}" for place in ("/proc", "/sys", "/mnt", "/opt/wheels", "/root"))
        return self.host.shell(rf"find / \( {prune} \) -prune -o -name '*heldar*mirror*' -print").split()


def changes(output: str) -> int:
    """Return how many tasks of a play changed something."""
    return int(re.findall(r"changed=(\d+)", output)[-1])


def pending(output: str) -> str:
    """Return what a play says to wait for a restart."""
    return "".join(re.findall(r"restart pending: .*", output))


@pytest.fixture(scope="module")
def wheels() -> Iterator[tuple[Path, Path, Path]]:
    """A wheel of the tree, one of the next version, and a directory with an older supervisor and what it needs."""
    with new_home() as home:
        older = home / "older"
        run(sys.executable, "-m", "pip", "download", "-q", "-d", str(older), "supervisor==4.2.5", "setuptools<81")
        yield build(home)[1], build(home, NEXT)[1], older


def managed(host: Host, home: Path, camera: Camera, wheels: tuple[Path, Path, Path]) -> Managed:
    camera.address = host.gateway
    camera.plug_in()
    host.shell("useradd --system heldar; mkdir /etc/heldar; install -d -o heldar -g heldar -m 750 /var/lib/heldar")
    host.put(wheels[2], "/root/older")
    made = Managed(
        host,
        home,
        wheels[0],
        wheels[1],
        {
            "heldar_mirror_recordings_dir": "/mnt/mirror",
            "heldar_mirror_wheel": str(wheels[0]),
            "heldar_mirror_pip_args": ["--no-index", "--find-links=/opt/wheels", "--find-links=/root/older"],
            "heldar_mirror_settings": {"HELDAR_DATABASE_URL": "sqlite:///var/lib/heldar/heldar.db"},
        },
    )
    made.execute("PRAGMA journal_mode=WAL", SCHEMA)
    for camera_id in CAMERAS:
        made.execute(
            "INSERT INTO cameras (id, name, vendor, address, rtsp_port, username, password, segment_seconds, "  # noqa: S608
            f"mirror_enabled) VALUES ('{camera_id}', '{camera_id}', 'hikvision', '{host.gateway}', {camera.port}, "
            f"'{USER}', '{PASSWORD}', 5, 1)"
        )
    return made


@pytest.fixture(scope="module")
def own(wheels: tuple[Path, Path, Path]) -> Iterator[Managed]:
    """A host for the default mode, with everything that is optional, and with an older supervisor to begin with."""
    camera = Camera()
    try:
        with new_home() as home, booted_host() as host:
            made = managed(host, home, camera, wheels)
            host.shell("mkdir /var/lib/textfiles")
            made.variables |= {
                "heldar_mirror_secrets": {"HELDAR_SECRET_KEY": SECRET},
                "heldar_mirror_constraints": ["supervisor==4.2.5", "setuptools<81"],
                "heldar_mirror_textfile_dir": "/var/lib/textfiles",
                "heldar_mirror_alert_rules": "/etc/alerts.yml",
                "heldar_mirror_hidepid": True,
            }
            yield made
    finally:
        camera.unplug()


def test_check_mode_tells_and_changes_nothing(own: Managed) -> None:
    """On a host that knows nothing of us a dry run comes to its end, and shows what it would do without the secret."""
    output = own.play("--check", "--diff")
    assert changes(output) > 10
    assert "+User=heldar-mirror" in output
    assert own.left() == []
    assert "heldar-mirror" not in own.host.path("/etc/passwd").read_text()


@pytest.mark.parametrize("place", ["file", "process"])
def test_a_kernel_that_mirrors_is_refused(own: Managed, place: str) -> None:
    """Whether its env file says so or the process that runs; it is said what to move, and nothing is touched."""
    if place == "file":
        own.host.write("/etc/heldar/heldar.env", "A=1\nHELDAR_MIRROR_RECORDINGS_DIR='/mnt/copy'\n")
        told = "Remove that line, set heldar_mirror_recordings_dir to its value, and restart heldar.service"
    else:
        own.host.write("/etc/heldar/heldar.env", "#HELDAR_MIRROR_RECORDINGS_DIR=/mnt/copy\n")
        own.host.shell("systemd-run -q -u heldar -E HELDAR_MIRROR_RECORDINGS_DIR=/mnt/copy sleep infinity")
        told = "heldar.service runs with HELDAR_MIRROR_RECORDINGS_DIR=/mnt/copy, so the kernel mirrors too"
    try:
        assert told in " ".join(own.play(failed=True).split())
    finally:
        own.host.shell("rm /etc/heldar/heldar.env; systemctl stop heldar || true")
    assert own.left() == []


@pytest.mark.parametrize(
    ("variables", "told"),
    [
        ({"heldar_mirror_mount": "/mnt"}, "nothing is mounted at /mnt"),
        ({"heldar_mirror_version": "1.0"}, "Expected exactly one of heldar_mirror_version"),
        ({"heldar_mirror_groups": ["nobodys"]}, "this host has no group nobodys"),
        ({"heldar_mirror_recordings_dir": "/var/lib/heldar"}, "/var/lib/heldar belongs to heldar"),
        ({"heldar_mirror_settings": {"HELDAR_SECRET_KEY": "x"}}, "of the latter alone HELDAR_SECRET_KEY"),
        ({"heldar_mirror_mode": "both"}, "value of heldar_mirror_mode must be one of: own, joined"),
    ],
    ids=["mount", "package", "group", "owner", "secret", "mode"],
)
def test_what_can_not_be_done_is_refused_before_any_work(own: Managed, variables: dict[str, Any], told: str) -> None:
    """A variable that can't be right is named, and nothing is touched."""
    assert told in " ".join(own.play(failed=True, **variables).split())
    assert own.left() == []


def test_it_is_applied_twice(own: Managed) -> None:
    """The cameras are mirrored, by a user of their own; the second time nothing changes."""
    assert changes(own.play("--diff")) > 10
    wait_for(own.all_well)
    assert set(own.segments().values()) == {"heldar-mirror"}
    assert own.host.path("/etc/heldar/mirror.env").stat().st_mode & 0o777 == 0o640
    before = own.mirroring()
    output = own.play("--diff")
    assert changes(output) == 0, output
    assert pending(output) == ""
    assert own.mirroring() == before


def test_what_is_optional_is_there(own: Managed) -> None:
    """Metrics of each camera, alert rules about those metrics, and a /proc that hides processes."""
    metrics = own.host.path("/var/lib/textfiles/heldar_mirror.prom")
    wait_for(lambda: metrics.exists() and 'heldar_mirror_well{camera="gate"} 1' in metrics.read_text(), seconds=60)
    (group,) = yaml.safe_load(own.host.path("/etc/alerts.yml").read_text())["groups"]
    for rule in group["rules"]:
        (name,) = re.findall(r"heldar_mirror_\w+", rule["expr"])
        assert f"# TYPE {name} gauge\n" in metrics.read_text()
    assert own.host.run("runuser", "-u", "nobody", "--", "pgrep", "-f", "ffmpeg", code=1).stdout == ""


def test_an_upgrade_restarts_the_watcher_alone(own: Managed) -> None:
    """No recorder notices the next version; that a new supervisor waits for a restart is told, and left to people."""
    own.variables |= {"heldar_mirror_wheel": str(own.next_wheel), "heldar_mirror_constraints": ["supervisor==4.3.0"]}
    before, watcher = own.mirroring(), own.pids("heldar_mirror watch")
    assert len(before) == 2 * len(CAMERAS) + 2
    output = own.play()
    assert pending(output).startswith("restart pending: supervisor 4.2.5 runs, 4.3.0 is installed. All mirrors go on")
    assert NEXT in own.host.run("heldar-mirror", "--version").stdout
    wait_for(own.all_well)
    assert own.mirroring() == before
    assert own.pids("heldar_mirror watch") != watcher
    # It follows the table: with the code of the next version, and in the supervisord of before.
    own.execute("UPDATE cameras SET segment_seconds = 6 WHERE id = 'gate'")
    wait_for(lambda: len(set(own.mirroring()) - set(before)) == 2)
    spawned = re.findall(
        r"spawned: 'mirror-(\w+)'", own.host.path("/var/log/heldar-mirror/supervisord.log").read_text()
    )
    assert sorted(spawned) == ["gate", *CAMERAS]


def test_the_mirror_is_back_after_stop_and_start_and_after_a_power_cut(own: Managed) -> None:
    """And what waited for a restart is done, so that the role finds nothing to do or to say."""
    own.host.run("systemctl", "stop", "heldar-mirror")
    assert own.mirroring() == []
    own.host.run("systemctl", "start", "heldar-mirror")
    wait_for(own.all_well)
    own.host.kill()
    own.host.boot()
    wait_for(own.all_well)
    output = own.play()
    assert (changes(output), pending(output)) == (0, "")


def test_removing_keeps_the_footage(own: Managed) -> None:
    """All else is gone; a second time there is nothing to do; and who comes back records beside the old files."""
    own.host.run("systemctl", "stop", "heldar-mirror")
    footage = own.segments()
    own.host.run("systemctl", "start", "heldar-mirror")
    own.play(heldar_mirror_state="absent")
    assert footage.keys() <= own.segments().keys()
    assert own.left() == []
    assert own.mirroring() == []
    assert changes(own.play(heldar_mirror_state="absent")) == 0
    own.play()
    wait_for(own.all_well)
    assert footage.keys() <= own.segments().keys()


OTHERS = """[program:other]
command=/bin/sleep infinity
[program:mirror-foreign]
command=/bin/sleep infinity
"""


@pytest.fixture(scope="module")
def joined(wheels: tuple[Path, Path, Path]) -> Iterator[Managed]:
    """A host whose supervisor package runs programs of somebody else."""
    camera = Camera()
    try:
        with new_home() as home, booted_host(downloaded=["supervisor"]) as host:
            made = managed(host, home, camera, wheels)
            made.variables["heldar_mirror_mode"] = "joined"
            host.run("apt-get", "-qq", "-y", "--no-install-recommends", "install", "supervisor")
            host.write("/etc/supervisor/conf.d/others.conf", OTHERS)
            host.run("supervisorctl", "update")
            yield made
    finally:
        camera.unplug()


def others(managed: Managed) -> list[int]:
    """Return the processes that are no business of ours, and the supervisord of all."""
    return managed.pids("^/bin/sleep infinity|/usr/bin/supervisord")


def test_it_joins_debians_supervisor_twice(joined: Managed) -> None:
    """The recorders run as our user in a supervisord of root's; nobody else's program is restarted."""
    before = others(joined)
    assert len(before) == 3
    assert joined.host.run("supervisorctl", "version").stdout == "4.2.5\n"
    joined.play()
    wait_for(joined.all_well)
    assert set(joined.segments().values()) == {"heldar-mirror"}
    running = joined.mirroring()
    output = joined.play()
    assert changes(output) == 0, output
    assert joined.mirroring() == running
    assert others(joined) == before


def test_an_upgrade_restarts_the_watcher_alone_where_it_joined(joined: Managed) -> None:
    """No recorder, no program of anybody else, and not the supervisord."""
    joined.variables["heldar_mirror_wheel"] = str(joined.next_wheel)
    before, watcher = (joined.mirroring(), others(joined)), joined.pids("heldar-mirror watch")
    joined.play()
    wait_for(joined.all_well)
    assert (joined.mirroring(), others(joined)) == before
    assert joined.pids("heldar-mirror watch") != watcher


def test_the_mirror_is_back_where_it_joined(joined: Managed) -> None:
    """After the supervisord of all is restarted, and after a power cut."""
    joined.host.run("systemctl", "restart", "supervisor")
    wait_for(joined.all_well)
    joined.host.kill()
    joined.host.boot()
    wait_for(joined.all_well)


def test_removing_touches_nobody_else(joined: Managed) -> None:
    """Our programs are taken out of a supervisord that goes on, and the footage stays."""
    before, footage = others(joined), joined.segments()
    joined.play(heldar_mirror_state="absent")
    assert footage.keys() <= joined.segments().keys()
    assert joined.left() == []
    assert others(joined) == before == joined.mirroring() + [pid for pid in before if pid not in joined.mirroring()]
    assert re.findall(r"^\S+", joined.host.run("supervisorctl", "status").stdout, re.MULTILINE) == [
        *("mirror-foreign", "other"),
    ]
    assert changes(joined.play(heldar_mirror_state="absent")) == 0
