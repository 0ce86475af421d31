"""The file `volumes` of the state directory, which remembers the id of each mirror root's volume."""

import uuid
from collections.abc import Mapping
from pathlib import Path
from typing import Protocol

from heldar_mirror.settings import Settings
from heldar_mirror.state.directory import StateSettings, replace_file, state_errors
from heldar_mirror.state.reading import damaged, read_state

# A root with this prefix was about to be marked. No absolute path begins like this.
INTENDED_PREFIX = "about to be "

REMEDY = (
    "Put it back from a backup. Or, while the volume is mounted, remove it, and make the volume ours: "
    "heldar-mirror adopt-volume"
)


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
    path = settings.state_dir / "volumes"
    text = read_state(path, settings, REMEDY)
    try:
        return {} if text is None else parse_volumes(text)
    except ValueError as error:
        raise damaged(path, error, REMEDY) from None


def parse_volumes(text: str) -> dict[str, str]:
    """Return the volumes' ids in the file's text, by root. Raises ValueError if it is none that was written as a whole.

    A root that is left out would be taken for one that was never used, and the disk below its mount point be filled.
    """
    *lines, rest = text.split("\n")
    if rest or not lines:
        raise ValueError("its end is missing")
    volumes = {}
    for number, line in enumerate(lines, 1):
        volume, _, root = line.partition(" ")
        if not volume or not root.removeprefix(INTENDED_PREFIX).startswith("/"):
            raise ValueError(f"line {number} is no volume and its root")
        volumes[root] = volume
    return volumes


def _write_volumes(volumes: Mapping[str, str], settings: Settings) -> None:
    with state_errors(settings):
        replace_file(settings.state_dir / "volumes", volumes_text(volumes), 0o600, None)


def volumes_text(volumes: Mapping[str, str]) -> str:
    """Return the text of the file."""
    return "".join(f"{volume} {root}\n" for root, volume in sorted(volumes.items()))
