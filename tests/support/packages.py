"""The project's sdist and wheel, and the Pythons of this machine to install them with."""

import contextlib
import functools
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from support import TREE


def copy_tree(to: Path, version: str = "") -> Path:
    """Copy the source tree, without what was built, and return the copy. `version` replaces its version."""
    ignored = shutil.ignore_patterns("*.egg-info", "build", "__pycache__")
    to.mkdir(parents=True)
    for path in (*TREE.glob("[!.]*"), TREE / ".pre-commit-config.yaml"):
        if path.is_dir():
            if not path.match("*.egg-info"):
                shutil.copytree(path, to / path.name, symlinks=True, ignore=ignored)
        else:
            shutil.copy(path, to)
    if version:
        init = to / "heldar_mirror/__init__.py"
        init.write_text(re.sub(r'__version__ = ".*"', f'__version__ = "{version}"', init.read_text()))
    return to


def build(tree: Path) -> tuple[Path, Path]:
    """Build an sdist of a tree, and a wheel from the sdist, and return their paths."""
    into = tree.with_name(f"{tree.name}-dist")
    run(sys.executable, "-m", "build", "--outdir", str(into), str(tree))
    (sdist,), (wheel,) = into.glob("*.tar.gz"), into.glob("*.whl")
    return sdist, wheel


def run(*command: str, **env: str) -> str:
    """Run a command outside of the tree and return its output. If it fails, fail the test with that output."""
    environment = env or None
    result = subprocess.run(command, cwd="/", env=environment, capture_output=True, text=True, timeout=300, check=False)
    if result.returncode:
        pytest.fail(f"{' '.join(command)}: exit {result.returncode}\n{result.stdout}\n{result.stderr}")
    return result.stdout


@functools.cache
def python(version: str) -> str:
    """Return a Python of a version such as `3.12` that can make virtual environments. Skip the test without one."""
    needs = f"import sys, ssl, sqlite3, venv, ensurepip; assert '%d.%d' % sys.version_info[:2] == {version!r}"
    usual = shutil.which(f"python{version}")
    others = sorted(Path.home().glob(f".pyenv/versions/{version}.*/bin/python{version}"))
    for candidate in (sys.executable, *([usual] if usual else []), *map(str, others)):
        with contextlib.suppress(OSError):
            if subprocess.run([candidate, "-c", needs], capture_output=True, check=False).returncode == 0:
                return candidate
    pytest.skip(f"no python{version} with venv on this machine")
