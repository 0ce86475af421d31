"""Keeping the floor of free space, on small file systems of several kinds that are really full."""

import os
import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as options
from hypothesis import strategies as st
from support.made_footage import (
    FLOOR,
    FLOOR_BYTES,
    HOUR,
    MIB,
    begun_of,
    camera_directory,
    fill_volume,
    free_bytes,
    lock_in_heldar,
    make_segment,
    mounted_volume,
    pruner_of,
    recorded,
    removed_counts,
    run_prune,
    snapshot,
)
from support.mirror import Mirror
from support.users import as_root, new_mirror

from heldar_mirror.pruning.gauge import TICK_SECONDS
from heldar_mirror.pruning.need import FUTILE_TIMES
from heldar_mirror.pruning.pruner import Pruner

pytestmark = as_root

NOW = int(time.time())
KINDS = ["tmpfs", "ext4", "btrfs", "xfs"]


@pytest.fixture
def mirror(mirror: Mirror) -> Mirror:
    """A mirror with the lowest floor, and cameras that keep their footage for long. Its root is not mounted yet."""
    mirror.env |= FLOOR
    for name in ("gate", "hall", "yard"):
        mirror.database.add(name, retention_hours=1000)
    return mirror


def all_segments(mirror: Mirror) -> list[Path]:
    """Return all segments of all cameras, the oldest first."""
    return sorted((path for name in ("gate", "hall", "yard") for path in mirror.segments(name)), key=begun_of)


@pytest.mark.parametrize("kind", KINDS)
def test_the_floor_is_reached_and_no_more(mirror: Mirror, kind: str) -> None:
    """The oldest of all cameras are removed until the floor holds, and not one more, as a dry run foretells."""
    with mounted_volume(mirror, kind) as root:
        made = fill_volume(mirror, "gate", "hall", "yard", until=60 * MIB, newest=NOW)
        lock_in_heldar(mirror, made[4], 1)
        short = FLOOR_BYTES - free_bytes(root)
        before = snapshot(root)
        foretold = run_prune(mirror, "--dry-run")
        assert snapshot(root) == before
        done = run_prune(mirror)
        os.sync()
        assert removed_counts(done) == removed_counts(foretold)
        assert done["problems"] == foretold["problems"] == []
        assert {rule for _, rule in removed_counts(done)} == {"floor"}
        assert done["bytes"] - 4 * MIB < short <= done["bytes"]
        # The file system's own data needs and gives back room, too.
        assert free_bytes(root) >= FLOOR_BYTES - MIB
        count = done["segments"]
        # The locked time may begin in the segment before, since two ffmpegs name the same moment seconds apart.
        protected = [made[1], made[4]]
        assert all_segments(mirror) == protected + [path for path in made if path not in protected][count:]
        assert run_prune(mirror)["segments"] <= 1


@pytest.mark.parametrize("kind", KINDS)
def test_room_made_by_age_is_not_made_twice(mirror: Mirror, kind: str) -> None:
    """What was removed by age counts as room, even if the file system gives it back later, as a dry run foretells."""
    with mounted_volume(mirror, kind) as root:
        made = fill_volume(mirror, "gate", until=60 * MIB, newest=NOW)
        mirror.database.update("gate", retention_hours=24)
        for path in made[:23]:
            path.rename(path.with_name(f"2020{path.name[4:]}"))
        os.sync()
        assert free_bytes(root) < FLOOR_BYTES < free_bytes(root) + 22 * 4 * MIB
        foretold, done = run_prune(mirror, "--dry-run"), run_prune(mirror)
        # The last of the old segments lasts until the others begin.
        assert removed_counts(foretold) == {("gate", "age"): 22}
        assert removed_counts(done) == removed_counts(foretold)


@pytest.mark.parametrize("kind", KINDS)
def test_room_that_was_made_is_not_made_again(mirror: Mirror, kind: str) -> None:
    """The next run finds the room that the one before made, whenever the file system gives it back."""
    with mounted_volume(mirror, kind):
        fill_volume(mirror, "gate", "hall", until=60 * MIB, newest=NOW)
        pruner = pruner_of(mirror)
        first, second, third = (pruner.prune(sweep=False).segments for _ in range(3))
        assert first >= 16
        # What the file system itself writes meanwhile may cost one more segment.
        assert second + third <= 1


def test_as_much_as_is_written_is_kept_free_beyond_the_floor(mirror: Mirror) -> None:
    """What was written since the last run may be written until the next one, so twice that is kept free."""
    with mounted_volume(mirror, "tmpfs") as root:
        fill_volume(mirror, "gate", until=FLOOR_BYTES - 8 * MIB, newest=NOW - HOUR)
        pruner = pruner_of(mirror)
        assert pruner.prune(sweep=False).segments == 2
        for number in range(5):
            make_segment(camera_directory(mirror, "hall"), NOW - 600 + number, 4 * MIB)
        assert free_bytes(root) < FLOOR_BYTES
        made = pruner.prune(sweep=False)
        # That is a quarter of the floor at most. If more is written, the next run comes sooner.
        assert FLOOR_BYTES + 32 * MIB <= free_bytes(root) < FLOOR_BYTES + 36 * MIB
        assert made.segments == 13
        assert pruner.tick < TICK_SECONDS
        assert pruner.prune(sweep=False).segments == 0


def test_a_volume_that_is_listed_slowly_is_listed_again_while_that_is_of_use(mirror: Mirror) -> None:
    """What was recorded since the last listing can be removed at the next run, even if listing takes long."""

    def list_slowly(what: str, *_: object) -> None:
        if what == "listing":
            time.sleep(0.3)

    with mounted_volume(mirror, "tmpfs") as root, recorded(mirror, "gate", "hall"):
        for number in range(3):
            make_segment(camera_directory(mirror, "gate"), NOW - HOUR + number, 4 * MIB)
        with (root / "ballast").open("xb") as ballast:
            os.posix_fallocate(ballast.fileno(), 0, free_bytes(root) - FLOOR_BYTES + 8 * MIB)
        pruner = pruner_of(mirror, progress=list_slowly)
        begun = time.monotonic()
        assert pruner.prune(sweep=False).segments == 2
        took = time.monotonic() - begun
        for number in range(4):
            make_segment(camera_directory(mirror, "hall"), NOW - 600 + number, 4 * MIB)
        time.sleep(5 * took)
        assert pruner.prune(sweep=False).segments == 3


def test_a_floor_that_is_too_much_for_the_volume(mirror: Mirror) -> None:
    """Half of a small volume is kept free instead of the floor."""
    with mounted_volume(mirror, "tmpfs", 200) as root:
        fill_volume(mirror, "gate", until=40 * MIB, newest=NOW)
        assert run_prune(mirror)["floor_bytes"] == 100 * MIB
        assert 100 * MIB <= free_bytes(root) < 104 * MIB


@pytest.mark.parametrize("inodes", [False, True])
@pytest.mark.parametrize("args", [["--dry-run"], []])
def test_if_everything_is_locked_nothing_is_removed(mirror: Mirror, args: list[str], inodes: bool) -> None:
    """Room or inodes are lacking and nothing may be deleted: that is reported, with exit code 1."""
    with mounted_volume(mirror, "tmpfs", options=",nr_inodes=1000" if inodes else "") as root:
        if inodes:
            use_up_inodes(mirror, 1000, left=5)
        else:
            fill_volume(mirror, "gate", "hall", until=60 * MIB, newest=NOW)
        for camera_id in ("gate", "hall"):
            if segments := mirror.segments(camera_id):
                lock_in_heldar(mirror, segments[0], None)
        before = snapshot(root)
        result = mirror.run("prune", *args, code=1)
        assert "nothing more may be deleted: what is left is locked in Heldar" in " ".join(result.stdout.split())
        assert snapshot(root) == before


def test_what_may_be_removed_is_and_what_is_still_lacking_is_reported(mirror: Mirror) -> None:
    """Unprotected segments are removed even if they do not suffice. What is still lacking is a problem."""
    with mounted_volume(mirror, "tmpfs") as root:
        made = fill_volume(mirror, "gate", until=60 * MIB, newest=NOW)
        lock_in_heldar(mirror, made[6], None)
        report = run_prune(mirror, code=1)
        assert removed_counts(report) == {("gate", "floor"): 5}
        assert len(report["problems"]) == 1
        assert "less than the floor of 128.0 MiB is free, and nothing more may be deleted" in report["problems"][0]
        assert free_bytes(root) < FLOOR_BYTES


@pytest.mark.parametrize("args", [["--dry-run"], []])
def test_a_segment_that_has_filled_the_volume_goes_when_nothing_else_can(mirror: Mirror, args: list[str]) -> None:
    """It is the newest of its camera, and closed. While its recorder runs it stays, and that is reported."""
    with mounted_volume(mirror, "tmpfs") as root:
        make_segment(camera_directory(mirror, "gate"), NOW - HOUR, 4 * MIB)
        endless = make_segment(camera_directory(mirror, "hall"), NOW - 2 * HOUR, free_bytes(root) - 60 * MIB)
        with recorded(mirror, "gate", "hall"):
            assert "nothing more may be deleted" in run_prune(mirror, *args, code=1)["problems"][0]
        report = run_prune(mirror, *args)
        assert removed_counts(report) == {("hall", "floor"): 1}
        assert endless.exists() == bool(args)
        assert len(mirror.segments("gate")) == 1


@pytest.mark.parametrize("args", [["--dry-run"], []])
def test_without_the_database_the_floor_holds(mirror: Mirror, args: list[str]) -> None:
    """The oldest but the newest of each camera are removed. That the locks are not known is a problem: exit code 4."""
    with mounted_volume(mirror, "tmpfs") as root:
        made = fill_volume(mirror, "gate", until=60 * MIB, newest=NOW)
        oldest = make_segment(camera_directory(mirror, "hall"), NOW - 900 * HOUR, 4 * MIB)
        made.append(oldest)
        mirror.database.path.write_bytes(b"this was a database")
        report = run_prune(mirror, *args, code=4)
        assert removed_counts(report) == {("gate", "floor"): 18}
        assert report["problems"] == [
            "room is made, oldest first, by the locks that were read last: they can't be read now"
        ]
        assert oldest.exists()
        assert (free_bytes(root) >= FLOOR_BYTES) == (not args)


# Room that is not given back.


def hold_by_links(root: Path) -> None:
    """Make a hard link to every segment."""
    (root / ".kept").mkdir()
    for path in root.glob("*/*.mp4"):
        (root / ".kept" / f"{path.parent.name}-{path.name}").hardlink_to(path)


def hold_by_snapshot(root: Path) -> None:
    """Make a snapshot of the volume."""
    subprocess.run(["btrfs", "subvolume", "snapshot", "-r", root, root / ".kept"], check=True, capture_output=True)


@pytest.mark.parametrize(
    ("kind", "hold"), [("tmpfs", hold_by_links), ("xfs", hold_by_links), ("btrfs", hold_by_snapshot)]
)
def test_room_that_something_holds_is_not_made_by_deleting_everything(
    mirror: Mirror, kind: str, hold: Callable[[Path], None]
) -> None:
    """After a few rounds that gave no room, nothing more is removed, and that is reported."""
    with mounted_volume(mirror, kind) as root:
        made = fill_volume(mirror, "gate", "hall", until=60 * MIB, newest=NOW)
        hold(root)
        short = FLOOR_BYTES - free_bytes(root)
        pruner = pruner_of(mirror)
        rounds = [pruner.prune(sweep=False) for _ in range(FUTILE_TIMES + 3)]
        once = -(-short // (4 * MIB))
        assert 0 < sum(each.segments for each in rounds) <= FUTILE_TIMES * (once + 1)
        assert [each.segments for each in rounds[FUTILE_TIMES:]] == [0, 0, 0]
        assert "deleting gave none: does a snapshot, a hard link" in rounds[-1].shortages[0]
        assert len(all_segments(mirror)) > len(made) // 4


def test_a_prune_that_gave_no_room_is_reported(mirror: Mirror) -> None:
    """A single prune, from somebody's timer for example, has exit code 1 if the floor does not hold."""
    with mounted_volume(mirror, "tmpfs") as root:
        fill_volume(mirror, "gate", "hall", until=60 * MIB, newest=NOW)
        hold_by_links(root)
        report = run_prune(mirror, code=1)
        assert report["free_bytes"] < report["floor_bytes"]
        assert report["problems"]


def test_room_is_made_although_remembered_segments_are_gone(mirror: Mirror) -> None:
    """If somebody else took the oldest segments away, they give no room, so others are removed in the same run."""
    with mounted_volume(mirror, "tmpfs") as root:
        made = fill_volume(mirror, "gate", until=60 * MIB, newest=NOW)
        lost = made[:10]

        def replace(what: str, *_: int) -> None:
            """Just before room is made, move ten segments out of their camera's directory."""
            if what == "making room" and lost:
                while lost:
                    path = lost.pop()
                    path.rename(root / path.name)

        made_room = pruner_of(mirror, progress=replace)
        made_room.prune()
        assert free_bytes(root) >= FLOOR_BYTES


# Inodes


def use_up_inodes(mirror: Mirror, count: int, left: int) -> list[Path]:
    """Put small segments a minute apart until only `left` inodes are free, of the `count` that the volume has."""
    directory = camera_directory(mirror, "gate")
    number = os.statvfs(mirror.root).f_favail - left
    assert 0 < number < count
    # None of them reaches its time while the test runs.
    now = time.time() - 30
    return [make_segment(directory, now - 60 * (number - each), 8) for each in range(number)]


def test_inodes_that_run_out_are_made(mirror: Mirror) -> None:
    """A hundredth of them is kept free: the oldest segments are removed until it is, and not one more."""
    with mounted_volume(mirror, "tmpfs", options=",nr_inodes=1000") as root:
        made = use_up_inodes(mirror, 1000, left=5)
        foretold, done = run_prune(mirror, "--dry-run"), run_prune(mirror)
        assert removed_counts(foretold) == removed_counts(done) == {("gate", "floor"): 5}
        assert os.statvfs(root).f_favail == 10
        assert mirror.segments("gate") == made[5:]


def test_inodes_made_by_age_are_not_made_twice(mirror: Mirror) -> None:
    """A dry run counts the inodes of what it would remove by age, as well as the bytes."""
    with mounted_volume(mirror, "tmpfs", options=",nr_inodes=1000"):
        use_up_inodes(mirror, 1000, left=5)
        mirror.database.update("gate", retention_hours=10)
        foretold, done = run_prune(mirror, "--dry-run"), run_prune(mirror)
        assert removed_counts(foretold) == removed_counts(done)
        assert {rule for _, rule in removed_counts(done)} == {"age"}


# Any footage.


@dataclass(frozen=True)
class Shelf:
    """One camera's footage: ages in minutes with sizes in pages, locked ages, and what the camera's row says."""

    segments: dict[int, int]
    locked: frozenset[int]
    hours: int
    quota: int | None
    deleted: bool


minutes = st.integers(0, 600)
shelves = st.builds(
    Shelf,
    segments=st.dictionaries(minutes, st.integers(1, 200), max_size=12),
    locked=st.frozensets(minutes, max_size=2),
    hours=st.integers(0, 12),
    quota=st.none() | st.integers(1, 1500),
    deleted=st.sampled_from([False, False, True]),
)
PAGE = 4096
ROOM = 4000  # pages


def test_any_footage_is_pruned_by_the_rules() -> None:
    """What is protected stays, and what stays is the newest. Age, quota and floor hold if they can."""
    with new_mirror() as mirror, mounted_volume(mirror, "tmpfs", 32):

        @options(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck), database=None)
        @given(st.dictionaries(st.sampled_from(["gate", "hall", "yard"]), shelves, min_size=1), st.integers(0, ROOM))
        def check(many: dict[str, Shelf], floor: int) -> None:
            check_shelves(mirror, many, floor)

        check()


def check_shelves(mirror: Mirror, many: dict[str, Shelf], floor: int) -> None:
    """Prune such footage with a floor in pages, and check what is left."""
    subprocess.run(["find", str(mirror.root), "-mindepth", "2", "-delete"], check=True)
    (mirror.state / "retention.json").unlink(missing_ok=True)
    mirror.database.execute("DELETE FROM cameras; DELETE FROM segments")
    now, sizes = int(time.time()), dict[Path, int]()
    for name, each in many.items():
        if not each.deleted:
            quota = each.quota and each.quota * PAGE
            mirror.database.add(name, retention_hours=each.hours, storage_quota_bytes=quota, segment_seconds=60)
        for age, pages in each.segments.items():
            sizes[make_segment(camera_directory(mirror, name), now - 60 * age, pages * PAGE)] = pages * PAGE
        for age in each.locked:
            lock_in_heldar(
                mirror, mirror.root / name / time.strftime("%Y%m%d_%H%M%S.mp4", time.gmtime(now - 60 * age)), 60
            )
    foretold, done = (
        both(pruner_of(mirror, dry_run=dry_run, min_free_bytes=floor * PAGE, deleted_retention_seconds=0))
        for dry_run in (True, False)
    )
    assert done == foretold

    left = {path for path in sizes if path.exists()}
    may_go = set()
    for name, each in many.items():
        paths = sorted((path for path in sizes if path.parent.name == name), key=begun_of)
        ends = {path: begun_of(after) for path, after in pairwise(paths)}
        spans = [(now - 60 * age - 15, now - 60 * age + 75) for age in each.locked]
        held = {p for p in paths if any(begun_of(p) <= b and ends.get(p, now + 10**9) >= a for a, b in spans)}
        keep = held | (set() if each.deleted else set(paths[-1:]))
        assert keep <= left
        unprotected = [path for path in paths if path not in keep]
        stays = [path for path in unprotected if path in left]
        assert stays == unprotected[len(unprotected) - len(stays) :]
        if each.deleted:
            assert not stays
        old = {path for path in unprotected if ends.get(path, now) <= now - 3600 * max(each.hours, 1) - 60}
        assert each.deleted or not old & left
        if each.quota and not each.deleted and sum(sizes[p] for p in held) < each.quota * PAGE:
            assert not stays or sum(sizes[p] for p in paths if p in left) <= each.quota * PAGE
        may_go |= set(stays)
    if free_bytes(mirror.root) < min(floor * PAGE, 16 * MIB):
        assert not may_go
    gone_for_room = [p for p in sizes if p not in left]
    assert len(gone_for_room) == sum(segments for segments in done.values())


def both(pruner: Pruner) -> dict[tuple[str, str], int]:
    """Prune by all rules, then for room, and return how many segments were removed by camera and rule."""
    pruned = pruner.prune()
    return {key: tally.segments for key, tally in pruned.tallies.items()}
