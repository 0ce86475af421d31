"""Reading the manifests in a mirror root.

All is reached from the descriptor of the mirror root. No link is followed, and a file that is larger than a manifest
can be is not read.
"""

import os
from array import array
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import NamedTuple

from heldar_mirror.errors import GoneError, UnreadableError
from heldar_mirror.footage.names import CAMERA_ID
from heldar_mirror.manifests.form import (
    DIRECTORY,
    SIGNATURE_SUFFIX,
    DamagedError,
    Heading,
    SealedName,
    Sums,
    day_of,
    open_name,
    parse_heading,
    parse_open_name,
    parse_sealed,
    parse_sealed_name,
    parse_sums,
)
from heldar_mirror.recorder.files import open_plain, read_all


@dataclass(frozen=True)
class Found:
    """The manifests of a camera: those that are sealed, as they follow on each other, and the days of the open ones."""

    sealed: tuple[SealedName, ...]
    open_days: tuple[str, ...]


class File(NamedTuple):
    """A manifest as it was read: its content and its signature, None if it has none.

    With an `error` it can't be read, and if it `is_gone` it was removed between the listing and the reading.
    """

    name: str
    content: bytes = b""
    signature: bytes | None = None
    error: str = ""
    is_gone: bool = False


@contextmanager
def opened(directory: int, name: str) -> Iterator[int]:
    """Open a directory in another one and yield its descriptor. Raises OSError, also for a link."""
    fd = os.open(name, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW, dir_fd=directory)
    try:
        yield fd
    finally:
        os.close(fd)


@contextmanager
def opened_camera(root: int, camera_id: str) -> Iterator[int]:
    """Open the directory with a camera's manifests and yield its descriptor. Raises OSError.

    `root` is a descriptor of the mirror root. It raises FileNotFoundError if the camera has no manifest.
    """
    with opened(root, DIRECTORY) as directory, opened(directory, camera_id) as fd:
        yield fd


def camera_ids(root: int) -> list[str]:
    """Return the cameras that have manifests. Raises OSError."""
    try:
        with opened(root, DIRECTORY) as directory:
            return sorted(filter(CAMERA_ID.fullmatch, os.listdir(directory)))
    except FileNotFoundError:
        return []


def find(camera: int) -> Found:
    """Return which manifests there are in a camera's directory of manifests. Raises OSError."""
    names = os.listdir(camera)
    sealed = sorted(name for each in names if (name := parse_sealed_name(each)))
    return Found(tuple(sealed), tuple(sorted(day for each in names if (day := parse_open_name(each)))))


def content_of(camera: int, name: str) -> bytes:
    """Return the content of a file in a camera's directory of manifests. Raises OSError."""
    fd = open_plain(name, within=camera)
    try:
        return read_all(fd, name)
    finally:
        os.close(fd)


def contents(camera: int, first_day: str = "") -> Iterator[tuple[str, bytes]]:
    """Yield the name and the content of each manifest of a camera that is of `first_day` or later, or open.

    If a manifest is sealed meanwhile, its lines may come twice. Raises OSError.
    """
    seen = set[str]()
    while True:
        found = find(camera)
        names = [str(name) for name in found.sealed if name.day >= first_day]
        names = [name for name in [*names, *map(open_name, found.open_days)] if name not in seen]
        if not names:
            return
        for name in names:
            seen.add(name)
            try:
                yield name, content_of(camera, name)
            except FileNotFoundError:
                continue  # it has expired, or it was sealed, and the next listing has its new name


def parse(camera_id: str, name: str, content: bytes, first_day: str = "") -> tuple[Heading | None, Sums]:
    """Return what a manifest of a camera says: its heading if it is sealed, and its sums.

    Of a sealed one of a day before `first_day` only the heading is read. Raises DamagedError for one that is not as it
    was sealed, or that is a different one than its name says.
    """
    if parse_open_name(name):
        return None, parse_sums(camera_id, content)[0]
    heading, sums = parse_heading(content), Sums()
    if (heading.camera_id, str(heading.name)) != (camera_id, name):
        raise DamagedError(f"it is {heading.name} of camera {heading.camera_id} by its first line")
    if heading.name.day >= first_day:
        heading, sums = parse_sealed(content)
    return heading, sums


def listed(root: int, camera_id: str, since: int) -> "array[int]":
    """Return when each segment began that is listed in a manifest of the day of `since` or later, in order.

    Both are in Unix seconds. What a damaged manifest lists does not count. Raises OSError.
    """
    begun = array("q")
    try:
        with opened_camera(root, camera_id) as camera:
            for name, content in contents(camera, day_of(since)):
                with suppress(DamagedError):
                    begun += parse(camera_id, name, content)[1].begun
    except FileNotFoundError:
        pass  # nothing was listed yet
    return array("q", sorted(set(begun)))


def read_all_of(entries: Callable[[], Iterable[str]], content: Callable[[str], bytes]) -> Iterator[File]:
    """Yield a camera's manifests: the sealed ones as they follow on each other, then the open ones.

    `entries` returns the names in the camera's directory of manifests, and `content` what is in the file of a name.
    They raise GoneError if it is not there, and UnreadableError if it can't be read. This raises the latter only if it
    is the directory, and passes on any other error. What is listed when this begins is in one of the manifests, even if
    one is sealed meanwhile.
    """
    try:
        # The open ones first: one that is sealed meanwhile is then among the sealed ones.
        open_ones = [_file(content, name) for name in entries() if parse_open_name(name)]
        sealed = sorted(name for each in entries() if (name := parse_sealed_name(each)))
    except GoneError:
        return  # nothing was listed yet
    yield from (_file(content, str(name)) for name in sealed)
    yield from open_ones


def _file(read: Callable[[str], bytes], name: str) -> File:
    try:
        content, signature = read(name), None
        with suppress(GoneError):
            signature = read(name + SIGNATURE_SUFFIX)
    except GoneError:
        return File(name, is_gone=True)
    except UnreadableError as error:
        return File(name, error=str(error))
    return File(name, content, signature)
