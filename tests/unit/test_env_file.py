"""Env files, as systemd reads them."""

import pytest

from heldar_mirror.env_file import parse_env_file


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("A=1\n  B = x y \t\r\nC=", {"A": "1", "B": "x y", "C": ""}),
        ("# A=1\n;B=1\n\nrubbish\n #C=1", {}),
        ("A=1\nA=2", {"A": "2"}),
        ("A=a=b#c;d e", {"A": "a=b#c;d e"}),
        ("A='x # \"y\" \\n'", {"A": 'x # "y" \\n'}),
        ("A=\" x 'y' \"", {"A": " x 'y' "}),
        (r'A="a\"b\\c\$d\`"', {"A": r'a"b\c$d`'}),
        (r'A="C:\x"', {"A": r"C:\x"}),
        (r"A=a\b", {"A": "ab"}),
        ("A='", {"A": "'"}),
        ("A=a\u2028B=b\x0bC=c\x85\nD=d\rE=e", {"A": "a\u2028B=b\x0bC=c", "D": "d", "E": "e"}),
    ],
)
def test_an_env_file_is_read_as_systemd_reads_it(text: str, expected: dict[str, str]) -> None:
    """Comments, quotes and escapes are understood. If a name stands twice, the last value counts."""
    assert parse_env_file(text) == expected
