"""The lines that commands print. What comes from outside can't move the cursor, change colours or begin a line."""

from contextlib import suppress
from typing import Any

import click

from heldar_mirror.recorder.log import printable


class Styled(str):
    """A line that may be printed as it is: our own colours are in it, and all else is printable."""

    __slots__ = ()


def style(text: str, color: str | None = None, **styles: Any) -> Styled:
    """Return a text with a colour, or in bold or dim. What is not printable in it is shown as `?`."""
    return Styled(click.style(printable(text), color, **styles))


def complain(line: str) -> None:
    """Print a line on standard error. If it can't be written there, nobody can be told, and the work goes on."""
    with suppress(OSError):
        click.echo(line, err=True)


def shown(line: str) -> str:
    """Return a line as it is printed."""
    return line if isinstance(line, Styled) else printable(line)
