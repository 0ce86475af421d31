"""File systems that tests mount, hang and unmount."""

import contextlib
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

from support.mirror import Mirror
from support.waiting import PATIENCE_SECONDS, wait_for


def mount(*args: object) -> None:
    subprocess.run(["mount", *map(str, args)], check=True)


@contextlib.contextmanager
def mounted(directory: Path, *options: object) -> Iterator[None]:
    """Mount a file system on a directory, made if it is missing. Unmount all that is mounted there at the end."""
    directory.mkdir(exist_ok=True)
    mount(*options, directory)
    try:
        yield
    finally:
        # is_mount() would hang with a hung file system.
        while str(directory) in Path("/proc/self/mounts").read_text().split():
            unmount(directory)


def unmount(directory: Path) -> None:
    """Unmount a volume at once, even if it is in use."""
    subprocess.run(["umount", "--lazy", str(directory)], check=True)


def tmpfs(directory: Path, mebibytes: int) -> contextlib.AbstractContextManager[None]:
    return mounted(directory, "-t", "tmpfs", "-o", f"size={mebibytes}m", "tmpfs")


@contextlib.contextmanager
def bindfs_volume(mirror: Mirror, place: str = "mirror") -> Iterator["subprocess.Popen[bytes]"]:
    """Mount the directory `disk` on a directory of the mirror's home, by default its mirror root, through bindfs.

    Yields the process of bindfs. While that is stopped, the volume hangs.
    """
    directory = mirror.home / place
    (mirror.home / "disk").mkdir()
    directory.mkdir(exist_ok=True)
    # Relative paths, so that this process is not found by the test's directory and taken for one of the mirror.
    server = subprocess.Popen(["bindfs", "-f", "disk", place], cwd=mirror.home)
    try:
        wait_for(lambda: f" {directory} fuse" in Path("/proc/self/mounts").read_text())
        yield server
    finally:
        unmount(directory)
        try:
            server.wait(PATIENCE_SECONDS)
        except subprocess.TimeoutExpired:
            server.kill()
            server.wait()


@contextlib.contextmanager
def hung(server: "subprocess.Popen[bytes]") -> Iterator[None]:
    """Let the volume of a bindfs process hang until the block ends."""
    server.send_signal(signal.SIGSTOP)
    try:
        yield
    finally:
        server.send_signal(signal.SIGCONT)


def waits_for_fuse(pid: int) -> bool:
    """Whether a process is in a call that waits for a FUSE server."""
    return "request_wait_answer" in Path(f"/proc/{pid}/wchan").read_text()


@contextlib.contextmanager
def frozen(root: Path) -> Iterator[None]:
    """A file system on which every write is stuck, beyond all signals."""
    subprocess.run(["fsfreeze", "--freeze", str(root)], check=True)
    try:
        yield
    finally:
        subprocess.run(["fsfreeze", "--unfreeze", str(root)], check=True)
