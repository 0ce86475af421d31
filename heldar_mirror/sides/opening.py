"""Opening both sides where the settings say; the mirror's by what the state directory remembers of its volume."""

from collections.abc import Callable
from functools import partial

from heldar_mirror.errors import VolumeError
from heldar_mirror.settings import Settings
from heldar_mirror.sides.side import Side
from heldar_mirror.state.volumes import remembered_volume


def mirror_sides(settings: Settings, *, idle: bool = False) -> Callable[[], Side]:
    """Return what makes a Side of the mirror for each thread, all of the volume that is remembered now.

    Raises StateError, and VolumeError if the mirror root was never used.
    """
    assert settings.mirror_root is not None  # noqa: S101 - the commands have checked it
    volume = remembered_volume(settings)
    if volume is None:
        raise VolumeError(
            f"mirror root {settings.mirror_root} was never recorded to by this instance: "
            "is HELDAR_MIRROR_STATE_DIR the one that the mirror runs with?"
        )
    return partial(Side, "mirror", settings.mirror_root, volume=volume, idle=idle)


def mirror_side(settings: Settings) -> Side:
    """Return a Side of the mirror. Raises as above."""
    return mirror_sides(settings)()


def primary_side(settings: Settings) -> Side:
    """Return a Side of the primary."""
    return Side("primary", settings.recordings_dir)
