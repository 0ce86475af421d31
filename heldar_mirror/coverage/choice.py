"""Which cameras are looked at. Pure."""

import difflib
from collections.abc import Collection, Sequence

# No more similar names are suggested.
SUGGESTED = 3


class UnknownCameraError(Exception):
    """A camera was asked for that is neither in the table nor on a side. The text suggests others."""


def choose(
    asked: Sequence[str], mirrored: Collection[str], in_table: Collection[str], directories: Collection[str]
) -> list[str]:
    """Return the ids of the cameras to look at, in order: those that were asked for, or else all mirrored ones.

    `in_table` are the cameras of Heldar's table, and `directories` those that have one on either side: a camera that
    was deleted from the table may still have footage. Raises UnknownCameraError.
    """
    known = {*in_table, *directories}
    for camera_id in asked:
        if camera_id not in known:
            raise UnknownCameraError(
                f"{camera_id[:100]!r} is no camera in Heldar's table, and has no directory on either side: "
                f"expected {_suggestion(camera_id, known)}"
            )
    return sorted(set(asked or mirrored))


def _suggestion(camera_id: str, known: Collection[str]) -> str:
    # Comparing takes long for long texts, and no camera's name is longer.
    similar = difflib.get_close_matches(camera_id[:100], known, n=SUGGESTED)
    if similar:
        return " or ".join(similar)
    return f"one of the {len(known):,} cameras, such as {min(known)}" if known else "one, but there is none"
