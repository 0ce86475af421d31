"""What unit tests of pruning are made with: clocks that a test moves, and a volume without files."""

from array import array
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from heldar_mirror.footage.footage import Footage
from heldar_mirror.pruning.clock import Clocks
from heldar_mirror.pruning.remover import Removal
from heldar_mirror.volume.room import Room

HOUR = 3600
NOW = 1_800_000_000.0


class FakeTime:
    """Clocks that stand still until a test moves them. The wall clock may also step."""

    def __init__(self) -> None:
        self.wall = NOW
        self.monotonic = 1000.0
        self.boot = "one boot"
        self.clocks = Clocks(lambda: self.wall, lambda: self.monotonic, lambda: self.monotonic, lambda: self.boot)

    def advance(self, seconds: float) -> None:
        """Let time pass, on all clocks."""
        self.wall += seconds
        self.monotonic += seconds


@dataclass
class FakeVolume:
    """A remover that has no files: removing gives `gives` of the bytes, and one inode for each segment.

    `removed` are the segments that were removed, in that order. `stuck` can't be removed, and `gone` were removed by
    somebody else; both are given by when they began. `asked` is called before the room is looked at. `refuse`
    returns why a place has no room for so many bytes, or no text.
    """

    total: int
    free: int
    inodes: int = 0
    free_inodes: int = 0
    gives: float = 1.0
    stuck: set[int] = field(default_factory=set)
    gone: set[int] = field(default_factory=set)
    removed: list[tuple[str, int]] = field(default_factory=list)
    asked: Callable[[], None] = lambda: None
    refuse: Callable[[str, int], str] = lambda _place, _size: ""

    def start(self, root: int) -> Room:
        return self.room(root)

    def room(self, _root: int) -> Room:
        self.asked()
        return Room(self.total, self.free, self.inodes, self.free_inodes)

    def settle(self, _root: int) -> None:
        pass

    def refusal(self, _root: int, camera_id: str, size: int) -> str:
        return self.refuse(camera_id, size)

    def remove_segments(self, _root: int, camera_id: str, sizes: Mapping[int, int]) -> Removal:
        removed = sizes.keys() - self.stuck - self.gone
        self.removed += [(camera_id, begun) for begun in sizes if begun in removed]
        self.free += int(self.gives * sum(sizes[begun] for begun in removed))
        self.free_inodes += len(removed)
        stuck = sorted(sizes.keys() & self.stuck)
        return Removal(removed, {"Operation not permitted": stuck} if stuck else {})

    def remove_directory(self, _root: int, camera_id: str) -> bool:
        self.removed.append((camera_id, -1))
        return True


def footage_of(*segments: tuple[int, int]) -> Footage:
    """Return footage of segments, each given by when it began and its bytes."""
    return Footage(array("q", [begun for begun, _ in segments]), array("q", [size for _, size in segments]))
