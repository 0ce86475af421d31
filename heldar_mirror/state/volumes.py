"""Which volume each mirror root is known to be."""

import uuid
from collections.abc import Mapping
from pathlib import Path
from typing import Protocol

from heldar_mirror.settings import Settings
from heldar_mirror.state.directory import StateSettings, replace_file, state_errors

# Stands before a root that was about to be marked. No absolute path begins like this.
INTENDED = "about to be "


class VolumeSettings(StateSettings, Protocol):
    """The settings that say which volume is meant, and where the state is."""

    @property
    def mirror_root(self) -> Path | None:
        """The mirror root; None if mirroring is off."""


def remembered_volume(settings: VolumeSettings) -> str | None:
    """Return the id of the mirror root's volume, or None if the root was never used. Raises StateError."""
    return _volumes(settings).get(str(settings.mirror_root))


def intended_volume(settings: Settings) -> str:
    """Return an id to mark the mirror root with: the same as before if an earlier marking was interrupted.

    Raises StateError.
    """
    volumes = _volumes(settings)
    intended = volumes.setdefault(f"{INTENDED}{settings.mirror_root}", str(uuid.uuid4()))
    _write_volumes(volumes, settings)
    return intended


def remember_volume(volume: str, settings: Settings) -> None:
    """Remember the volume of the mirror root, beside those of earlier roots. Raises StateError.

    This file is always on disk, never on a tmpfs: after a boot it tells a lost mount from a first use.
    """
    volumes = _volumes(settings) | {str(settings.mirror_root): volume}
    volumes.pop(f"{INTENDED}{settings.mirror_root}", None)
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
