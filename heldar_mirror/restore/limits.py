"""What of new files Heldar would not delete again, by its own rules. Pure; sizes are bytes.

Heldar adds up the sizes of the rows of its index. If they exceed a camera's quota, or the cap of all recordings, or if
the disk has less free space than the floor, it deletes the oldest recordings. So a file needs room below each of these
limits. If there is none, Heldar deletes it again, or older footage in its place. A file that a row names already takes
no more room in the index than before, or next to none if its size is not quite the same.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from heldar_mirror.heldar.primary import Limits
from heldar_mirror.heldar.recordings import Size
from heldar_mirror.restore.plan import LeftOut, NewFile, newness
from heldar_mirror.units import shown_size

NOTHING = Size(0, 0.0)
DELETED_AGAIN = "Heldar would delete it again, or older footage in its place"


@dataclass
class Room:
    """How many bytes are left below a limit, and why not more are."""

    left: float
    reason: str


@dataclass(frozen=True)
class Held:
    """What Heldar holds, and how much it may.

    `sizes` has what each camera has in the index, or is None if it could not be read. `quotas` has the cameras that
    have one, and `free` is the free space of the primary's disk, or None if that is not known.
    """

    limits: Limits
    free: int | None
    sizes: Mapping[str, Size] | None
    quotas: Mapping[str, int] = field(default_factory=dict)


def keep(files: Iterable[NewFile], held: Held, *, beyond_limits: bool) -> tuple[list[NewFile], list[LeftOut]]:
    """Return the files that there is room for, the newest first, and what is left out.

    The newest footage gets the room. A limit that leaves a file out leaves out what is older as well. With
    `beyond_limits`, only the space of the disk is a limit.
    """
    disk = [_disk(held)] if beyond_limits else [*_floor(held), _disk(held)]
    quotas = {} if beyond_limits else _quotas(held)
    cap = [] if beyond_limits else [_cap(held)]
    kept: list[NewFile] = []
    left_out: list[LeftOut] = []
    for new in sorted(files, key=newness, reverse=True):
        quota = [quotas[new.camera_id]] if new.camera_id in quotas else []
        rooms = disk if new.has_row else [*quota, *cap, *disk]
        full = next((room for room in rooms if new.size > room.left), None)
        if full:
            full.left = 0
            left_out.append(LeftOut(new.camera_id, new.begin, new.end, full.reason))
        else:
            for room in rooms:
                room.left -= new.size
            kept.append(new)
    return kept, left_out


def _quotas(held: Held) -> dict[str, Room]:
    """Return the room that each camera with a quota has. If it is not known, there is none below the cap either."""
    if held.sizes is None:
        return {}
    return {
        camera_id: Room(
            quota - held.sizes.get(camera_id, NOTHING).bytes,
            f"the camera's quota of {shown_size(quota)} is full: {DELETED_AGAIN}",
        )
        for camera_id, quota in held.quotas.items()
    }


def _cap(held: Held) -> Room:
    if held.sizes is None:
        return Room(0, "it is not known how much Heldar has: the rows of its index could not be read")
    cap = held.limits.max_bytes
    return Room(
        cap - sum(size.bytes for size in held.sizes.values()),
        f"the {shown_size(cap)} that all recordings may take are full: {DELETED_AGAIN}",
    )


def _floor(held: Held) -> list[Room]:
    floor = held.limits.min_free_bytes
    if held.free is None or not floor:
        return []
    return [
        Room(held.free - floor, f"Heldar keeps {shown_size(floor)} of the primary's disk free: {DELETED_AGAIN}"),
    ]


def _disk(held: Held) -> Room:
    if held.free is None:
        return Room(0, "the free space of the primary's disk is not known")
    return Room(held.free, "the primary's disk is full")
