"""A mirror root with made-up segments, and its manifests."""

import hashlib
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from heldar_mirror.errors import GoneError, UnreadableError
from heldar_mirror.footage.names import segment_name
from heldar_mirror.manifests.form import DIRECTORY
from heldar_mirror.manifests.reading import File, read_all_of
from heldar_mirror.manifests.store import Store, opened_store
from heldar_mirror.sides.answers import Answers
from heldar_mirror.sides.indexes import Indexes

DAY = 86400
# Noon of a day.
NOON = 1_795_953_600
UMASK = 0o027


class Root:
    """A mirror root. `fd` is its descriptor."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY)

    @contextmanager
    def store(self) -> Iterator[Store]:
        """The manifests, for writing."""
        with opened_store(self.fd, UMASK) as store:
            yield store

    def manifests(self, camera_id: str = "gate") -> Path:
        """The directory with a camera's manifests."""
        return self.path / DIRECTORY / camera_id

    def names(self, camera_id: str = "gate") -> list[str]:
        """The names of a camera's manifests, in order."""
        return sorted(path.name for path in self.manifests(camera_id).iterdir())

    def read(self, camera_id: str = "gate") -> Iterator[File]:
        """The manifests of a camera, as `read_all_of` yields them."""
        answers, path = Answers(self.fd, lambda: None, Indexes()), [DIRECTORY, camera_id]

        def entries() -> list[str]:
            with errors_of_a_side():
                names: list[str] = answers.entries(path)[0]["names"]
                return names

        def content(name: str) -> bytes:
            with errors_of_a_side():
                return bytes(answers.content([*path, name])[1][0])

        return read_all_of(entries, content)

    def put(self, *begun: int, camera_id: str = "gate", content: bytes = b"") -> list[tuple[int, bytes]]:
        """Put segments of a camera there. Return when each began, and its SHA-256."""
        sums = []
        for each in begun:
            path = self.path / camera_id / segment_name(each)
            path.parent.mkdir(exist_ok=True)
            path.write_bytes(content or f"{camera_id} {each}".encode())
            sums.append((each, hashlib.sha256(path.read_bytes()).digest()))
        return sums


@contextmanager
def errors_of_a_side() -> Iterator[None]:
    """Raise Linux's errors as a `Side` does."""
    try:
        yield
    except FileNotFoundError as error:
        raise GoneError(error.strerror) from error
    except OSError as error:
        raise UnreadableError(error.strerror) from error


@contextmanager
def made_root(path: Path) -> Iterator[Root]:
    """Open a directory as a mirror root."""
    root = Root(path)
    try:
        yield root
    finally:
        os.close(root.fd)
