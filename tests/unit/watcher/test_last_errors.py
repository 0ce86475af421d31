"""The last error of each camera, from its log or from the watcher."""

from pathlib import Path

import pytest
from support.examples import settings

from heldar_mirror.programs.stanzas import log_path
from heldar_mirror.settings import Settings
from heldar_mirror.watcher.last_errors import LastErrors


@pytest.fixture
def place(tmp_path: Path) -> Settings:
    return settings(MIRROR_LOG_DIR=str(tmp_path))


def write(place: Settings, camera_id: str, line: str) -> None:
    with open(log_path(camera_id, place), "a") as log:
        log.write(f"{line}\n")


def test_a_log_is_read_when_it_may_hold_a_new_error(place: Settings) -> None:
    """Of a program that did not end, the log isn't read again."""
    errors = LastErrors()
    write(place, "gate", "1970-01-01T00:00:10Z ERROR first")
    errors.read(place, ())
    assert not errors.found
    errors.mark_unread(["gate"])
    errors.read(place, ())
    write(place, "gate", "1970-01-01T00:00:20Z ERROR second")
    errors.read(place, ())
    assert errors.found == {"gate": (10.0, "first")}
    errors.read(place, also=["gate"])
    assert errors.found == {"gate": (20.0, "second")}


def test_the_later_error_counts(place: Settings) -> None:
    """A stall that the watcher found stays until the recorder logs something newer."""
    errors = LastErrors()
    errors.add("gate", 15.0, "stalled")
    write(place, "gate", "1970-01-01T00:00:10Z ERROR older")
    errors.read(place, also=["gate"])
    assert errors.found == {"gate": (15.0, "stalled")}
    write(place, "gate", "1970-01-01T00:00:20Z ERROR newer")
    errors.read(place, also=["gate"])
    assert errors.found == {"gate": (20.0, "newer")}


@pytest.mark.parametrize(
    "text",
    [
        "cannot record: mirror root /mirror is full: expected at least 64 MiB of free space. Make room there",
        "ffmpeg ended after 3 s, exit status 1 | av_interleaved_write_frame(): No space left on device",
        "ffmpeg ended after 3 s, exit status 228 | [mp4 @ 0x1] Error writing trailer: Disk quota exceeded",
    ],
)
def test_last_words_that_tell_of_no_room_are_found(text: str) -> None:
    """Of the cameras that are asked for, and only if nothing else was wrong since."""
    errors = LastErrors()
    for name in ("gate", "hall", "yard"):
        errors.add(name, 10.0, text)
    errors.add("yard", 20.0, "401 Unauthorized")
    assert errors.without_room(["gate", "yard", "door"]) == {"gate": 10.0}


def test_logs_that_cannot_be_read_are_read_later(place: Settings) -> None:
    """Nothing is forgotten because of an error."""
    errors = LastErrors()
    errors.mark_unread(["gate"])
    Path(log_path("gate", place)).mkdir()
    with pytest.raises(OSError, match="directory"):
        errors.read(place, ())
    Path(log_path("gate", place)).rmdir()
    write(place, "gate", "1970-01-01T00:00:10Z ERROR first")
    errors.read(place, ())
    assert errors.found == {"gate": (10.0, "first")}
