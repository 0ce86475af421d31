"""The recorder's memory is needed once per camera, so it may import only the modules of a short list."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

from heldar_mirror.proc.recorders import RECORDER

# Each is written in C and imports no other module.
ALLOWED = {"_signal", "_socket", "fcntl", "posix", "select", "sys", "time"}
SOURCES = sorted(RECORDER.parent.glob("*.py"))
MODULES = {f"recorder.{source.stem}" for source in SOURCES}


@pytest.mark.parametrize("source", SOURCES, ids=lambda path: path.name)
def test_the_recorder_names_no_import_but_the_allowed(source: Path) -> None:
    """The recorder's modules import nothing beyond the list, except for type checkers, and each other."""
    tree = ast.parse(source.read_text())
    for node in ast.walk(tree):
        if isinstance(node, ast.If) and isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING":
            node.body = []
    assert {alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names} <= ALLOWED
    relative = [node for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)]
    assert all(node.level == 1 and f"recorder.{node.module}" in MODULES for node in relative)


def test_the_recorder_loads_no_module_but_the_allowed() -> None:
    """A recorder that runs has loaded what a bare interpreter loads, its own modules, and modules of the list."""

    def loaded(*args: str) -> set[str]:
        command = [sys.executable, "-I", "-S", "-X", "importtime", *args]
        result = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
        return {line.rpartition("|")[2].strip() for line in result.stderr.splitlines()}

    added = loaded(str(RECORDER), "/nonexistent/gate.spec", "1") - loaded("-c", "pass")
    assert "recorder.recorder" in added
    assert added <= ALLOWED | {"recorder"} | MODULES
