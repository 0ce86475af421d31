"""The last error of each camera, from its program's log."""

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


def test_a_log_is_read_when_it_has_changed(place: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    """A recorder logs why nothing is recorded while it lives; a log that stays as it is costs one stat."""
    errors = LastErrors()
    errors.read(["gate", "hall"], place)
    assert not errors.found
    write(place, "gate", "1970-01-01T00:00:10Z ERROR first")
    errors.read(["gate", "hall"], place)
    assert errors.found == {"gate": (10.0, "first")}
    write(place, "gate", "1970-01-01T00:00:20Z ERROR second")
    write(place, "hall", "1970-01-01T00:00:15Z ERROR other")
    errors.read(["gate", "hall"], place)
    assert errors.found == {"gate": (20.0, "second"), "hall": (15.0, "other")}
    monkeypatch.setattr("builtins.open", None)
    errors.read(["gate", "hall"], place)


@pytest.mark.parametrize("line", ["", "1970-01-01T00:00:20Z INFO stopped after 5 s, exit status 255"])
def test_a_log_without_an_error_leaves_the_last_one(place: Settings, line: str) -> None:
    """supervisord begins a new log when one has become large."""
    errors = LastErrors()
    write(place, "gate", "1970-01-01T00:00:10Z ERROR first")
    errors.read(["gate"], place)
    Path(log_path("gate", place)).unlink()
    write(place, "gate", line)
    errors.read(["gate"], place)
    assert errors.found == {"gate": (10.0, "first")}


@pytest.mark.parametrize(
    "text",
    [
        "cannot record: mirror root /mirror is full: expected at least 64 MiB of free space. Make room there",
        "ffmpeg ended after 3 s, exit status 1 | av_interleaved_write_frame(): No space left on device",
        "ffmpeg ended after 3 s, exit status 228 | [mp4 @ 0x1] Error writing trailer: Disk quota exceeded",
    ],
)
def test_last_words_that_tell_of_no_room_are_found(place: Settings, text: str) -> None:
    """Of the cameras that are asked for, and only if nothing else was wrong since."""
    errors = LastErrors()
    for name in ("gate", "hall", "yard"):
        write(place, name, f"1970-01-01T00:00:10Z ERROR {text}")
    write(place, "yard", "1970-01-01T00:00:20Z ERROR 401 Unauthorized")
    errors.read(["gate", "hall", "yard"], place)
    assert errors.without_room(["gate", "yard", "door"]) == {"gate": 10.0}


def test_logs_that_cannot_be_read_are_read_later(place: Settings) -> None:
    """Nothing is forgotten because of an error, and the other logs are read."""
    errors = LastErrors()
    Path(log_path("gate", place)).mkdir()
    write(place, "hall", "1970-01-01T00:00:10Z ERROR other")
    for _ in range(2):
        with pytest.raises(OSError, match="directory"):
            errors.read(["gate", "hall"], place)
    assert errors.found == {"hall": (10.0, "other")}
    Path(log_path("gate", place)).rmdir()
    write(place, "gate", "1970-01-01T00:00:10Z ERROR first")
    errors.read(["gate", "hall"], place)
    assert errors.found == {"gate": (10.0, "first"), "hall": (10.0, "other")}
