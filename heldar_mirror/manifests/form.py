"""The form of a manifest: what its lines and its name look like.

An open manifest has lines of sums alone, as `sha256sum` writes them, with paths relative to the mirror root. A sealed
one begins with lines of comment, which `sha256sum -c` skips: which manifest it is, and the hash of the one before.
"""

import hashlib
import re
import time
from array import array
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import datetime, timezone
from functools import lru_cache
from typing import NamedTuple

from heldar_mirror.footage.names import segment_begun, segment_name

# The directory in the mirror root that holds a directory with manifests for each camera. No camera has such an id.
DIRECTORY = ".manifests"

SIGNATURE_SUFFIX = ".sig"

DAY_SECONDS = 86400
DIGEST_BYTES = 32

_SEALED_NAME = re.compile(r"([0-9]{6,9})_([0-9]{4}-[0-9]{2}-[0-9]{2})\.SHA256SUMS")
_OPEN_NAME = re.compile(r"([0-9]{4}-[0-9]{2}-[0-9]{2})\.open")
_HEADING = re.compile(
    rb"# manifest ([0-9]{1,9}) of camera ([\w-]{1,100}), day ([0-9-]{10}), ([0-9]{1,9}) segments, "
    rb"sealed ([0-9TZ:-]{20})\n"
    rb"# previous: (?:none|([0-9a-f]{64})  ([\w.-]{1,40}))\n"
)
_STAMP = "%Y-%m-%dT%H:%M:%SZ"


class DamagedError(ValueError):
    """A text that is no manifest as we write them. It says where and why."""


@dataclass
class Sums:
    """The SHA-256 of segments of one camera, in the order in which they are listed.

    `begun` says which segments: when each began, by its name (Unix seconds). A segment takes 40 bytes.
    """

    begun: "array[int]" = field(default_factory=lambda: array("q"))
    digests: bytearray = field(default_factory=bytearray)

    def add(self, begun: int, digest: bytes) -> None:
        """Add a segment and its SHA-256 (32 bytes)."""
        self.begun.append(begun)
        self.digests += digest

    def digest(self, index: int) -> bytes:
        """Return the SHA-256 at an index."""
        index = range(len(self))[index]
        return bytes(self.digests[index * DIGEST_BYTES : (index + 1) * DIGEST_BYTES])

    def replace_last(self, digest: bytes) -> None:
        """Replace the SHA-256 that was added last."""
        self.digests[-DIGEST_BYTES:] = digest

    def __len__(self) -> int:
        return len(self.begun)

    def __iter__(self) -> Iterator[tuple[int, bytes]]:
        for index, begun in enumerate(self.begun):
            yield begun, self.digest(index)


class SealedName(NamedTuple):
    """The name of a sealed manifest: `000042_2026-11-29.SHA256SUMS`. They sort as they follow on each other."""

    number: int
    day: str

    def __str__(self) -> str:
        return f"{self.number:06}_{self.day}.SHA256SUMS"


class Link(NamedTuple):
    """What a manifest says of the one before it: its name and its SHA-256."""

    name: str
    digest: bytes


@dataclass(frozen=True)
class Heading:
    """The first lines of a sealed manifest. `sealed` is when that was, by the clock of the machine (Unix seconds).

    `previous` is None in the first manifest of a camera.
    """

    camera_id: str
    name: SealedName
    sealed: int
    previous: Link | None


@lru_cache(1024)
def _day(number: int) -> str:
    return time.strftime("%Y-%m-%d", time.gmtime(number * DAY_SECONDS))


def day_of(seconds: float) -> str:
    """Return the day (UTC) of a Unix time."""
    return _day(int(seconds // DAY_SECONDS))


def day_begins(day: str) -> int:
    """Return the Unix time at which a day begins. Raises ValueError for a text that is no day."""
    return int(datetime.strptime(day, "%Y-%m-%d").replace(tzinfo=timezone.utc).timestamp())


def _is_day(day: str) -> bool:
    try:
        return day_begins(day) >= 0
    except ValueError:
        return False


def parse_sealed_name(name: str) -> SealedName | None:
    """Return what a file name of a sealed manifest says, or None for any other name."""
    match = _SEALED_NAME.fullmatch(name)
    return SealedName(int(match[1]), match[2]) if match and _is_day(match[2]) else None


def open_name(day: str) -> str:
    """Return the name of the open manifest of a day."""
    return f"{day}.open"


def parse_open_name(name: str) -> str | None:
    """Return the day of an open manifest by its file name, or None for any other name."""
    match = _OPEN_NAME.fullmatch(name)
    return match[1] if match and _is_day(match[1]) else None


def render_sums(camera_id: str, sums: Iterable[tuple[int, bytes]]) -> bytes:
    """Return the lines that list segments."""
    return "".join(f"{digest.hex()}  {camera_id}/{segment_name(begun)}\n" for begun, digest in sums).encode()


def parse_sums(camera_id: str, content: bytes) -> tuple[Sums, int]:
    """Return what the lines of an open manifest list, and how many of them are no such lines.

    A line that was torn by a crash is one of those, and so is a line without an end.
    """
    sums, pattern = Sums(), _line(camera_id)
    good = 0
    for line in pattern.finditer(content):
        begun = segment_begun(line[2].decode())
        if begun is not None:
            sums.add(begun, bytes.fromhex(line[1].decode()))
            good += 1
    lines = content.count(b"\n") + (not content.endswith(b"\n") and bool(content))
    return sums, lines - good


@lru_cache(16)
def _line(camera_id: str) -> "re.Pattern[bytes]":
    return re.compile(rb"^([0-9a-f]{64})  %b/([0-9_]{15}\.mp4)\n" % re.escape(camera_id.encode()), re.MULTILINE)


def render_sealed(heading: Heading, sums: Sums) -> bytes:
    """Return the content of a sealed manifest."""
    return _render_heading(heading, len(sums)) + render_sums(heading.camera_id, sums)


def _render_heading(heading: Heading, count: int) -> bytes:
    previous = f"{heading.previous.digest.hex()}  {heading.previous.name}" if heading.previous else "none"
    return (
        f"# manifest {heading.name.number} of camera {heading.camera_id}, day {heading.name.day}, "
        f"{count} segments, sealed {time.strftime(_STAMP, time.gmtime(heading.sealed))}\n"
        f"# previous: {previous}\n"
    ).encode()


def parse_sealed(content: bytes) -> tuple[Heading, Sums]:
    """Return what a sealed manifest says. Raises DamagedError if it is not as `render_sealed` writes it."""
    heading, count, end = _parse_heading(content)
    sums, bad = parse_sums(heading.camera_id, content[end:])
    if bad:
        raise DamagedError(f"{bad} of its lines are no sums of segments of camera {heading.camera_id}")
    if len(sums) != count:
        raise DamagedError(f"it lists {len(sums)} segments, and its first line says {count}")
    return heading, sums


def parse_heading(content: bytes) -> Heading:
    """Return what the first lines of a sealed manifest say. Raises DamagedError if they are not as they are written."""
    return _parse_heading(content)[0]


def _parse_heading(content: bytes) -> tuple[Heading, int, int]:
    """Return the heading, how many segments it tells of, and where the lines of the sums begin."""
    match = _HEADING.match(content)
    if not match:
        raise DamagedError("its first two lines are no heading of a manifest")
    number, camera_id, day, count, sealed, digest, before = (group.decode() for group in match.groups(default=b""))
    try:
        stamp = int(datetime.strptime(sealed, _STAMP).replace(tzinfo=timezone.utc).timestamp())
    except ValueError as error:
        raise DamagedError(f"its first line has an impossible date: {error}") from None
    previous = Link(before, bytes.fromhex(digest)) if digest else None
    heading = Heading(camera_id, SealedName(int(number), day), stamp, previous)
    if _render_heading(heading, int(count)) != match[0]:
        raise DamagedError("its first two lines are not as they are written")
    return heading, int(count), match.end()


def sha256(content: bytes) -> bytes:
    """Return the SHA-256 of a manifest, by which the next one names it."""
    return hashlib.sha256(content).digest()
