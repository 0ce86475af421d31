"""Collecting orphans: a process whose parent has ended becomes a child of process 1, which `up` is in a container
without an init."""

import os
from contextlib import suppress


def reap_orphans(own: int) -> None:
    """Collect all children that have ended, except for `own`, whose exit status its starter waits for.

    Without this, each ffmpeg whose recorder was killed would stay a zombie.
    """
    with suppress(ChildProcessError):  # there are no children
        while ended := os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT):
            if ended.si_pid == own:
                break  # `up` ends now, and so does whatever is left
            os.waitid(os.P_PID, ended.si_pid, os.WEXITED | os.WNOHANG)
