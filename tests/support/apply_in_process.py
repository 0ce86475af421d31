"""Restore files that a test has planned, in a process of its own, which can be killed: apply_in_process.py PLAN WAIT.

PLAN is a JSON list of files, and WAIT the name of a `Wait`. It prints what it does on standard error, and the result as
JSON on standard output.
"""

import json
import os
import sys
from contextlib import ExitStack
from typing import Any

from heldar_mirror.cli.verify import interrupted
from heldar_mirror.restore.applying import Applying
from heldar_mirror.restore.following import Wait
from heldar_mirror.restore.plan import NewFile, Piece
from heldar_mirror.settings import load_settings
from support.applying import QUICK, opened


def new_file(camera_id: str, name: int, pieces: list[Any], *rest: Any) -> NewFile:
    return NewFile(camera_id, name, tuple(Piece(*piece) for piece in pieces), *rest)


def main(plan: str, wait: str) -> None:
    settings = load_settings(os.environ)
    with ExitStack() as stack:
        restore = Applying(
            settings.database,
            *opened(settings, stack),
            lambda what, _: print(what, file=sys.stderr, flush=True),
            Wait[wait],
            interrupted(),
            QUICK,
        )
        result = restore.run([new_file(*each) for each in json.loads(plan)], [])
    print(json.dumps(result.to_json()))
    sys.exit(result.exit_code)


if __name__ == "__main__":
    main(*sys.argv[1:])
