"""The file `volumes` of the state directory, which remembers the id of each mirror root's volume."""

import uuid
from collections.abc import Mapping
from pathlib import Path
from typing import Protocol

from heldar_mirror.settings import Settings
from heldar_mirror.state.directory import StateSettings, replace_file, state_errors

# A root with this prefix was about to be marked. No absolute path begins like this.
INTENDED_PREFIX = "about to be "


class VolumeSettings(StateSettings, Protocol):
    """The settings that say which mirror root is meant, and where the state directory is."""

    @property
    def mirror_root(self) -> Path | None:
        """The mirror root; None if mirroring is off."""


def remembered_volume(settings: VolumeSettings) -> str | None:
    """Return the id of the mirror root's volume, or None if the root was never used. Raises StateError."""
    return _volumes(settings).get(str(settings.mirror_root))


def intended_volume(settings: Settings) -> str:
    """Return the id to mark the mirror root with. If an earlier marking was interrupted, return the same id again.

    Raises StateError.
    """
    volumes = _volumes(settings)
    intended = volumes.setdefault(f"{INTENDED_PREFIX}{settings.mirror_root}", str(uuid.uuid4()))
    _write_volumes(volumes, settings)
    return intended


def remember_volume(volume: str, settings: Settings) -> None:
    """Remember the volume of the mirror root, beside those of earlier roots. Raises StateError.

    The file must not be on a tmpfs: after a boot it alone shows that a root without a marker is a lost mount, not new.
    """
    volumes = _volumes(settings) | {str(settings.mirror_root): volume}
    volumes.pop(f"{INTENDED_PREFIX}{settings.mirror_root}", None)
    _write_volumes(volumes, settings)


def _volumes(settings: StateSettings) -> dict[str, str]:
    with state_errors(settings):
        try:
            lines = (settings.state_dir / "volumes").read_text().splitlines()
        except FileNotFoundError:
            return {}
        return {root: volume for volume, _, root in (line.partition(" ") for line in lines)}


def _write_volumes(volumes: Mapping[str, str], settings: Settings) -> None:
    text = "".join(f"{volume} {root}\n" for root, volume in sorted(volumes.items()))
    with state_errors(settings):
        replace_file(settings.state_dir / "volumes", text, 0o600, None)
