"""Proving the files of the mirror by its own manifests. The primary is not asked."""

import time
from array import array
from bisect import bisect_left
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, suppress
from functools import cached_property, partial

from heldar_mirror.errors import DatabaseError, GoneError, UnreadableError
from heldar_mirror.footage.spans import Spans
from heldar_mirror.heldar.retention import parse_locks
from heldar_mirror.heldar.tables import read_locked
from heldar_mirror.manifests.check import Flaw, IsSigned, check_chain, is_empty, missing, unlisted
from heldar_mirror.manifests.form import DIRECTORY
from heldar_mirror.manifests.reading import File, read_all_of
from heldar_mirror.settings import Settings
from heldar_mirror.sides.recorded import Files
from heldar_mirror.sides.side import Side
from heldar_mirror.verify.findings import NOTHING, Finding, Judged, Kind, compared, encode, unreadable
from heldar_mirror.verify.memory import Look, Stocked
from heldar_mirror.verify.run import Looked
from heldar_mirror.verify.stock import Doubt, comparable
from heldar_mirror.volume.listing import STUB_BYTES

# A segment is listed within a minute of its end. A watcher that was down may be behind.
LISTED_SECONDS = 3600

NO_MANIFEST = (
    "none is there, though some segments are more than an hour old: were they removed, or does no watcher run? "
    "See heldar-mirror status"
)


class ByManifests(AbstractContextManager["ByManifests"]):
    """The manifests of all cameras. `flaws` has what is wrong with them, and `found` what they say of segments that
    are not listed, or gone, by camera."""

    def __init__(
        self, settings: Settings, make_mirror: Callable[[], Side], problems: list[str], is_signed: IsSigned | None
    ) -> None:
        self._settings = settings
        self._make_mirror = make_mirror
        self._problems = problems
        self._is_signed = is_signed
        self._mirror = make_mirror()
        self.flaws: dict[str, list[str]] = {}
        self.found: dict[str, list[Finding]] = {}

    def __exit__(self, *_: object) -> None:
        self._mirror.close()

    def take_stock(self, camera_id: str, mirror: Files) -> tuple[Iterator[Stocked], Iterable[Doubt]]:
        """Check a camera's manifests, and return which of its segments may be looked at. Raises MirrorError."""
        now = time.time()
        until, found = now - LISTED_SECONDS, self.found.setdefault(camera_id, [])
        chain = check_chain(camera_id, read_manifests(self._mirror, camera_id), 0, self._is_signed)
        self._problems += [f"{camera_id}: cannot read the manifest {text}" for text in chain.unreadable]
        self.flaws[camera_id] = [f"{each.about}: {each.flaw.value}: {each.text}" for each in chain.findings]
        if self._settings.manifests:
            # A stub is not listed, and may lie there for long if it is the newest.
            sized = zip(mirror.begun, mirror.sizes, strict=True)
            to_list = array("q", (begun for begun, size in sized if size > STUB_BYTES))
            if is_empty(chain) and bisect_left(to_list, until):
                self.flaws[camera_id].append(f"*.SHA256SUMS: {Flaw.LOST.value}: {NO_MANIFEST}")
            if not chain.unreadable:
                found += [Finding(Kind.UNLISTED, "mirror", begun) for begun in unlisted(chain, to_list, until)]
        if self._locks is not None:
            locks = self._locks.get(camera_id, Spans())
            found += [Finding(Kind.MISSING, "mirror", begun) for begun in missing(chain, mirror.begun, until, locks)]
        return comparable(mirror, None, now), []

    def looker(self) -> "FileLooker":
        """Return what looks at segments."""
        return FileLooker(self._make_mirror())

    def hint(self, _unmatched: Sequence[tuple[str, int]]) -> None:
        """Return nothing: files are compared with what a manifest says of them, whatever a clock says."""

    @cached_property
    def _locks(self) -> dict[str, Spans] | None:
        """The locked times by camera, or None if they can't be read."""
        try:
            locks, problems = parse_locks(read_locked(self._settings.database))
        except DatabaseError as error:
            self._problems.append(f"whether a segment is missing can't be found out: {error}")
            return None
        self._problems += problems
        return locks


class FileLooker(AbstractContextManager["FileLooker"]):
    """Looks at the files of segments, by the hashes that the manifests list."""

    def __init__(self, mirror: Side) -> None:
        self._mirror = mirror

    def __exit__(self, *_: object) -> None:
        self._mirror.close()

    def look(self, camera_id: str, segments: Sequence[Stocked]) -> Iterator[Looked]:
        """Yield what came of looking at segments of a day. Those that are gone are left out. Raises VolumeError."""
        chain = check_chain(camera_id, read_manifests(self._mirror, camera_id), segments[0].begun, None)
        for segment in segments:
            listed = chain.digest(segment.begun)
            with suppress(GoneError):
                found = NOTHING if listed is None else self._judged(camera_id, segment.begun, listed)
                look = Look(segment.begun, int(time.time()), found.outcome, encode(found.findings))
                yield Looked(look, segment.size, 0 if listed is None else segment.size, found.counts)

    def _judged(self, camera_id: str, begun: int, listed: bytes) -> Judged:
        try:
            digest, _ = self._mirror.sha256(camera_id, begun)
        except GoneError:
            raise
        except UnreadableError as error:
            return unreadable(begun, str(error))
        return compared([] if digest == listed else [Finding(Kind.CHANGED, "mirror", begun)])


def read_manifests(mirror: Side, camera_id: str) -> Iterator[File]:
    """Return a camera's manifests as `read_all_of` does. Raises UnreadableError and VolumeError."""
    return read_all_of(partial(mirror.entries, DIRECTORY, camera_id), partial(mirror.content, DIRECTORY, camera_id))
