"""Tables that fit a terminal."""

import pytest
from click import style, unstyle
from hypothesis import given
from hypothesis import strategies as st

from heldar_mirror.cli.table import aligned

HEAD = ("name", "left", "right")


def test_columns_are_aligned() -> None:
    """Each to its side, with two blanks between them, and no blanks at the end of a line."""
    rows = [("gate", "a", "1"), ("b", "longer than its head", "12345678")]
    assert [unstyle(line) for line in aligned(HEAD, "<<>", rows, 80)] == [
        "name  left                     right",
        "gate  a                            1",
        "b     longer than its head  12345678",
    ]
    assert [unstyle(line) for line in aligned(HEAD, "<<<", [("a", "b", "")], 80)][1:] == ["a     b"]


def test_no_rows_leave_the_head() -> None:
    """A table of nothing is its head."""
    assert list(aligned(HEAD, "<<>", [], 80)) == [style("name  left  right", bold=True)]


def test_names_that_are_ill_are_red_on_all_their_lines() -> None:
    """A folded name is red on each line, and nothing else is."""
    lines = list(aligned(HEAD, "<<>", [("abcdef", "x", "1"), ("b", "y", "2")], 0, {"abcdef"}))
    assert lines[1:] == [f"{style('abcd', 'red')}  x         1", style("ef", "red"), "b     y         2"]


@pytest.mark.parametrize(
    ("width", "pieces"),
    [
        (80, ["abcdefghij"]),
        (23, ["abcdefghij"]),
        (22, ["abcdefghi", "j"]),
        (18, ["abcde", "fghij"]),
        (0, ["abcd", "efgh", "ij"]),
    ],
)
def test_names_are_folded(width: int, pieces: list[str]) -> None:
    """Names give way to the other columns, but are never narrower than their head."""
    _, *lines = aligned(HEAD, "<<>", [("abcdefghij", "x", "1")], width)
    assert [line.partition(" ")[0] for line in lines] == pieces


@given(st.lists(st.text("abc", max_size=30)), st.integers(0, 60))
def test_no_character_of_a_name_is_lost(names: list[str], width: int) -> None:
    """However narrow the terminal is, the pieces make up the names, one row after the other."""
    _, *lines = (unstyle(line) for line in aligned(HEAD, "<<>", [(name, "|", "1") for name in names], width))
    assert "".join(line.partition("|")[0] for line in lines).replace(" ", "") == "".join(names)
    assert sum("|" in line for line in lines) == len(names)
