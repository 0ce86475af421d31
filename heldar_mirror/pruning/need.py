"""Why room is made: for the floor, or for another reason, which `writes.py` has."""

import math
from abc import ABC, abstractmethod

from heldar_mirror.pruning.gauge import Gauge, Lack
from heldar_mirror.units import shown_size
from heldar_mirror.volume.room import Room

# Deleting is futile if it frees less than this share of the deleted bytes. It ends after this many times in a row.
FUTILE_SHARE = 0.1
FUTILE_TIMES = 2

FUTILE = (
    "there is less room than the floor, and deleting gave none: does a snapshot, a hard link or another writer take "
    "it? Nothing more is deleted for that until the next sweep"
)


class Need(ABC):
    """A need for room. It remembers how many bytes were deleted for it, and whether that was futile.

    `rule` names it in the outcome of a prune. At most `limit` bytes are deleted for it until `allow_again` is called.
    """

    rule: str
    limit: float = math.inf

    def __init__(self) -> None:
        self.removed = 0
        self._futile_times = 0

    def allow_again(self) -> None:
        """Allow deleting again if it was futile before."""
        self.removed = self._futile_times = 0

    def judge(self, removed: int, given: float) -> bool:
        """Take note of how many removed bytes gave how many. Return whether that was futile."""
        self._futile_times = self._futile_times + 1 if given < removed * FUTILE_SHARE else 0
        return bool(self._futile_times)

    @property
    def is_futile(self) -> bool:
        """Return whether no more is deleted for this need before the next sweep, because deleting gave no room."""
        return self._futile_times >= FUTILE_TIMES or self.removed >= self.limit

    @abstractmethod
    def lack(self, root: int, room: Room, /) -> Lack:
        """Return what is lacking on the volume of the mirror root `root`, which has so much room."""

    def gives_room(self, _camera_id: str, /) -> bool:
        """Return whether this need may be met by deleting a camera's footage, as far as the last look told."""
        return True

    @abstractmethod
    def futile(self) -> str:
        """Return the problem that deleting was futile."""

    @abstractmethod
    def nothing_more(self) -> str:
        """Return the problem that nothing more may be deleted."""


class Floor(Need):
    """The floor, and what may be written until the next look."""

    rule = "floor"

    def __init__(self, gauge: Gauge) -> None:
        super().__init__()
        self._gauge = gauge
        self._floor = 0

    def lack(self, _root: int, room: Room, /) -> Lack:
        self._floor = self._gauge.floor(room)
        return self._gauge.lack(room)

    def futile(self) -> str:
        return FUTILE

    def nothing_more(self) -> str:
        return (
            f"less than the floor of {shown_size(self._floor)} is free, and nothing more may be deleted: "
            "what is left is locked in Heldar, being recorded, or can't be deleted. Make room there"
        )
