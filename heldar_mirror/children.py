"""The environment and the Python that child processes are started with.

They get a list of variables and not all that we have: see "Children get a list of variables" in docs/decisions.md.
"""

import os
import sys

# These variables say where programs are, how texts are encoded, what the local time is, where temporary files go, and
# in which directories the state is if no setting names it.
NEEDED = ("PATH", "LANG", "LC_ALL", "LC_CTYPE", "TZ", "TMPDIR", "HOME", "XDG_STATE_HOME")

# This Python looks for modules neither in the working directory nor in the user's own site directory.
PYTHON = (sys.executable, "-I")


def child_environment() -> dict[str, str]:
    """Return the environment of a child that runs our own code, without any setting."""
    return {name: os.environ[name] for name in NEEDED if name in os.environ}
