"""What Linux tells of the files in camera directories."""

import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from heldar_mirror.manifests.closings import Closings, LostError


@pytest.fixture
def closings() -> Iterator[Closings]:
    """Nothing is watched yet."""
    made = Closings()
    yield made
    made.close()


def watch(closings: Closings, directory: Path) -> None:
    directory.mkdir(exist_ok=True)
    fd = os.open(directory, os.O_RDONLY)
    try:
        assert closings.watch(fd, directory.name)
    finally:
        os.close(fd)


def test_the_end_of_a_segment_is_heard_by_the_name_that_it_has_by_then(closings: Closings, tmp_path: Path) -> None:
    """A recorder names a segment while it is open. Reading is not heard."""
    gate = tmp_path / "gate"
    watch(closings, gate)
    with (gate / ".new-1-0.mp4").open("wb"):
        assert list(closings.read()) == []
        (gate / ".new-1-0.mp4").rename(gate / "a.mp4")
        assert list(closings.read()) == [("gate", "a.mp4")]
    assert list(closings.read()) == [("gate", "a.mp4")]
    (gate / "a.mp4").read_bytes()
    assert list(closings.read()) == []


def test_each_event_has_its_camera(closings: Closings, tmp_path: Path) -> None:
    for name in ("gate", "hall"):
        watch(closings, tmp_path / name)
    (tmp_path / "hall/b").touch()
    (tmp_path / "gate/ü\nö").touch()
    os.close(os.open(os.fsencode(tmp_path / "gate") + b"/\xff", os.O_WRONLY | os.O_CREAT))
    assert list(closings.read()) == [("hall", "b"), ("gate", "ü\nö"), ("gate", "\udcff")]


@pytest.mark.parametrize("end", [shutil.rmtree, lambda path: path.rename(path.with_name("away"))])
def test_a_directory_that_is_gone_is_not_watched_any_more(
    closings: Closings, tmp_path: Path, end: Callable[[Path], object]
) -> None:
    watch(closings, tmp_path / "gate")
    assert closings.watched() == {"gate"}
    end(tmp_path / "gate")
    assert list(closings.read()) == []
    assert closings.watched() == set()
    watch(closings, tmp_path / "gate")
    (tmp_path / "gate/a").touch()
    assert list(closings.read()) == [("gate", "a")]
    if (tmp_path / "away").exists():
        (tmp_path / "away/b").touch()
        assert list(closings.read()) == []


def test_lost_events_are_told(closings: Closings, tmp_path: Path) -> None:
    """Those before are not, and those after are."""
    watch(closings, tmp_path / "gate")
    events = int(Path("/proc/sys/fs/inotify/max_queued_events").read_text())
    for n in range(events + 10):
        (tmp_path / "gate" / f"{n % 2}").write_bytes(b"")
    with pytest.raises(LostError):
        list(closings.read())
    (tmp_path / "gate/c").touch()
    assert list(closings.read()) == [("gate", "c")]


def test_without_inotify_nothing_is_watched(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    class Libc:
        def inotify_init1(self, _flags: int) -> int:
            return -1

    monkeypatch.setattr("ctypes.CDLL", lambda _: Libc())
    closings = Closings()
    assert closings.fd is None
    assert not closings.watch(0, "gate")
    assert list(closings.read()) == []
    closings.close()


def test_more_than_may_be_watched_is_not(closings: Closings, tmp_path: Path) -> None:
    """As what is no directory."""
    (tmp_path / "file").touch()
    with (tmp_path / "file").open() as file:
        assert not closings.watch(file.fileno(), "file")
    assert closings.watched() == set()
