"""Answer questions about paths in a separate process, since a call to a hung volume may never return.

It is started by path, as `python -I -S ask_volume.py`, with a message socket as standard input and output. It ends when
the other end of the socket is closed. A question is three texts with NUL between them:

    real    PATH    (empty)    the path with links resolved
    prove   ROOT    VOLUME     whether the mirror root is this volume
    room    ROOT    VOLUME     the same, and whether a recording could begin there

The answer is `+` and the path with links resolved, or `-` and the reason for a no.
"""

import os
import sys

# Appended at the end of sys.path, so that no module there can shadow a standard one.
sys.path.append(__file__.rpartition("/volume/")[0])

QUESTION_BYTES = 1 << 16


def answer(task: str, path: str, volume: str) -> str:
    """Return a path with links resolved. Raises OSError if the answer to the question is no."""
    real = os.path.realpath(path)
    if os.path.islink(real):  # noqa: PTH114
        raise OSError(f"{real} is a link to itself")
    if task != "real":
        check(path, volume, room=task == "room")
    return real


def check(root: str, volume: str, *, room: bool) -> None:
    """Raise OSError if the mirror root is not on this volume, or, with `room`, if no recording could begin there."""
    ours = __import__("recorder.volume", fromlist=["prove_volume"])
    try:
        marker = ours.prove_volume(root, volume)
        if room:
            ours.check_room(root, marker)
    except ours.RefusedError as error:
        raise OSError(str(error)) from None
    except OSError as error:
        raise OSError(f"cannot use mirror root {root}: {error}") from None


def main() -> None:
    """Answer questions until the other end of the socket is closed."""
    while question := os.read(0, QUESTION_BYTES):
        try:
            text = "+" + answer(*os.fsdecode(question).split("\0"))
        except OSError as error:
            text = f"-{error}"
        os.closerange(3, 16)  # an open marker would prevent an unmount or an adoption of the volume
        os.write(1, os.fsencode(text))


if __name__ == "__main__":
    try:
        main()
    except ConnectionError:  # the process that asked has ended
        sys.exit()
