"""Finding the last error in the log of a recorder's program."""

import os
import re
from collections.abc import Iterable
from contextlib import suppress
from datetime import datetime

from heldar_mirror.programs.stanzas import log_path
from heldar_mirror.recorder.files import open_plain
from heldar_mirror.recorder.log import TAIL_BYTES
from heldar_mirror.settings import Settings

# A line that the recorder's `say()` printed as an error.
RECORDER_ERROR = re.compile(r"^(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ) ERROR (.*)$", re.MULTILINE)


def last_errors(camera_ids: Iterable[str], settings: Settings) -> dict[str, tuple[float, str]]:
    """Return time (Unix seconds) and text of the last error in each log, by camera, if it has one. Raises OSError."""
    found = {camera_id: read_last_error(log_path(camera_id, settings)) for camera_id in camera_ids}
    return {camera_id: error for camera_id, error in found.items() if error}


def read_last_error(log: str) -> tuple[float, str] | None:
    """Return time (Unix seconds) and text of the last error near the end of a program's log; None if there is none.

    Raises OSError if the log can't be read.
    """
    try:
        with open(open_plain(log), "rb") as file:
            file.seek(max(0, file.seek(0, os.SEEK_END) - 2 * TAIL_BYTES))
            text = file.read().decode(errors="replace")
    except FileNotFoundError:
        return None
    return last_error(text)


def last_error(text: str) -> tuple[float, str] | None:
    """Return time (Unix seconds) and text of the last error in a recorder's log; None if there is none."""
    for stamp, message in reversed(RECORDER_ERROR.findall(text)):
        with suppress(ValueError):  # what is no time was not printed by a recorder
            return datetime.fromisoformat(stamp.replace("Z", "+00:00")).timestamp(), message
    return None
