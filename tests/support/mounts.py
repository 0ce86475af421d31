"""File systems that tests mount, fill, hang and take away."""

import contextlib
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

from support.mirror import Mirror
from support.waiting import wait_for


def mount(*args: object) -> None:
    subprocess.run(["mount", *map(str, args)], check=True)


@contextlib.contextmanager
def mounted(directory: Path, *options: object) -> Iterator[None]:
    """A file system on a directory, made if it is missing; whatever is mounted there at the end is taken away."""
    directory.mkdir(exist_ok=True)
    mount(*options, directory)
    try:
        yield
    finally:
        while str(directory) in Path("/proc/self/mounts").read_text().split():  # is_mount() would ask a hung one
            unmount(directory)


def unmount(directory: Path) -> None:
    """Take a volume away at once, whoever is still using it."""
    subprocess.run(["umount", "--lazy", str(directory)], check=True)


def tmpfs(directory: Path, mebibytes: int) -> contextlib.AbstractContextManager[None]:
    return mounted(directory, "-t", "tmpfs", "-o", f"size={mebibytes}m", "tmpfs")


@contextlib.contextmanager
def served(mirror: Mirror, place: str = "mirror") -> Iterator["subprocess.Popen[bytes]"]:
    """The directory `disk` as the mirror's volume, or in another place of its home, by way of a process, which may be
    stopped meanwhile."""
    directory = mirror.home / place
    (mirror.home / "disk").mkdir()
    directory.mkdir(exist_ok=True)
    # No path of the test's, by which its mirror would be taken for still running.
    server = subprocess.Popen(["bindfs", "-f", "disk", place], cwd=mirror.home)
    try:
        wait_for(lambda: f" {directory} fuse" in Path("/proc/self/mounts").read_text())
        yield server
    finally:
        unmount(directory)
        try:
            server.wait(30)
        except subprocess.TimeoutExpired:
            server.kill()
            server.wait()


@contextlib.contextmanager
def stopped(server: "subprocess.Popen[bytes]") -> Iterator[None]:
    """Whoever asks its volume meanwhile waits."""
    server.send_signal(signal.SIGSTOP)
    try:
        yield
    finally:
        server.send_signal(signal.SIGCONT)


def waits_for_fuse(pid: int) -> bool:
    """Whether a process is in the middle of a call that a FUSE server has to answer."""
    return "request_wait_answer" in Path(f"/proc/{pid}/wchan").read_text()
