"""Looking at segments while files go: what both sides delete in their turn is no difference."""

from array import array
from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

import pytest
from support.made_packets import BEGUN, CAMERA, Made, MadeSide, aac, cut, made_packets, video

from heldar_mirror.errors import GoneError, UnreadableError, VolumeError
from heldar_mirror.sides.recorded import Packets
from heldar_mirror.sides.side import Side
from heldar_mirror.verify.findings import Kept, Kind, decode
from heldar_mirror.verify.looker import Names, PacketLooker, around
from heldar_mirror.verify.memory import Stocked
from heldar_mirror.verify.outcomes import Outcome
from heldar_mirror.verify.run import Looked

SECONDS = 60


class FakeSide:
    """A side with made-up packets. `gone` are files that went since they were listed; before each reading of a file,
    `event` is called with its beginning and whether it is hashed."""

    def __init__(self, name: str, made: MadeSide) -> None:
        self.name, self.root, self.made = name, Path(f"/{name}"), made
        self.gone: set[int] = set()
        self.event: Callable[[int, bool], object] = lambda *_: None
        self.there: list[str] = [CAMERA]
        self.closed = False

    def cameras(self) -> list[str]:
        if not self.there:
            raise UnreadableError(f"cannot read the {self.name}'s recordings")
        return self.there

    def packets(self, camera_id: str, begun: int) -> Packets:
        return self._read(self.made.packets, camera_id, begun, hashed=False)

    def hashes(self, camera_id: str, begun: int) -> Packets:
        return self._read(self.made.hashes, camera_id, begun, hashed=True)

    def _read(self, read: Callable[[str, int], Packets], camera_id: str, begun: int, *, hashed: bool) -> Packets:
        self.event(begun, hashed)
        if begun in self.gone:
            raise GoneError(f"{begun} is gone")
        return read(camera_id, begun)

    def close(self) -> None:
        self.closed = True


@pytest.fixture
def sides() -> tuple[FakeSide, FakeSide]:
    """The primary, and a mirror that began with it and is cut at other times."""
    packets: list[Made] = made_packets(1, SECONDS, {"vide": video, "soun": aac})
    return FakeSide("primary", cut(packets, range(0, 60, 10))), FakeSide("mirror", cut(packets, [0, *range(5, 60, 10)]))


def look(primary: FakeSide, mirror: FakeSide, kept: Kept = Kept(0, 0)) -> dict[int, Looked]:  # noqa: B008 - it can't be changed
    names = Names(array("q", primary.made.begun()), array("q", mirror.made.begun()), kept)
    pair: tuple[Any, Any] = primary, mirror
    with PacketLooker(*cast("tuple[Side, Side]", pair), {CAMERA: names}, hashed=True) as looker:
        found = list(looker.look(CAMERA, [Stocked(begun, 100, 0) for begun in mirror.made.begun()]))
    assert primary.closed
    assert mirror.closed
    return {each.look.begun - BEGUN: each for each in found}


def outcomes(found: dict[int, Looked]) -> dict[int, Outcome]:
    return {begun: each.look.outcome for begun, each in found.items()}


def test_each_segment_is_looked_at_and_what_was_read_is_counted(sides: tuple[FakeSide, FakeSide]) -> None:
    """All of both sides, once, and the indexes."""
    found = look(*sides)
    assert outcomes(found) == dict.fromkeys([0, 5, 15, 25, 35, 45, 55], Outcome.PROVEN)
    size = sum(packet.size for own in sides[0].made.files.values() for packet in own)
    assert 2 * size < sum(each.read for each in found.values()) < 2.2 * size


def test_segments_of_which_nothing_is_found_are_told(sides: tuple[FakeSide, FakeSide]) -> None:
    """Unless the primary has deleted all that it had of their time."""
    primary, _ = sides
    other = FakeSide("mirror", cut(made_packets(2, SECONDS, {"vide": video, "soun": aac}), range(0, 60, 10)))
    assert not any(each.matched for each in look(primary, other).values())
    primary.gone = {BEGUN, BEGUN + 10}
    assert {begun for begun, each in look(primary, other).items() if each.matched} == {0}


def test_a_file_that_goes_before_it_is_read_has_expired(sides: tuple[FakeSide, FakeSide]) -> None:
    """On the primary nothing can be compared then, and on the mirror there is nothing to look at."""
    primary, mirror = sides
    primary.gone = {BEGUN, BEGUN + 10}
    found = outcomes(look(*sides))
    assert found == dict.fromkeys([0, 5, 15], Outcome.NOTHING_THERE) | dict.fromkeys([25, 35, 45, 55], Outcome.PROVEN)
    primary.gone, mirror.gone = set(), {BEGUN, BEGUN + 5}
    assert outcomes(look(*sides)) == dict.fromkeys([15, 25, 35, 45, 55], Outcome.PROVEN)


def test_a_file_that_goes_while_it_is_read_has_expired(sides: tuple[FakeSide, FakeSide]) -> None:
    """Its index was read, and its packets can't be hashed any more."""
    primary, _ = sides

    def event(begun: int, hashed: bool) -> None:
        if hashed and begun == BEGUN:
            primary.gone = {BEGUN}

    primary.event = event
    found = outcomes(look(*sides))
    assert found[0] is Outcome.NOTHING_THERE
    assert found[15] is Outcome.PROVEN


def test_a_file_that_can_t_be_read_is_a_finding(sides: tuple[FakeSide, FakeSide]) -> None:
    """The others are looked at."""
    primary, mirror = sides
    mirror.made.unreadable = {BEGUN + 25}
    (finding,) = decode(look(*sides)[25].look.finding)
    assert (finding.kind, finding.side, finding.begun) == (Kind.UNREADABLE, "mirror", BEGUN + 25)
    mirror.made.unreadable, primary.made.unreadable = set(), {BEGUN + 20}
    found = look(*sides)
    assert {begun for begun, outcome in outcomes(found).items() if outcome is Outcome.UNREADABLE} == {15, 25}
    assert {each.side for each in decode(found[15].look.finding)} == {"primary"}


@pytest.mark.parametrize("there", [[], ["hall"]])
def test_a_side_that_is_gone_is_no_lack_of_files(sides: tuple[FakeSide, FakeSide], there: list[str]) -> None:
    """An unmounted volume looks like an empty directory, or like none."""
    primary, _ = sides
    primary.gone = set(primary.made.begun())
    primary.there = there
    with pytest.raises(VolumeError, match="the primary's"):
        look(*sides)


def test_only_the_files_around_are_compared(sides: tuple[FakeSide, FakeSide]) -> None:
    """However long the camera has been recording."""
    begun = array("q", range(0, 3600 * 1000, 60))
    names = around(Names(begun, begun, Kept(0, 0)), [Stocked(1_800_000, 1, 1), Stocked(1_800_060, 1, 1)])
    assert len(names.primary) < 20
    assert {1_800_000, 1_800_060} < set(names.mirror)
