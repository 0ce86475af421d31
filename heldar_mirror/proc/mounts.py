"""Find what is mounted where, from /proc/self/mountinfo. No path is touched, and none has to exist."""

import re
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Place:
    """Where a path lies: the device (such as `8:1`), the path on it, and the type of its file system."""

    device: str
    inside: Path
    kind: str


def place_of(path: Path) -> Place:
    """Return where a path lies. The caller has resolved its links."""
    return find_place(path, Path("/proc/self/mountinfo").read_text(errors="surrogateescape"))


def find_place(path: Path, mountinfo: str) -> Place:
    """Return where a path lies, by the text of a mountinfo file."""
    place, longest = Place("", path, ""), -1
    for line in mountinfo.splitlines():
        before, _, after = line.partition(" - ")
        device, inside, point = (re.sub(r"\\(\d{3})", _unescaped, text) for text in before.split()[2:5])
        if path.is_relative_to(point) and len(point) >= longest:  # of two mounts on one point, the later is on top
            place, longest = Place(device, Path(inside) / path.relative_to(point), after.split()[0]), len(point)
    return place


def _unescaped(octal: re.Match[str]) -> str:
    return chr(int(octal[1], 8))
