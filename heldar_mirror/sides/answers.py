"""What the child process of a side answers, from the descriptor of its root."""

import hashlib
import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

from heldar_mirror.footage.names import CAMERA_ID, segment_name
from heldar_mirror.packets.head import read_head
from heldar_mirror.packets.layout import UnknownLayoutError, read_layout
from heldar_mirror.recorder.files import open_plain, read_all
from heldar_mirror.sides.end_reader import EndReader, opened_segment, shown
from heldar_mirror.sides.ends import JOIN_SECONDS
from heldar_mirror.sides.fragments import encode, fragments_of
from heldar_mirror.sides.hashing import drop, hash_file, hash_tracks
from heldar_mirror.sides.indexes import Indexes
from heldar_mirror.sides.limits import TooCostlyError, limited_cpu
from heldar_mirror.sides.names import list_files, list_segments, span_of
from heldar_mirror.volume.listing import camera_directories, camera_directory

Blocks = list[bytes | bytearray]
Answer = tuple[dict[str, Any], Blocks]


class Answers:
    """Answers questions about what lies below an open root. `progress` is called again and again meanwhile, and
    `indexes` remembers what was read.

    Each method raises OSError, with what a person needs to know, and FileNotFoundError for a segment that is not there.
    """

    def __init__(self, root: int, progress: Callable[[], None], indexes: Indexes) -> None:
        self._root = root
        self._progress = progress
        self._indexes = indexes

    def cameras(self) -> Answer:
        """Return the names of all camera directories."""
        return {"cameras": camera_directories(self._root)}, []

    def free(self) -> Answer:
        """Return the free space of the root's volume."""
        found = os.fstatvfs(self._root)
        return {"free": found.f_bavail * found.f_frsize}, []

    def names(self, camera_id: str, since: float, until: float) -> Answer:
        """Return the names of a camera's segments in a time."""
        try:
            with self._directory(camera_id) as directory:
                begun = list_segments(directory, self._progress)
        except FileNotFoundError:
            return {"missing": True}, [b""]
        chosen = span_of(begun, since, until)
        return {"missing": False}, [begun[chosen.start : chosen.stop].tobytes()]

    def files(self, camera_id: str) -> Answer:
        """Return all segments of a camera with their sizes and the times of their last writes."""
        try:
            with self._directory(camera_id) as directory:
                columns = list_files(directory, list_segments(directory, self._progress), self._progress)
        except FileNotFoundError:
            return {"missing": True}, [b"", b"", b""]
        return {"missing": False}, [column.tobytes() for column in columns]

    def entries(self, steps: list[str]) -> Answer:
        """Return the names in a directory, which is given by the steps to it from the root."""
        with self._opened(steps) as directory:
            return {"names": sorted(os.listdir(directory))}, []

    def content(self, steps: list[str]) -> Answer:
        """Return the content of a small file, such as a manifest."""
        with self._opened(steps[:-1]) as directory:
            fd = open_plain(steps[-1], within=directory)
            try:
                return {}, [read_all(fd, steps[-1])]
            finally:
                os.close(fd)

    @contextmanager
    def _opened(self, steps: list[str]) -> Iterator[int]:
        """Open a directory step by step. No link is followed."""
        with ExitStack() as opened:
            fd = self._root
            for step in steps:
                fd = os.open(step, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW, dir_fd=fd)
                opened.callback(os.close, fd)
            yield fd

    def recorded(
        self, camera_id: str, since: float, until: float, segment_seconds: float, join_seconds: float = JOIN_SECONDS
    ) -> Answer:
        """Return a camera's segments in a time, with their ends and what is wrong with them."""
        try:
            with self._directory(camera_id) as directory:
                begun = list_segments(directory, self._progress)
                reader = EndReader(directory, begun, segment_seconds, join_seconds)
                kept, ends = reader.ends(span_of(begun, since, until), self._progress)
        except FileNotFoundError:
            return {"missing": True, "damaged": {}, "unread": {}}, [b"", b""]
        fields = {"missing": False, "damaged": reader.damaged, "unread": reader.unread}
        return fields, [kept.tobytes(), ends.tobytes()]

    def packets(self, camera_id: str, begun: int, *, hashes: bool) -> Answer:
        """Return the packets of a segment, with their digests if `hashes`: five blocks for each track."""
        with self._segment(camera_id, begun, scattered=not hashes) as fd:
            fields: dict[str, Any] = {"identity": identity(fd), "tracks": [], "damage": None, "cut": False}
            try:
                tracks, damage = self._indexes.read(fd)
            except (TooCostlyError, MemoryError) as error:
                return fields | {"damage": str(error) or "it takes too much memory"}, []
            if sum(sum(track.sizes) for track in tracks) > fields["identity"][0]:
                return fields | {"damage": "its packets overlap"}, []  # to hash them could take for ever
            if damage:
                fields |= {"damage": shown(damage), "cut": damage.cut}
            digests = hash_tracks(fd, tracks, self._progress) if hashes else [b""] * len(tracks)
        fields["tracks"] = [[track.id, track.handler, track.timescale] for track in tracks]
        blocks: Blocks = []
        for track, made in zip(tracks, digests, strict=True):
            blocks += track.sizes.tobytes(), track.times.tobytes(), track.durations.tobytes(), track.keyframes, made
        return fields, blocks

    def layout(self, camera_id: str, begun: int) -> Answer:
        """Return the fragments of a segment by columns, and for each track one of how many packets each holds."""
        with self._segment(camera_id, begun, scattered=True) as fd:
            fields: dict[str, Any] = {"coding": "", "damage": None, "unknown": None}
            try:
                with limited_cpu():
                    layout = read_layout(fd)
                    codings = read_head(fd, layout).codings
            except (UnknownLayoutError, TooCostlyError, MemoryError) as error:
                return fields | {"unknown": str(error) or "it takes too much memory"}, encode([], 0)
        fields["coding"] = hashlib.sha256(repr(codings).encode()).hexdigest()
        fields["damage"] = shown(layout.damage) if layout.damage else None
        return fields, encode(fragments_of(layout), len(layout.tracks))

    def sha256(self, camera_id: str, begun: int) -> Answer:
        """Return the SHA-256 of a segment's file."""
        with self._segment(camera_id, begun) as fd:
            return {"identity": identity(fd)}, [hash_file(fd, self._progress)]

    def identity(self, camera_id: str, begun: int) -> Answer:
        """Return the identity of a segment's file."""
        with self._segment(camera_id, begun) as fd:
            return {"identity": identity(fd)}, []

    def drop(self, camera_id: str, begun: int) -> Answer:
        """Take a segment's file out of the page cache."""
        with self._segment(camera_id, begun) as fd:
            drop(fd)
        return {}, []

    @contextmanager
    def _directory(self, camera_id: str) -> Iterator[int]:
        if not CAMERA_ID.fullmatch(camera_id):
            raise OSError("no camera is called so")
        with ExitStack() as stack:
            try:
                directory = stack.enter_context(camera_directory(self._root, camera_id))
            except NotADirectoryError as error:
                raise OSError(error.errno, "it is no directory, or a link, which is not followed") from None
            yield directory

    @contextmanager
    def _segment(self, camera_id: str, begun: int, *, scattered: bool = False) -> Iterator[int]:
        name = segment_name(begun)
        with self._directory(camera_id) as directory, opened_segment(directory, name, scattered=scattered) as fd:
            yield fd


def identity(fd: int) -> list[int]:
    """Return the size, the time of the last write in ns, and the inode of an open file."""
    about = os.fstat(fd)
    return [about.st_size, about.st_mtime_ns, about.st_ino]
