"""What a person sees of the commands before one of them does anything."""

import pkgutil

import click
import pytest
from click.testing import CliRunner

from heldar_mirror import __version__, cli
from heldar_mirror.cli.main import COMMANDS, HIDDEN, main

SHARED = {"main", "common", "lines", "table", "axis", "bars", "coverage-lines", "output"}


def run(*args: str) -> tuple[int, str]:
    result = CliRunner().invoke(main, args, prog_name="heldar-mirror")
    return result.exit_code, result.output


def test_each_command_has_a_module_of_its_name() -> None:
    """All modules but the shared ones hold a command, and each is listed unless it is hidden."""
    modules = {module.name.replace("_", "-") for module in pkgutil.iter_modules(cli.__path__)} - SHARED
    assert modules == COMMANDS.keys() | set(HIDDEN)
    for name in (*COMMANDS, *HIDDEN):
        command = main.get_command(click.Context(main), name)
        assert command is not None
        assert command.name == name


@pytest.mark.parametrize("option", ["-h", "--help"])
def test_help_names_all_commands_in_whole_sentences(option: str) -> None:
    """None of them is cut off at the width of a terminal, and the exit codes are there."""
    code, output = run(option)
    assert code == 0
    lines = [line.split(maxsplit=1) for line in output.splitlines()]
    for name, text in COMMANDS.items():
        assert [name, text] in lines
    assert "...\n" not in output.replace("[ARGS]...\n", "")
    assert "  6  the mirror root is not the volume that it should be" in output


@pytest.mark.parametrize("name", COMMANDS)
def test_each_command_has_help(name: str) -> None:
    """It says what the command does, and what its options are for."""
    code, output = run(name, "--help")
    assert code == 0
    assert output.startswith(f"Usage: heldar-mirror {name} ")


def test_the_version() -> None:
    """`--version` shows it."""
    assert run("--version") == (0, f"heldar-mirror, version {__version__}\n")


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (["statu"], "No such command 'statu': expected status."),
        (["adopt_volume"], "No such command 'adopt_volume': expected adopt-volume."),
        (["xyz"], "No such command 'xyz': expected up, status, reconcile, coverage, prune, verify, adopt-volume"),
        (["--jso"], "No such option"),
        (["status", "gate"], "Got unexpected extra argument (gate)"),
        (["watch"], "only supervisord can run the watcher"),
    ],
)
def test_wrong_usage_says_what_was_expected(args: list[str], message: str) -> None:
    """It ends with exit code 2, and names what may be meant."""
    code, output = run(*args)
    assert code == 2
    assert message in output
