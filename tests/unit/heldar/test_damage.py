"""Which messages of SQLite's check are damage, on files that are really damaged as far as that can be done.

The texts are those of SQLite 3.40 to 3.54, from its pragma.c and btree.c.
"""

import contextlib
import re
import sqlite3
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from support.mirror import SCHEMA, Database

from heldar_mirror.errors import DatabaseError
from heldar_mirror.heldar.damage import check, find_damage
from heldar_mirror.heldar.database import ask
from heldar_mirror.heldar.tables import read_cameras

NO_DAMAGE = [
    "ok",
    "NULL value in cameras.record_audio",
    "NUMERIC value in cameras.name",
    "TEXT value in cameras.rtsp_port",
    *(f"non-{kind} value in cameras.x" for kind in ("ANY", "BLOB", "INT", "INTEGER", "REAL", "TEXT")),
    "CHECK constraint failed in cameras",
    "NULL value in cameras.a\nb",
]

IN_THE_TREE = [
    "Failed to read ptrmap key=7",
    "Bad ptr map entry key=7 expected=(5,3) got=(1,0)",
    "Pointer map page 2 is referenced",
    "invalid page number 99999",
    "2nd reference to page 4",
    "unable to get the page. error code=11",
    "btreeInitPage() returns error code 11",
    "free space corruption",
    "Offset 600 out of range 400..508",
    "Extends off end of page",
    "Rowid 7 out of order",
    "Child page depth differs",
    "Multiple uses for byte 100 of page 3",
    "Fragmentation of 4 bytes reported as 0 on page 3",
    "overflow list length is 1 but should be 3",
]

DAMAGE = [
    "row 7 missing from index sqlite_autoindex_cameras_1",
    "row 7 values differ from index by_name",
    "rowid not at end-of-record for row 7 of index by_name",
    "wrong # of entries in index by_name",
    "non-unique entry in index by_name",
    "row not in PRIMARY KEY order for cameras",
    # An index may have any name.
    "wrong # of entries in index NULL value in cameras.name",
    "row 7 missing from index CHECK constraint failed in cameras",
    *(f"*** in database main ***\n{place}{text}" for text in IN_THE_TREE for place in ("", "Page 3: ")),
    *(f"*** in database main ***\nTree 2 page 3 cell 4: {text}" for text in IN_THE_TREE),
    *(f"*** in database main ***\nOn tree page 2 cell 3: {text}" for text in IN_THE_TREE),
    "*** in database main ***\nTree 2 page 3 right child: invalid page number 99999",
    "*** in database main ***\nFreelist: size is 3 but should be 5",
    "*** in database main ***\nFreelist: freelist leaf count too big on page 4",
    "*** in database main ***\nPage 7: never used",
    "*** in database main ***\nPage 7 is never used",
    "*** in database main ***\nmax rootpage (9) disagrees with header (7)",
    "*** in database main ***\nincremental_vacuum enabled with a max rootpage of zero",
    "*** in database main ***\nOutstanding page count goes from 0 to 1 during this analysis",
    "database disk image is malformed",
    "unable to validate the inverted index for FTS5 table main.cameras: disk I/O error",
    "a message of a later SQLite",
    "",
]


@pytest.mark.parametrize("message", NO_DAMAGE)
def test_a_value_that_does_not_fit_its_declaration_is_no_damage(message: str) -> None:
    """Such a row was valid when it was written, and it is read as any other."""
    assert find_damage([message]) is None


@pytest.mark.parametrize("message", DAMAGE)
def test_all_else_is_damage(message: str) -> None:
    """Structural damage is found behind any number of other messages, and so is what is unknown here."""
    assert find_damage([*NO_DAMAGE, message, *NO_DAMAGE]) == message


@pytest.mark.parametrize("message", DAMAGE[:5])
def test_an_index_that_could_not_be_compared_counts_with_its_pages_only(message: str) -> None:
    """What SQLite says of the entries of such an index, or of no other one, is void."""
    name = message.rpartition(" ")[2]
    assert find_damage([message], {name}) is None
    assert find_damage([message], {f"{name}_2"}) == message
    assert find_damage([f"*** in database main ***\n{IN_THE_TREE[0]}"], {name})


COUNT = 500


@contextlib.contextmanager
def opened(path: Path) -> Iterator[sqlite3.Connection]:
    """A connection as that of Heldar's kernel, which has a collation and a function of its own."""
    with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute("PRAGMA synchronous=OFF")
        connection.create_collation("kernel", lambda a, b: (a[::-1] > b[::-1]) - (a[::-1] < b[::-1]))
        connection.create_function("kernel_hash", 1, lambda text: len(text) % 7, deterministic=True)
        yield connection


def filled(path: Path, *changes: str, replace: tuple[str, str] = ("", ""), count: int = COUNT) -> Path:
    """A database with `count` cameras. The schema and then the table are changed as given."""
    with opened(path) as connection:
        connection.execute("PRAGMA page_size=512")
        connection.executescript(SCHEMA.replace(*replace))
        rows = [(f"c{number:04}", f"{number * 37 % 100}") for number in range(count)]
        connection.execute("BEGIN")
        connection.executemany("INSERT INTO cameras (id, name) VALUES (?, ?)", rows)
        connection.execute("COMMIT")
        for change in changes:
            connection.execute(change)
    return path


def redeclare(path: Path, old: str, new: str, *changes: str) -> None:
    """Change a declaration without a look at the rows, as a migration by `writable_schema` does."""
    with opened(path) as connection:
        connection.execute("PRAGMA writable_schema=ON")
        connection.execute("UPDATE sqlite_master SET sql = replace(sql, ?, ?)", (old, new))
    with opened(path) as connection:
        for change in changes:
            connection.execute(change)


def without_index(path: Path, name: str, *changes: str) -> None:
    """Change rows while the schema lacks an index, so that the index doesn't follow."""
    with opened(path) as connection:
        connection.execute("PRAGMA writable_schema=ON")
        row = connection.execute("SELECT * FROM sqlite_master WHERE name = ?", (name,)).fetchone()
        connection.execute("DELETE FROM sqlite_master WHERE name = ?", (name,))
    with opened(path) as connection:
        for change in changes:
            connection.execute(change)
    with opened(path) as connection:
        connection.execute("PRAGMA writable_schema=ON")
        connection.execute("INSERT INTO sqlite_master VALUES (?, ?, ?, ?, ?)", row)


def sqlite_list(path: Path) -> str:
    """Return the first entry of SQLite's list, or the error with which it ends before that."""
    with opened(path) as connection:
        try:
            (first,) = connection.execute("SELECT * FROM pragma_integrity_check('cameras') LIMIT 1").fetchone()
        except sqlite3.DatabaseError as error:
            first = error
        return str(first)


def assert_readable(path: Path, count: int = COUNT) -> None:
    assert [row["id"] for row in read_cameras(path)] == [f"c{number:04}" for number in range(count)]


def assert_damaged(path: Path, reason: str = "") -> None:
    with pytest.raises(DatabaseError, match=f"(?s)(the table cameras is damaged: |disk image is malformed).*{reason}"):
        read_cameras(path)


# What was changed after the rows were written, and how SQLite's list begins.
VALUES: dict[str, tuple[str, str, str, str]] = {
    "NOT NULL": ("", "address TEXT", "address TEXT NOT NULL", "NULL value in cameras.address"),
    "CHECK": ("", "address TEXT", "address TEXT CHECK (name > 'x')", "CHECK constraint failed in cameras"),
    "text in a column of integers": (
        "UPDATE cameras SET address = '554'",
        "address TEXT",
        "address INTEGER",
        "TEXT value in cameras.address",
    ),
    "a number in a column of texts": (
        "UPDATE cameras SET storage_quota_bytes = 7",
        "storage_quota_bytes INTEGER",
        "storage_quota_bytes TEXT",
        "NUMERIC value in cameras.storage_quota_bytes",
    ),
    "a table that became strict": (
        "UPDATE cameras SET storage_quota_bytes = x'00'",
        "'2026-01-01T00:00:00Z'\n)",
        "'2026-01-01T00:00:00Z'\n) STRICT",
        "non-INTEGER value in cameras.storage_quota_bytes",
    ),
}


# Each makes the table differ from an index that doesn't follow.
CHANGES_BEHIND_THE_INDEX = [
    "UPDATE cameras SET id = 'x' WHERE id = '{}'",
    "DELETE FROM cameras WHERE id = '{}'",
    "INSERT INTO cameras (id, name) VALUES ('x', 'x')",
]


@pytest.mark.parametrize("kind", VALUES)
@pytest.mark.parametrize("count", [7, COUNT], ids=["a short list", "a full list"])
def test_rows_of_an_earlier_declaration_are_read(tmp_path: Path, kind: str, count: int) -> None:
    """No such row keeps the others from being read, however many there are. Damage behind them is still found."""
    before, old, new, message = VALUES[kind]
    last = f"c{count - 1:04}"
    for number, change in enumerate(["", *(change.format(last) for change in CHANGES_BEHIND_THE_INDEX)]):
        path = filled(tmp_path / f"{number}.db", "CREATE INDEX plain ON cameras (id)", count=count)
        without_index(path, "plain", change, before)
        redeclare(path, old, new)
        if change:
            assert_damaged(path, "index plain")
        else:
            assert sqlite_list(path).startswith(message)
            assert_readable(path, count)


KERNELS_OWN = {
    "an index with a collation": "CREATE INDEX own ON cameras (name COLLATE kernel)",
    "an index of ids with a collation": "CREATE INDEX own ON cameras (id COLLATE kernel)",
    "a unique index with a collation": "CREATE UNIQUE INDEX own ON cameras (id COLLATE kernel)",
    "an index of a function": "CREATE INDEX own ON cameras (kernel_hash(name))",
    "an index with a condition": "CREATE INDEX own ON cameras (name) WHERE kernel_hash(name)",
    "a condition with a collation": "CREATE INDEX own ON cameras (name) WHERE name > '5' COLLATE kernel",
    "a generated column": "ALTER TABLE cameras ADD COLUMN own TEXT NOT NULL AS (kernel_hash(name))",
    "both": "CREATE INDEX own ON cameras (kernel_hash(name), name COLLATE kernel)",
}


@pytest.mark.parametrize("kind", KERNELS_OWN)
def test_what_only_the_kernel_defines_makes_nothing_unreadable(tmp_path: Path, kind: str) -> None:
    """SQLite can't compare an index that needs the kernel's own code. All else is checked: its pages, and the other
    indexes."""
    path = filled(tmp_path / "heldar.db", "CREATE INDEX plain ON cameras (address)", KERNELS_OWN[kind])
    assert sqlite_list(path) == "ok"
    assert_readable(path)
    with opened(path) as connection:
        own = connection.execute("SELECT rootpage FROM sqlite_master WHERE name = 'own'").fetchone()
    if own:
        whole = path.read_bytes()
        write(path, own[0], 0, b"\xff")
        assert_damaged(path)
        path.write_bytes(whole)
    without_index(path, "plain", "UPDATE cameras SET address = 'moved' WHERE id = 'c0499'")
    assert_damaged(path, "index plain")


def test_an_id_with_the_kernels_collation_is_read(tmp_path: Path) -> None:
    """The table is read in the order of its own bytes then. Its index is not compared, its pages are checked."""
    path = filled(tmp_path / "heldar.db", replace=("id TEXT PRIMARY KEY", "id TEXT COLLATE kernel PRIMARY KEY"))
    assert_readable(path)
    write(path, root(path, "sqlite_autoindex_cameras_1"), 0, b"\xff")
    assert_damaged(path)


def test_no_value_of_the_kernels_is_made_up(tmp_path: Path) -> None:
    """The check needs stand-ins for what is the kernel's own. A query must not get a value from one: NULL may mean
    that no mirror is wanted."""
    path = filled(tmp_path / "heldar.db", KERNELS_OWN["both"])

    def query(connection: sqlite3.Connection) -> None:
        check(connection, "cameras")
        for expression in ("kernel_hash(name)", "name > '5' COLLATE kernel"):
            with pytest.raises(sqlite3.OperationalError):
                connection.execute(f"SELECT {expression} FROM cameras")  # noqa: S608

    ask(path, "cameras", query)


def write(path: Path, page: int, offset: int, data: bytes, *, page_size: int = 512) -> None:
    with path.open("r+b") as file:
        file.seek((page - 1) * page_size + offset)
        file.write(data)


def page_of(path: Path, number: int) -> bytes:
    return path.read_bytes()[(number - 1) * 512 : number * 512]


def root(path: Path, name: str = "cameras") -> int:
    with opened(path) as connection:
        (page,) = connection.execute("SELECT rootpage FROM sqlite_master WHERE name = ?", (name,)).fetchone()
        return int(page)


def leaf(path: Path) -> int:
    """Return the right-most leaf of the table."""
    page = root(path)
    while page_of(path, page)[0] == 5:
        page = int.from_bytes(page_of(path, page)[8:12], "big")
    return page


def cell(path: Path, page: int, index: int = 0) -> int:
    """Return where a cell of a leaf begins."""
    pointer = page_of(path, page)[8 + 2 * index :]
    return int.from_bytes(pointer[:2], "big")


def last_child(path: Path, page: int) -> None:
    write(path, root(path), 8, page.to_bytes(4, "big"))


def swap_cells(path: Path) -> None:
    page = leaf(path)
    first, second = (cell(path, page, index).to_bytes(2, "big") for index in (0, 1))
    write(path, page, 8, second + first)


def overflow(path: Path, ends: bool) -> None:
    """End a chain of overflow pages too early, or lead it to a page that does not exist."""
    with opened(path) as connection:
        connection.execute("UPDATE cameras SET name = printf('%.3000c', 'x') WHERE id = 'c0000'")
    # The first overflow page begins with the number of the next one; its content is all 'x'.
    (page,) = [n for n in range(1, len(path.read_bytes()) // 512) if page_of(path, n)[4:] == b"x" * 508][:1]
    write(path, page, 0, bytes(4) if ends else b"\0\xff\xff\xff")


BROKEN: dict[str, tuple[Callable[[Path], object], str]] = {
    "a page of no kind": (lambda path: write(path, leaf(path), 0, b"\xff"), "btreeInitPage"),
    "a page number beyond the end": (lambda path: last_child(path, 99_999), "invalid page number 99999"),
    "a page used twice": (lambda path: last_child(path, root(path, "segments")), ""),
    "the table's own root as its child": (lambda path: last_child(path, root(path)), "2nd reference to page"),
    "a leaf at the wrong depth": (lambda path: last_child(path, leaf(path)), "Child page depth differs"),
    "rows out of order": (swap_cells, "Rowid .* out of order"),
    "a cell beyond the page": (lambda path: write(path, leaf(path), 8, b"\x01\xff"), "Extends off end|out of range"),
    "a cell in the header": (lambda path: write(path, leaf(path), 8, b"\0\1"), "out of range"),
    "two cells on one place": (
        lambda path: write(path, leaf(path), 8, cell(path, leaf(path), 1).to_bytes(2, "big")),
        "Multiple uses for byte|out of order",
    ),
    "lost bytes": (lambda path: write(path, leaf(path), 7, b"\x09"), "Fragmentation of"),
    "a bad list of free bytes": (lambda path: write(path, leaf(path), 1, b"\x01\xfe"), ""),
    "a chain that ends early": (lambda path: overflow(path, ends=True), "overflow list length|invalid page number 0"),
    "a chain that leads nowhere": (lambda path: overflow(path, ends=False), "invalid page number"),
    "an index page of no kind": (
        lambda path: write(path, root(path, "sqlite_autoindex_cameras_1"), 0, b"\xff"),
        "btreeInitPage",
    ),
    "a row that the index lacks": (
        lambda path: without_index(path, "plain", "INSERT INTO cameras (id, name) VALUES ('new', 'x')"),
        "wrong # of entries in index plain|row 501 missing from index plain",
    ),
    "a row that the index has too many": (
        lambda path: without_index(path, "plain", "DELETE FROM cameras WHERE id = 'c0007'"),
        "wrong # of entries in index plain",
    ),
    "a row that differs from the index": (
        lambda path: without_index(path, "plain", "UPDATE cameras SET name = 'x' WHERE id = 'c0007'"),
        "row 8 missing from index plain",
    ),
    "a unique index with an entry twice": (
        lambda path: redeclare(path, "CREATE INDEX plain", "CREATE UNIQUE INDEX plain"),
        "non-unique entry in index plain",
    ),
    "an empty table's page": (lambda path: write(path, leaf(path), 0, page_of(path, root(path, "segments"))), ""),
    "the page of an index": (lambda path: write(path, leaf(path), 0, page_of(path, root(path, "plain"))), ""),
}


@pytest.mark.parametrize("kind", BROKEN)
def test_a_damaged_file_is_refused(tmp_path: Path, kind: str) -> None:
    """The file is really damaged, and SQLite says so in the words that the test knows."""
    damage, words = BROKEN[kind]
    path = filled(tmp_path / "heldar.db", "CREATE INDEX plain ON cameras (name)")
    assert_readable(path)
    damage(path)
    assert re.search(words, sqlite_list(path))
    assert_damaged(path)


def test_a_damaged_pointer_map_is_refused(tmp_path: Path) -> None:
    """A database with auto_vacuum notes where each page is referenced; a wrong note is damage."""
    path = tmp_path / "heldar.db"
    Database(path).execute("PRAGMA page_size=512; PRAGMA auto_vacuum=FULL; CREATE TABLE first (x)")
    filled(path, count=100)
    assert_readable(path, 100)
    write(path, 2, 5 * (leaf(path) - 3), b"\x01")
    assert "Bad ptr map entry" in sqlite_list(path)
    assert_damaged(path)


def test_a_table_without_rowid_is_read_and_checked(tmp_path: Path) -> None:
    """A table that is an index itself has an order, and a message of its own for it."""
    path = tmp_path / "heldar.db"
    with opened(path) as connection:
        connection.executescript(SCHEMA.replace("00:00:00Z'\n)", "00:00:00Z'\n) WITHOUT ROWID", 1))
        connection.execute("INSERT INTO cameras (id, name) VALUES ('B', 'x'), ('a', 'x')")
    assert [row["id"] for row in read_cameras(path)] == ["B", "a"]
    redeclare(path, "id TEXT PRIMARY KEY", "id TEXT COLLATE NOCASE PRIMARY KEY")
    assert sqlite_list(path) == "row not in PRIMARY KEY order for cameras"
    assert_damaged(path, "row not in PRIMARY KEY order")
