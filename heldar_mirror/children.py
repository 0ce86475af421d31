"""What child processes are started with.

They get a list of variables and not all that we have: see "Children get a list of variables" in docs/decisions.md.
"""

import os
import sys

# Where programs are, how texts are encoded, local time, where temporary files are, and by which directories the state
# is found if no setting names it.
NEEDED = ("PATH", "LANG", "LC_ALL", "LC_CTYPE", "TZ", "TMPDIR", "HOME", "XDG_STATE_HOME")

# Our Python, which looks for modules neither in the working directory nor in the user's own site directory.
PYTHON = (sys.executable, "-I")


def child_environment() -> dict[str, str]:
    """Return the environment of a child that runs our own code, without any setting."""
    return {name: os.environ[name] for name in NEEDED if name in os.environ}
