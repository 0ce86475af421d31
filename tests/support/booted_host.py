"""A Debian host with its own systemd, for tests. debootstrap builds it once; each test boots it in namespaces.

The host ends with the process that booted it, even if that is killed: the host's first process dies with its parent,
its other processes die with the first one, and its mounts and network vanish with its namespaces. The built tree is
cached below ~/.cache/heldar-mirror-tests, under a hash of everything it was built from.
"""

import contextlib
import fcntl
import hashlib
import ipaddress
import json
import os
import random
import re
import shlex
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

import pytest
from lock_requirements import LOCK

from support.waiting import COMMAND_SECONDS, PATIENCE_SECONDS

CACHE = Path.home() / ".cache/heldar-mirror-tests"
SUITE = "bookworm"

# Installed on every host: what a mirror needs, and what Ansible needs on a host that it manages.
PACKAGES = (
    *("systemd", "systemd-sysv", "dbus", "openssh-server", "iproute2", "procps", "ca-certificates"),
    *("python3", "python3-apt", "python3-venv", "ffmpeg", "util-linux"),
)

# Downloaded, for the tests that install them.
DOWNLOADED = ("prometheus-node-exporter", "supervisor")

NETWORKS = ipaddress.IPv4Network("10.213.0.0/16")

PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
ENVIRONMENT = {"PATH": PATH, "HOME": "/root", "LANG": "C.UTF-8"}

# These variables tell pip and the TLS libraries about this machine's package index and certificates.
INDEX_VARIABLES = ("PIP_", "SSL_CERT_", "http_proxy", "https_proxy", "no_proxy", "HTTP_PROXY", "HTTPS_PROXY")

# These timers would use the network, or the processor during a test.
UNWANTED = ("apt-daily.timer", "apt-daily-upgrade.timer", "dpkg-db-backup.timer", "fstrim.timer", "e2scrub_all.timer")

BUILD = """
set -eu
export DEBIAN_FRONTEND=noninteractive
printf '#!/bin/sh\\nexit 101\\n' >/usr/sbin/policy-rc.d
chmod 755 /usr/sbin/policy-rc.d
apt-get -qq update
apt-get -qq -y --no-install-recommends install {packages} >/dev/null
rm /usr/sbin/policy-rc.d
apt-get -qq -y --no-install-recommends --download-only install {downloaded} >/dev/null
systemctl mask {unwanted}
: >/etc/machine-id
python3 -m venv /tmp/venv
/tmp/venv/bin/pip --quiet wheel --wheel-dir /opt/wheels {wheels}
rm -r /tmp/venv
"""

# The settings in /proc/sys belong to the whole machine, so the host gets them read-only.
BOOT = """
set -eu
mount --make-rprivate /
mount -t overlay overlay -o "lowerdir=$BASE,upperdir=$HOME/upper,workdir=$HOME/work" "$HOME/root"
cd "$HOME/root"
mount -t proc proc proc
mount --bind proc/sys proc/sys
mount -o remount,bind,ro proc/sys
mount -t sysfs -o ro sysfs sys
mount -t cgroup2 cgroup2 sys/fs/cgroup
mount -t tmpfs -o mode=755 tmpfs run
mount -t tmpfs tmpfs tmp
mount -t tmpfs -o mode=755 tmpfs dev
for node in null zero full random urandom tty; do
    : >"dev/$node"
    mount --bind "/dev/$node" "dev/$node"
done
mkdir dev/pts dev/shm
mount -t devpts -o newinstance,ptmxmode=666 devpts dev/pts
mount -t tmpfs tmpfs dev/shm
ln -s pts/ptmx dev/ptmx
ln -s /proc/self/fd dev/fd
read -r _
exec </dev/null >"$HOME/console" 2>&1
# pivot_root and not only chroot, because a process in a chroot can't make a user namespace.
pivot_root . .
umount -l .
# A booted machine has shared mounts. systemd doesn't set this because it thinks that it runs in a container.
mount --make-rshared /
exec setpriv --bounding-set=-sys_time,-sys_module,-sys_rawio -- \
    env -i container=lxc PATH="$PATH" chroot . /lib/systemd/systemd
"""


@dataclass
class Host:
    """A host, which may be up or down.

    `address` is the host's own address and `gateway` this machine's, at the other end of a virtual cable. The host can
    reach nothing else. Root can log in by SSH with `key`.
    """

    home: Path
    base: Path
    address: str
    gateway: str
    prefix: int
    groups: list[Path]
    process: "subprocess.Popen[str] | None" = None
    pid: int = 0

    @property
    def key(self) -> Path:
        return self.home / "key"

    @property
    def ssh_options(self) -> list[str]:
        """Return the options, beside `key`, that let `ssh` and Ansible log in without a prompt."""
        options = ("StrictHostKeyChecking=no", "UserKnownHostsFile=/dev/null", "LogLevel=ERROR", "BatchMode=yes")
        return [word for option in options for word in ("-o", option)]

    def path(self, inside: str) -> Path:
        """Return the path by which this machine sees a file of the host, while the host is up.

        Don't hand the path to code that resolves symbolic links first, such as SQLite: it would look on this machine.
        """
        return Path(f"/proc/{self.pid}/root/{inside.lstrip('/')}")

    def put(self, source: Path, inside: str) -> None:
        """Copy a file or a directory into the host. It belongs to root there."""
        self.path(inside).parent.mkdir(parents=True, exist_ok=True)
        subprocess.run(["cp", "-r", "--no-target-directory", source, self.path(inside)], check=True)

    def write(self, inside: str, text: str, mode: int = 0o644) -> None:
        path = self.path(inside)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        path.chmod(mode)

    def run(
        self,
        *command: str,
        code: int | None = 0,
        online: bool = False,
        seconds: float = COMMAND_SECONDS,
        env: Mapping[str, str] | None = None,
    ) -> "subprocess.CompletedProcess[str]":
        """Run a command as the host's root, and check its exit code unless `code` is None.

        With `online` it runs in this machine's network and sees its package index, so that a test can install packages.
        """
        namespaces = [] if online else ["--net"]
        variables = ENVIRONMENT | (_index_variables() if online else {}) | dict(env or {})
        done = subprocess.run(
            [
                *["nsenter", "--target", str(self.pid), "--mount", "--pid", "--uts", "--ipc", "--cgroup", *namespaces],
                *["--root", "--wd", "--", "env", "-i", *(f"{key}={value}" for key, value in variables.items())],
                *command,
            ],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=seconds,
            check=False,
        )
        assert code in (None, done.returncode), f"{command}: exit {done.returncode}\n{done.stdout}\n{done.stderr}"
        return done

    def shell(self, script: str, code: int | None = 0) -> str:
        """Run a shell script as the host's root, and return what it printed."""
        return self.run("bash", "-euc", script, code=code).stdout

    def journal(self, unit: str) -> str:
        return self.run("journalctl", "--unit", unit, "--no-pager", "--output", "short-precise", code=None).stdout

    def boot(self) -> None:
        """Boot the host on its disk as the last run left it. Return when the host is up and accepts SSH."""
        assert self.process is None, "the host is already up"
        begin = 'for group; do echo 0 >"$group/cgroup.procs"; done; exec unshare $NAMESPACES -- sh -c "$BOOT"'
        with (self.home / "console").open("w") as log:
            self.process = subprocess.Popen(
                # Each process that dies ends the next one: this process, unshare, the host's first process, all others.
                ["setpriv", "--pdeathsig", "KILL", "--", "sh", "-euc", begin, "sh", *map(str, self.groups)],
                env={
                    "PATH": PATH,
                    "NAMESPACES": "--mount --pid --fork --kill-child --uts --ipc --net --cgroup",
                    "BOOT": BOOT,
                    "BASE": str(self.base),
                    "HOME": str(self.home),
                },
                stdin=subprocess.PIPE,
                stderr=log,
                text=True,
            )
        self.pid = self._first_process(self.process)
        self._plug_in()
        assert self.process.stdin
        self.process.stdin.write("go\n")
        self.process.stdin.close()
        self._wait("systemd", ["test", "-S", "/run/systemd/private"])
        self.run("systemctl", "is-system-running", "--wait", code=None)
        self._wait("SSH", ["bash", "-c", "exec 3<>/dev/tcp/127.0.0.1/22"])

    def _first_process(self, process: "subprocess.Popen[str]") -> int:
        """Return the host's first process, by its id on this machine."""
        children = Path(f"/proc/{process.pid}/task/{process.pid}/children")
        deadline = time.monotonic() + PATIENCE_SECONDS
        while time.monotonic() < deadline:
            with contextlib.suppress(OSError, ValueError, IndexError):
                pid = int(children.read_text().split()[0])
                if os.readlink(f"/proc/{pid}/ns/net") != os.readlink("/proc/self/ns/net"):  # noqa: PTH115
                    return pid
            assert process.poll() is None, f"the host's namespaces can't be made: {self.console()}"
            time.sleep(0.05)
        raise AssertionError(f"the host's namespaces were not made within {PATIENCE_SECONDS} s: {self.console()}")

    def _plug_in(self) -> None:
        """Connect this machine and the host by a pair of virtual interfaces, which vanish with the host."""
        here, inside = f"hm{self.pid}", ["nsenter", "--target", str(self.pid), "--net", "ip"]
        for command in (
            ["ip", "link", "add", here, "type", "veth", "peer", "name", "eth0", "netns", str(self.pid)],
            ["ip", "address", "add", f"{self.gateway}/{self.prefix}", "dev", here],
            ["ip", "link", "set", here, "up"],
            [*inside, "link", "set", "lo", "up"],
            [*inside, "address", "add", f"{self.address}/{self.prefix}", "dev", "eth0"],
            [*inside, "link", "set", "eth0", "up"],
        ):
            subprocess.run(command, check=True)

    def _wait(self, what: str, command: list[str], seconds: float = PATIENCE_SECONDS) -> None:
        assert self.process
        deadline = time.monotonic() + seconds
        while self.run(*command, code=None).returncode != 0:
            up = self.process.poll() is None
            assert up and time.monotonic() < deadline, f"no {what} on the host: {self.console()}"  # noqa: PT018
            time.sleep(0.2)

    def console(self) -> str:
        """Return the output of the host's systemd."""
        return (self.home / "console").read_text(errors="replace")

    def kill(self) -> None:
        """Cut the power. The next boot finds all that was written, because this machine's Linux caches the disk."""
        if self.process:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.pid, signal.SIGKILL)
            self._ended()

    def shut_down(self) -> None:
        """Shut the host down as an operator would, and wait until it is down."""
        assert self.process
        self.run("systemctl", "poweroff", code=None)
        self.process.wait(PATIENCE_SECONDS)
        self._ended()

    def _ended(self) -> None:
        assert self.process
        try:
            self.process.wait(PATIENCE_SECONDS)
        finally:
            self.process.kill()
            self.process.wait()
            assert self.process.stdin
            self.process.stdin.close()
            self.process, self.pid = None, 0

    def limit_memory(self, size_bytes: int | None) -> None:
        """Limit the memory of the whole host to this many bytes, so that Linux kills its largest process. None removes
        the limit."""
        file = self._memory_file("memory.limit_in_bytes", "memory.max")
        file.write_text(str(size_bytes) if size_bytes else "max" if file.name == "memory.max" else "-1")

    def killed_for_memory(self) -> int:
        """Return how many processes Linux has killed because memory ran out."""
        text = self._memory_file("memory.oom_control", "memory.events").read_text()
        return int(dict(line.split() for line in text.splitlines())["oom_kill"])

    def _memory_file(self, *names: str) -> Path:
        for group in self.groups:
            for name in names:
                if (group / name).exists():
                    return group / name
        raise AssertionError("no memory controller here")


@contextlib.contextmanager
def booted_host() -> Iterator[Host]:
    """Boot a host of Debian 12 on its own disk, which is deleted at the end.

    PACKAGES are installed. Without a network the host can also install the Debian packages DOWNLOADED, by apt-get, and
    the wheels in /opt/wheels, by `pip install --no-index --find-links /opt/wheels`. These are what the Ansible role
    installs.
    Skip the test if this machine can't build a host.
    """
    base = _base()
    home = Path(tempfile.mkdtemp(prefix="mirror-test-host-"))
    groups: list[Path] = []
    host = None
    try:
        for name in ("upper", "work", "root"):
            (home / name).mkdir()
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", home / "key"], check=True)
        authorized = home / "upper/root/.ssh/authorized_keys"
        authorized.parent.mkdir(parents=True)
        for directory in (authorized.parent, authorized.parent.parent):
            directory.chmod(0o700)
        shutil.copy(home / "key.pub", authorized)
        (home / "upper/etc").mkdir()
        (home / "upper/etc/hostname").write_text("mirror\n")
        groups += _make_groups(home.name)
        with _network() as network:
            gateway, address = network.hosts()
            host = Host(home, base, str(address), str(gateway), network.prefixlen, groups)
            host.boot()
            yield host
    finally:
        if host:
            host.kill()
        for group in groups:
            _remove_group(group)
        shutil.rmtree(home, ignore_errors=True)


@contextlib.contextmanager
def _network() -> Iterator[ipaddress.IPv4Network]:
    """Reserve a network of two addresses for one host until the block ends."""
    networks: list[ipaddress.IPv4Network] = list(NETWORKS.subnets(new_prefix=30))
    locks = CACHE / "networks"
    locks.mkdir(exist_ok=True)
    for network in random.sample(networks, 100):
        with (locks / str(network.network_address)).open("w") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                continue
            yield network
            return
    raise AssertionError(f"no free network in {NETWORKS}")


def _make_groups(name: str) -> list[Path]:
    """Make control groups for the host below ours: in the cgroup2 hierarchy, and in the one that limits memory."""
    mounts = [line.split() for line in Path("/proc/self/mounts").read_text().splitlines()]
    made = []
    for line in Path("/proc/self/cgroup").read_text().splitlines():
        _, controllers, ours = line.split(":", 2)
        for _, place, kind, options, *_ in mounts:
            second = not controllers and kind == "cgroup2"
            if second or (controllers == "memory" and kind == "cgroup" and "memory" in options.split(",")):
                group = Path(place + ours.rstrip("/")) / name
                group.mkdir()
                made.append(group)
                break
    return made


def _remove_group(group: Path) -> None:
    """Remove a control group and the groups in it. Linux may need a moment to release killed processes."""
    for _ in range(50):
        for directory, _, _ in os.walk(group, topdown=False):
            with contextlib.suppress(OSError):
                Path(directory).rmdir()
        if not group.exists():
            return
        time.sleep(0.1)


def _index_variables() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if name.startswith(INDEX_VARIABLES)}


def unavailable(reason: str) -> NoReturn:
    """Skip a test that needs something this machine lacks. Where no test may be skipped, fail it."""
    if "NO_TEST_MAY_BE_SKIPPED" in os.environ:
        pytest.fail(reason)
    pytest.skip(reason)


def _base() -> Path:
    """Return the directory of a host's tree. Build it if it isn't there yet."""
    if os.geteuid() != 0:
        unavailable("only root can build and boot a host")
    for program, package in (("debootstrap", "debootstrap"), ("ssh-keygen", "openssh-client"), ("ip", "iproute2")):
        if not shutil.which(program):
            unavailable(f"a host needs {program}: apt-get install {package}")
    pinned = re.findall(r"^\S+==\S+", LOCK.read_text(), re.MULTILINE)
    script = BUILD.format(
        packages=shlex.join(PACKAGES),
        downloaded=shlex.join(DOWNLOADED),
        unwanted=shlex.join(UNWANTED),
        wheels=shlex.join(sorted({*pinned, "setuptools", "wheel"})),
    )
    key = hashlib.sha256(json.dumps([SUITE, script]).encode()).hexdigest()[:16]
    CACHE.mkdir(parents=True, exist_ok=True)
    base = CACHE / f"host-{key}"
    with (CACHE / f"host-{key}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not base.exists():
            building = base.with_suffix(".new")
            shutil.rmtree(building, ignore_errors=True)
            try:
                _build(building, script)
                building.rename(base)
            finally:
                shutil.rmtree(building, ignore_errors=True)
    return base


def _build(root: Path, script: str) -> None:
    """Build a host's tree from this machine's package sources. Its mounts are in a separate namespace."""
    listed = subprocess.run(
        ["apt-get", "indextargets", "--format", "$(CODENAME) $(REPO_URI)", "Created-By: Packages", "Component: main"],
        capture_output=True,
        text=True,
        check=False,
    ).stdout
    mirrors = [uri for codename, _, uri in (line.partition(" ") for line in listed.splitlines()) if codename == SUITE]
    _quietly(["debootstrap", "--variant=minbase", SUITE, str(root), *mirrors[:1]])
    if mirrors:  # this machine runs the same suite, so its package sources fit
        (root / "etc/apt/sources.list").unlink(missing_ok=True)
        for name in ("sources.list", "sources.list.d", "auth.conf.d", "preferences.d", "keyrings", "trusted.gpg.d"):
            _take_over(Path("/etc/apt") / name, root)
        for conf in Path("/etc/apt/apt.conf.d").iterdir():
            if "Acquire" in conf.read_text():
                _take_over(conf, root)
    for path in ("/etc/resolv.conf", "/etc/pip.conf", "/root/.config/pip", "/usr/local/share/ca-certificates"):
        _take_over(Path(path), root)
    enter = (
        'mount --make-rprivate / && mount -t proc proc "$1/proc" && mount --rbind /dev "$1/dev" && exec chroot "$1" '
    )
    _quietly(
        [
            *["unshare", "--mount", "--pid", "--fork", "--kill-child", "sh", "-c", f'{enter} sh -c "$2"', "sh"],
            *[str(root), script],
        ],
        ENVIRONMENT | _index_variables(),
    )


def _take_over(path: Path, root: Path) -> None:
    """Copy a file or directory of this machine to the same path below `root`, over what is there."""
    if path.exists():
        target = root / path.relative_to("/")
        target.parent.mkdir(parents=True, exist_ok=True)
        subprocess.run(
            ["cp", "--recursive", "--dereference", "--remove-destination", "--no-target-directory", path, target],
            check=True,
        )


def _quietly(command: list[str | Path], env: dict[str, str] | None = None) -> None:
    """Run a command. Show its output if it fails."""
    done = subprocess.run(
        command,
        env=env,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    assert done.returncode == 0, f"{command[:4]}: exit {done.returncode}\n{done.stdout[-4000:]}"
