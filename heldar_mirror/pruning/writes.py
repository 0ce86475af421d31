"""Whether writes find room, whatever free space the volume shows. A quota or a full branch of a union refuses them."""

from collections.abc import Collection
from pathlib import Path

from heldar_mirror.pruning.gauge import Gauge, Lack, judged_bytes
from heldar_mirror.pruning.need import Need
from heldar_mirror.pruning.remover import Remover
from heldar_mirror.recorder.volume import TRIAL_BYTES
from heldar_mirror.volume.room import Room

# The place that is always tried: the mirror root. The others are cameras.
ROOT = ""

# At most so much headroom is tried in a camera's directory, since its quota may be its own.
CAMERA_HEADROOM = 64 << 20


class Writes(Need):
    """Tries whether writes find room: in the mirror root, and in the directories of cameras that had none before.

    Where they had none before, the headroom is tried as well, so that a recording does not have to fail first.
    `refused` are the places that have no room now, with Linux's reason. What deleting gives is judged by the room that
    the volume shows. Since that may rise in vain, at most as much as the floor is deleted between two sweeps.
    """

    rule = "refused"

    def __init__(self, mirror_root: Path, remover: Remover, gauge: Gauge) -> None:
        super().__init__()
        self._mirror_root = mirror_root
        self._remover = remover
        self._gauge = gauge
        self._limited: set[str] = set()
        self.refused: dict[str, str] = {}

    def try_cameras(self, root: int, camera_ids: Collection[str]) -> None:
        """Try the directories of these cameras once. Those that refuse are tried at every look from now on."""
        self._limited |= self._tried(root, dict.fromkeys(camera_ids, TRIAL_BYTES)).keys()

    def lack(self, root: int, room: Room, /) -> Lack:
        """Return what is lacking: a step's bytes, if a write is refused. It is below the floor if a small one is."""
        self.limit = self._gauge.floor(room)
        headroom = int(self._gauge.headroom(room))
        wanted = {name: TRIAL_BYTES + min(headroom, CAMERA_HEADROOM) for name in self._limited}
        wanted[ROOT] = TRIAL_BYTES + (headroom if ROOT in self._limited else 0)
        self.refused = self._tried(root, wanted)
        if not self.refused:
            self.allow_again()
            return Lack(0, 0, 0)
        self._limited |= self.refused.keys()
        step = judged_bytes(room)
        return Lack(step, step if self._tried(root, dict.fromkeys(self.refused, TRIAL_BYTES)) else 0, 0)

    def gives_room(self, camera_id: str, /) -> bool:
        """Whether a camera's footage may lie where a write was refused."""
        return ROOT in self.refused or camera_id in self.refused

    def futile(self) -> str:
        return (
            f"a write fails though the volume shows room, and deleting gave none: {self._shown()}. Is it a quota that "
            "is far below what is there, or a full branch? Nothing more is deleted for that until the next sweep"
        )

    def nothing_more(self) -> str:
        return (
            f"a write fails though the volume shows room, and nothing more may be deleted: {self._shown()}. What is "
            "left is locked in Heldar, being recorded, or can't be deleted. Raise the quota, or make room there"
        )

    def _shown(self) -> str:
        """Return where a write was refused, and why."""
        name, reason = min(self.refused.items())
        more = f" and {len(self.refused) - 1} more" if len(self.refused) > 1 else ""
        return f"{self._mirror_root / name}{more}: {reason}"

    def _tried(self, root: int, sizes: dict[str, int]) -> dict[str, str]:
        """Return the places that have no room for so many bytes, with the reason. If it is the root, only that."""
        refused = self._refused(root, sizes)
        if refused:  # XFS and btrfs give the room of what was removed only when they have noted that
            self._remover.settle(root)
            refused = self._refused(root, {name: sizes[name] for name in refused})
        return refused

    def _refused(self, root: int, sizes: dict[str, int]) -> dict[str, str]:
        found = {}
        for name in sorted(sizes):
            try:
                reason = self._remover.refusal(root, name, sizes[name])
            except FileNotFoundError:
                self._limited.discard(name)
                continue
            except OSError:
                continue  # it is not for want of room; recorders report it
            if reason:
                found[name] = reason
                if name == ROOT:
                    break
        return found
