"""The child that writes a restore's files, by its answers: whole segments of the mirror, cut and joined ones."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from support.made_mp4 import recording

from heldar_mirror.errors import ExistsError, GoneError, UnreadableError, VolumeError
from heldar_mirror.footage.names import segment_name
from heldar_mirror.packets.index import read_packets
from heldar_mirror.restore.plan import Piece
from heldar_mirror.restore.source import UncuttableError
from heldar_mirror.restore.target import TEMPORARY
from heldar_mirror.restore.writer import Answers, Segment, Sides, _check_readable, answer
from heldar_mirror.sides.recorded import Identity

BEGUN = 1_700_000_000
FRESH = 2_000_000_000.0
WHOLE = recording()


class World:
    """Both sides' directories, and the child's answers. `on_progress` and `on_confirm` are called by it."""

    def __init__(self, home: Path) -> None:
        self.mirror, self.primary = home / "mirror", home / "recordings"
        for root in (self.mirror, self.primary):
            (root / "gate").mkdir(parents=True)
        (self.primary / "gate" / segment_name(BEGUN + 1000)).touch()
        self.on_progress: Callable[[], None] = lambda: None
        self.on_confirm: Callable[[], None] = lambda: None
        sides = Sides(self.mirror, "", self.primary, "")
        self.answers = Answers(sides, self._progress, self._confirm)
        self.answers.take(into_empty=False)

    def _progress(self) -> None:
        self.on_progress()

    def _confirm(self) -> None:
        self.on_confirm()

    def put(self, begun: int, content: bytes = WHOLE) -> Path:
        path = self.mirror / "gate" / segment_name(begun)
        path.write_bytes(content)
        return path

    def write(self, *pieces: Piece, name: int = BEGUN) -> dict[str, Any]:
        """Ask for a new file, as JSON has it."""
        listed = [[list(value) if isinstance(value, tuple) else value for value in piece] for piece in pieces]
        return self.answers.write("gate", name, listed, FRESH)

    def made(self, name: int = BEGUN) -> Path:
        return self.primary / "gate" / segment_name(name)

    def is_untouched(self) -> bool:
        return os.listdir(self.primary / "gate") == [segment_name(BEGUN + 1000)]


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


def identity(path: Path) -> Identity:
    about = path.stat()
    return Identity(about.st_size, about.st_mtime_ns, about.st_ino)


def packets(path: Path) -> list[int]:
    """How many packets each track of a file without damage has."""
    with path.open("rb") as file:
        tracks, damage = read_packets(file.fileno())
    assert damage is None
    assert all(track.times[0] == 0 for track in tracks)
    return [len(track) for track in tracks]


@pytest.mark.parametrize("content", [WHOLE, b"", b"no mp4 at all", bytes(20 << 20)])
def test_a_whole_segment(world: World, content: bytes) -> None:
    """It is copied byte for byte, whatever it is."""
    path = world.put(BEGUN + 7, content)
    assert world.write(Piece(BEGUN + 7, None, 0, identity(path))) == {"size": len(content), "modified": FRESH}
    assert world.made().read_bytes() == content
    assert world.made().stat().st_mtime == FRESH


def test_a_part(world: World) -> None:
    path = world.put(BEGUN)
    answered = world.write(Piece(BEGUN, (1, 3), BEGUN, identity(path)))
    assert answered["size"] == world.made().stat().st_size
    assert packets(world.made()) == [4, 8]


def test_parts_of_several(world: World) -> None:
    """One that is wanted as a whole goes in with all its fragments."""
    world.put(BEGUN)
    world.put(BEGUN + 1)
    world.write(Piece(BEGUN, (2, 3), BEGUN), Piece(BEGUN + 1, None, BEGUN + 1))
    assert packets(world.made()) == [2 + 7, 4 + 14]


def test_what_can_not_be_cut(world: World) -> None:
    world.put(BEGUN, b"no mp4 at all")
    with pytest.raises(UncuttableError, match=f"{world.mirror}/gate/{segment_name(BEGUN)} can't be cut"):
        world.write(Piece(BEGUN, (0, 1), BEGUN))
    assert world.is_untouched()


def test_a_segment_that_is_not_what_was_planned(world: World) -> None:
    """It was pruned, replaced, or has fewer fragments now."""
    path = world.put(BEGUN)
    planned = identity(path)
    path.unlink()
    with pytest.raises(GoneError, match=f"the mirror's recording {path} is not there any more"):
        world.write(Piece(BEGUN, None, 0, planned))
    path.write_bytes(WHOLE[:-1])
    with pytest.raises(UnreadableError, match=f"the mirror's {path} was changed since it was planned: restore again"):
        world.write(Piece(BEGUN, None, 0, planned))
    with pytest.raises(UnreadableError, match=f"the mirror's {path} was changed since it was planned"):
        world.write(Piece(BEGUN, (1, 4), 0))
    (world.mirror / "gate").rename(world.mirror / "yard")
    with pytest.raises(GoneError):
        world.write(Piece(BEGUN, None, 0))
    world.mirror.rename(world.mirror.with_name("away"))
    with pytest.raises(VolumeError, match=f"cannot use mirror root {world.mirror}: No such file"):
        world.write(Piece(BEGUN, None, 0))
    assert world.is_untouched()


@pytest.mark.parametrize("chosen", [None, (0, 2)])
def test_a_segment_that_changes_meanwhile(world: World, chosen: tuple[int, int] | None) -> None:
    """A recorder that still writes to it, for example. What was copied is thrown away."""
    path = world.put(BEGUN)

    def grow() -> None:
        world.on_progress = lambda: None
        with path.open("ab") as file:
            file.write(b"more")

    world.on_progress = grow
    with pytest.raises(UnreadableError, match=f"the mirror's {path} was changed while it was copied"):
        world.write(Piece(BEGUN, chosen, 0))
    assert world.is_untouched()


def test_a_segment_that_becomes_shorter(world: World) -> None:
    path = world.put(BEGUN, bytes(20 << 20))

    def cut() -> None:
        if path.stat().st_size > 1 << 20:
            os.truncate(path, 1 << 20)

    world.on_progress = cut
    with pytest.raises(UnreadableError, match=f"cannot read the mirror's {path}: it has become shorter"):
        world.write(Piece(BEGUN, None, 0))
    assert world.is_untouched()


def test_a_segment_with_a_bad_sector() -> None:
    """Linux does not say which of the two files a copy failed for. The mirror's is read again then."""
    with Path("/proc/self/mem").open("rb") as file:  # it can't be read where nothing is mapped, as a bad sector
        segment = Segment(Path("a.mp4"), file.fileno(), Piece(0, None, 0), Identity(100, 0, 0))
        with pytest.raises(UnreadableError, match=r"cannot read the mirror's a\.mp4: Input/output error"):
            _check_readable(segment, lambda: None)


def test_a_link_in_the_mirror(world: World) -> None:
    """It is not followed."""
    path = world.put(BEGUN)
    path.with_name(segment_name(BEGUN + 1)).symlink_to(path)
    with pytest.raises(UnreadableError, match=r"cannot read the mirror's .*: expected a plain file"):
        world.write(Piece(BEGUN + 1, None, 0))


def test_a_name_that_is_taken_at_the_last_moment(world: World) -> None:
    world.put(BEGUN)
    world.on_confirm = lambda: world.made().touch()
    with pytest.raises(ExistsError):
        world.write(Piece(BEGUN, None, 0))
    assert world.made().read_bytes() == b""
    assert not (world.primary / "gate" / TEMPORARY).exists()


def test_nobody_waits_for_it_any_more(world: World) -> None:
    """Then the file that is under way is given up, at whatever moment that is noticed."""
    world.put(BEGUN)

    def end() -> None:
        raise SystemExit

    for moment in ("on_progress", "on_confirm"):
        setattr(world, moment, end)
        with pytest.raises(SystemExit):
            world.write(Piece(BEGUN, None, 0))
        assert world.is_untouched()
        setattr(world, moment, lambda: None)


def test_the_answer_to_what_fails(world: World) -> None:
    """It names the kind of the error, with its lines."""
    found = answer(world.answers, {"about": "touch", "camera_id": "gate", "name": BEGUN, "modified": 1.0})
    lines = [f"the primary's recording {world.made()} is not there any more"]
    assert found == {"error": "GoneError", "lines": lines}
    touched = answer(world.answers, {"about": "touch", "camera_id": "gate", "name": BEGUN + 1000, "modified": 1.0})
    assert touched == {}
    assert world.made(BEGUN + 1000).stat().st_mtime == 1.0
