"""The footage on the volume. Listing is expensive, so it is done seldom, and the list is remembered in between.

It is no error if a remembered segment is not there any more.
"""

import math
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path

from heldar_mirror.errors import MirrorError
from heldar_mirror.footage.footage import Footage
from heldar_mirror.footage.names import segment_name
from heldar_mirror.proc.open_segments import OpenSegments
from heldar_mirror.proc.recorders import Ours
from heldar_mirror.pruning.outcome import Progress, Pruned, Tally, no_progress
from heldar_mirror.pruning.remover import Remover
from heldar_mirror.volume.listing import (
    camera_directories,
    has_recorder,
    is_recorders_directory,
    is_stub,
    list_footage,
    measure,
)

# Between two sweeps, listing takes at most this share of the time. The share is larger if something was removed since
# the last listing, since the floor must be kept even if a busy machine lists slowly.
LISTING_SHARE = 0.02
USEFUL_LISTING_SHARE = 0.25

# Returns what makes a process a recorder of ours, or None if there certainly is no supervisord. Raises MirrorError if
# that can't be found out.
FindOurs = Callable[[], Ours | None]


def open_segments(find_ours: FindOurs) -> dict[str, int]:
    """Return when each camera's open segment began (Unix seconds). Raises MirrorError if some can't be seen."""
    segments = OpenSegments()
    try:
        found = segments.look(find_ours())
    except MirrorError as error:
        raise MirrorError(f"nothing is pruned, since what is recorded now can't be found out: {error}") from None
    if segments.refused:
        raise MirrorError(
            f"nothing is pruned: the open files of {segments.refused} recorders can't be seen. "
            "Run this as root, or as their user"
        )
    return {camera_id: int(segment.begun) for camera_id, segment in found.items()}


class Inventory:
    """The footage in the mirror root as it was listed last, without what was removed since.

    `footage` holds the segments by camera. `kept` holds by camera the segments that must stay, given by when they
    began, because they are open or can't be removed. `directories` are all directories that are named like a camera.
    With `list_once` only a sweep lists the volume. `has_recorder` returns whether a recorder uses a camera directory.
    """

    def __init__(
        self,
        mirror_root: Path,
        remover: Remover,
        find_open: Callable[[], Mapping[str, int]],
        monotonic: Callable[[], float],
        *,
        list_once: bool = False,
    ) -> None:
        self._mirror_root = mirror_root
        self._remover = remover
        self._find_open = find_open
        self._monotonic = monotonic
        self._list_once = list_once
        self._open: Mapping[str, int] = {}
        self._stuck: dict[tuple[str, str], list[int]] = {}
        self._listed_at = -math.inf
        self._listing_seconds = 0.0
        self._removed_since = True
        self.has_recorder: Callable[[int, str], bool] = has_recorder
        self.directories: frozenset[str] = frozenset()
        self.footage: dict[str, Footage] = {}
        self.kept: defaultdict[str, set[int]] = defaultdict(set)

    def list_all(self, root: int, camera_ids: Collection[str], pruned: Pruned, between: Progress = no_progress) -> None:
        """List the footage of these cameras, and of each directory that a recorder has used, by its lock file.

        `between` is called after each directory that is listed. A directory that can't be listed is a problem. Raises
        MirrorError if not all open segments can be seen, and OSError if the mirror root can't be listed.
        """
        begun, found = self._monotonic(), {}
        names = camera_directories(root)
        self.directories = frozenset(names)
        for number, name in enumerate(names):
            if name not in camera_ids and not is_recorders_directory(root, name):
                continue
            try:
                found[name] = list_footage(root, name, self.footage.get(name, Footage()))
            except FileNotFoundError:
                continue
            except OSError as error:
                pruned.add_problem(f"cannot look into {self._mirror_root / name}: {error.strerror}")
            between("listing", number + 1, len(names))
        # This must come last: no segment is opened twice, so a listed one that is not open by now is closed for good.
        self._open = open_now = self._find_open()
        self.footage, self._stuck = found, {}
        self.kept = defaultdict(set, {camera_id: {begun} for camera_id, begun in open_now.items()})
        self._listed_at, self._removed_since = self._monotonic(), False
        self._listing_seconds = self._listed_at - begun

    def may_list_again(self) -> bool:
        """Whether the last listing was long enough ago, given how long it took and whether it was of use."""
        share = USEFUL_LISTING_SHARE if self._removed_since else LISTING_SHARE
        return not self._list_once and (self._monotonic() - self._listed_at) * share > self._listing_seconds

    def is_closed(self, root: int, camera_id: str, index: int) -> bool:
        """Return whether a segment is certainly closed, though it may be the newest, or a different checkout's.

        It is if its camera has a different one open, or no recorder.
        """
        begun = self.footage[camera_id].begun[index]
        if camera_id in self._open:
            return begun != self._open[camera_id]
        with suppress(OSError):
            return not self.has_recorder(root, camera_id)
        return False

    def forget(self, camera_id: str) -> None:
        """Forget a camera until the next listing."""
        self.footage.pop(camera_id, None)

    def measure(self, root: int, camera_id: str, indexes: Iterable[int] | None = None) -> None:
        """Measure a camera's segments, or those at some indexes. Raises OSError."""
        footage = self.footage[camera_id]
        measure(root, camera_id, footage, range(len(footage.begun)) if indexes is None else indexes)

    def measure_or_forget(self, root: int, camera_id: str, indexes: Iterable[int], pruned: Pruned) -> None:
        """Measure segments of a camera. If its directory can't be read, forget the camera and add a problem."""
        try:
            self.measure(root, camera_id, indexes)
        except FileNotFoundError:
            self.forget(camera_id)
        except OSError as error:
            self.forget(camera_id)
            pruned.add_problem(f"cannot look into {self._mirror_root / camera_id}: {error.strerror}")

    def remove(self, root: int, camera_id: str, chosen: Sequence[tuple[int, str]], pruned: Pruned) -> int:
        """Remove segments of one camera, given by index and rule. Return the bytes of those that were removed.

        They are forgotten, whether or not they were still there. Those that can't be removed are added to `kept`.
        Raises OSError if it can't be checked whether a stub is still one.
        """
        footage, kept = self.footage[camera_id], self.kept[camera_id]
        for index, rule in chosen:
            # The stub may have been open when it was measured, and ffmpeg may have written a recording to it since.
            if rule == "stub" and not is_stub(root, camera_id, footage.begun[index]):
                kept.add(footage.begun[index])
        chosen = [(index, rule) for index, rule in chosen if footage.begun[index] not in kept]
        sizes = {footage.begun[index]: footage.sizes[index] for index, _ in chosen}
        removal = self._remover.remove_segments(root, camera_id, sizes)
        for reason, stuck in removal.stuck.items():
            kept.update(stuck)
            self._stuck.setdefault((camera_id, reason), []).extend(stuck)
        by_rule: dict[str, list[int]] = {}
        for index, rule in chosen:
            if footage.begun[index] in removal.removed:
                by_rule.setdefault(rule, []).append(footage.begun[index])
        for rule, times in by_rule.items():
            tally = Tally(len(times), sum(map(sizes.__getitem__, times)), times[0], times[-1])
            pruned.add(camera_id, rule, tally)
            self._removed_since = True
        footage.drop([index for index, _ in chosen if footage.begun[index] not in kept])
        return sum(map(sizes.__getitem__, removal.removed))

    def remove_directory(self, root: int, camera_id: str, pruned: Pruned) -> None:
        """Remove a camera directory that holds nothing but the recorders' lock file. Raises OSError."""
        if not self.footage[camera_id].begun and self._remover.remove_directory(root, camera_id):
            pruned.directories.append(camera_id)
            self.forget(camera_id)

    def stuck(self) -> list[str]:
        """Return a line on each camera and reason for what could not be removed since the last listing."""
        return [
            f"cannot delete {len(times)} segments, such as "
            f"{self._mirror_root / camera_id / segment_name(times[0])}: {reason}"
            for (camera_id, reason), times in self._stuck.items()
        ]
