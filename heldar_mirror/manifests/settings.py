"""The settings that keeping manifests needs. None is a secret: of the key only its path is known."""

from dataclasses import dataclass, field, fields
from pathlib import Path

from heldar_mirror.settings import Settings


@dataclass(frozen=True)
class ManifestSettings:
    """The part of `Settings` that keeping manifests needs, with the same names and defaults, in seconds."""

    mirror_root: Path
    state_dir: Path
    user: str | None = None
    umask: int = field(default=0o027, metadata={"least": 0})
    manifests_key: Path | None = None
    manifests_retention_seconds: float = field(default=365 * 86_400.0, metadata={"least": 0})

    @classmethod
    def of(cls, settings: Settings) -> "ManifestSettings":
        """Return the part of `settings` that keeping manifests needs. Mirroring must be on."""
        assert settings.mirror_root is not None  # noqa: S101 - the callers have checked it
        return cls(**{each.name: getattr(settings, each.name) for each in fields(cls)})
