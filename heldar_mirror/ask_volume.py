"""Asks about a path in a process of its own, since whoever asks a hung volume may never come back.

Started by path, as `python -I -S ask_volume.py real PATH`, which prints the path with links resolved, or as
`… prove ROOT VOLUME`, or `… room ROOT VOLUME`, which look whether it could be recorded there, and print the same. Where
the answer is no, it prints why, and its exit status is 1.
"""

import os
import sys

# Last, so that nothing of this package can stand for a standard module.
sys.path.append(__file__.rpartition("/")[0])


def main(task: str, path: str, volume: str = "") -> str:
    real = os.path.realpath(path)
    if os.path.islink(real):  # noqa: PTH114
        raise OSError(f"{real} is a link to itself")
    if task != "real":
        check(path, volume, room=task == "room")
    return real


def check(root: str, volume: str, *, room: bool) -> None:
    recorder = __import__("recorder")
    try:
        marker = recorder.prove_volume(root, volume)
        if room:
            recorder.check_room(root, marker)
    except recorder.RefusedError as error:
        raise OSError(str(error)) from None
    except OSError as error:
        raise OSError(f"cannot use mirror root {root}: {error}") from None


if __name__ == "__main__":
    try:
        sys.stdout.buffer.write(os.fsencode(main(*sys.argv[1:])))
    except OSError as error:
        sys.stdout.buffer.write(os.fsencode(str(error)))
        sys.exit(1)
