"""What a recorder prints for its program's log, and the tail of ffmpeg's stderr that it keeps for that."""

import posix
import time

TAIL_BYTES = 8192


def say(level: str, text: str) -> None:
    """Print one line that begins with the time. Characters that can't be printed are shown as `?`."""
    stamp = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
    line = "".join(c if c.isprintable() else "?" for c in text)
    try:
        posix.write(1, f"{stamp} {level} {line}\n".encode(errors="replace"))
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
        """Return the lines as they are: they may hold secrets."""
        # The first line may begin in the middle of a password, which could not be recognized then.
        whole = self._bytes.partition(b"\n")[2] if self._is_cut else self._bytes
        return whole.decode(errors="replace").splitlines()
