"""Read a database whose `-wal` lies there without a `-shm`: where it lies, in a process that never closes it.

SQLite can do without a `-shm` if it is told that nobody else is there. But then it takes itself for the last one to
leave, and deletes the `-wal` when it closes the database. So this process ends without closing, whatever happens. See
"The database is read in one of three ways" in `docs/decisions.md`.

The program gets as its arguments the database's path, the name of a query, and a JSON list of what the query is given.
It writes one JSON object to standard output: `{"rows": [...]}`, or `{"error": [CLASS, TEXT]}` with one of SQLite's
errors. A blob is `{"blob": HEX}`.
"""

import json
import os
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TypeVar

from heldar_mirror.children import KILL_WITH_US, PYTHON, child_environment
from heldar_mirror.heldar.queries import QUERIES
from heldar_mirror.heldar.sqlite_files import connect

COMMAND = (*KILL_WITH_US, *PYTHON, "-m", "heldar_mirror.heldar.read_in_place")

T = TypeVar("T")

# The errors that are handed over, by their names.
ERRORS = {
    name: kind for name, kind in vars(sqlite3).items() if isinstance(kind, type) and issubclass(kind, sqlite3.Error)
}


def read_in_place(path: Path, query: Callable[..., T], given: Sequence[object] = ()) -> T:
    """Return the rows that `query` finds, one of QUERIES, with what it is `given`: texts and numbers.

    The database must not be empty. An error of SQLite's is raised as it is.
    """
    reader = subprocess.run(
        [*COMMAND, os.fsencode(path.absolute()), query.__name__, json.dumps(given)],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        cwd="/",
        env=child_environment(),
        start_new_session=True,
        check=False,
    )
    if reader.returncode:
        raise sqlite3.OperationalError(f"its reader ended with {reader.returncode}")
    rows: T = decode(reader.stdout)
    return rows


def encode(rows: list[Any], error: sqlite3.Error | None = None) -> bytes:
    """Return the line with which the reader answers: with the rows, or with an error."""
    answer = {"error": [type(error).__name__, str(error)]} if error else {"rows": rows}
    return json.dumps(answer, default=lambda blob: {"blob": blob.hex()}).encode()


def decode(line: bytes) -> Any:
    """Return the rows of such a line. Raises the error in it."""
    answer = json.loads(line, object_hook=lambda found: bytes.fromhex(found["blob"]) if "blob" in found else found)
    if "error" in answer:
        name, text = answer["error"]
        raise ERRORS[name](text)
    return answer["rows"]


def main(path: str, query: str, given: str) -> None:
    """Answer one query, and end without closing the database."""
    status = 1
    try:
        connection = connect(Path(path), "mode=ro&vfs=unix-none")
        try:
            connection.execute("PRAGMA locking_mode=EXCLUSIVE")  # instead of a `-shm`
            line = encode(QUERIES[query](connection, *json.loads(given)))
        except sqlite3.Error as error:
            line = encode([], error)
        sys.stdout.buffer.write(line)
        sys.stdout.flush()
        status = 0
    except Exception:
        sys.excepthook(*sys.exc_info())  # nobody else prints it
    finally:
        os._exit(status)


if __name__ == "__main__":
    main(*sys.argv[1:])
