"""`heldar-mirror verify --level names`: whether both sides have footage at the same times."""

import time

import pytest
from support.made_footage import begun_of
from support.mirror import Mirror
from support.two_copies import SEGMENT_SECONDS, verify

from heldar_mirror.footage.names import segment_name


def test_two_recordings_of_the_same_times_are_proven(mirror: Mirror) -> None:
    """Whatever their files hold. Nothing is remembered."""
    report, cameras = verify(mirror, "--level", "names")
    assert (report["proven"], report["problems"], report["end"]) == (1, [], "done")
    assert cameras["gate"]["counts"] == {"looked_at": 10}
    assert not (mirror.state / "proofs.db").exists()
    mirror.run("verify", "--level", "names", "--budget", "1m", code=2)


def test_a_hole_of_either_side_is_found(mirror: Mirror) -> None:
    """With its time and its file."""
    for _ in range(2):
        mirror.segments("gate")[4].unlink()
        lost = sorted((mirror.home / "recordings/hall").iterdir())[5]
        lost.unlink()
    _, cameras = verify(mirror, "--level", "names", code=1)
    (hole,) = cameras["gate"]["findings"]
    assert (hole["kind"], hole["side"]) == ("only in the primary", "primary")
    assert hole["end"] - hole["begin"] == pytest.approx(2 * SEGMENT_SECONDS, abs=1)
    (hole,) = cameras["hall"]["findings"]
    assert (hole["kind"], hole["side"]) == ("only in the mirror", "mirror")
    assert hole["end"] - hole["begin"] == pytest.approx(2 * SEGMENT_SECONDS, abs=1)
    assert cameras["hall"]["proven"] < cameras["hall"]["segments"]


def test_a_camera_that_is_gone_on_the_primary_is_a_problem(mirror: Mirror) -> None:
    """The other one is looked at."""
    (mirror.home / "recordings/gate").rename(mirror.home / "away")
    report, cameras = verify(mirror, "--level", "names", code=8)
    assert len(report["problems"]) == 1
    assert cameras["hall"]["proven"] == len(mirror.segments("hall"))


def test_only_a_span_is_looked_at(mirror: Mirror) -> None:
    """What lies outside is not told."""
    mirror.segments("gate")[2].unlink()
    mirror.segments("gate")[2].unlink()
    since = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(begun_of(mirror.segments("gate")[4])))
    assert verify(mirror, "gate", "--level", "names", "--since", since)[0]["proven"] == 1


def test_an_outage_of_the_camera_is_no_difference(mirror: Mirror) -> None:
    """Though both sides don't begin and end at the same moment, and a stub may remain."""
    for path in [*mirror.segments("gate")[3:7], *sorted((mirror.home / "recordings/gate").iterdir())[4:8]]:
        path.unlink()
    before = mirror.segments("gate")[2]
    stub = before.with_name(segment_name(begun_of(before) + 6))
    stub.write_bytes(before.read_bytes().partition(b"moof")[0][:-4])
    report, _ = verify(mirror, "gate", "--level", "names")
    assert report["proven"] == 1
