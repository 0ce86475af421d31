"""What a recorder prints for its program's log, and the tail of ffmpeg's stderr that it keeps for that."""

import posix
import time

TAIL_BYTES = 8192


def printable(text: str) -> str:
    """Return one line of text in which whatever can't be printed is shown as `?`.

    That includes line breaks, escape sequences, and characters that turn the direction of writing. All that comes from
    outside, such as a name or another program's error, passes this before it is shown.
    """
    return text if text.isprintable() else "".join(c if c.isprintable() else "?" for c in text)


def say(level: str, text: str) -> None:
    """Print one line that begins with the time."""
    stamp = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
    try:
        posix.write(1, f"{stamp} {level} {printable(text)}\n".encode(errors="replace"))
    except OSError:
        pass  # supervisord has ended, so nobody would read this


class Tail:
    """The last whole lines of ffmpeg's stderr, at most TAIL_BYTES."""

    def __init__(self) -> None:
        self._bytes = b""
        self._is_cut = False

    def add(self, chunk: bytes) -> None:
        """Add what ffmpeg has written."""
        self._bytes += chunk
        if len(self._bytes) > TAIL_BYTES:
            self._bytes, self._is_cut = self._bytes[-TAIL_BYTES:], True

    def lines(self) -> "list[str]":
        """Return the lines as they are: they may hold secrets, and bytes that are not UTF-8 as lone surrogates."""
        # The first line may begin in the middle of a password, which could not be recognized then.
        whole = self._bytes.partition(b"\n")[2] if self._is_cut else self._bytes
        return whole.decode(errors="surrogateescape").splitlines()
