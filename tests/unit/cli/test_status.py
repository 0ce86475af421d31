"""What a person sees of a report."""

import time
from collections.abc import Iterable

import pytest
from click import unstyle
from support.known_facts import AWAY, BEGUN, NO_URL, SEGMENT, STALL, UNAUTHORIZED, facts

from heldar_mirror.cli.status import status_lines
from heldar_mirror.status.report import CameraStatus, Report, make_report

LATER = BEGUN + 75
LONG = "a_camera_with_a_name_that_is_longer_than_most"

REFUSES = (
    "the camera refuses the user or the password that Heldar has for it; to try at once: heldar-mirror reconcile gate"
)
WAITING = (
    "waiting for its camera at 127.0.0.1, port 554: Connection refused. Asking until it accepts one "
    "→ is the camera on, and is its address right?"
)


def camera(camera_id: str, row_says: str, state: str | None, *seen: str, error: str | None = None) -> CameraStatus:
    (made,) = make_report(facts(row_says, state, *seen, error=error), []).cameras
    return CameraStatus(**vars(made) | {"camera_id": camera_id})


def shown(*cameras: CameraStatus, problems: Iterable[str] = (), width: int = 200, known: bool = True) -> list[str]:
    """Return the lines for a report that was made 75 s after everything in it began."""
    return [unstyle(line) for line in status_lines(Report(LATER, cameras, tuple(problems), known), width)]


def note(row_says: str, state: str | None, *seen: str, error: str | None = None) -> str | None:
    """Return the line below the table on a camera `gate`."""
    lines = shown(camera("gate", row_says, state, *seen, error=error))[3:]
    return lines[0] if lines else None


def test_the_whole_of_it() -> None:
    """A row for each camera, how many record, a note on each that needs one, and the problems."""
    lines = shown(
        camera("attic", "unusable", None),
        camera("gate", "wanted", "RUNNING", "segment"),
        camera("hall", "unwanted", None),
        camera("yard", "wanted", "RUNNING", error=AWAY),
        problems=["the disk hangs"],
    )
    age = lines[5].partition("(seen ")[2]
    assert lines == [
        "camera  wanted  state       for    segment                   size    age",
        "attic   ?       unusable    -      -                            -      -",
        "gate    yes     recording   1m15s  20261122_161840.mp4  256.0 KiB  1m15s",
        "hall    no      not wanted  -      -                            -      -",
        "yard    yes     waiting     1m15s  -                            -      -",
        f"1 of 3 mirrors record (seen {age}",
        f"attic: {NO_URL}",
        f"yard: {WAITING}",
        "! the disk hangs",
    ]


@pytest.mark.parametrize("width", [40, 80, 200])
def test_a_table_fits_where_it_can(width: int) -> None:
    """If the terminal is too narrow, long names are folded, and all other columns are whole and aligned."""
    lines = shown(camera(LONG, "wanted", "RUNNING", "segment"), camera("b", "wanted", "EXITED"), width=width)
    head, *rows = lines[: next(i for i, line in enumerate(lines) if "mirrors record" in line)]
    first = head.index("wanted") - 2
    assert first == {40: len("camera"), 80: 80 - 65, 200: len(LONG)}[width]
    assert "".join(row[:first].strip() for row in rows if not row.startswith("b ")) == LONG
    assert rows[0][first:] == f"  yes     recording  1m15s  {SEGMENT.path[-19:]}  256.0 KiB  1m15s"
    assert rows[-1][first:] == "  yes     failed     1m15s  -                            -      -"
    assert width == 40 or max(map(len, [head, *rows])) <= width


def test_its_age_is_shown_if_it_is_not_fresh() -> None:
    """A report of now has none; one of long ago says so."""
    cameras = (camera("gate", "wanted", "RUNNING", "segment"),)
    lines = list(map(unstyle, status_lines(Report(time.time(), cameras, (), known=True), 80)))
    assert lines[2:] == ["1 of 1 mirrors record"]
    lines = list(map(unstyle, status_lines(Report(time.time() - 65, cameras, (), known=True), 80)))
    assert lines[2:] == ["1 of 1 mirrors record (seen 1m05s ago)"]


def test_not_knowing_is_not_none() -> None:
    """If files or programs can't be seen, how many record is not known."""
    lines = shown(camera("gate", "wanted", "RUNNING", "no files"), known=False)
    assert lines[2].startswith("? of 1 mirrors record")


@pytest.mark.parametrize(
    ("row_says", "state", "seen", "error", "expected"),
    [
        ("wanted", "RUNNING", ("segment",), None, None),
        ("wanted", "RUNNING", ("segment",), UNAUTHORIZED, f"recording; its last error, 1m15s ago: {UNAUTHORIZED}"),
        ("wanted", "STARTING", ("ffmpeg",), None, None),
        (
            "wanted",
            "BACKOFF",
            (),
            UNAUTHORIZED,
            f"starting; its last error, 1m15s ago: {UNAUTHORIZED} → {REFUSES}",
        ),
        (
            "wanted",
            "FATAL",
            (),
            UNAUTHORIZED,
            f"failed 1m15s ago; it is tried again: {UNAUTHORIZED} → {REFUSES}",
        ),
        ("wanted", "FATAL", (), None, "failed; it is tried again"),
        ("wanted", "FATAL", (), "ended", "failed 1m15s ago; it is tried again: ended"),
        ("wanted", "RUNNING", (), AWAY, WAITING),
        ("wanted", "RUNNING", (), UNAUTHORIZED, f"failed 1m15s ago; it is tried again: {UNAUTHORIZED} → {REFUSES}"),
        ("wanted", "STOPPED", (), None, "stopped by hand; to start it: heldar-mirror reconcile gate"),
        ("wanted", "STOPPED", (), UNAUTHORIZED, "stopped by hand; to start it: heldar-mirror reconcile gate"),
        (
            "wanted",
            "RUNNING",
            ("ffmpeg",),
            STALL,
            f"stalled; its last error, 1m15s ago: {STALL} → restart the camera, or check the stream at the camera",
        ),
        ("unusable", None, (), None, NO_URL),
        ("unusable", "FATAL", (), UNAUTHORIZED, NO_URL),
        ("unusable", "RUNNING", ("segment",), None, f"what runs goes on, but its row can't be used: {NO_URL}"),
        ("unwanted", None, (), None, None),
        ("unwanted", "RUNNING", ("segment",), None, "recording, though its row asks for no mirror"),
        ("wanted", None, ("no supervisord",), None, None),
    ],
)
def test_what_is_said_of_a_camera(
    row_says: str, state: str | None, seen: tuple[str, ...], error: str | None, expected: str | None
) -> None:
    """Each that is not well has a sentence on what it is doing and what to do, unless the table says it all."""
    assert note(row_says, state, *seen, error=error) == (expected and f"gate: {expected}")
