"""Making room on volumes that refuse writes though they show room: a real quota, and a real union of file systems."""

import contextlib
import os
import subprocess
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path

import pytest
from support.made_footage import (
    FLOOR,
    FLOOR_BYTES,
    MIB,
    begun_of,
    camera_directory,
    free_bytes,
    lock_in_heldar,
    make_segment,
    pruner_of,
    recorded,
    removed_counts,
    run_prune,
    snapshot,
)
from support.mirror import Mirror
from support.quotas import btrfs_quota, limit_btrfs, union, user_quota
from support.users import HELDAR_UID, as_root, python_for_all, run_as

from heldar_mirror.recorder.volume import TRIAL, TRIAL_BYTES
from heldar_mirror.volume.trial import refusal

pytestmark = as_root

BEGUN = 1_790_000_000


@pytest.fixture
def mirror(mirror: Mirror) -> Mirror:
    """A mirror with the lowest floor, and cameras that keep their footage for long. Its root is not mounted yet."""
    mirror.env |= FLOOR
    for name in ("gate", "hall"):
        mirror.database.add(name, retention_hours=1_000_000)
    return mirror


def has_room(directory: Path, size: int = MIB) -> bool:
    """Return whether so many bytes find room in a directory, by writing them as a recorder would."""
    path = directory / "written"
    try:
        path.write_bytes(os.urandom(size))
    except OSError:
        return False
    finally:
        path.unlink(missing_ok=True)
    return True


def fill(mirror: Mirror, *camera_ids: str, size: int = 4 * MIB) -> list[Path]:
    """Put segments of the cameras in turn, a minute apart, until no more find room."""
    made: list[Path] = []
    directories = [camera_directory(mirror, camera_id) for camera_id in camera_ids]
    while True:
        directory, begun = directories[len(made) % len(directories)], BEGUN + 60 * len(made)
        try:
            made.append(make_segment(directory, begun, size))
        except OSError:
            break
    with contextlib.suppress(OSError):
        while True:  # what room is left takes no segment, but may take a trial
            begun += 1
            make_segment(directory, begun, MIB)
    for path in [path for path in directory.glob("*.mp4") if begun_of(path) >= BEGUN + 60 * len(made)]:
        if path.stat().st_size < MIB:
            path.unlink()
        else:
            made.append(path)
    return sorted(made, key=begun_of)


def test_a_quota_that_the_volume_does_not_show_has_room_made(mirror: Mirror) -> None:
    """The oldest go until a write goes through, and few more. A locked one stays."""
    with btrfs_quota(mirror) as root:
        made = fill(mirror, "gate", "hall")
        assert not has_room(root)
        assert free_bytes(root) > FLOOR_BYTES
        lock_in_heldar(mirror, made[0], 1)
        report = run_prune(mirror)
        assert has_room(root)
        assert report["problems"] == []
        assert {rule for _, rule in removed_counts(report)} == {"refused"}
        assert 1 <= report["segments"] <= 8
        assert [path for path in made if not path.exists()] == made[1 : 1 + report["segments"]]
        assert run_prune(mirror)["segments"] == 0


def test_if_nothing_may_be_deleted_that_is_reported(mirror: Mirror) -> None:
    """And nothing of the trial is left, nor changed. A dry run tries nothing."""
    with btrfs_quota(mirror) as root, contextlib.ExitStack() as stack:
        made = fill(mirror, "gate", "hall")
        for name in ("gate", "hall"):
            lock_in_heldar(mirror, next(path for path in made if path.parent.name == name), None)
        stack.enter_context(recorded(mirror, "gate", "hall"))
        before = snapshot(root)
        assert run_prune(mirror, "--dry-run")["problems"] == []
        (problem,) = run_prune(mirror, code=1)["problems"]
        assert f"and nothing more may be deleted: {root}: Disk quota exceeded" in problem
        assert snapshot(root) == before


def test_a_quota_that_is_set_far_lower_costs_as_much_as_the_floor_at_a_time(mirror: Mirror) -> None:
    """Deleting gives the volume room, but no write goes through for long."""
    with btrfs_quota(mirror, 400) as root:
        for number in range(80):
            make_segment(camera_directory(mirror, "gate"), BEGUN + 60 * number, 4 * MIB)
        subprocess.run(["sync", "--file-system", str(root)], check=True)
        limit_btrfs(mirror, 100)
        pruner = pruner_of(mirror)
        first = pruner.prune()
        assert "a write fails though the volume shows room, and deleting gave none" in first.shortages[0]
        assert FLOOR_BYTES <= first.bytes <= FLOOR_BYTES + 16 * MIB
        assert pruner.prune(sweep=False).segments == 0
        assert pruner.prune().segments > 0
        assert pruner.prune().shortages == []
        assert has_room(root)


def test_headroom_is_kept_below_a_quota(mirror: Mirror) -> None:
    """Once writes were refused, what may be written until the next look finds room."""
    with btrfs_quota(mirror) as root:
        made = fill(mirror, "gate", "hall")
        pruner = pruner_of(mirror)
        pruner.prune()
        begun = begun_of(made[-1])
        for number in range(1, 15):
            for each in range(2):
                make_segment(camera_directory(mirror, "gate"), begun + 120 * number + each, 2 * MIB)
            subprocess.run(["sync", "--file-system", str(root)], check=True)
            assert pruner.prune(sweep=False).shortages == []


def test_a_full_branch_of_a_union_has_room_made_where_it_is(mirror: Mirror) -> None:
    """A camera whose directory is there gives room, and the others lose nothing."""
    with union(mirror) as (small, large):
        (large / "hall").mkdir()
        others = [make_segment(camera_directory(mirror, "hall"), BEGUN - 3600 + 60 * each, MIB) for each in range(9)]
        (small / "gate").mkdir()
        made = fill(mirror, "gate")
        assert not has_room(mirror.root / "gate")
        assert free_bytes(mirror.root) > FLOOR_BYTES
        pruner = pruner_of(mirror)
        pruned = pruner.prune()
        assert has_room(mirror.root / "gate")
        assert pruned.shortages == []
        assert set(pruned.tallies) == {("gate", "refused")}
        assert all(path.exists() for path in others)
        assert not made[0].exists()
        # From now on it is looked at without a sweep, too.
        fill(mirror, "gate", size=2 * MIB)
        assert not has_room(mirror.root / "gate")
        assert pruner.prune(sweep=False).segments > 0
        assert has_room(mirror.root / "gate")
        assert not list(mirror.root.rglob(TRIAL))


def test_a_camera_whose_recording_found_no_room_is_tried_at_once(mirror: Mirror) -> None:
    """Not only at the next sweep."""
    with union(mirror) as (small, _):
        (small / "gate").mkdir()
        fill(mirror, "gate")
        pruner = pruner_of(mirror)
        assert pruner.prune(sweep=False).segments == 0
        pruner.suspect(["gate", "hall"])
        assert pruner.prune(sweep=False).segments > 0
        assert has_room(mirror.root / "gate")


@pytest.mark.parametrize("mount", [btrfs_quota, union])
def test_a_trial_tells_room_from_none_and_leaves_nothing(
    mirror: Mirror, mount: Callable[[Mirror], AbstractContextManager[object]]
) -> None:
    """Also if a killed pruner has left its trial file, where a file needs a name."""
    with mount(mirror):
        directory = camera_directory(mirror, "gate")
        fd = os.open(directory, os.O_RDONLY)
        try:
            assert refusal(fd) == ""
            (directory / TRIAL).write_bytes(b"left")
            assert refusal(fd) == ""
            (directory / TRIAL).unlink(missing_ok=True)
            assert refusal(fd, 900 * MIB) in {"Disk quota exceeded", "No space left on device"}
            assert refusal(fd, TRIAL_BYTES) == ""
            assert [path.name for path in directory.iterdir()] == [".heldar-mirror.lock"]
        finally:
            os.close(fd)


FILL_AND_TRY = """
import os, sys
from heldar_mirror.volume.trial import refusal
with open("fill", "wb", buffering=0) as file:
    try:
        while len(sys.argv) > 1:
            file.write(os.urandom(65536))
    except OSError:
        pass
print(refusal(os.open(".", os.O_RDONLY)))
"""


@pytest.mark.parametrize("kind", ["ext4", "xfs"])
def test_the_quota_of_the_recorders_user_counts(home: Path, kind: str) -> None:
    """It binds the user alone, and the volume shows room."""
    with user_quota(home, kind, HELDAR_UID, 40) as directory:
        as_user = run_as(HELDAR_UID, ["env", "-C", str(directory), python_for_all(), "-c", FILL_AND_TRY, "fill"])
        assert as_user.stdout == "Disk quota exceeded\n", as_user.stderr
        assert free_bytes(directory) > FLOOR_BYTES
        (directory / "fill").unlink()
        fd = os.open(directory, os.O_RDONLY)
        assert refusal(fd) == ""
        os.close(fd)
