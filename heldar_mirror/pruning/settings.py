"""The settings that pruning needs. None is a secret, so no secret reaches the process that prunes."""

from dataclasses import dataclass, field, fields
from pathlib import Path

from heldar_mirror.settings import Settings


@dataclass(frozen=True)
class PruningSettings:
    """The part of `Settings` that pruning needs, with the same names and defaults, in bytes and seconds."""

    mirror_root: Path
    recordings_dir: Path
    database: Path
    state_dir: Path
    specs_dir: Path
    user: str | None = None
    min_free_bytes: int = field(default=5 << 30, metadata={"least": 0})
    deleted_retention_seconds: float = field(default=86_400.0, metadata={"least": 0})
    retention_interval: float = field(default=300.0, metadata={"least": 1})

    @classmethod
    def of(cls, settings: Settings) -> "PruningSettings":
        """Return the part of `settings` that pruning needs. Mirroring must be on."""
        assert settings.mirror_root is not None  # noqa: S101 - the callers have checked it
        return cls(**{each.name: getattr(settings, each.name) for each in fields(cls)})
