"""Who listens on a Unix socket, by real sockets."""

import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest
from support.mirror import new_home
from support.users import HELDAR_UID, STRANGER_UID, as_root, identity, python_for_all, run_as

from heldar_mirror.proc.listener import listener

LISTEN = """
import socket, sys
with socket.socket(socket.AF_UNIX) as sock:
    sock.bind(sys.argv[1])
    sock.listen(int(sys.argv[2]))
    print(flush=True)
    sys.stdin.read()
"""


def start(path: Path, uid: int = os.geteuid(), backlog: int = 5) -> "subprocess.Popen[bytes]":
    """Start a process that listens and accepts nothing. It ends with its input."""
    command = ["/usr/bin/python3" if uid else sys.executable, "-c", LISTEN, str(path), str(backlog)]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, **identity(uid))
    assert process.stdout
    assert process.stdout.readline()
    return process


def test_a_listener_is_known_though_it_does_not_answer(tmp_path: Path) -> None:
    """It is the process that listens; once it has ended, nobody is, though its socket is still there."""
    path = tmp_path / "socket"
    assert listener(path) is None
    process = start(path)
    assert listener(path) == process.pid
    process.communicate()
    assert path.exists()
    assert listener(path) is None


def test_who_has_a_full_backlog_is_not_waited_for(tmp_path: Path) -> None:
    """It hangs. It is not found out then who it is, and nobody may take that for nobody."""
    path = tmp_path / "socket"
    process = start(path, backlog=0)
    with socket.socket(socket.AF_UNIX) as first:
        first.connect(str(path))
        with pytest.raises(BlockingIOError):
            listener(path)
    process.communicate()


@as_root
@pytest.mark.parametrize("uid", [0, HELDAR_UID, STRANGER_UID])
def test_a_listener_is_of_us_of_root_or_of_the_owner_of_the_directory(uid: int) -> None:
    """A stranger that may make a socket where ours should be is not asked who is a recorder."""
    with new_home() as home:
        home.chmod(0o777)
        os.chown(home, HELDAR_UID, HELDAR_UID)
        process = start(home / "socket", uid)
        try:
            if uid == STRANGER_UID:
                with pytest.raises(PermissionError, match=f"user {STRANGER_UID} listens on {home}/socket"):
                    listener(home / "socket")
            else:
                assert listener(home / "socket") == process.pid
        finally:
            process.communicate()


@as_root
def test_a_listener_in_another_container_is_not_nobody() -> None:
    """Its process has no number here."""
    look = "import pathlib, sys; from heldar_mirror.proc.listener import listener; listener(pathlib.Path(sys.argv[1]))"
    with new_home() as home:
        process = start(home / "socket")
        try:
            result = run_as(0, ["unshare", "--pid", "--fork", python_for_all(), "-c", look, str(home / "socket")])
        finally:
            process.communicate()
    assert "is in another container" in result.stderr
