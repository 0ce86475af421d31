"""The sdist and the wheel: what they hold, and that the wheel works with each supported Python and supervisor."""

import tarfile
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from lock_requirements import LOCK, PYTHONS
from support import TREE
from support.mirror import Mirror, mirror_env, new_database, new_home
from support.packages import build, copy_tree, python, run
from support.running import recorders, wait_until_recording
from support.waiting import wait_for


@dataclass
class InstalledMirror(Mirror):
    """A mirror that runs the package installed in a virtual environment."""

    venv: Path = Path()

    def command(self, *args: str) -> list[str]:
        return [str(self.venv / "bin/heldar-mirror"), *args]


@pytest.fixture(scope="module")
def packages() -> Iterator[tuple[Path, Path]]:
    """An sdist of the tree, and a wheel from it."""
    with new_home() as home:
        yield build(copy_tree(home / "tree"))


def test_the_sdist_holds_what_a_checkout_does(packages: tuple[Path, Path]) -> None:
    """All files of the checkout are there, and nothing that was built or cached."""
    with tarfile.open(packages[0]) as archive:
        names = {member.name.partition("/")[2] for member in archive.getmembers() if member.isfile()}
    tops = ("benchmarks", "deploy", "docs", "heldar_mirror", "heldar_mirror/templates", "script", "templates", "tests")
    wanted = {
        str(path.relative_to(TREE))
        for top in tops
        for path in (TREE / top).rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    assert wanted <= names
    assert {name for name in names - wanted if "egg-info" not in name} == {
        *(".pre-commit-config.yaml", "CHANGELOG.md", "CONTRIBUTING.md", "LICENSE", "MANIFEST.in", "PKG-INFO"),
        *("README.md", "pyproject.toml", "ruff.toml", "setup.cfg"),
    }


def test_the_wheel_holds_the_package_and_its_templates(packages: tuple[Path, Path]) -> None:
    """The wheel holds all modules and templates, and nothing else."""
    with zipfile.ZipFile(packages[1]) as archive:
        names = {name for name in archive.namelist() if ".dist-info/" not in name}
    package = TREE / "heldar_mirror"
    assert names == {
        *(str(path.relative_to(TREE)) for path in package.rglob("*.py")),
        *(f"heldar_mirror/templates/{path.name}" for path in (TREE / "templates").glob("*.j2")),
        "heldar_mirror/py.typed",
    }


@pytest.mark.slow
@pytest.mark.parametrize("version", ["3.10", "3.11", "3.12", "3.13"])
def test_it_mirrors_with_each_python_and_supervisor(packages: tuple[Path, Path], version: str) -> None:
    """Installed by pip, the mirror records and follows the table. Python's different names restart no recorder."""
    with new_home() as home:
        venv = home / "venv"
        run(python(version), "-m", "venv", str(venv))
        database = new_database(home)
        mirror = InstalledMirror(home, database, mirror_env(home, database), venv)
        database.add("gate")
        # What the Ansible role installs, where there are hosts with that Python.
        newer = ["--require-hashes", "--requirement", str(LOCK)] if version in PYTHONS else ["supervisor>=4.3"]
        for supervisor, what in (("4.2.5", [f"{packages[1]}[supervisor-4-2]"]), ("4.3", newer)):
            run(str(venv / "bin/pip"), "install", "--quiet", *what)
            run(str(venv / "bin/pip"), "check")
            with mirror.up(watched=True):
                before = wait_until_recording(mirror, "gate")
                assert mirror.supervisorctl("version").startswith(supervisor)
                assert str(venv / "lib") in (mirror.state / "programs.conf").read_text()
                for name in ("python", "python3", f"python{version}"):
                    run(str(venv / "bin" / name), "-m", "heldar_mirror", "reconcile", **mirror.env)
                assert recorders(mirror) == before
                database.update("gate", segment_seconds=30 if supervisor == "4.3" else 20)
                wait_for(lambda: recorders(mirror).keys() == {"gate"} and recorders(mirror) != before)  # noqa: B023
                wait_until_recording(mirror, "gate")
                wait_for(lambda: mirror.status().get("gate", {"well": False})["well"])
