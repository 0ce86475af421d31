"""Nothing is restored that Heldar would delete again, or for which it would delete other footage."""

from collections.abc import Iterable
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from heldar_mirror.heldar.primary import Limits
from heldar_mirror.heldar.recordings import Size
from heldar_mirror.restore.limits import Held, keep
from heldar_mirror.restore.plan import NewFile, Piece

GIB = 1 << 30


def file(begun: int, size: int = 100, camera_id: str = "gate") -> NewFile:
    return NewFile(camera_id, begun, (Piece(begun, None, begun),), begun, begun + 60, size)


def held(**changes: Any) -> Held:
    """What Heldar holds: 400 bytes of a cap of 1,000; of the disk, 2,000 bytes are free, and 500 stay so."""
    sizes = {"gate": Size(3, 300), "yard": Size(1, 100)}
    return replace(Held(Limits(1000, 500), 2000, sizes), **changes)


def names(files: list[NewFile]) -> list[int]:
    return [each.name for each in files]


@pytest.mark.parametrize(
    ("changes", "kept", "reason"),
    [
        ({}, 6, "the 1000 B that all recordings may take are full: Heldar would delete it again, or older"),
        ({"quotas": {"gate": 550}}, 2, "the camera's quota of 550 B is full: Heldar would delete it again, or older"),
        ({"quotas": {"yard": 100}}, 6, "the 1000 B that all"),
        ({"quotas": {"gate": 20 * GIB}, "limits": Limits(5 * GIB, 0)}, 20, "the primary's disk is full"),
        ({"free": 800}, 3, "Heldar keeps 500 B of the primary's disk free: Heldar would delete it again, or older"),
        ({"free": 400}, 0, "Heldar keeps 500 B of"),
        ({"sizes": {"yard": Size(1, 2000)}}, 0, "the 1000 B that all"),
        ({"sizes": None}, 0, "it is not known how much Heldar has"),
        ({"sizes": None, "quotas": {"gate": GIB}}, 0, "it is not known how much Heldar has"),
        ({"free": None}, 0, "the free space of the primary's disk is not known"),
    ],
)
def test_each_limit(changes: dict[str, Any], kept: int, reason: str) -> None:
    """The newest files get the room, and what is left out is said with the limit."""
    files = [file(begun) for begun in range(0, 2500, 100)]
    found, left_out = keep(files, held(**changes), beyond_limits=False)
    assert names(found) == list(range(2400, 2400 - 100 * kept, -100))
    assert len(left_out) == 25 - kept
    assert all(each.reason.startswith(reason) for each in left_out)


@pytest.mark.parametrize(("free", "kept"), [(2000, 20), (150, 1), (None, 0)])
def test_beyond_the_limits_there_is_still_the_disk(free: int | None, kept: int) -> None:
    """Also if it is not known how much Heldar has."""
    everything = held(free=free, sizes=None, quotas={"gate": 0}, limits=Limits(1, GIB))
    assert len(keep(map(file, range(0, 6000, 60)), everything, beyond_limits=True)[0]) == kept


def test_a_lost_file_is_in_the_index_already() -> None:
    """It takes room on the disk alone, also if it is a little larger than its row says."""
    files = [file(60), file(120)._replace(has_row=True), file(0)._replace(has_row=True)]
    found, left_out = keep(files, held(sizes={"gate": Size(3, 1000)}, quotas={"gate": 1000}), beyond_limits=False)
    assert (names(found), [each.begin for each in left_out]) == ([120, 0], [60])
    assert names(keep(files, held(free=650), beyond_limits=False)[0]) == [120]


def test_a_camera_whose_quota_is_full_takes_no_room_from_others() -> None:
    files = [file(120), file(100, camera_id="yard"), file(60), file(40, 300, "yard"), file(0, camera_id="yard")]
    found, left_out = keep(files, held(quotas={"gate": 350}), beyond_limits=False)
    assert [(each.camera_id, each.name) for each in found] == [("yard", 100), ("yard", 40), ("yard", 0)]
    assert [(each.camera_id, each.begin) for each in left_out] == [("gate", 120), ("gate", 60)]


files = st.builds(
    lambda new, has_row: new._replace(has_row=has_row),
    st.builds(file, st.integers(0, 50), st.integers(1, 300), st.sampled_from(["gate", "yard", "door"])),
    st.booleans(),
)
some_held = st.builds(
    Held,
    st.builds(Limits, st.integers(1, 2000), st.integers(0, 1000)),
    st.none() | st.integers(0, 3000),
    st.none()
    | st.dictionaries(st.sampled_from(["gate", "yard"]), st.builds(Size, st.just(1), st.integers(0, 1500).map(float))),
    st.dictionaries(st.sampled_from(["gate", "door"]), st.integers(0, 1000)),
)


@given(st.lists(files, max_size=12, unique_by=lambda each: (each.camera_id, each.name)), some_held, st.booleans())
@settings(max_examples=60)
def test_what_is_kept_always_fits(new: list[NewFile], known: Held, beyond_limits: bool) -> None:
    """Each file is either kept or left out. Below each limit there is room for all that is kept, and nothing is kept
    that is older than what the limit has left out."""
    kept, left_out = keep(new, known, beyond_limits=beyond_limits)
    found = [*((each.camera_id, each.begin) for each in kept), *((each.camera_id, each.begin) for each in left_out)]
    assert sorted(found) == sorted((each.camera_id, each.begin) for each in new)
    assert [each.begin for each in kept] == sorted((each.begin for each in kept), reverse=True)
    size = sum(each.size for each in kept)
    assert size <= (known.free or 0)
    if beyond_limits:
        return
    assert not size or (known.free or 0) - size >= known.limits.min_free_bytes
    grown = [each for each in kept if not each.has_row]
    if grown:
        assert known.sizes is not None
        assert total(known.sizes.values(), grown) <= known.limits.max_bytes
        for camera_id in {each.camera_id for each in grown} & known.quotas.keys():
            own = [each for each in grown if each.camera_id == camera_id]
            assert total([known.sizes.get(camera_id, Size(0, 0))], own) <= known.quotas[camera_id]
    for each in left_out:
        assert not any(one.begin < each.begin and one.camera_id == each.camera_id for one in grown)


def total(sizes: Iterable[Size], files: Iterable[NewFile]) -> float:
    return sum(each.bytes for each in sizes) + sum(each.size for each in files)
