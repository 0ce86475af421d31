"""Write the Ansible role's requirements.txt: the newest versions that setup.cfg allows, with the wheels' hashes.

pip is asked for each Python and each processor of the hosts that the role supports. It only reads what an index says of
the wheels, and must find the same versions for all of them.
"""

import configparser
import itertools
import json
import re
import subprocess
import sys
import tempfile
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

TREE = Path(__file__).parent.parent
LOCK = TREE / "deploy/ansible/roles/heldar_mirror/files/requirements.txt"

# Debian 12, Ubuntu 24.04 and Debian 13.
PYTHONS = ("3.11", "3.12", "3.13")
PROCESSORS = ("x86_64", "aarch64")
# The newest and the oldest glibc (2.x) for which there may be a wheel of its own: a host takes the newest that it can.
GLIBCS = (41, 28)

HEAD = """\
# What heldar-mirror depends on, for Python {pythons} on {processors}. script/lock writes this file.
# pip installs nothing whose hash is not here, and builds nothing.
--only-binary :all:
"""


def wheels(python: str, processor: str, glibc: int) -> Iterator[tuple[str, str, str]]:
    """Yield the name, the version and the SHA-256 of each wheel that such a host would install."""
    setup = configparser.ConfigParser()
    setup.read(TREE / "setup.cfg")
    platforms = [f"manylinux_2_{minor}_{processor}" for minor in range(glibc, 16, -1)] + [f"manylinux2014_{processor}"]
    with tempfile.TemporaryDirectory() as scratch:
        report = Path(scratch, "report.json")
        subprocess.run(
            [
                *[sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check", "install", "--dry-run"],
                *["--ignore-installed", "--target", scratch, "--report", str(report), "--only-binary", ":all:"],
                *["--python-version", python, *(f"--platform={platform}" for platform in platforms)],
                *setup["options"]["install_requires"].split(),
            ],
            check=True,
        )
        for found in json.loads(report.read_text())["install"]:
            name = re.sub(r"[-_.]+", "-", found["metadata"]["name"]).lower()
            yield name, found["metadata"]["version"], found["download_info"]["archive_info"]["hashes"]["sha256"]


def main() -> None:
    versions: dict[str, set[str]] = defaultdict(set)
    hashes: dict[str, set[str]] = defaultdict(set)
    for python, processor, glibc in itertools.product(PYTHONS, PROCESSORS, GLIBCS):
        for name, version, digest in wheels(python, processor, glibc):
            versions[name].add(version)
            hashes[name].add(digest)
    different = {name: sorted(found) for name, found in versions.items() if len(found) > 1}
    if different:
        sys.exit(f"expected one version for all hosts, found {different}: limit it in setup.cfg")
    lines = [HEAD.format(pythons=", ".join(PYTHONS), processors=" and ".join(PROCESSORS))]
    for name, (version,) in sorted(versions.items()):
        lines.append(
            " \\\n    ".join([f"{name}=={version}", *(f"--hash=sha256:{h}" for h in sorted(hashes[name]))]) + "\n"
        )
    LOCK.write_text("".join(lines))


if __name__ == "__main__":
    main()
