"""Proving the volume of the mirror root before each reconcile, or adopting it."""

from heldar_mirror.errors import HungError
from heldar_mirror.settings import Settings
from heldar_mirror.state.identity import owner_ids
from heldar_mirror.state.volumes import intended_volume, remember_volume, remembered_volume
from heldar_mirror.volume.apart import check_apart
from heldar_mirror.volume.marker import mark_volume, prove


def open_volume(settings: Settings) -> str:
    """Return the id of the proven volume. A mirror root that was never used is adopted.

    Raises VolumeError or StateError.
    """
    assert settings.mirror_root is not None  # noqa: S101 - the callers check that mirroring is on
    remembered = remembered_volume(settings)
    check_apart_or_remembered(settings, remembered)
    if remembered is None:
        return adopt_volume(settings, take_over=False)
    prove(settings.mirror_root, remembered)
    return remembered


def check_apart_or_remembered(settings: Settings, remembered: str | None) -> None:
    """Raise VolumeError if the mirror root is not apart from the primary's directory.

    If the primary hangs, this can't be checked. Then a root that passed before is allowed and a new one is refused.
    `remembered` is the id of the root's volume, or None if the root is new.
    """
    assert settings.mirror_root is not None  # noqa: S101 - the callers check that mirroring is on
    try:
        check_apart(settings.mirror_root, settings.recordings_dir)
    except HungError:
        if remembered is None:
            raise


def adopt_volume(settings: Settings, *, take_over: bool) -> str:
    """Mark the mirror root as ours, and return the volume's id. A foreign marker is replaced only with `take_over`.

    Raises VolumeError or StateError.
    """
    intended = intended_volume(settings)
    mark_volume(settings, intended, owner_ids(settings), take_over=take_over)
    remember_volume(intended, settings)
    return intended
