"""Commands whose output, or whose complaints, can't be written."""

import os
import subprocess

import pytest
from support.made_footage import adopt
from support.mirror import Mirror
from support.waiting import COMMAND_SECONDS

COMMANDS = [
    ["--help"],
    ["--version"],
    ["coverage", "--help"],
    ["status"],
    ["reconcile", "--dry-run"],
    ["coverage", "--json"],
    ["verify"],
    ["prune"],
]


@pytest.fixture
def adopted(mirror: Mirror) -> Mirror:
    adopt(mirror)
    mirror.database.add("gate")
    return mirror


def run(mirror: Mirror, command: list[str], stdout: int, **env: str) -> tuple[int, str]:
    """Return the exit code of a command and what it has printed on standard error."""
    result = subprocess.run(
        mirror.command(*command),
        env=mirror.env | env,
        stdout=stdout,
        stderr=subprocess.PIPE,
        text=True,
        timeout=COMMAND_SECONDS,
        check=False,
    )
    return result.returncode, result.stderr


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
@pytest.mark.parametrize("unbuffered", ["", "1"], ids=["buffered", "unbuffered"])
def test_output_that_can_not_be_written(adopted: Mirror, command: list[str], unbuffered: str) -> None:
    """One line says so, and the exit code is its own."""
    with open("/dev/full", "w") as full:
        code, said = run(adopted, command, full.fileno(), PYTHONUNBUFFERED=unbuffered)
    assert (code, len(said.splitlines())) == (10, 1), said
    assert said.startswith("heldar-mirror: cannot write to standard output: No space left on device")


@pytest.mark.parametrize("command", COMMANDS[2:5], ids=" ".join)
def test_output_that_nobody_reads_any_more(adopted: Mirror, command: list[str]) -> None:
    """Nothing is said, and it is not as if all were well, or as if something were not."""
    reader, writer = os.pipe()
    os.close(reader)
    try:
        assert run(adopted, command, writer) == (141, "")
    finally:
        os.close(writer)


def test_a_command_does_its_work_though_nobody_can_be_told(mirror: Mirror) -> None:
    """The marker is there."""
    with open("/dev/full", "w") as full:
        assert run(mirror, ["adopt-volume"], full.fileno())[0] == 10
    assert (mirror.root / ".heldar-mirror").exists()


def test_complaints_that_can_not_be_written_change_no_exit_code(mirror: Mirror) -> None:
    """The error that ends a command has its exit code all the same."""
    with open("/dev/full", "w") as full:
        command = mirror.command("status")
        env = mirror.env | {"HELDAR_MIRROR_MIN_FREE_GB": "much"}
        result = subprocess.run(command, env=env, stderr=full, timeout=COMMAND_SECONDS, check=False)
    assert result.returncode == 3
