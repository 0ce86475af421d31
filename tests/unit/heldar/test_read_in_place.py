"""What the reader of a database in place hands over: rows and errors, and no code."""

import sqlite3

import pytest
from hypothesis import given
from hypothesis import strategies as st

from heldar_mirror.heldar.queries import QUERIES
from heldar_mirror.heldar.read_in_place import ERRORS, decode, encode

# Bytes that are not UTF-8 become surrogates, as in a connection of ours.
texts = st.binary(max_size=20).map(lambda data: data.decode(errors="surrogateescape"))
integers = st.integers(-(2**63), 2**63 - 1)
values = st.one_of(st.none(), integers, st.floats(allow_nan=False), texts, st.binary(max_size=20))


@given(st.lists(st.dictionaries(st.sampled_from(["id", "address", "rows", "error"]), values)))
def test_rows_come_through_as_they_are(rows: list[dict[str, object]]) -> None:
    """Whatever SQLite can hold, in one line."""
    line = encode(rows)
    found = decode(line)
    assert repr(found) == repr(rows)
    assert b"\n" not in line


@pytest.mark.parametrize("error", ERRORS.values(), ids=ERRORS.keys())
def test_an_error_comes_through_as_it_is(error: type[sqlite3.Error]) -> None:
    with pytest.raises(error, match=r"^text \udcff$") as caught:
        decode(encode([], error("text \udcff")))
    assert type(caught.value) is error


def test_every_error_of_sqlite_is_known() -> None:
    kinds = [kind for kind in vars(sqlite3).values() if isinstance(kind, type) and issubclass(kind, sqlite3.Error)]
    assert set(ERRORS.values()) == set(kinds)


def test_a_query_is_found_by_its_name() -> None:
    assert all(QUERIES[query.__name__] is query for query in QUERIES.values())
