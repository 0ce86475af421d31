"""Removing segments and directories, or, for a dry run, only pretending to."""

from collections.abc import Callable, Mapping
from contextlib import nullcontext
from dataclasses import dataclass, field, replace
from typing import Protocol

from heldar_mirror.volume import trial
from heldar_mirror.volume.listing import camera_directory, is_ours_alone
from heldar_mirror.volume.removal import remove_camera_directory, remove_segments
from heldar_mirror.volume.room import Room, room_of, settle


@dataclass(frozen=True)
class Removal:
    """The result of removing segments: those that were removed, and those that could not be (`stuck`), by reason.

    Each is given by when it began. A segment in neither was not there any more.
    """

    removed: set[int] = field(default_factory=set)
    stuck: dict[str, list[int]] = field(default_factory=dict)


class Remover(Protocol):
    """Removes footage below the descriptor `root` of the mirror root, and measures the volume's room."""

    def start(self, root: int, /) -> Room:
        """Begin a run. Return the volume's room."""

    def room(self, root: int, /) -> Room:
        """Return the volume's room, including the room of all that was removed."""

    def settle(self, root: int, /) -> None:
        """Have the file system give back the room of all that was removed."""

    def refusal(self, root: int, camera_id: str, size: int, /) -> str:
        """Return why so many bytes find no room in a camera's directory, or no text. An empty id means the mirror root.

        Raises OSError if they can't be written for any other reason.
        """

    def remove_segments(self, root: int, camera_id: str, sizes: Mapping[int, int], /) -> Removal:
        """Remove segments of a camera. `sizes` gives their bytes by when they began (Unix seconds)."""

    def remove_directory(self, root: int, camera_id: str, /) -> bool:
        """Remove a camera directory that holds no segments. Return whether it was removed. Raises OSError."""


class DeletingRemover:
    """Removes what it is asked to remove."""

    def __init__(self, room_of: Callable[[int], Room] = room_of, settle: Callable[[int], None] = settle) -> None:
        self._room_of = room_of
        self._settle = settle
        self._free = 0
        self._removed_bytes = 0

    def start(self, root: int) -> Room:
        room = self._room_of(root)
        self._free, self._removed_bytes = room.free, 0
        return room

    def room(self, root: int) -> Room:
        room = self._room_of(root)
        # XFS and btrfs free the room some time after a removal, or when they are made to.
        if self._removed_bytes and room.free - self._free < self._removed_bytes / 2:
            self._settle(root)
            room = self._room_of(root)
        self._free, self._removed_bytes = room.free, 0
        return room

    def settle(self, root: int) -> None:
        self._settle(root)

    def refusal(self, root: int, camera_id: str, size: int) -> str:
        with camera_directory(root, camera_id) if camera_id else nullcontext(root) as directory:
            return trial.refusal(directory, size)

    def remove_segments(self, root: int, camera_id: str, sizes: Mapping[int, int]) -> Removal:
        removal = Removal(*remove_segments(root, camera_id, sizes))
        self._removed_bytes += sum(sizes[begun] for begun in removal.removed)
        return removal

    def remove_directory(self, root: int, camera_id: str) -> bool:
        return remove_camera_directory(root, camera_id)


class PretendingRemover:
    """Removes nothing, and adds to the room what a removal would free."""

    def __init__(self, room_of: Callable[[int], Room] = room_of) -> None:
        self._room_of = room_of
        self._bytes = 0
        self._segments = 0

    def start(self, root: int) -> Room:
        return self.room(root)

    def room(self, root: int) -> Room:
        room = self._room_of(root)
        return replace(room, free=room.free + self._bytes, free_inodes=room.free_inodes + self._segments)

    def settle(self, _root: int) -> None:
        pass

    def refusal(self, _root: int, _camera_id: str, _size: int) -> str:
        return ""  # a trial writes

    def remove_segments(self, _root: int, _camera_id: str, sizes: Mapping[int, int]) -> Removal:
        self._bytes += sum(sizes.values())
        self._segments += len(sizes)
        return Removal(set(sizes))

    def remove_directory(self, root: int, camera_id: str) -> bool:
        return is_ours_alone(root, camera_id)
