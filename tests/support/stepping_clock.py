"""A wall clock that a test can set for one mirror."""

import shutil
import subprocess
import sys
from pathlib import Path

from support import HERE
from support.scripts import script

HOUR = 3600


class Clock:
    """The wall clock of one mirror, some seconds ahead of the true time. Its monotonic clocks never step.

    `env` is for the mirror's commands. Their children inherit none of it, but all of them begin as the first `setpriv`
    on the mirror's PATH.
    """

    def __init__(self, home: Path) -> None:
        self.path, library = home / "clock", home / "stepping_clock.so"
        self.jump(0)
        source = HERE / "stepping_clock.c"
        subprocess.run(["cc", "-shared", "-fPIC", "-O1", "-Wall", "-o", str(library), str(source)], check=True)
        self.env = {"LD_PRELOAD": str(library), "STEPPING_CLOCK": str(self.path)}
        exports = "".join(f"export {name}='{value}'\n" for name, value in self.env.items())
        script(home / "bin/setpriv", f'#!/bin/sh\n{exports}exec {shutil.which("setpriv")} "$@"\n')

    def jump(self, seconds: int) -> None:
        # Written in place, because processes have the file mapped.
        with self.path.open("r+b" if self.path.exists() else "wb") as file:
            file.write(seconds.to_bytes(8, sys.byteorder, signed=True))
