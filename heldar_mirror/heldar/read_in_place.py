"""Read a database whose `-wal` lies there without a `-shm`: where it lies, in a process that never closes it.

SQLite can do without a `-shm` if it is told that nobody else is there. But then it takes itself for the last one to
leave, and deletes the `-wal` when it closes the database. So this process ends without closing, whatever happens. See
"The database is read in one of three ways" in `docs/decisions.md`.

The program gets a path and a query on standard input, and writes an answer or an error to standard output. All is
pickled: both ends are this module, as the same user.
"""

import os
import pickle
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from heldar_mirror.heldar.sqlite_files import connect

# The reader dies with the thread that waits for it.
COMMAND = ("setpriv", "--pdeathsig", "KILL", "--", sys.executable, "-m", "heldar_mirror.heldar.read_in_place")

T = TypeVar("T")


def read_in_place(path: Path, query: Callable[[sqlite3.Connection], T]) -> T:
    """Return what `query` finds; it and its answer can be pickled. The database must not be empty.

    Any error of the query is raised as it is.
    """
    reader = subprocess.run(
        COMMAND,
        input=pickle.dumps((path.absolute(), query)),
        stdout=subprocess.PIPE,
        cwd="/",  # the directory that we were started in may hold files that are named like modules
        start_new_session=True,
        check=False,
    )
    if reader.returncode:
        raise sqlite3.OperationalError(f"its reader ended with {reader.returncode}")
    answer: T
    answer, error = pickle.loads(reader.stdout)  # noqa: S301 -- it comes from this module
    if error:
        raise error
    return answer


def main() -> None:
    """Answer one query, and end without closing the database."""
    status = 1
    try:
        path, query = pickle.load(sys.stdin.buffer)  # noqa: S301 -- it comes from this module
        answer, error = None, None
        connection = connect(path, "mode=ro&vfs=unix-none")
        try:
            connection.execute("PRAGMA locking_mode=EXCLUSIVE")  # instead of a `-shm`
            answer = query(connection)
        except Exception as caught:  # the caller raises it again
            error = caught
        sys.stdout.buffer.write(pickle.dumps((answer, error)))
        sys.stdout.flush()
        status = 0
    finally:
        os._exit(status)


if __name__ == "__main__":
    main()
