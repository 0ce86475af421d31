"""Writing what was hashed into the manifests, and sealing days, as long as the volume has room for that."""

import errno
import os
import time
from collections import defaultdict
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial

from heldar_mirror.errors import SettingsError
from heldar_mirror.manifests.form import DIRECTORY
from heldar_mirror.manifests.settings import ManifestSettings
from heldar_mirror.manifests.store import Sign, Store, opened_store
from heldar_mirror.recorder.volume import MIN_FREE_BYTES
from heldar_mirror.volume.room import room_of

# If manifests can't be written it is tried again after so many seconds.
RETRY_SECONDS = 60.0

# With these errors there is no use in trying it for another camera.
OF_THE_VOLUME = {errno.ENOSPC, errno.EDQUOT, errno.EROFS}

Digests = list[tuple[int, bytes]]


def manifests_of(camera_id: str) -> str:
    """Return the subject of problems with a camera's manifests."""
    return f"manifests of {camera_id}"


@dataclass
class Writer:
    """Writes manifests. `problems` gets what is wrong, by its subject. `wall` returns Unix seconds."""

    settings: ManifestSettings
    problems: dict[str, str]
    monotonic: Callable[[], float] = time.monotonic
    wall: Callable[[], float] = time.time
    _hashed: "defaultdict[str, Digests]" = field(default_factory=lambda: defaultdict(list), init=False)
    _blocked_until: float = field(default=0.0, init=False)
    _sign: Sign | None = field(default=None, init=False)

    def is_blocked(self) -> bool:
        """Return whether nothing could be written just now, so that there is no use in hashing."""
        return self.monotonic() < self._blocked_until

    def add(self, camera_id: str, begun: int, digest: bytes) -> None:
        """Take a segment and its SHA-256, to be written by the next `flush`."""
        self._hashed[camera_id].append((begun, digest))

    def flush(self, root: int) -> list[str]:
        """List what was added. Return the cameras of which not all could be listed."""
        now = self.wall()
        hashed, self._hashed = self._hashed, defaultdict(list)
        return self._write(root, {each: partial(Store.append, sums=sums, now=now) for each, sums in hashed.items()})

    def seal(self, root: int, camera_id: str, oldest: float | None) -> None:
        """Seal the days of a camera that are over, and remove the manifests whose time is over.

        `oldest` is when the camera's oldest segment began (Unix seconds), or None if it has no directory any more.
        """
        now = self.wall()
        before = min(now if oldest is None else oldest, now) - self.settings.manifests_retention_seconds

        def seal(store: Store, camera_id: str) -> None:
            store.seal(camera_id, now, self._signer())
            store.expire(camera_id, before, now, is_gone=oldest is None)

        self._write(root, {camera_id: seal})

    def _write(self, root: int, writes: Mapping[str, Callable[[Store, str], object]]) -> list[str]:
        """Write the manifests of some cameras. Return the cameras with which that failed, which is a problem."""
        left = list(writes)
        if not left:
            return left
        try:
            room = room_of(root)
            if room.total and room.free < MIN_FREE_BYTES:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            with opened_store(root, self.settings.umask) as store:
                for camera_id, write in writes.items():
                    about = manifests_of(camera_id)
                    try:
                        write(store, camera_id)
                    except OSError as error:
                        if error.errno in OF_THE_VOLUME:
                            raise
                        self.problems[about] = f"cannot write the manifests of {camera_id}: {self._shown(error)}"
                    else:
                        self.problems.pop(about, None)
                        left.remove(camera_id)
            self.problems.pop("writing", None)
        except OSError as error:
            self._blocked_until = self.monotonic() + RETRY_SECONDS
            self.problems["writing"] = (
                f"cannot write manifests: {self._shown(error)}. Recording goes on, and what is not listed now will be "
                "listed later"
            )
        return left

    def _shown(self, error: OSError) -> str:
        """Return what is wrong, with the path."""
        return f"{self.settings.mirror_root / (error.filename or DIRECTORY)}: {error.strerror}"

    def _signer(self) -> Sign | None:
        """Return what signs, or None without a key. A key that can't be used is a problem; days are sealed all the
        same."""
        if self.settings.manifests_key and not self._sign:
            from heldar_mirror.manifests.signature import load_private_key  # noqa: PLC0415 - it takes some megabytes

            try:
                self._sign = load_private_key(self.settings.manifests_key).sign
                self.problems.pop("key", None)
            except SettingsError as error:
                self.problems["key"] = f"manifests are not signed: {error}"
        return self._sign
