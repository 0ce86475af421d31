"""Writing bytes to a file or a pipe, all of them: Linux may take a part and say so."""

import os


def write_all(fd: int, *pieces: bytes | bytearray | memoryview) -> None:
    """Write the pieces, one after the other. Raises OSError."""
    for piece in pieces:
        left = memoryview(piece)
        while left:
            left = left[os.write(fd, left) :]
