"""The units of deploy/, on a Debian host with its own systemd, a real camera and real ffmpegs."""

import json
import re
import resource
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from support import TREE
from support.booted_host import Host, booted_host
from support.camera import Camera
from support.mirror import PASSWORD, SCHEMA
from support.waiting import wait_for

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1800)]

UNIT = "heldar-mirror.service"

# Debian's ffmpeg, except for cameras with certain ids: `hungry` eats memory, `crashy` crashes, and `slow` takes 4 s to
# end.
FFMPEG = r"""#!/bin/bash
for output; do :; done
case $output in
    */hungry*) exec python3 -c 'import time
eaten = []
while True:
    eaten.append(b"x" * (16 << 20))
    time.sleep(0.02)' ;;
    */crashy*)
        ulimit -S -c "$(ulimit -H -c)"
        cd "${output%/*}"
        kill -SEGV $$ ;;
    */slow*)
        trap 'sleep 4; exit 0' TERM
        exec 9>"${output/[%]d/0}"
        while :; do sleep 0.2 9>&-; done ;;
esac
exec /usr/bin/ffmpeg "$@"
"""

EXECUTE = """import json, sqlite3, sys
with sqlite3.connect(sys.argv[1]) as connection:
    connection.execute(sys.argv[2], json.loads(sys.argv[3]))
connection.close()
"""


@dataclass
class Node:
    """A Heldar on the host with its mirror. `name` is its name in the template unit, and empty for the plain unit."""

    host: Host
    name: str = ""

    @property
    def unit(self) -> str:
        return f"heldar-mirror@{self.name}.service" if self.name else UNIT

    @property
    def place(self) -> str:
        """The name of its directories."""
        return f"heldar-mirror-{self.name}" if self.name else "heldar-mirror"

    @property
    def etc(self) -> str:
        return f"/etc/heldar/{self.name}".rstrip("/")

    @property
    def database(self) -> str:
        return f"/var/lib/heldar/{self.name}/heldar.db".replace("//", "/")

    @property
    def root(self) -> str:
        return f"/mnt/mirror-{self.name}" if self.name else "/mnt/mirror"

    @property
    def logs(self) -> Path:
        return self.host.path(f"/var/log/{self.place}")

    def execute(self, sql: str, *values: object) -> None:
        """Execute SQL on the database as Heldar's user, in a new connection."""
        self.host.run("runuser", "-u", "heldar", "--", "python3", "-c", EXECUTE, self.database, sql, json.dumps(values))

    def add(self, camera_id: str, port: int) -> None:
        self.execute(
            "INSERT INTO cameras (id, name, vendor, address, rtsp_port, username, password, segment_seconds,"
            " mirror_enabled) VALUES (?, ?, 'hikvision', ?, ?, 'admin', ?, 5, 1)",
            *(camera_id, camera_id, self.host.gateway, port, PASSWORD),
        )

    def remove(self, camera_id: str) -> None:
        self.execute("DELETE FROM cameras WHERE id LIKE ?", camera_id)

    def command(self, *args: str, code: int | None = None) -> str:
        env = {"HELDAR_ENV_FILE": f"{self.etc}/heldar.env", "HELDAR_MIRROR_ENV_FILE": f"{self.etc}/mirror.env"}
        return self.host.run("heldar-mirror", *args, code=code, env=env).stdout

    def cameras(self) -> dict[str, Any]:
        status = json.loads(self.command("status", "--json"))
        return {camera["camera_id"]: camera for camera in status["cameras"]}

    def records(self, *camera_ids: str) -> bool:
        """Whether each camera has an open segment that is not empty."""
        cameras = self.cameras()
        found = [cameras.get(camera_id, {}).get("segment") for camera_id in camera_ids]
        return all(segment and segment["size_bytes"] > 1000 for segment in found)

    def problems(self) -> str:
        return " ".join(json.loads(self.command("status", "--json"))["problems"])

    def describe_state(self) -> str:
        """Return what shows why a wait failed: the status, and the end of the journal."""
        return f"{self.command('status')}{self.host.journal(self.unit)[-4000:]}"

    def supervisorctl(self, *args: str) -> str:
        configuration = f"/var/lib/{self.place}/supervisord.conf"
        command = ["/opt/heldar-mirror/bin/supervisorctl", "-c", configuration, *args]
        return self.host.run("runuser", "-u", "heldar-mirror", "--", *command, code=None).stdout

    def pid(self, program: str) -> int:
        """Return the process id of a program on the host; 0 if it does not run."""
        return int(self.supervisorctl("pid", program).strip() or 0)

    def show(self, *properties: str) -> dict[str, str]:
        """Return properties of the unit."""
        wanted = [f"--property={name}" for name in properties]
        lines = self.host.run("systemctl", "show", *wanted, self.unit).stdout.splitlines()
        return dict(line.split("=", 1) for line in lines)

    def systemctl(self, verb: str) -> None:
        self.host.run("systemctl", verb, self.unit)

    def set_up(self, **settings: str) -> None:
        """Make what Heldar and a sysadmin would make: the database, the volume and the env files."""
        host, home = self.host, str(Path(self.database).parent)
        host.shell(
            f"install -d -o heldar -g heldar -m 750 {home} {home}/recordings; install -d {self.etc};"
            f"install -d -o heldar-mirror -g heldar-mirror -m 750 /disk{self.name}; install -d {self.root};"
            f"echo '/disk{self.name} {self.root} none bind,nofail 0 0' >>/etc/fstab;"
            f"systemctl daemon-reload; mount {self.root}"
        )
        for sql in ("PRAGMA journal_mode=WAL", *SCHEMA.split(";\n")):
            self.execute(sql)
        heldar = {"HELDAR_DATABASE_URL": f"sqlite://{self.database}", "HELDAR_RECORDINGS_DIR": f"{home}/recordings"}
        mirror = {
            "HELDAR_MIRROR_RECORDINGS_DIR": self.root,
            "HELDAR_MIRROR_USER": "heldar-mirror",
            "HELDAR_FFMPEG_BIN": "/usr/local/bin/test-ffmpeg",
        }
        for file, variables in (("heldar.env", heldar), ("mirror.env", mirror | settings)):
            host.write(f"{self.etc}/{file}", "".join(f"{key}={value}\n" for key, value in variables.items()), 0o640)
            host.run("chgrp", "heldar" if variables is heldar else "heldar-mirror", f"{self.etc}/{file}")


@pytest.fixture(scope="module")
def host() -> Iterator[Host]:
    """A host with heldar-mirror from this checkout, installed as the README says."""
    with booted_host() as made:
        for name in ("heldar_mirror", "templates", "setup.cfg", "pyproject.toml", "README.md", "LICENSE"):
            made.put(TREE / name, f"/root/source/{name}")
        made.shell(
            "useradd --system --user-group --no-create-home heldar;"
            "useradd --system --user-group --no-create-home --groups heldar heldar-mirror;"
            "python3 -m venv /opt/heldar-mirror;"
            "/opt/heldar-mirror/bin/pip install --quiet --no-index --find-links /opt/wheels /root/source;"
            "ln -s /opt/heldar-mirror/bin/heldar-mirror /usr/local/bin/"
        )
        made.write("/usr/local/bin/test-ffmpeg", FFMPEG, 0o755)
        for unit in (*(TREE / "deploy").glob("*.service"), *(TREE / "deploy").glob("*.timer")):
            made.put(unit, f"/etc/systemd/system/{unit.name}")
        made.run("systemctl", "daemon-reload")
        yield made


@pytest.fixture(scope="module")
def camera(host: Host) -> Iterator[Camera]:
    """A camera that the host can reach."""
    made = Camera(address=host.gateway)
    made.plug_in()
    yield made
    made.unplug()


@pytest.fixture(scope="module")
def started(host: Host, camera: Camera) -> Node:
    """The plain unit, enabled and started, with one camera that records."""
    made = Node(host)
    made.set_up()
    made.add("gate", camera.port)
    host.run("systemctl", "enable", "--now", made.unit)
    return made


@pytest.fixture
def node(started: Node) -> Iterator[Node]:
    """The plain unit, whose one camera records. At the end all other cameras are deleted from the table."""
    started.systemctl("start")
    wait_for(lambda: started.records("gate"))
    yield started
    started.execute("DELETE FROM cameras WHERE id != 'gate'")


def pids(node: Node, *programs: str) -> dict[str, int]:
    return {program: node.pid(program) for program in programs}


def ffmpeg_of(node: Node, camera_id: str) -> int:
    """Return the process id, on the host, of the ffmpeg of a camera that records."""
    return int(node.host.shell(f"pgrep --parent {node.pid(f'mirror-{camera_id}')}"))


def test_the_units_differ_only_in_names() -> None:
    """The template unit has all settings of the plain unit, with the node's name in its directories and env files."""

    def settings(name: str) -> set[str]:
        lines = (TREE / "deploy" / name).read_text().splitlines()
        return {line for line in lines if line and not line.startswith("#")}

    plain, template = settings("heldar-mirror.service"), settings("heldar-mirror@.service")
    assert {line for line in template - plain if "%i" not in line} == set()
    changed = {line.partition("=")[0] for line in template - plain}
    assert changed == {
        *("Description", "After", "Environment", "ReadWritePaths"),
        *("StateDirectory", "LogsDirectory", "RuntimeDirectory"),
    }
    assert {line.partition("=")[0] for line in plain - template} == changed - {"Environment"}


def test_what_both_units_have_is_the_same() -> None:
    """Those that record and that prove are hardened alike. Only these lines have a reason to differ."""

    def settings(name: str) -> dict[str, list[str]]:
        found: dict[str, list[str]] = {}
        for line in (TREE / "deploy" / name).read_text().splitlines():
            if line and line[0] not in "#[":
                found.setdefault(line.partition("=")[0], []).append(line)
        return found

    one, other = settings("heldar-mirror.service"), settings("heldar-mirror-verify.service")
    differ = {name for name in one.keys() & other.keys() if one[name] != other[name]}
    assert differ == {
        *("Description", "After", "Type", "ExecStart", "TimeoutStopSec", "TasksMax"),
        *("RestrictAddressFamilies", "SystemCallFilter"),
    }
    only = {"ReadWritePaths", "LogsDirectory", "LogsDirectoryMode", "RuntimeDirectory", "RuntimeDirectoryPreserve"}
    assert only == {name for name in one.keys() - other.keys() if "Director" in name or "Paths" in name}


def test_the_units_are_as_hardened_as_they_say(host: Host) -> None:
    """systemd reports no error in the units, and finds the exposure that they state."""
    for name in ("heldar-mirror.service", "heldar-mirror@.service", "heldar-mirror-verify.service"):
        unit = f"/etc/systemd/system/{name}"
        assert host.run("systemd-analyze", "verify", unit).stderr == ""
        found = host.run("systemd-analyze", "security", "--offline=yes", unit).stdout
        exposure = re.search(r"Overall exposure level for .*: ([\d.]+)", found)
        assert exposure, found
        assert float(exposure[1]) < 2.0
        if unit.endswith("mirror.service"):
            assert f"gives: {exposure[1]} OK" in host.path(unit).read_text()


def test_a_camera_is_mirrored_and_its_password_hidden(node: Node) -> None:
    """The hardened unit is ready, its camera records, no problem is reported, and `ps` shows no password."""
    assert node.show("Type", "ActiveState") == {"Type": "notify", "ActiveState": "active"}
    assert not node.problems()
    wait_for(lambda: len(list(node.host.path(f"{node.root}/gate").glob("*.mp4"))) > 1)
    assert node.cameras()["gate"]["well"]
    shown = node.host.run("ps", "-u", "heldar-mirror", "-o", "args").stdout
    assert "rtsp://***" in shown
    assert "p%40ss" not in shown
    assert PASSWORD not in shown


def test_the_mirror_is_proven_beside_the_primary(node: Node) -> None:
    """The timer's unit proves it as the mirror's user, within its limits, and fails if it finds a difference."""
    wait_for(lambda: len(list(node.host.path(f"{node.root}/gate").glob("*.mp4"))) > 3)
    node.systemctl("stop")
    copy = f"""
        cp -r {node.root}/gate /var/lib/heldar/recordings; rm -f /var/lib/heldar/recordings/gate/.heldar*
        chown -R heldar:heldar /var/lib/heldar/recordings; chmod -R g=rX,o= /var/lib/heldar/recordings
        touch -d '1 hour ago' /var/lib/heldar/recordings/gate/*.mp4 {node.root}/gate/*.mp4
    """
    node.host.shell(copy)
    try:
        node.host.run("systemctl", "start", "heldar-mirror-verify")
        journal = node.host.journal("heldar-mirror-verify")
        assert "100.0% of" in journal
        assert node.host.shell("stat -c '%U %a' /var/lib/heldar-mirror/proofs.db") == "heldar-mirror 600\n"
        node.host.shell("rm $(ls -d /var/lib/heldar/recordings/gate/*.mp4 | sed -n 2p)")
        node.host.run("systemctl", "start", "heldar-mirror-verify", code=1)
        assert "only in the mirror" in node.host.journal("heldar-mirror-verify")
        node.host.run("systemctl", "enable", "--now", "heldar-mirror-verify.timer")
        assert "heldar-mirror-verify.service" in node.host.run("systemctl", "list-timers", "--all").stdout
        node.host.run("systemctl", "disable", "--now", "heldar-mirror-verify.timer")
    finally:
        node.host.shell("rm -r /var/lib/heldar/recordings/gate; systemctl reset-failed")
        node.systemctl("start")


def test_it_can_write_nothing_of_others(node: Node) -> None:
    """The mirror runs as a user of its own. It can write its volume, and no other place, whatever the modes there."""
    assert node.host.shell("ps -o user= -C supervisord,ffmpeg | sort -u") == "heldar-mirror\n"
    places = ["/mnt/others", "/media/others", "/srv/others", "/var/others", "/var/lib/heldar"]
    node.host.shell(f"install -d -m 777 {' '.join(places)}")
    enter = ["nsenter", "--mount", "--target", node.show("MainPID")["MainPID"], "--wd=/"]
    for place, code in ((node.root, 0), *((place, 1) for place in places)):
        command = ["runuser", "-u", "heldar-mirror", "--", "touch", f"{place}/tried"]
        done = node.host.run(*enter, *command, code=code)
        assert ("Read-only file system" in done.stderr) == bool(code)
    node.host.shell(f"rm {node.root}/tried; rmdir /mnt/others /media/others; chmod 750 /var/lib/heldar")


def test_limits_fit_a_thousand_cameras(node: Node) -> None:
    """The limits apply, no process may leave a core file, and Linux would kill recorders and ffmpegs first."""
    processes = node.host.shell("pgrep -u heldar-mirror").split()
    assert len(processes) >= 5
    scores = {}
    for pid in processes:
        limits = node.host.path(f"/proc/{pid}/limits").read_text()
        assert re.search(r"Max core file size +0 +0 ", limits)
        files = re.search(r"Max open files +\d+ +(\d+) ", limits)
        assert files
        # On some machines root may not raise this limit.
        assert int(files[1]) >= min(65536, resource.getrlimit(resource.RLIMIT_NOFILE)[1])
        name = node.host.path(f"/proc/{pid}/cmdline").read_text().split("\0")
        scores[pid] = int(node.host.path(f"/proc/{pid}/oom_score_adj").read_text()), "start_recorder" in str(name)
    offered = {pid for pid, (score, _) in scores.items() if score > 0}
    assert offered == {str(node.pid("mirror-gate")), str(ffmpeg_of(node, "gate"))}
    assert node.show("TasksMax", "OOMPolicy") == {"TasksMax": "8192", "OOMPolicy": "continue"}


def test_a_crash_leaves_no_core(node: Node, camera: Camera) -> None:
    """An ffmpeg that crashes in a writable directory leaves no core file. Without the unit's limit it does."""
    directory = node.host.path(f"{node.root}/crashy")
    node.add("crashy", camera.port)
    wait_for(lambda: "signal 11" in (node.cameras().get("crashy", {}).get("last_error") or ""))
    assert not list(directory.glob("core*"))
    if Path("/proc/sys/kernel/core_pattern").read_text() != "core\n":
        return  # this machine puts core files elsewhere
    drop_in = f"/etc/systemd/system/{node.unit}.d/core.conf"
    node.host.write(drop_in, "[Service]\nLimitCORE=infinity\n")
    node.host.shell(f"systemctl daemon-reload; systemctl restart {node.unit}")
    wait_for(lambda: list(directory.glob("core*")))
    node.host.shell(f"rm {drop_in}; systemctl daemon-reload; systemctl restart {node.unit}")


def test_heldar_may_come_and_go(node: Node) -> None:
    """The mirror is unaffected when Heldar stops or fails. It starts after Heldar, but doesn't need it."""
    node.host.write("/etc/systemd/system/heldar.service", "[Service]\nExecStart=/bin/sleep infinity\n")
    node.host.run("systemctl", "daemon-reload")
    before = pids(node, "mirror-gate", "watch"), node.show("MainPID")
    node.host.run("systemctl", "start", "heldar")
    node.host.run("systemctl", "stop", "heldar")
    node.host.run("systemctl", "start", "heldar")
    node.host.run("systemctl", "kill", "--signal=SEGV", "heldar")
    wait_for(lambda: "failed" in node.host.run("systemctl", "is-failed", "heldar", code=None).stdout)
    assert (pids(node, "mirror-gate", "watch"), node.show("MainPID")) == before
    assert "heldar.service" in node.host.run("systemctl", "show", "--property=After", node.unit).stdout
    for bond in ("Requires", "Requisite", "BindsTo", "PartOf", "RequiresMountsFor"):
        shown = node.host.run("systemctl", "show", f"--property={bond}", node.unit).stdout
        assert "heldar.service" not in shown
        assert "mnt" not in shown


def test_a_dead_database_does_not_delay_it(node: Node) -> None:
    """With a database that can't be read the unit still becomes ready, and mirrors the cameras it knew last."""
    node.systemctl("stop")
    node.host.shell(f"mv {node.database} {node.database}.away; echo garbage >{node.database}")
    try:
        node.systemctl("start")
        assert node.show("ActiveState") == {"ActiveState": "active"}
        wait_for(lambda: node.records("gate"))
        assert "database" in node.problems()
    finally:
        node.host.shell(f"mv {node.database}.away {node.database}")
    wait_for(lambda: not node.problems())


def test_stop_ends_all_recorders_at_once(node: Node, camera: Camera) -> None:
    """Eight recorders that need 4 s each stop in less than half of the time that one after the other would take."""
    slow = [f"slow{number}" for number in range(8)]
    for camera_id in slow:
        node.add(camera_id, camera.port)
    wait_for(lambda: all(node.cameras().get(camera_id, {}).get("segment") for camera_id in slow))
    begun = time.monotonic()
    node.systemctl("stop")
    assert time.monotonic() - begun < len(slow) * 4 / 2
    assert node.show("Result", "ActiveState") == {"Result": "success", "ActiveState": "inactive"}
    assert node.host.run("pgrep", "-u", "heldar-mirror", code=1).stdout == ""
    logs = [(node.logs / f"mirror-{camera_id}.log").read_text() for camera_id in ("gate", *slow)]
    assert all("stopped after" in text.splitlines()[-1] for text in logs)


def test_only_a_stop_by_a_person_lasts(node: Node) -> None:
    """`up` is restarted when it is killed, but not after a SIGTERM, nor if mirroring is off."""
    before = node.show("MainPID")
    node.host.run("systemctl", "kill", "--kill-whom=main", "--signal=KILL", node.unit)
    wait_for(lambda: node.show("MainPID") not in (before, {"MainPID": "0"}) and node.records("gate"))
    node.host.run("systemctl", "kill", "--kill-whom=main", "--signal=TERM", node.unit)
    wait_for(lambda: node.show("ActiveState") == {"ActiveState": "inactive"})
    node.host.run("sed", "-i", "s/^HELDAR_MIRROR_RECORDINGS_DIR/#&/", f"{node.etc}/mirror.env")
    try:
        node.host.run("systemctl", "start", node.unit, code=1)
        assert node.show("ActiveState") == {"ActiveState": "failed"}
        assert "mirroring is off" in node.host.journal(node.unit)
    finally:
        node.host.run("sed", "-i", "s/^#HELDAR/HELDAR/", f"{node.etc}/mirror.env")


def test_reload_reads_the_settings_again(node: Node) -> None:
    """`systemctl reload` makes the watcher read the settings again, and restarts nothing."""
    before = pids(node, "mirror-gate", "watch")
    node.systemctl("reload")
    wait_for(lambda: "read the settings anew" in (node.logs / "watch.log").read_text())
    assert pids(node, "mirror-gate", "watch") == before


def test_a_watcher_that_hangs_is_restarted_alone(node: Node) -> None:
    """A watcher stopped by SIGSTOP is replaced, and the new one works. No recorder and no unit restarts."""
    before = pids(node, "mirror-gate", "watch")
    started = node.show("MainPID", "NRestarts")
    node.host.run("kill", "-STOP", str(before["watch"]))
    wait_for(lambda: node.pid("watch") not in (0, before["watch"]), 300, every=2)
    wait_for(lambda: not node.problems())
    assert "the watcher has published nothing" in node.host.journal(node.unit)
    assert node.pid("mirror-gate") == before["mirror-gate"]
    assert node.show("MainPID", "NRestarts") == started


def test_an_ffmpeg_is_killed_when_memory_runs_out(node: Node, camera: Camera) -> None:
    """Linux kills an ffmpeg that eats all memory. The unit, the watcher and every other recorder go on."""
    before, started = pids(node, "mirror-gate", "watch"), node.show("MainPID", "NRestarts")
    node.host.limit_memory(600 << 20)
    try:
        node.add("hungry", camera.port)
        wait_for(lambda: node.host.killed_for_memory() > 0)
        wait_for(lambda: "signal 9" in (node.cameras()["hungry"]["last_error"] or ""))
    finally:
        node.remove("hungry")
        node.host.limit_memory(None)
    wait_for(lambda: "hungry" not in node.cameras() and node.records("gate"))
    assert pids(node, "mirror-gate", "watch") == before
    assert node.show("MainPID", "NRestarts") == started
    assert node.show("ActiveState") == {"ActiveState": "active"}


def test_the_volume_may_be_unmounted_and_mounted(node: Node) -> None:
    """The unit sees the volume unmounted and mounted, even while it starts, and keeps no unmounted volume in use."""
    for away in (f"umount {node.root}", f"umount {node.root}; rmdir {node.root}"):
        node.systemctl("stop")
        node.host.shell(away)
        node.systemctl("start")
        wait_for(lambda: "has lost its marker" in node.problems())
        assert not node.host.shell(f"ls {node.root} 2>/dev/null || true")
        node.host.shell(f"mkdir -p {node.root}; mount {node.root}")
        wait_for(lambda: node.records("gate"))
    node.host.run("umount", "--lazy", node.root)
    wait_for(lambda: "has lost its marker" in node.problems())
    wait_for(lambda: node.host.shell(f"grep -l '/disk{node.name} ' /proc/[0-9]*/mountinfo || true") == "")
    node.host.run("mount", node.root)
    wait_for(lambda: node.records("gate"))


@pytest.mark.parametrize(
    ("named", "mirror_root", "mounted_before", "sees"),
    [
        ("/mnt/disk", "/mnt/disk", True, True),
        ("/mnt/disk", "/mnt/disk/mirror", True, True),
        ("/mnt/disk/mirror", "/mnt/disk/mirror", False, True),
        ("/mnt/disk/mirror", "/mnt/disk/mirror", True, False),
    ],
)
def test_a_unit_has_to_name_the_mount_point(
    host: Host, named: str, mirror_root: str, mounted_before: bool, sees: bool
) -> None:
    """A unit that names a directory below the mount point, and starts while it is mounted, sees no later change."""
    disks = ("/disk-old", "/disk-new")
    for disk in disks:
        host.shell(f"install -d {disk}; install -d -m 777 {disk}{mirror_root.removeprefix('/mnt/disk')}")
    host.shell("mkdir /mnt/disk")
    mount = "mount --bind {} /mnt/disk"
    hardened = ["-p", "ProtectSystem=strict", "-p", "PrivateMounts=yes", "-p", f"ReadWritePaths=-{named}"]
    try:
        if mounted_before:
            host.shell(mount.format(disks[0]))
        host.run("systemd-run", "--quiet", "--unit=probe", *hardened, "-p", "User=nobody", "sleep", "infinity")
        if not mounted_before:
            host.shell(mount.format(disks[0]))
        host.shell(f"umount /mnt/disk; {mount.format(disks[1])}")
        pid = host.shell("systemctl show --property MainPID --value probe").strip()
        command = ["runuser", "-u", "nobody", "--", "touch", f"{mirror_root}/tried"]
        host.run("nsenter", "--mount", "--target", pid, "--wd=/", *command)
        tried = host.shell(f"find {' '.join(disks)} -name tried")
        assert tried.startswith(disks[sees])
    finally:
        host.shell(f"systemctl stop probe; umount /mnt/disk; rm -r /mnt/disk {' '.join(disks)}")


def test_the_mirror_is_back_after_each_boot(node: Node) -> None:
    """The mirror is back by itself after a shutdown and a boot, and after a power cut and a boot."""
    node.systemctl("stop")
    node.systemctl("start")
    wait_for(lambda: node.records("gate"))
    for down in (node.host.shut_down, node.host.kill):
        segments = set(node.host.path(f"{node.root}/gate").iterdir())
        down()
        node.host.boot()
        wait_for(lambda: node.records("gate"))
        assert {path.name for path in segments} < {path.name for path in node.host.path(f"{node.root}/gate").iterdir()}
        assert not node.problems()


def test_two_nodes_are_mirrored_at_once(node: Node, camera: Camera) -> None:
    """Two instances of the template run beside each other, each with its own database, root and state.

    A stop of one does not affect the other. With a secret key the credentials are on a tmpfs, and outlive a stop.
    """
    nodes = Node(node.host, "north"), Node(node.host, "south")
    for each in nodes:
        key = {"HELDAR_SECRET_KEY": "c" * 64, "HELDAR_MIRROR_SPECS_DIR": f"/run/{each.place}/specs"}
        each.set_up(
            HELDAR_MIRROR_STATE_DIR=f"/var/lib/{each.place}",
            HELDAR_MIRROR_LOG_DIR=f"/var/log/{each.place}",
            HELDAR_MIRROR_STATUS_DIR=f"/run/{each.place}/status",
            **(key if each.name == "south" else {}),
        )
        each.add(f"gate-{each.name}", camera.port)
        each.systemctl("start")
    north, south = nodes
    wait_for(lambda: north.records("gate-north") and south.records("gate-south"))
    assert list(north.cameras()) == ["gate-north"]
    assert list(south.cameras()) == ["gate-south"]
    assert node.host.path("/run/heldar-mirror-south/specs/gate-south.spec").exists()
    before = pids(south, "mirror-gate-south", "watch"), pids(node, "mirror-gate", "watch")
    north.systemctl("stop")
    assert (pids(south, "mirror-gate-south", "watch"), pids(node, "mirror-gate", "watch")) == before
    south.systemctl("stop")
    node.host.run("mv", south.database, f"{south.database}.away")
    south.systemctl("start")
    wait_for(lambda: south.records("gate-south"))
    south.systemctl("stop")
