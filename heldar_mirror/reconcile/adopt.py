"""The volume of the mirror root, which is proven before each reconcile, or adopted."""

from heldar_mirror.errors import HungError
from heldar_mirror.settings import Settings
from heldar_mirror.state.identity import owner_ids
from heldar_mirror.state.volumes import intended_volume, remember_volume, remembered_volume
from heldar_mirror.volume.apart import check_apart
from heldar_mirror.volume.marker import mark_volume, prove


def open_volume(settings: Settings) -> str:
    """Return the id of the proven volume; a root that was never used is adopted. Raises VolumeError."""
    assert settings.mirror_root is not None  # noqa: S101 - the callers check that mirroring is on
    remembered = remembered_volume(settings)
    check_apart_or_known(settings, remembered)
    if remembered is None:
        return adopt_volume(settings, take_over=False)
    prove(settings.mirror_root, remembered)
    return remembered


def check_apart_or_known(settings: Settings, remembered: str | None) -> None:
    """Refuse a mirror root in the primary's directory. Raises VolumeError.

    If the primary hangs, this can't be checked: a root that passed before is allowed, a new one refused.
    """
    assert settings.mirror_root is not None  # noqa: S101 - the callers check that mirroring is on
    try:
        check_apart(settings.mirror_root, settings.recordings_dir)
    except HungError:
        if remembered is None:
            raise


def adopt_volume(settings: Settings, *, take_over: bool) -> str:
    """Make the mirror root ours and return the volume's id. Raises MirrorError."""
    intended = intended_volume(settings)
    mark_volume(settings, intended, owner_ids(settings), take_over=take_over)
    remember_volume(intended, settings)
    return intended
