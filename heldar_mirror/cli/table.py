"""Tables for a terminal. They are aligned by our own code, since rich takes half a second for a thousand rows."""

from collections.abc import Collection, Iterator, Sequence

from heldar_mirror.cli.lines import Styled, style
from heldar_mirror.recorder.log import printable

GUTTER = "  "


def aligned(
    head: Sequence[str], sides: str, rows: Sequence[Sequence[str]], width: int, ill: Collection[str] = ()
) -> Iterator[str]:
    """Yield the lines of a table. `sides` has a character for each column: `<` aligns it left, `>` right.

    The first column has the names. It is folded if the table would be wider than `width`, but is never narrower than
    its heading. The other columns are never folded. Names in `ill` are red.
    """
    printables = [[printable(cell) for cell in row] for row in rows]
    widths = [max(map(len, column)) for column in zip(head, *printables, strict=True)]
    rest = sum(widths[1:]) + len(GUTTER) * (len(head) - 1)
    first = max(min(widths[0], width - rest), len(head[0]))
    template = GUTTER.join(f"{{:{side}{size}}}" for side, size in zip(sides[1:], widths[1:], strict=True))
    yield style(f"{head[0]:{first}}{GUTTER}{template.format(*head[1:]).rstrip()}", bold=True)
    for (raw_name, *_), (name, *cells) in zip(rows, printables, strict=True):
        pieces: list[str] = folded(name, first)
        if raw_name in ill:
            pieces = [style(piece, "red") for piece in pieces]
        yield Styled(f"{pieces[0]}{GUTTER}{template.format(*cells).rstrip()}")
        yield from pieces[1:]


def folded(name: str, width: int) -> list[str]:
    """Return a name in pieces that are at most `width` wide. The first is filled up with blanks to that width."""
    text = printable(name)
    return [f"{text[:width]:{width}}", *(text[at : at + width] for at in range(width, len(text), width))]
