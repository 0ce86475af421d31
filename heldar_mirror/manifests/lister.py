"""Listing each segment in a manifest once it is closed: what is done next, and how much of it at a time.

Whatever may fail is tried again. A segment that no manifest lists is found by the next look at its camera, so nothing
needs to be remembered that is not on the volume.
"""

import time
from collections.abc import Callable

from heldar_mirror.errors import MirrorError, VolumeError
from heldar_mirror.footage.names import segment_name
from heldar_mirror.manifests.hashing import Hasher, OpenError
from heldar_mirror.manifests.lookout import Lookout
from heldar_mirror.manifests.settings import ManifestSettings
from heldar_mirror.manifests.writer import RETRY_SECONDS, Writer
from heldar_mirror.state.volumes import remembered_volume
from heldar_mirror.volume.listing import opened_root

# A turn takes about so long. The volume is proven for each turn, and can be unmounted in between.
TURN_SECONDS = 0.5
# After a turn there is so much rest that no more than this share of a core is used,
CORE_SHARE = 0.45
# and that no more than this share of the time is taken by what was recorded earlier, which is read from the disk.
DISK_SHARE = 0.25
# But the rest is no longer than this, since segments that are closed meanwhile wait for its end.
MAX_REST_SECONDS = 30.0

# At most this many problems are published; the others are only counted.
MAX_PROBLEMS = 20

BEHIND = (
    "segments are closed faster than they are hashed, for which half a core is used at most. Those that are pruned "
    "before they are hashed are in no manifest"
)


class Lister:
    """Lists the closed segments of a mirror root, and has days sealed. `publish` is called with all problems, at first
    and whenever they change. `monotonic` and `cpu` measure seconds."""

    def __init__(
        self,
        settings: ManifestSettings,
        publish: Callable[[list[str]], None],
        monotonic: Callable[[], float] = time.monotonic,
        cpu: Callable[[], float] = time.process_time,
    ) -> None:
        self._settings, self._publish = settings, publish
        self._monotonic, self._cpu = monotonic, cpu
        self._published: list[str] | None = None
        self._problems: dict[str, str] = {}
        self.lookout = Lookout(settings.mirror_root, self._problems, monotonic)
        self._begin()

    def _begin(self) -> None:
        self._problems.clear()
        self._writer = Writer(self._settings, self._problems, self._monotonic)
        self._hasher = Hasher(self._monotonic)
        # The camera of the last look, if that has taken up all, and when its oldest segment began.
        self._to_seal: tuple[str, int] | None = None

    def turn(self) -> float | None:
        """Work for a turn. Return how long to rest, or None if nothing is to be done until a tick or an event."""
        rest, mirror_root = None, self._settings.mirror_root
        try:
            volume = remembered_volume(self._settings)
            if volume is not None:
                with opened_root(mirror_root, volume) as root:
                    if self.lookout.notice(root, volume):
                        self._begin()
                    self._hasher.drop_pages(root)
                    rest = self._work(root)
            self._problems.pop("volume", None)
        except VolumeError:
            self._problems.pop("volume", None)  # the watcher checks the volume itself, and reports it
        except (MirrorError, OSError) as error:
            self._problems["volume"] = f"cannot look for segments in {mirror_root}: {error}"
        self._publish_problems()
        return rest

    def _publish_problems(self) -> None:
        self._problems.pop("behind", None)
        if self.lookout.backlog.is_full() and not self._writer.is_blocked():
            self._problems["behind"] = BEHIND
        shown = list(self._problems.values())[:MAX_PROBLEMS]
        if left := len(self._problems) - len(shown):
            shown.append(f"… and {left} more of this kind")
        if shown != self._published:
            self._publish(shown)
            self._published = shown

    def _work(self, root: int) -> float | None:
        """Do one step after the other until the turn is over. Return how long to rest, or None if all is done."""
        begun, cpu, disk = self._monotonic(), self._cpu(), 0.0
        more = not self._writer.is_blocked()
        while more and (at := self._monotonic()) - begun < TURN_SECONDS:
            if not self._heed_closed(root):
                more = self._catch_up(root)
                disk += self._monotonic() - at
        self._flush(root)
        if not more:
            return None
        core_rest = (self._cpu() - cpu) / CORE_SHARE - (self._monotonic() - begun)
        return min(max(core_rest, disk / DISK_SHARE - disk, 0.0), MAX_REST_SECONDS)

    def _heed_closed(self, root: int) -> bool:
        """Meet a camera, or hash a segment that was closed just now. Return whether there was one."""
        if self.lookout.new:
            self.lookout.meet(root, self.lookout.new.popleft())
        elif segment := self.lookout.backlog.next_closed():
            if self.lookout.backlog.is_beyond(*segment) or self._is_unlisted(root, *segment):
                self._hash(root, *segment)
        else:
            return False
        return True

    def _catch_up(self, root: int) -> bool:
        """Hash a segment that was not listed when it was closed, look at a camera, or have its days sealed.

        Return whether there was something to do.
        """
        backlog = self.lookout.backlog
        if segment := backlog.next_missing():
            self._hash(root, *segment)
        elif self._to_seal:
            self._flush(root)
            if self._to_seal:
                self._writer.seal(root, *self._to_seal)
            self._to_seal = None
        elif due := backlog.due(self._monotonic()):
            self._flush(root)
            begun = self.lookout.look(root, due)
            self._to_seal = None if begun is None else (due, begun)
        elif self.lookout.gone:
            self._writer.seal(root, self.lookout.gone.popleft(), None)
        else:
            return False
        return True

    def _is_unlisted(self, root: int, camera_id: str, begun: int) -> bool:
        """Return whether no manifest lists a segment, such as one of a clock that was set back."""
        self._flush(root)
        return self.lookout.is_unlisted(root, camera_id, begun)

    def _hash(self, root: int, camera_id: str, begun: int) -> None:
        backlog = self.lookout.backlog
        try:
            digest = self._hasher.hash(
                root,
                camera_id,
                begun,
                has_later=backlog.has_later(camera_id, begun),
                asks_writers=self.lookout.asks_writers,
            )
        except OpenError:
            backlog.note_open(camera_id, begun)
        except OSError as error:
            path = self._settings.mirror_root / camera_id / segment_name(begun)
            self._problems[camera_id] = f"cannot hash {path}: {error.strerror}"
        else:
            if digest is not None:
                backlog.note_hashed(camera_id, begun)
                self._writer.add(camera_id, begun, digest)

    def _flush(self, root: int) -> list[str]:
        """List what was hashed. Return the cameras of which not all could be listed."""
        failed = self._writer.flush(root)
        for camera_id in failed:
            self.lookout.backlog.look_at(camera_id, self._monotonic() + RETRY_SECONDS)
        if self._to_seal and self._to_seal[0] in failed:
            self._to_seal = None
        return failed
