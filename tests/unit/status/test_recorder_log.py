"""What the recorder prints is what `status` finds in its log."""

import calendar
import socket
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.known_facts import UNAUTHORIZED, facts

from heldar_mirror.recorder.camera import wait_for_camera
from heldar_mirror.recorder.ffmpeg import Child
from heldar_mirror.recorder.log import say
from heldar_mirror.status.activity import activity_of
from heldar_mirror.status.recorder_log import last_error, read_last_error


@pytest.mark.parametrize("text", [UNAUTHORIZED, "ended | with\x1b[2J a\nbreak", "not ERROR, but this", "ä → ö", ""])
def test_a_line_that_the_recorder_prints_is_found(capfd: pytest.CaptureFixture[str], text: str) -> None:
    """Its time and text are read back as they were printed: as one line, without what a terminal would obey."""
    # The clock that is read without an argument, as `say` reads it, is some milliseconds behind.
    before = calendar.timegm(time.gmtime())
    say("INFO", "before it")
    say("ERROR", text)
    say("INFO", "stopped after 3 s, exit status 255")
    found = last_error(capfd.readouterr().out)
    assert found is not None
    assert before <= found[0] <= time.time()
    assert found[1] == "".join(c if c.isprintable() else "?" for c in text)


@pytest.fixture
def closed_port() -> Iterator[int]:
    """A port of 127.0.0.1 at which connections are refused: it is bound, and nobody listens."""
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        yield bound.getsockname()[1]


def test_a_recorder_that_waits_says_so_in_its_log(
    capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, closed_port: int
) -> None:
    """The line that it prints while its camera refuses is the one by which `status` sees that it waits."""
    child, said = Child(), [""]
    ready = child.ready

    def until_it_says_something(seconds: float) -> dict[int, int]:
        said.append(capfd.readouterr().out)
        child.stopping = any(said)
        return {} if child.stopping else ready(seconds)

    with monkeypatch.context() as patched:
        patched.setattr(child, "ready", until_it_says_something)
        wait_for_camera(f"rtsp://127.0.0.1:{closed_port}/x", child)
    found = last_error("".join(said))
    assert found is not None
    assert f"the camera at 127.0.0.1, port {closed_port}: Connection refused. Asking" in found[1]
    assert activity_of("gate", facts("wanted", "STARTING", error=found[1])) == "waiting"


@given(st.text(st.characters(exclude_categories=["Cs"]), max_size=200))
def test_any_other_text_is_no_error(text: str) -> None:
    """Only a line that begins with a time and ERROR counts."""
    assert last_error(text.replace("ERROR", "INFO")) is None


@pytest.mark.parametrize("stamp", ["2026-13-01T00:00:00Z", "2026-01-01T25:00:00Z", "0000-00-00T00:00:00Z"])
def test_what_is_no_time_was_not_logged_by_a_recorder(stamp: str) -> None:
    """It neither hides the error before it, nor ends who reads the log."""
    assert last_error(f"{stamp} ERROR x\n") is None
    assert last_error(f"1970-01-01T00:00:05Z ERROR y\n{stamp} ERROR x\n") == (5.0, "y")


def test_the_last_one_counts(tmp_path: Path) -> None:
    """Of several the last is returned, from the end of a log that may be large; without a log there is none."""
    log = tmp_path / "gate.log"
    assert read_last_error(str(log)) is None
    log.write_text("")
    assert read_last_error(str(log)) is None
    lines = [f"2026-11-22T16:18:{second:02}Z ERROR number {second}" for second in range(60)]
    log.write_text("\n".join([*["x" * 99] * 10_000, *lines, "2026-11-22T16:19:00Z INFO stopped after 3 s"]))
    assert read_last_error(str(log)) == (1795364339.0, "number 59")
