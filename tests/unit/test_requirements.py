"""The versions and hashes of what the Ansible role installs beside the mirror's wheel."""

import configparser
import re

from lock_requirements import LOCK, PROCESSORS, PYTHONS
from packaging.requirements import Requirement
from support import TREE

LINE = re.compile(r"#.*|--only-binary :all:|[a-z0-9-]+==[\w.]+ \\|    --hash=sha256:[0-9a-f]{64}( \\)?")


def test_it_is_what_setup_cfg_requires() -> None:
    """Each dependency has a version that setup.cfg allows, and each version has hashes. After a change: script/lock."""
    lines = LOCK.read_text().splitlines()
    assert all(LINE.fullmatch(line) for line in lines), f"{LOCK}: expected what script/lock writes"
    versions = dict(re.findall(r"^(\S+)==(\S+) \\\n    --hash=", LOCK.read_text(), re.MULTILINE))
    assert len(versions) == sum("==" in line for line in lines)
    setup = configparser.ConfigParser()
    setup.read(TREE / "setup.cfg")
    for wanted in map(Requirement, setup["options"]["install_requires"].split()):
        assert versions[wanted.name] in wanted.specifier, f"run script/lock: {wanted} is not {versions[wanted.name]}"


def test_it_has_a_wheel_for_each_python_and_processor() -> None:
    """A package that is built anew for each Python has a hash for each of them, on each processor."""
    (found,) = re.findall(r"^cffi==.*\n((?:    .*\n)+)", LOCK.read_text(), re.MULTILINE)
    assert found.count("--hash=") >= len(PYTHONS) * len(PROCESSORS)
