"""This module finds out whether a table of Heldar's is damaged. It asks SQLite, and ignores its harmless messages.

If a disk wrote a valid page of a different table over one of this table, SQLite omits rows without an error. Its check
finds that. See "Only structural damage makes a table unreadable" in `docs/decisions.md`.
"""

import re
import sqlite3
from collections.abc import Collection, Iterable
from contextlib import ExitStack

# SQLite reports these of a row that was valid when it was written: the table's declaration or the version of SQLite was
# a different one then (its pragma.c: "Verify datatypes for all columns", "Verify CHECK constraints").
NO_DAMAGE = re.compile(r"((NULL|NUMERIC|TEXT|non-[A-Z]+) value in|CHECK constraint failed in) .*", re.DOTALL)

# SQLite reports these of the entries of an index, or of the order of a table that is an index itself.
ABOUT_AN_INDEX = re.compile(
    r"(?:row \d+ (?:missing|values differ) from index|rowid not at end-of-record for row \d+ of index"
    r"|wrong # of entries in index|non-unique entry in index|row not in PRIMARY KEY order for) (.*)",
    re.DOTALL,
)

# The errors with which it ends if an index needs what only Heldar's kernel defines.
UNKNOWN_COLLATION = re.compile(r"no such collation sequence: (.+)", re.DOTALL)
UNKNOWN_FUNCTION = re.compile(r"(?:unknown|no such) function: (.+?)(?:\(\))?", re.DOTALL)

# SQLite ends its list after this many messages.
LIST_LENGTH = 100

# The kinds of a generated column in `PRAGMA table_xinfo`: virtual and stored.
GENERATED = (2, 3)


def check(connection: sqlite3.Connection, table: str) -> None:
    """Raise sqlite3.DatabaseError if `table` or one of its indexes is damaged, or it is a view."""
    if connection.execute("SELECT 1 FROM sqlite_master WHERE type = 'view' AND lower(name) = ?", (table,)).fetchone():
        raise sqlite3.DatabaseError(f"{table} is a view, expected a table")
    with ExitStack() as stand_ins:
        messages, unknown = _list(connection, table, stand_ins)
        untested = _untested(connection, table, unknown) if unknown else set()
        problem = find_damage(messages, untested)
        if not problem and len(messages) >= LIST_LENGTH:
            problem = _compare(connection, table, untested)
    if problem:
        raise sqlite3.DatabaseError(f"the table {table} is damaged: {problem}")


def find_damage(messages: Iterable[str], untested: Collection[str] = ()) -> str | None:
    """Return the first of SQLite's messages that reports damage, or None. `untested` are the names of indexes, or of a
    table that is an index, whose entries SQLite could not compare.

    An unknown message is damage: a wrong refusal lets run what runs, but rows that are missing would end it.
    """
    for message in messages:
        about = ABOUT_AN_INDEX.fullmatch(message)
        if message != "ok" and not NO_DAMAGE.fullmatch(message) and not (about and about[1] in untested):
            return message
    return None


def _list(connection: sqlite3.Connection, table: str, stand_ins: ExitStack) -> tuple[list[str], set[str]]:
    """Return SQLite's messages, and the collations and functions that are unknown here, in lower case.

    Those get stand-ins, so that SQLite can check the rest. They must not outlive the check: a query that met one would
    return a wrong value instead of an error.
    """
    unknown: set[str] = set()
    while True:
        try:
            return [message for (message,) in connection.execute(f"PRAGMA integrity_check({table})")], unknown
        except sqlite3.OperationalError as error:
            collation, function = (kind.fullmatch(str(error)) for kind in (UNKNOWN_COLLATION, UNKNOWN_FUNCTION))
            name = collation[1] if collation else function[1] if function else ""
            if not name or name.lower() in unknown:
                raise
            unknown.add(name.lower())
            if collation:
                connection.create_collation(name, lambda a, b: (a > b) - (a < b))
                stand_ins.callback(connection.create_collation, name, None)
            else:
                connection.create_function(name, -1, lambda *_: None, deterministic=True)
                stand_ins.callback(connection.create_function, name, -1, None)


def _untested(connection: sqlite3.Connection, table: str, unknown: Collection[str]) -> set[str]:
    """Return the indexes whose entries may depend on what is unknown: by a collation, an expression or a condition."""
    columns = connection.execute(f"PRAGMA table_xinfo({table})")
    generated = {column["name"] for column in columns if column["hidden"] in GENERATED}
    found = set()
    for index in connection.execute(f"PRAGMA index_list({table})").fetchall():
        keys = [key for key in connection.execute(f"PRAGMA index_xinfo({_quoted(index['name'])})") if key["key"]]
        if index["partial"] or any(
            key["coll"].lower() in unknown or key["name"] is None or key["name"] in generated for key in keys
        ):
            # The primary key is the order of a table WITHOUT ROWID, whose messages have the table's name.
            found |= {index["name"], table} if index["origin"] == "pk" else {index["name"]}
    return found


def _compare(connection: sqlite3.Connection, table: str, untested: Collection[str]) -> str | None:
    """Compare each plain index with the table, since a list that is full of what is no damage may hide the rest."""
    for index in connection.execute(f"PRAGMA index_list({table})").fetchall():
        name = index["name"]
        keys = [key["name"] for key in connection.execute(f"PRAGMA index_info({_quoted(name)})")]
        if name in untested or index["partial"] or None in keys:
            continue
        in_table, in_index = f"FROM {table} NOT INDEXED", f"FROM {table} INDEXED BY {_quoted(name)}"
        columns = ", ".join(map(_quoted, keys))
        lost = connection.execute(f"SELECT {columns} {in_table} EXCEPT SELECT {columns} {in_index}").fetchone()
        counts = connection.execute(f"SELECT (SELECT count(*) {in_table}), (SELECT count(*) {in_index})").fetchone()
        if lost or counts[0] != counts[1]:
            return f"{counts[0]} rows differ from {counts[1]} entries in index {name}"
    return None


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'
