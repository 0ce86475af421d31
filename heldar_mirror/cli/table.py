"""Tables that fit a terminal. They are aligned here, since rich takes half a second for a thousand rows."""

from collections.abc import Collection, Iterator, Sequence

from click import style

GUTTER = "  "


def aligned(
    head: Sequence[str], sides: str, rows: Sequence[Sequence[str]], width: int, ill: Collection[str] = ()
) -> Iterator[str]:
    """Return a table whose columns lean to the `sides` given, `<` or `>`. The names in the first one are folded where
    `width` is too small for it, and red if they are `ill`."""
    widths = [max(map(len, column)) for column in zip(head, *rows, strict=True)]
    rest = sum(widths[1:]) + len(GUTTER) * (len(head) - 1)
    first = max(min(widths[0], width - rest), len(head[0]))
    template = GUTTER.join(f"{{:{side}{size}}}" for side, size in zip(sides[1:], widths[1:], strict=True))
    yield style(f"{head[0]:{first}}{GUTTER}{template.format(*head[1:]).rstrip()}", bold=True)
    for name, *cells in rows:
        pieces = [f"{name[at : at + first]:{first}}" for at in range(0, max(len(name), 1), first)]
        if name in ill:
            pieces = [style(piece, "red") for piece in pieces]
        yield f"{pieces[0]}{GUTTER}{template.format(*cells).rstrip()}"
        yield from pieces[1:]
