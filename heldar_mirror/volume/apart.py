"""Check that the mirror root is apart from the primary's directory."""

from pathlib import Path

from heldar_mirror.errors import VolumeError
from heldar_mirror.proc.mounts import mount_of
from heldar_mirror.volume.asking import ask


def check_apart(root: Path, recordings_dir: Path) -> str | None:
    """Refuse a mirror root that is, contains or lies in the primary's directory, also through links or bind mounts.

    Return a warning if both are on one file system, else None. Raises VolumeError if it is refused, and HungError if
    one of the two does not answer.
    """
    try:
        mirror, primary = Path(ask("real", root)), Path(ask("real", recordings_dir))
    except OSError as error:
        raise VolumeError(f"cannot tell mirror root {root} from the primary's {recordings_dir}: {error}") from None
    ours, theirs = mount_of(mirror), mount_of(primary)
    if _nested(mirror, primary) or (
        ours.device == theirs.device and _nested(ours.path_on_device, theirs.path_on_device)
    ):
        raise VolumeError(
            f"HELDAR_MIRROR_RECORDINGS_DIR={root} is, holds or lies in the primary's recordings {recordings_dir}"
            f"{f' (by way of {mirror})' if mirror != root else ''}: expected a directory apart, on another volume"
        )
    if ours.device == theirs.device:
        return f"the mirror root {root} is on the primary's file system: one dead disk would take both copies"
    return None


def _nested(one: Path, other: Path) -> bool:
    return one == other or one in other.parents or other in one.parents
