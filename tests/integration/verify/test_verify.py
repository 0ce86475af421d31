"""`heldar-mirror verify` on two real recordings of the same camera, by two versions of ffmpeg."""

import os
import re
import shutil
import time
from pathlib import Path
from typing import Any

import pytest
from support.made_footage import begun_of, snapshot
from support.mirror import Mirror
from support.two_copies import SEGMENT_SECONDS, count_packets, drop, flip, verify
from support.two_sides import index


def lines(mirror: Mirror, *args: str, code: int) -> list[str]:
    """Verify on the command line, and return what it printed for a person."""
    return mirror.run("verify", "--utc", *args, code=code).stdout.splitlines()


def primary(mirror: Mirror, camera_id: str) -> list[Path]:
    """Return the primary's segments of a camera."""
    return sorted((mirror.home / "recordings" / camera_id).iterdir())


def kinds(camera: Any) -> set[tuple[str, str, str, int]]:
    """Return what was found of a camera: what, on which side, of which track and in how many packets."""
    return {(each["kind"], each["side"], each.get("track", ""), each["packets"]) for each in camera["findings"]}


@pytest.mark.parametrize("level", ["index", "packets"])
def test_two_recordings_of_a_camera_are_proven(mirror: Mirror, level: str) -> None:
    """Each packet is found on the other side. Nothing is written to either."""
    before = snapshot(mirror.root, mirror.home / "recordings")
    report, cameras = verify(mirror, "--level", level)
    assert snapshot(mirror.root, mirror.home / "recordings") == before
    assert (report["version"], report["well"], report["level"], report["end"]) == (1, True, level, "done")
    assert (report["proven"], report["problems"]) == (1, [])
    assert report["read"] > 2 * report["bytes"] * 0.9 if level == "packets" else report["read"] < report["bytes"] / 4
    for camera_id, camera in cameras.items():
        segments = len(mirror.segments(camera_id))
        assert camera["segments"] == camera["proven"] == camera["counts"].pop("looked_at") == segments
        assert camera["counts"] == {"identical": sum(map(count_packets, mirror.segments(camera_id)))}


def test_a_flipped_bit_is_found_by_its_packet(mirror: Mirror) -> None:
    """On either side, of picture and of sound. The index alone can't tell."""
    flip(mirror.segments("gate")[3], 20)
    flip(primary(mirror, "gate")[6], 5, "soun")
    report, cameras = verify(mirror, code=1)
    assert kinds(cameras["gate"]) == {("different", "mirror", "vide", 1), ("different", "mirror", "soun", 1)}
    assert cameras["gate"]["different"] == 2
    assert cameras["hall"]["well"]
    assert report["proven"] < 1
    (picture,) = (each for each in cameras["gate"]["findings"] if each["track"] == "vide")
    begun = begun_of(mirror.segments("gate")[3])
    assert picture["begun"] == begun
    assert picture["begin"] == picture["end"] == pytest.approx(begun + 20 / 15, abs=0.1)
    assert verify(mirror, "--level", "index")[0]["proven"] == 1


def test_a_dropped_packet_is_found(mirror: Mirror) -> None:
    """It is one that only the other side has."""
    drop(mirror.segments("gate")[3], 20)
    drop(primary(mirror, "hall")[6], 30)
    _, cameras = verify(mirror, "--level", "index", code=1)
    assert kinds(cameras["gate"]) == {("only in the primary", "primary", "vide", 1)}
    assert kinds(cameras["hall"]) == {("only in the mirror", "mirror", "vide", 1)}
    assert cameras["gate"]["findings"][0]["begun"] in [begun_of(path) for path in primary(mirror, "gate")]


def test_a_truncated_segment_is_found(mirror: Mirror) -> None:
    """It is damaged, and what it lacks is named."""
    path = mirror.segments("gate")[4]
    os.truncate(path, path.stat().st_size // 2)
    _, cameras = verify(mirror, code=1)
    found = kinds(cameras["gate"])
    assert ("damaged", "mirror", "", 0) in found
    assert {(kind, side) for kind, side, *_ in found} == {("damaged", "mirror"), ("only in the primary", "primary")}
    assert {each["segment"] for each in cameras["gate"]["findings"]} == {begun_of(path)}


def test_a_segment_of_another_camera_is_found(mirror: Mirror) -> None:
    """Nothing in it is the primary's, whose packets of that time the segment before lacks."""
    before, path = mirror.segments("gate")[4:6]
    shutil.copy2(mirror.segments("hall")[5], path)
    _, cameras = verify(mirror, code=1)
    found = {(each["kind"], each["segment"]) for each in cameras["gate"]["findings"]}
    assert found == {
        ("matches nothing of the primary", begun_of(path)),
        ("only in the primary", begun_of(before)),
    }


def test_a_hole_of_either_side_is_found(mirror: Mirror) -> None:
    """With its files and times."""
    mirror.segments("gate")[4].unlink()
    mirror.segments("gate")[4].unlink()
    lost = count_packets(primary(mirror, "hall")[5])
    primary(mirror, "hall")[5].unlink()
    _, cameras = verify(mirror, code=1)
    assert {(kind, side) for kind, side, *_ in kinds(cameras["gate"])} == {("only in the primary", "primary")}
    assert cameras["gate"]["counts"]["only_primary"] >= SEGMENT_SECONDS * 15
    assert {(kind, side) for kind, side, *_ in kinds(cameras["hall"])} == {("only in the mirror", "mirror")}
    assert cameras["hall"]["counts"]["only_mirror"] == lost


def test_findings_are_shown_to_a_person_and_remembered(mirror: Mirror) -> None:
    """Each is a line with its path and its time. It stands until the segment was repaired and looked at again."""
    path = mirror.segments("gate")[3]
    whole = path.read_bytes()
    flip(path, 20)
    found = lines(mirror, code=1)
    (line,) = (each for each in found if str(path) in each)
    assert re.fullmatch(rf"{path}: 1 packet of picture different, \d{{4}}-\d\d-\d\d \d\d:\d\d:\d\dZ", line)
    assert re.match(r"camera +looked at +identical +only primary +only mirror +different", found[0])
    assert line not in lines(mirror, "--since", "1m", code=0)  # it is not of that time
    assert line in lines(mirror, "hall", "gate", "--older-than", "1h", code=1)
    path.write_bytes(whole)
    found = lines(mirror, "--older-than", "1h", code=0)
    assert line not in found
    assert any(each.startswith("100.0% of ") for each in found)


def test_what_is_proven_is_not_looked_at_again_too_soon(mirror: Mirror) -> None:
    """But what has changed is, on either side."""
    assert verify(mirror)[0]["looked"] > 0
    report, _ = verify(mirror, "--older-than", "1h")
    assert (report["looked"], report["proven"]) == (0, 1)
    assert verify(mirror, "--older-than", "0s")[0]["looked"] > 0
    mirror.segments("gate")[2].touch()
    primary(mirror, "hall")[5].touch()
    _, cameras = verify(mirror, "--older-than", "1h")
    assert cameras["gate"]["counts"]["looked_at"] == 1
    assert cameras["hall"]["counts"]["looked_at"] >= 2


@pytest.mark.parametrize("budget", ["10%", "200KiB"])
def test_a_budget_gets_round_in_several_runs(mirror: Mirror, budget: str) -> None:
    """Each goes on where the one before has ended, and says how many it takes."""
    shares = [0.0]
    while shares[-1] < 1:
        report, _ = verify(mirror, "--budget", budget, "--jobs", "1")
        assert report["end"] == "budget"
        assert report["runs"] == pytest.approx(report["bytes"] / report["looked"])
        assert report["proven"] > shares[-1]
        shares.append(report["proven"])
    assert len(shares) > 4
    assert verify(mirror, "--budget", "1d")[0]["end"] == "done"


def test_only_the_cameras_and_times_that_are_named_are_looked_at(mirror: Mirror) -> None:
    """A camera that the mirror does not have is a wrong usage."""
    begun = [begun_of(path) for path in mirror.segments("gate")]
    since, until = (time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(begun[each])) for each in (3, 6))
    _, cameras = verify(mirror, "gate", "--since", since, "--until", until)
    assert list(cameras) == ["gate"]
    assert cameras["gate"]["segments"] == cameras["gate"]["proven"] == 3
    assert "nowhere: the mirror has no camera" in mirror.run("verify", "nowhere", code=2).stderr
    for wrong in (("--budget", "10"), ("--since", "tomorrow"), ("--older-than", "x"), ("--level", "all")):
        mirror.run("verify", *wrong, code=2)
    for more in (("--public-key", "x"), ("--level", "names", "--budget", "1m")):
        mirror.run("verify", *more, code=2)


def test_what_is_being_recorded_is_left_out(mirror: Mirror) -> None:
    """The newest segment of each side, and of the mirror what reaches into the primary's."""
    for path in (mirror.segments("gate")[-1], primary(mirror, "hall")[-2]):
        path.touch()
    primary(mirror, "hall")[-1].unlink()
    _, cameras = verify(mirror)
    assert cameras["gate"]["segments"] == len(mirror.segments("gate")) - 1
    assert cameras["hall"]["segments"] < len(mirror.segments("hall")) - 8


def test_what_has_expired_is_no_difference(mirror: Mirror) -> None:
    """Neither what the primary has deleted in its turn, nor the pruner. A locked segment stands alone."""
    for path in primary(mirror, "gate")[:4]:
        path.unlink()
    for path in mirror.segments("hall")[:4]:
        path.unlink()
    _, cameras = verify(mirror)
    assert cameras["gate"]["nothing_there"] >= 3
    assert cameras["gate"]["proven"] + cameras["gate"]["nothing_there"] == cameras["gate"]["segments"]
    assert cameras["hall"]["proven"] == cameras["hall"]["segments"]


def test_a_primary_that_is_gone_is_no_proof(mirror: Mirror) -> None:
    """It is reported as such, for one camera or for all. What was proven before still counts."""
    verify(mirror)
    recordings = mirror.home / "recordings"
    (recordings / "gate").rename(mirror.home / "away")
    report, cameras = verify(mirror, code=8)
    assert re.search(rf"the primary's directory {recordings}/gate is not there", report["problems"][0])
    assert cameras["hall"]["counts"]["looked_at"] == cameras["hall"]["segments"]
    assert (cameras["gate"]["counts"], cameras["gate"]["proven"]) == ({}, cameras["gate"]["segments"])
    mirror.database.execute("DELETE FROM cameras WHERE id = ?", "gate")
    assert verify(mirror)[0]["problems"] == []  # Heldar has deleted its recordings with it
    assert verify(mirror)[0]["proven"] == 1  # what was proven, before it was deleted there
    shutil.rmtree(recordings)
    report, _ = verify(mirror, code=8)
    (problem,) = report["problems"]
    assert f"cannot read the primary's recordings in {recordings}" in problem
    assert report["proven"] == 1


def test_segments_that_the_primary_has_lost_were_not_deleted_in_its_turn(mirror: Mirror) -> None:
    """Heldar's index still has them."""
    index(mirror, primary(mirror, "gate"))
    for path in primary(mirror, "gate"):
        path.unlink()
    report, cameras = verify(mirror, code=8)
    assert "recordings/gate has no segment, though Heldar's index has some" in report["problems"][0]
    assert cameras["hall"]["proven"] == cameras["hall"]["segments"]


@pytest.mark.parametrize("level", ["names", "packets", "files"])
def test_a_camera_whose_directory_is_gone_is_a_problem(mirror: Mirror, level: str) -> None:
    """If it is to be mirrored."""
    shutil.rmtree(mirror.root / "gate")
    report, cameras = verify(mirror, "--level", level, code=8, HELDAR_MIRROR_MANIFESTS="false")
    assert f"gate: {mirror.root}/gate is not there" in report["problems"][0]
    assert list(cameras) == ["hall"]
    mirror.database.update("gate", mirror_enabled=0)
    assert verify(mirror, "--level", level, HELDAR_MIRROR_MANIFESTS="false")[0]["problems"] == []


def test_a_mirror_that_is_gone_is_an_error(mirror: Mirror) -> None:
    """Its volume has lost its marker, so nothing can be said but what is remembered."""
    verify(mirror)
    (mirror.root / ".heldar-mirror").rename(mirror.home / "marker")
    report, cameras = verify(mirror, code=8)
    assert str(mirror.root) in report["problems"][0]
    assert set(cameras) == {"gate", "hall"}
    assert report["proven"] == 1


def test_a_database_that_is_gone_does_not_keep_it_from_proving(mirror: Mirror) -> None:
    """It is a problem, since what has expired is then known by the files alone."""
    mirror.database.path.rename(mirror.home / "away")
    report, _ = verify(mirror, code=8)
    assert len(report["problems"]) == 1
    assert report["proven"] == 1
