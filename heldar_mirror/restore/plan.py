"""What a restore is going to do: which files it writes, of what, and what it leaves out.

All times are Unix seconds of the primary's clock, that is by the names of its files, unless something else is said.
"""

from typing import NamedTuple

from heldar_mirror.sides.recorded import Identity


class Piece(NamedTuple):
    """What is taken from one segment of the mirror.

    `begun` is the second in its name, by the mirror's clock. `chosen` has the first fragment, and the one behind the
    last, or is None for the whole file, byte for byte. `at` is when the segment's own time 0 was, by the primary's
    clock. `identity` is what the segment's file was when this was planned, or None if it need not be the same.
    """

    begun: int
    chosen: tuple[int, int] | None
    at: float
    identity: Identity | None = None


class NewFile(NamedTuple):
    """A file that is to be written into the primary's directory.

    `name` is the second in its name. Its packets are of the time from `begin` to `end`, and take some `size` bytes.
    With `has_row`, a row of Heldar's index names it already, and its file is lost.
    """

    camera_id: str
    name: int
    pieces: tuple[Piece, ...]
    begin: float
    end: float
    size: int
    has_row: bool = False


class LeftOut(NamedTuple):
    """Footage that only the mirror has and that is not restored, and the reason: a text that follows 'because'."""

    camera_id: str
    begin: float
    end: float
    reason: str
