"""Proving the mirror beside the primary: by sizes and times of packets, or by their hashes as well."""

import math
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cached_property

from heldar_mirror.errors import DatabaseError, UnreadableError
from heldar_mirror.footage.names import segment_name
from heldar_mirror.heldar.cameras import CameraError
from heldar_mirror.heldar.recordings import read_ends
from heldar_mirror.heldar.retention import Policy, parse_policy
from heldar_mirror.heldar.tables import read_policies
from heldar_mirror.settings import Settings
from heldar_mirror.sides.recorded import Files
from heldar_mirror.sides.side import Side
from heldar_mirror.units import shown_span
from heldar_mirror.verify.clocks import clock_difference
from heldar_mirror.verify.files import Contents
from heldar_mirror.verify.findings import Finding, Kept
from heldar_mirror.verify.looker import Names, PacketLooker
from heldar_mirror.verify.memory import Stocked
from heldar_mirror.verify.stock import Doubt, comparable, doubts

# The clocks of so many cameras are compared in a run: mostly they are the same for all.
MOST_CAMERAS = 5

# A segment that is too old may lie there for so long, until the pruner or Heldar's next sweep gets to it.
PRUNING_SECONDS = 1800


class Beside:
    """What is known of the primary, `names`: when segments begin, and since when both sides keep them.

    `make_mirror` makes a side of the mirror. `problems` gets what can't be read of Heldar's database.
    """

    def __init__(
        self, settings: Settings, make_mirror: Callable[[], Side], problems: list[str], *, hashed: bool
    ) -> None:
        self._settings = settings
        self._make_mirror = make_mirror
        self._problems = problems
        self._hashed = hashed
        self.primary = self._make_primary()
        self.names: dict[str, Names] = {}
        self.flaws: dict[str, list[str]] = {}
        self.found: dict[str, list[Finding]] = {}

    def __enter__(self) -> "Beside":
        return self

    def __exit__(self, *_: object) -> None:
        self.primary.close()

    def take_stock(self, camera_id: str, mirror: Files) -> tuple[Iterator[Stocked], list[Doubt]]:
        """Return which segments of a camera may be looked at, and which of them must be again.

        Raises HungError, and UnreadableError if the primary has nothing of a camera that it should have.
        """
        primary = self.primary.files(camera_id)
        if primary.missing and camera_id in self._policies:
            path = self._settings.recordings_dir / camera_id
            raise UnreadableError(f"the primary's directory {path} is not there: is its volume mounted?")
        self.names[camera_id] = Names(primary.begun, mirror.begun, self._kept(camera_id, primary, mirror))
        return comparable(mirror, primary, time.time()), list(doubts(mirror.begun, primary))

    def looker(self) -> PacketLooker:
        """Return what looks at segments."""
        return PacketLooker(self._make_primary(), self._make_mirror(), self.names, hashed=self._hashed)

    def hint(self, unmatched: Sequence[tuple[str, int]]) -> str | None:
        """Return why nothing was found of some segments of the mirror, by cameras, if their clocks are the reason.

        Raises VolumeError.
        """
        with self._make_mirror() as mirror:
            for camera_id, begun in unmatched[:MOST_CAMERAS]:
                names = self.names[camera_id]
                primary = Contents(camera_id, "primary", self.primary, names.primary)
                ours = Contents(camera_id, "mirror", mirror, names.mirror)
                ahead = clock_difference(primary, ours, begun)
                if ahead is not None:
                    path = mirror.root / camera_id / segment_name(begun)
                    differs = f"{shown_span(round(abs(ahead)))} {'ahead of' if ahead > 0 else 'behind'}"
                    return (
                        f"the primary's clock was {differs} the mirror's when {path} was recorded, so nothing of it "
                        "was found at its time. Set both clocks, for example by NTP"
                    )
        return None

    def _make_primary(self) -> Side:
        return Side("primary", self._settings.recordings_dir, idle=True)

    @cached_property
    def _policies(self) -> Mapping[str, Policy]:
        """How long footage stays of each camera in Heldar's table. None of one that was deleted from it is kept."""
        found = {}
        for row in read_policies(self._settings.database):
            try:
                found[str(row["id"])] = parse_policy(row)
            except CameraError:
                found[str(row["id"])] = Policy()  # a row that can't be understood deletes nothing
        return found

    def _kept(self, camera_id: str, primary: Files, mirror: Files) -> Kept:
        """Return since when both sides keep footage. Locked segments may be older, and stand alone."""
        kept = Kept(*(files.begun[0] if files.begun else math.inf for files in (primary, mirror)))
        try:
            oldest = read_ends(self._settings.database, camera_id).oldest or 0.0
            if oldest and not primary.begun:
                path = self._settings.recordings_dir / camera_id
                raise UnreadableError(
                    f"the primary's {path} has no segment, though Heldar's index has some: see heldar-mirror coverage"
                )
            keep_seconds = self._policies.get(camera_id, Policy()).keep_seconds
        except DatabaseError as error:
            self._problems.append(str(error))
            return kept
        # The pruner deletes what is too old within minutes.
        pruned = 0.0 if keep_seconds is None else time.time() - keep_seconds + PRUNING_SECONDS
        return Kept(max(kept.primary, oldest), max(kept.mirror, pruned))
