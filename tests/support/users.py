"""Other users of the machine, and mirrors that they can run."""

import atexit
import contextlib
import functools
import importlib.metadata
import os
import pwd
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

import heldar_mirror
from support.booted_host import unavailable
from support.mirror import FAKE_FFMPEG, Mirror, mirror_env, new_database, new_home
from support.waiting import COMMAND_SECONDS

# The user ids of Heldar's kernel and of a user unrelated to it. No accounts are needed.
HELDAR_UID, STRANGER_UID = 64001, 65534


SYSTEM_PYTHON = Path("/usr/bin/python3")

# Variables that have some program write, load, run or send what it should not.
NOT_INHERITED = {
    "FFREPORT": "file=/dev/null",
    **dict.fromkeys(("http_proxy", "HTTPS_PROXY", "all_proxy"), "http://127.0.0.1:9"),
    **dict.fromkeys(("LD_LIBRARY_PATH", "PYTHONPATH", "GCONV_PATH", "LOCPATH"), "/nowhere"),
    **dict.fromkeys(("SSLKEYLOGFILE", "HOSTALIASES", "OPENSSL_CONF", "BASH_ENV", "ENV", "PYTHONSTARTUP"), "/dev/null"),
    "PYTHONUNBUFFERED": "1",
    "AV_LOG_FORCE_COLOR": "1",
    "RES_OPTIONS": "ndots:15",
    "LISTEN_FDS": "3",
    "OTHER": "1",
}

as_root = pytest.mark.skipif(os.geteuid() != 0, reason="needs root, to become other users")


@functools.cache
def python_for_all() -> str:
    """Return a Python that every user can run and that can import all we need. Without one the test is unavailable."""
    if runs_for_all(sys.executable):
        return sys.executable
    if not SYSTEM_PYTHON.exists() or not runs_for_all(python := venv_of_the_system()):
        unavailable("no Python that other users could run, or they can't read this checkout")
    return python


def runs_for_all(python: str) -> bool:
    needs = f"""
import os, heldar_mirror.cli.main, cryptography.hazmat.primitives.ciphers.aead
assert os.access({str(FAKE_FFMPEG)!r}, os.R_OK | os.X_OK)
"""
    try:
        return run_as(STRANGER_UID, [python, "-I", "-c", needs]).returncode == 0
    except OSError:
        return False


def venv_of_the_system() -> str:
    """Return the Python of a new venv of the system's own Python, which finds our packages where they are.

    The interpreter of the venv that we run in may lie where only root can read.
    """
    directory = Path(tempfile.mkdtemp(prefix="mirror-test-python-"))
    atexit.register(shutil.rmtree, directory, ignore_errors=True)
    directory.chmod(0o755)
    python = directory / "bin/python3"
    subprocess.run([str(SYSTEM_PYTHON), "-I", "-m", "venv", "--without-pip", str(directory)], check=True)
    ours = [importlib.metadata.distribution(name).locate_file("") for name in ("click", "cryptography")]
    paths = dict.fromkeys(map(str, (Path(heldar_mirror.__file__).parents[1], *ours)))
    (site,) = directory.glob("lib/python*/site-packages")
    (site / "ours.pth").write_text("".join(f"{path}\n" for path in paths))
    return str(python)


def run_as(uid: int, command: list[str], **env: str) -> subprocess.CompletedProcess[str]:
    """Run a command as a user id, with only the group of that user."""
    environment = {"PATH": os.environ["PATH"], **env}
    return subprocess.run(
        command,
        **identity(uid),
        env=environment,
        cwd="/",
        capture_output=True,
        text=True,
        timeout=COMMAND_SECONDS,
        check=False,
    )


# Lock all that may be read below a directory in every way, or wait for the locks. Print what was opened, and hold it.
LOCK_ALL = """
import contextlib, fcntl, os, stat, sys, threading
opened = {}
for directory, names, files in os.walk(sys.argv[1]):
    for path in [directory, *(os.path.join(directory, name) for name in files)]:
        with contextlib.suppress(OSError):
            if stat.S_ISREG(mode := os.lstat(path).st_mode) or stat.S_ISDIR(mode):
                opened[path] = os.open(path, os.O_RDONLY | os.O_NOFOLLOW)
def lock(call, fd, way):
    with contextlib.suppress(OSError):
        call(fd, way)
for fd in opened.values():
    for call, way in ((fcntl.flock, fcntl.LOCK_EX), (fcntl.lockf, fcntl.LOCK_SH)):
        threading.Thread(target=lock, args=[call, fd, way], daemon=True).start()
print(*opened, sep="\\0", flush=True)
sys.stdin.read()
os._exit(0)
"""


@contextlib.contextmanager
def locking_all(uid: int, top: Path, group: int | None = None) -> Iterator[list[str]]:
    """Have a user, in a group if one is given, hold locks on all he may read below a directory. Yield its paths."""
    who = identity(uid) | ({} if group is None else {"group": group})
    with subprocess.Popen(
        [python_for_all(), "-IS", "-c", LOCK_ALL, str(top)],
        **who,
        cwd="/",
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout
        yield process.stdout.readline().rstrip("\n").split("\0")
        process.communicate()


def identity(uid: int) -> dict[str, Any]:
    """Return the arguments of `subprocess` that run a child as this user."""
    if uid == os.geteuid():
        return {}
    try:
        group = pwd.getpwuid(uid).pw_gid
    except KeyError:
        group = uid
    return {"user": uid, "group": group, "extra_groups": []}


@dataclass
class MirrorForAll(Mirror):
    """A mirror that other users can run as well."""

    def command(self, *args: str) -> list[str]:
        return [python_for_all(), "-m", "heldar_mirror", *args]

    def run_as(self, uid: int, *args: str, code: int, **env: str) -> subprocess.CompletedProcess[str]:
        result = run_as(uid, self.command(*args), **self.env | env)
        assert result.returncode == code, f"exit {result.returncode}\n{result.stdout}\n{result.stderr}"
        return result


@contextlib.contextmanager
def new_mirror(kind: type[Mirror] = Mirror) -> Iterator[Any]:
    """A mirror with its own home and the fake ffmpeg, for tests that share it. Nothing runs yet."""
    with new_home() as home:
        database = new_database(home)
        yield kind(home, database, mirror_env(home, database))
