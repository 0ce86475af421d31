"""Whether the mirror root lies apart from the primary's recordings."""

from pathlib import Path

from heldar_mirror.errors import VolumeError
from heldar_mirror.proc.mounts import place_of
from heldar_mirror.volume.asking import ask


def check_apart(root: Path, recordings_dir: Path) -> str | None:
    """Refuse a mirror root that equals, contains or lies in the primary's directory, also by links and bind mounts.

    Returns a warning if both are on one file system, else None. Raises VolumeError, or HungError if one of them does
    not answer.
    """
    try:
        mirror, primary = Path(ask("real", root)), Path(ask("real", recordings_dir))
    except OSError as error:
        raise VolumeError(f"cannot tell mirror root {root} from the primary's {recordings_dir}: {error}") from None
    here, there = place_of(mirror), place_of(primary)
    if _nested(mirror, primary) or (here.device == there.device and _nested(here.inside, there.inside)):
        raise VolumeError(
            f"HELDAR_MIRROR_RECORDINGS_DIR={root} is, holds or lies in the primary's recordings {recordings_dir}"
            f"{f' (by way of {mirror})' if mirror != root else ''}: expected a directory apart, on another volume"
        )
    if here.device == there.device:
        return f"the mirror root {root} is on the primary's file system: one dead disk would take both copies"
    return None


def _nested(one: Path, other: Path) -> bool:
    return one == other or one in other.parents or other in one.parents
