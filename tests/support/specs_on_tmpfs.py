"""Where the launch specs of a mirror with a secret key are."""

import contextlib
import shutil
import urllib.parse
from collections.abc import Iterator
from pathlib import Path

from support.mirror import Mirror


@contextlib.contextmanager
def specs_on_tmpfs(mirror: Mirror) -> Iterator[Path]:
    """The directory of the launch specs if a key is set. At the end nothing of it is left."""
    run = Path("/run/heldar-mirror")
    specs = run / urllib.parse.quote(str(mirror.state), safe="")
    try:
        yield specs
    finally:
        shutil.rmtree(specs, ignore_errors=True)
        with contextlib.suppress(OSError):
            run.rmdir()
