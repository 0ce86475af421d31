"""How long each camera's footage stays, and which times are locked, as read from Heldar's database."""

from collections.abc import Callable, Mapping
from pathlib import Path

from heldar_mirror.errors import DatabaseError
from heldar_mirror.footage.spans import Spans
from heldar_mirror.heldar import tables
from heldar_mirror.heldar.cameras import CameraError, Row, shown_id
from heldar_mirror.heldar.retention import Policy, parse_locks, parse_policy
from heldar_mirror.pruning.outcome import Pruned

# Before anything is removed, the table is read again if it was read longer ago than this.
FRESH_SECONDS = 5.0

Read = Callable[[Path], list[Row]]


class Policies:
    """The cameras' policies and locks, as they were read last.

    `cameras` holds the policy of each camera in the table, `deleted` the policies of those that were deleted from it,
    and `locks` the locked times by camera. The pruner sets the last two from its memory.
    """

    def __init__(
        self,
        database: Path,
        monotonic: Callable[[], float],
        read_policies: Read = tables.read_policies,
        read_locked: Read = tables.read_locked,
    ) -> None:
        self._database = database
        self._monotonic = monotonic
        self._read_policies = read_policies
        self._read_locked = read_locked
        self._policies_at: float | None = None
        self._locks_at: float | None = None
        self.cameras: dict[str, Policy] = {}
        self.deleted: Mapping[str, Policy] = {}
        self.locks: Mapping[str, Spans] = {}

    def of(self, camera_id: str) -> Policy:
        """Return a camera's policy. An unknown camera has one that removes nothing."""
        return self.cameras.get(camera_id) or self.deleted.get(camera_id, Policy())

    def locks_of(self, camera_id: str) -> Spans:
        """Return a camera's locked times."""
        return self.locks.get(camera_id, Spans())

    def refresh(self, pruned: Pruned) -> bool:
        """Read policies and locks again, unless they are fresh. Return whether both are fresh now.

        If they can't be read, the previous ones stay and the error is added to `pruned`.
        """
        return self.refresh_policies(pruned) and self.refresh_locks(pruned)

    def refresh_policies(self, pruned: Pruned) -> bool:
        """Read the policies again, unless they are fresh. Return whether they are fresh now."""
        if self._is_fresh(self._policies_at):
            return True
        try:
            rows = self._read_policies(self._database)
        except DatabaseError as error:
            pruned.database_error = error
            return False
        self.cameras = {}
        for row in rows:
            name = shown_id(row)
            try:
                self.cameras[name] = parse_policy(row)
            except CameraError as error:
                self.cameras[name] = Policy()
                pruned.add_problem(f"camera {name}: {error}; nothing of it goes by age or quota")
        self._policies_at = self._monotonic()
        return True

    def refresh_locks(self, pruned: Pruned) -> bool:
        """Read the locks again, unless they are fresh. Return whether they are fresh now."""
        if self._is_fresh(self._locks_at):
            return True
        try:
            self.locks, problems = parse_locks(self._read_locked(self._database))
        except DatabaseError as error:
            pruned.database_error = error
            return False
        pruned.add_problem(*problems)
        self._locks_at = self._monotonic()
        return True

    def _is_fresh(self, read_at: float | None) -> bool:
        return read_at is not None and self._monotonic() - read_at < FRESH_SECONDS
