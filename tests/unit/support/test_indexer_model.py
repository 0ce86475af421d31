"""The model of Heldar's indexer does what is known of the real one."""

from pathlib import Path

import pytest
from support.indexer_model import Camera, File, Gap, IndexerModel, Row, look_at
from support.made_mp4 import recording

from heldar_mirror.footage.names import segment_name

BEGUN = 1_700_000_000


@pytest.fixture
def model() -> IndexerModel:
    return IndexerModel()


@pytest.fixture
def camera(model: IndexerModel) -> Camera:
    return model.cameras["a"]


def put(camera: Camera, at: float, seconds: float | None = 60, size: int = 1000, modified: float | None = None) -> str:
    """Put a file into a camera's directory that begins `at` seconds after the beginning, and return its name."""
    name = segment_name(BEGUN + int(at))
    camera.files[name] = File(size, seconds, BEGUN + at + (seconds or 0) if modified is None else modified)
    return name


def spans(camera: Camera) -> list[tuple[float, float]]:
    return [(begin - BEGUN, end - BEGUN) for begin, end in camera.playable().spans]


def test_a_file_is_closed_by_its_successor_or_by_time(model: IndexerModel, camera: Camera) -> None:
    """Only the last file of a directory has to lie untouched for a while; one from the future waits longer."""
    first, last = put(camera, 0), put(camera, 60)
    model.scan(BEGUN + 61)
    assert set(camera.rows) == {first}
    model.scan(BEGUN + 120 + 74)
    assert set(camera.rows) == {first}
    model.scan(BEGUN + 120 + 75)
    assert set(camera.rows) == {first, last}
    future = put(camera, 120, modified=BEGUN + 10_000)
    model.scan(BEGUN + 10_074)
    assert future not in camera.rows
    put(camera, 180)
    model.scan(BEGUN + 300)
    assert future in camera.rows


@pytest.mark.parametrize(("seconds", "size"), [(None, 1000), (0.05, 1000), (60, 0)])
def test_what_is_never_indexed(model: IndexerModel, camera: Camera, seconds: float | None, size: int) -> None:
    """An unreadable, tiny or empty file gets no row, and goes an hour after it was written."""
    name = put(camera, 0, seconds, size, modified=BEGUN)
    put(camera, 60)
    model.run(BEGUN + 200, BEGUN + 3500)
    assert name not in camera.rows
    assert name in camera.files
    model.run(BEGUN + 3600, BEGUN + 3600)
    assert camera.swept == {name}


def test_other_names(model: IndexerModel, camera: Camera) -> None:
    """Names that do not end in .mp4 are not looked at; others with no time in them are not indexed."""
    for name in ("20231114_221320.mp4.part", "zone.mp4"):
        camera.files[name] = File(1000, 60, BEGUN)
    name = put(camera, 0)
    assert model.scan(BEGUN + 1) == 1
    assert set(camera.rows) == {name}
    model.sweep_orphans(BEGUN + 9000)
    assert camera.swept == {"zone.mp4"}


def test_a_later_file_cuts_rows_short(model: IndexerModel, camera: Camera) -> None:
    """A file within an older one takes the rest of that one out of the index."""
    put(camera, 0)
    put(camera, 300)
    model.scan(BEGUN + 1000)
    assert spans(camera) == [(0, 60), (300, 360)]
    put(camera, 20, 10, modified=BEGUN + 1000)
    model.scan(BEGUN + 1010)
    assert spans(camera) == [(0, 30), (300, 360)]


def test_an_earlier_file_cuts_no_later_one(model: IndexerModel, camera: Camera) -> None:
    """What begins before a row leaves it as it is, and so does what begins with it."""
    later = put(camera, 60)
    put(camera, 300)
    model.scan(BEGUN + 1000)
    put(camera, 30, 60)
    model.scan(BEGUN + 1010)
    assert camera.rows[later] == Row(BEGUN + 60, BEGUN + 120, 1000)
    assert spans(camera) == [(30, 120), (300, 360)]


def test_a_row_whose_file_is_lost(model: IndexerModel, camera: Camera) -> None:
    """The row stays without its file; a file of another size under the same name repairs it, and no row is cut."""
    first, second = put(camera, 0), put(camera, 60)
    put(camera, 120)
    model.scan(BEGUN + 1000)
    camera.rows[second].evidence = True
    del camera.files[second]
    model.scan(BEGUN + 1010)
    assert spans(camera) == [(0, 60), (120, 180)]
    put(camera, 60, 58.0009, 999)
    assert model.scan(BEGUN + 1020) == 1
    assert camera.rows[second] == Row(BEGUN + 60, BEGUN + 118, 999, evidence=True)
    put(camera, 60, 10, 999)
    assert model.scan(BEGUN + 1030) == 0  # a different file of the same size is not noticed
    put(camera, 0, 90, 1001)
    model.scan(BEGUN + 1040)
    assert camera.rows[first].end == BEGUN + 90
    assert camera.rows[second].end == BEGUN + 118


def test_orphans_go_at_the_start_and_then_hourly(model: IndexerModel, camera: Camera) -> None:
    """A restored file with an old time is deleted before it could be indexed; one with a time to come is not."""
    old, fresh, future = (put(camera, at, modified=BEGUN + time) for at, time in ((0, 6400), (60, 6401), (120, 99_999)))
    model.run(BEGUN + 10_000, BEGUN + 10_010)
    assert camera.swept == {old}
    assert set(camera.rows) == {fresh}
    assert future in camera.files
    put(camera, 90, None, modified=BEGUN + 7000)
    model.run(BEGUN + 10_010, BEGUN + 13_000)
    assert len(camera.swept) == 1
    model.run(BEGUN + 13_000, BEGUN + 13_000)
    assert len(camera.swept) == 2


def test_gaps_and_their_refill(model: IndexerModel, camera: Camera) -> None:
    """More than three whole seconds are a gap. What is fetched takes the name at its end, whoever has it by then."""
    put(camera, 0)
    put(camera, 63)
    put(camera, 127.5)
    put(camera, 300)
    model.scan(BEGUN + 1000)
    gap = Gap(BEGUN + 187, BEGUN + 300)
    assert list(camera.gaps.values()) == [Gap(BEGUN + 123, BEGUN + 127), gap]
    assert model.begin_refill("a", gap)
    name = put(camera, 187, 113, 5)
    model.end_refill("a", gap, File(7, 100, BEGUN + 1000))
    assert camera.files[name].size == 7
    assert not any(".part" in name for name in camera.files)
    again = Gap(BEGUN + 187.9, BEGUN + 300)
    assert not model.begin_refill("a", again)
    assert again.filled


def test_a_real_directory(tmp_path: Path) -> None:
    """Plain files are seen with their lengths, and links are not."""
    (tmp_path / "20231114_221320.mp4").write_bytes(recording())
    (tmp_path / "20231114_221420.mp4").write_bytes(b"")
    (tmp_path / "20231114_221520.mp4").symlink_to("20231114_221320.mp4")
    (tmp_path / "directory.mp4").mkdir()
    found = look_at(tmp_path)
    assert {name: (file.size > 0, file.seconds) for name, file in found.items()} == {
        "20231114_221320.mp4": (True, 0.28),
        "20231114_221420.mp4": (False, None),
    }
