"""The programs that failed for good, and when each may be tried again. Pure; times are monotonic seconds."""

from collections.abc import Collection, Iterable
from dataclasses import dataclass, field

from heldar_mirror.supervisord.gateway import FAILED

# A program that was started in vain is started again after this long.
RETRY_SECONDS = 30.0


@dataclass
class Failures:
    """The programs that failed for good, by the time from which each may be tried (`due_at`).

    `tried_at` holds when each was tried last.
    """

    due_at: dict[str, float] = field(default_factory=dict)
    tried_at: dict[str, float] = field(default_factory=dict)

    def heard(self, name: str, state: str, now: float) -> None:
        """Take note that a program is in this state of supervisord's since `now`."""
        if state in FAILED:
            self.due_at[name] = max(now, self.tried_at.get(name, -RETRY_SECONDS) + RETRY_SECONDS)
            return
        self.due_at.pop(name, None)
        if state in {"RUNNING", "STOPPED"}:
            self.tried_at.pop(name, None)

    def due(self, now: float) -> list[str]:
        """Return the programs that may be tried at `now`, first those that have waited longest."""
        return [name for at, name in sorted((at, name) for name, at in self.due_at.items()) if at <= now]

    def tried(self, names: Iterable[str], now: float) -> None:
        """Take note that these programs were tried at `now`. Whether that helped need not be known yet."""
        for name in names:
            self.tried_at[name] = now
            self.due_at[name] = now + RETRY_SECONDS

    def keep(self, names: Collection[str]) -> None:
        """Forget all programs but these."""
        for times in (self.due_at, self.tried_at):
            for name in times.keys() - names:
                del times[name]
