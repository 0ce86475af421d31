"""Child processes are started with this Python, end with us by these commands, and get this priority and environment.

Children get a list of variables and not all that we have: see "Children get a list of variables" in docs/decisions.md.
"""

import os
import sys

# These variables say where programs are, how texts are encoded, what the local time is, where temporary files go, and
# in which directories the state is if no setting names it.
NEEDED = ("PATH", "LANG", "LC_ALL", "LC_CTYPE", "TZ", "TMPDIR", "HOME", "XDG_STATE_HOME")

# This Python looks for modules neither in the working directory nor in the user's own site directory.
PYTHON = (sys.executable, "-I")

# Linux sends a child the signal when the thread that has started it ends, even if the child is too busy to notice that.
TERM_WITH_US = ("setpriv", "--pdeathsig", "TERM", "--")
KILL_WITH_US = ("setpriv", "--pdeathsig", "KILL", "--")

# Whoever records, watches or plays comes first: for the processor, and for a disk whose scheduler knows idle processes.
# `-t` has a refusal ignored, and `nice` does without one.
AT_LOW_PRIORITY = ("ionice", "-t", "-c", "3", "nice", "-n", "19")


def child_environment() -> dict[str, str]:
    """Return the environment of a child that runs our own code, without any setting."""
    return {name: os.environ[name] for name in NEEDED if name in os.environ}
