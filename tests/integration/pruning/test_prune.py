"""Pruning by age and quota, of stubs and of deleted cameras, on real directories with a real database."""

import contextlib
import fcntl
import json
import os
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from support.made_footage import (
    FLOOR,
    HOUR,
    LOCK,
    begun_of,
    camera_directory,
    lock_in_heldar,
    make_segment,
    pruner_of,
    removed_counts,
    run_prune,
    settings_of,
    snapshot,
)
from support.mirror import Mirror, new_home
from support.users import as_root, new_mirror
from support.waiting import wait_for

from heldar_mirror.errors import VolumeError
from heldar_mirror.footage.names import segment_name
from heldar_mirror.pruning.clock import WallClock
from heldar_mirror.pruning.memory import Retention, write_retention
from heldar_mirror.pruning.outcome import Pruned

MARKER = ".heldar-mirror"
NOW = int(time.time())


@pytest.fixture(scope="module")
def adopted() -> Iterator[tuple[Mirror, Path]]:
    """A mirror whose root was adopted, with the lowest floor, and a copy of all its files."""
    with new_mirror() as made, new_home() as copy:
        made.run("adopt-volume")
        shutil.copytree(made.home, copy / "home", symlinks=True)
        yield made, copy / "home"


@pytest.fixture
def mirror(adopted: tuple[Mirror, Path]) -> Mirror:
    """The same mirror as it was when its root was adopted. Nothing runs."""
    made, copy = adopted
    shutil.rmtree(made.home)
    shutil.copytree(copy, made.home, symlinks=True)
    return Mirror(made.home, made.database, made.env | FLOOR)


def put_hours(mirror: Mirror, camera_id: str, *hours: float, size: int = 1000) -> list[Path]:
    """Put segments of a camera that began so many hours ago, the oldest first."""
    return [make_segment(camera_directory(mirror, camera_id), NOW - HOUR * each, size) for each in hours]


def sweep(mirror: Mirror, **changes: Any) -> Pruned:
    """Prune once, in this process."""
    return pruner_of(mirror, **changes).prune()


def went(pruned: Pruned) -> dict[tuple[str, str], int]:
    return {key: tally.segments for key, tally in pruned.tallies.items()}


def busy_shelves(mirror: Mirror) -> None:
    """Put footage to which every rule but the floor applies, and some that is locked."""
    mirror.database.add("aged", retention_hours=10)
    mirror.database.add("capped", retention_hours=1000, storage_quota_bytes=2500)
    mirror.database.add("locked", retention_hours=1)
    mirror.database.add("stubs", retention_hours=1000)
    put_hours(mirror, "aged", 30, 20, 11, 9, 1)
    put_hours(mirror, "capped", 5, 4, 3, 2, 1)
    lock_in_heldar(mirror, put_hours(mirror, "locked", 9, 8, 7, 6)[2])
    put_hours(mirror, "stubs", 3, 2.5, 0.2, 0.1, size=0)
    put_hours(mirror, "gone", 3, 2, 1)


def test_each_rule_removes_what_is_its_own(mirror: Mirror) -> None:
    """Segments are removed by age, by quota, as stubs and with their camera. They are counted by camera and rule."""
    busy_shelves(mirror)
    report = run_prune(mirror, HELDAR_MIRROR_DELETED_RETENTION_HOURS="0")
    assert removed_counts(report) == {
        ("aged", "age"): 2,
        ("capped", "quota"): 3,
        ("locked", "age"): 1,
        ("stubs", "stub"): 2,
        ("gone", "deleted"): 3,
    }
    assert report["segments"] == 11
    assert report["bytes"] == 9000
    assert report["directories"] == ["gone"]
    assert report["problems"] == []
    assert not (mirror.root / "gone").exists()
    assert {name: len(mirror.segments(name)) for name in ("aged", "capped", "locked", "stubs")} == {
        "aged": 3,
        "capped": 2,
        "locked": 3,
        "stubs": 2,
    }
    assert removed_counts(run_prune(mirror)) == {}


def test_a_dry_run_changes_nothing_and_foretells_everything(mirror: Mirror) -> None:
    """No byte and no time changes, in the root or the state. A real run does just what was foretold."""
    busy_shelves(mirror)
    before = snapshot(mirror.root, mirror.state, mirror.home / "heldar")
    foretold = run_prune(mirror, "--dry-run", HELDAR_MIRROR_DELETED_RETENTION_HOURS="0")
    assert foretold.pop("dry_run")
    assert snapshot(mirror.root, mirror.state, mirror.home / "heldar") == before
    done = run_prune(mirror, HELDAR_MIRROR_DELETED_RETENTION_HOURS="0")
    assert not done.pop("dry_run")
    for report in (foretold, done):
        del report["free_bytes"]  # other processes write to this disk
    assert done == foretold
    assert done["segments"] == 11


def test_a_dry_run_does_not_wait_for_another_prune(mirror: Mirror) -> None:
    """It takes no lock and makes no lock file."""
    busy_shelves(mirror)
    with (mirror.state / "prune.lock").open("w") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        assert run_prune(mirror, "--dry-run")["segments"] == 8


def test_the_table_for_people(mirror: Mirror) -> None:
    """It has a row by camera and rule with the first and the last name, then what waits, then a sum."""
    busy_shelves(mirror)
    shown = mirror.run("prune", "--dry-run").stdout
    rows = [line.split() for line in shown.splitlines()]
    stamps = [time.strftime("%Y%m%d_%H%M%S", time.gmtime(NOW - HOUR * hours)) for hours in (30, 20)]
    assert rows[0] == ["camera", "rule", "segments", "size", "from", "to"]
    assert ["aged", "age", "2", "2.0", "KiB", *stamps] in rows
    assert "gone: deleted from the table; its footage stays until 20" in shown
    assert "would delete 8 segments, 5.9 KiB; " in shown
    assert "the floor is 128.0 MiB" in shown
    assert "deleted 8 segments, 5.9 KiB; " in mirror.run("prune").stdout


def test_mirroring_that_is_off_deletes_nothing(mirror: Mirror) -> None:
    """Without a mirror root there is nothing to prune, and that is no error."""
    busy_shelves(mirror)
    before = snapshot(mirror.root)
    assert run_prune(mirror, HELDAR_MIRROR_RECORDINGS_DIR="")["mirroring"] is False
    assert snapshot(mirror.root) == before


@pytest.mark.parametrize("column", ["locked", "evidence_locked"])
@pytest.mark.parametrize("value", [1, 2, -1, "yes"])
def test_a_lock_of_either_kind_keeps_a_segment(mirror: Mirror, column: str, value: object) -> None:
    """Any value but 0 locks a segment, as evidence or for playback."""
    mirror.database.add("gate", retention_hours=1)
    paths = put_hours(mirror, "gate", 9, 8, 7, 6, 5)
    lock_in_heldar(mirror, paths[1], column=column)
    mirror.database.execute(f"UPDATE segments SET {column} = ?", value)  # noqa: S608
    assert went(sweep(mirror)) == {("gate", "age"): 2}
    # The locked time may begin in the segment before, since two ffmpegs name the same moment seconds apart.
    assert mirror.segments("gate") == [paths[0], paths[1], paths[4]]


def test_a_lock_without_an_end_keeps_all_that_follows(mirror: Mirror) -> None:
    """A locked segment that is still being recorded has no end yet. It protects from the quota as well."""
    mirror.database.add("gate", retention_hours=1, storage_quota_bytes=4500)
    paths = put_hours(mirror, "gate", 9, 8, 7, 6, 5)
    lock_in_heldar(mirror, paths[2], None)
    assert went(sweep(mirror)) == {("gate", "age"): 1}
    assert mirror.segments("gate") == paths[1:]


def test_a_lock_is_of_one_camera(mirror: Mirror) -> None:
    """A lock of one camera keeps nothing of other cameras."""
    for name in ("gate", "hall"):
        mirror.database.add(name, retention_hours=1)
        put_hours(mirror, name, 9, 8)
    lock_in_heldar(mirror, mirror.segments("hall")[0])
    assert went(sweep(mirror)) == {("gate", "age"): 1}


def test_a_lock_that_is_not_understood_keeps_its_camera_whole(mirror: Mirror) -> None:
    """It is one problem, with exit code 1. Other cameras are pruned."""
    for name in ("gate", "hall"):
        mirror.database.add(name, retention_hours=1, storage_quota_bytes=1)
        paths = put_hours(mirror, name, 9, 8, 7)
        lock_in_heldar(mirror, paths[0])
    mirror.database.execute("UPDATE segments SET end_time = 'soon' WHERE camera_id = 'gate'")
    report = run_prune(mirror, code=1)
    assert removed_counts(report) == {("hall", "age"): 1}
    problems = [text for text in report["problems"] if "nothing of it is deleted" in text]
    assert len(problems) == 1
    assert problems[0].startswith("camera 'gate': a locked segment's time is 'soon', expected one such as 2026-01-31T")


def test_what_is_locked_may_fill_the_quota(mirror: Mirror) -> None:
    """Then nothing is removed by quota, since that would not help, and that is a problem."""
    mirror.database.add("gate", storage_quota_bytes=2000)
    paths = put_hours(mirror, "gate", 5, 4, 3, 2, 1)
    lock_in_heldar(mirror, paths[1], HOUR)
    pruned = sweep(mirror)
    assert went(pruned) == {}
    assert pruned.problems == ["camera gate: its locked segments fill its quota; nothing of it goes by quota"]


def test_the_newest_stays_however_old_it_is(mirror: Mirror) -> None:
    """It may be the one that is being written, whatever its name and its mtime say."""
    mirror.database.add("gate", retention_hours=0, storage_quota_bytes=1)
    paths = put_hours(mirror, "gate", 9000, 8000)
    for path in paths:
        os.utime(path, (0, 0))
    assert went(sweep(mirror)) == {("gate", "age"): 1}
    assert mirror.segments("gate") == paths[1:]


def test_an_mtime_says_nothing(mirror: Mirror) -> None:
    """The age of a segment is that of its name, whether it was touched just now or long ago."""
    mirror.database.add("gate", retention_hours=10)
    paths = put_hours(mirror, "gate", 30, 20, 9, 8)
    for path in paths[2:]:
        os.utime(path, (0, 0))
    assert went(sweep(mirror)) == {("gate", "age"): 1}
    assert mirror.segments("gate") == paths[1:]


def test_a_row_that_is_not_understood_deletes_nothing(mirror: Mirror) -> None:
    """A retention that can't be understood is a problem with its column, and only that camera keeps everything."""
    mirror.database.add("gate", retention_hours="a day", storage_quota_bytes=1)
    mirror.database.add("hall", retention_hours=1, storage_quota_bytes="much")
    mirror.database.add("yard", retention_hours=1)
    for name in ("gate", "hall", "yard"):
        put_hours(mirror, name, 9, 8, 7)
    report = run_prune(mirror, code=1)
    assert removed_counts(report) == {("yard", "age"): 2}
    assert len(report["problems"]) == 2
    assert report["problems"][0].startswith("camera gate: retention_hours is 'a day', expected a whole number")
    assert report["problems"][1].startswith("camera hall: storage_quota_bytes is 'much', expected a whole number")


def test_a_camera_that_is_not_mirrored_any_more_is_pruned(mirror: Mirror) -> None:
    """A camera in the table has a retention, whether or not it is recorded."""
    mirror.database.add("gate", retention_hours=1, mirror_enabled=0, enabled=0)
    put_hours(mirror, "gate", 9, 8, 7)
    assert went(sweep(mirror)) == {("gate", "age"): 2}


# Stubs


@pytest.mark.parametrize("content", [b"", b"\0\0\0\x1cftypiso5".ljust(28, b"\0"), bytes(4096)])
def test_stubs_are_removed_after_an_hour(mirror: Mirror, content: bytes) -> None:
    """A file in which ffmpeg wrote no fragment is removed, but not the newest, nor a small recording."""
    mirror.database.add("gate", retention_hours=1000)
    paths = put_hours(mirror, "gate", 4, 3, 2, 0.5, 0.2)
    for path in (paths[1], paths[3], paths[4]):
        path.write_bytes(content)
    assert went(sweep(mirror)) == {("gate", "stub"): 1}
    assert mirror.segments("gate") == [paths[0], *paths[2:]]


def test_a_stub_that_was_filled_meanwhile_stays(mirror: Mirror) -> None:
    """A file that was empty when it was measured and is not any more was being written."""
    mirror.database.add("gate", retention_hours=1000)
    paths = put_hours(mirror, "gate", 4, 3, 2, size=0)

    def fill(what: str, *_: int) -> None:
        if what == "pruning":
            paths[0].write_bytes(b"\0\0\0\x08moof")

    assert went(pruner_of(mirror, progress=fill).prune()) == {("gate", "stub"): 1}
    assert mirror.segments("gate") == [paths[0], paths[2]]


# Cameras that were deleted from the table


def test_the_footage_of_a_deleted_camera_stays_for_a_while(mirror: Mirror) -> None:
    """It stays for a time since the camera was first missed, which a new process remembers. Then it is removed."""
    put_hours(mirror, "gone", 9000, 8000, 1)
    first, second = [run_prune(mirror, HELDAR_MIRROR_DELETED_RETENTION_HOURS="1") for _ in range(2)]
    assert first["segments"] == 0
    assert first["waiting"] == second["waiting"]
    assert NOW + HOUR <= first["waiting"]["gone"] <= time.time() + HOUR
    wait_for(lambda: time.time() > first["waiting"]["gone"] - HOUR + 1)
    last = run_prune(mirror, HELDAR_MIRROR_DELETED_RETENTION_HOURS="0.0001")
    assert removed_counts(last) == {("gone", "deleted"): 3}
    assert last["directories"] == ["gone"]
    assert last["waiting"] == {}
    assert not (mirror.root / "gone").exists()
    sweep(mirror)
    assert "gone" not in (mirror.state / "retention.json").read_text()


def test_heldars_own_default_is_how_long_it_stays(mirror: Mirror) -> None:
    """Without a setting of the mirror's own it stays for Heldar's default, a day."""
    put_hours(mirror, "gone", 5)
    waiting = [
        run_prune(mirror, "--dry-run")["waiting"]["gone"],
        run_prune(mirror, "--dry-run", HELDAR_DEFAULT_RETENTION_HOURS="100")["waiting"]["gone"],
    ]
    assert waiting[1] - waiting[0] == pytest.approx(76 * HOUR, abs=60)
    assert waiting[0] == pytest.approx(NOW + 24 * HOUR, abs=120)


def test_a_camera_that_is_added_again_is_not_deleted_any_more(mirror: Mirror) -> None:
    """Its time is forgotten, and begins anew when the camera is deleted again."""
    put_hours(mirror, "gate", 9, 8)
    first = sweep(mirror).waiting["gate"]
    mirror.database.add("gate", retention_hours=1000)
    assert sweep(mirror, deleted_retention_seconds=0).waiting == {}
    assert len(mirror.segments("gate")) == 2
    mirror.database.execute("DELETE FROM cameras")
    assert sweep(mirror).waiting["gate"] > first
    assert went(sweep(mirror, deleted_retention_seconds=0)) == {("gate", "deleted"): 2}


def test_what_is_locked_of_a_deleted_camera_stays(mirror: Mirror) -> None:
    """Evidence and its directory outlive the camera's row."""
    paths = put_hours(mirror, "gone", 9, 8, 7, 6)
    lock_in_heldar(mirror, paths[2])
    pruned = sweep(mirror, deleted_retention_seconds=0)
    assert went(pruned) == {("gone", "deleted"): 2}
    assert pruned.directories == []
    assert mirror.segments("gone") == [paths[1], paths[2]]
    mirror.database.execute("DELETE FROM segments")
    pruned = sweep(mirror, deleted_retention_seconds=0)
    assert went(pruned) == {("gone", "deleted"): 2}
    assert pruned.directories == ["gone"]


def test_a_deleted_camera_is_known_without_a_lock_file(mirror: Mirror) -> None:
    """A directory that Heldar recorded to has no lock file, but its camera was once in the table."""
    mirror.database.add("gate", retention_hours=1000)
    put_hours(mirror, "gate", 9, 8)
    (mirror.root / "gate" / LOCK).unlink()
    sweep(mirror)
    mirror.database.execute("DELETE FROM cameras")
    assert list(sweep(mirror).waiting) == ["gate"]
    pruned = sweep(mirror, deleted_retention_seconds=0)
    assert (went(pruned), pruned.directories) == ({("gate", "deleted"): 2}, ["gate"])


def test_a_directory_with_nothing_but_a_lock_file_is_removed(mirror: Mirror) -> None:
    """The lock file is the recorder's own, so it does not keep the directory."""
    camera_directory(mirror, "one")
    assert sweep(mirror, deleted_retention_seconds=0).directories == ["one"]
    assert not (mirror.root / "one").exists()


@pytest.mark.parametrize("name", ["notes.txt", "20260131_120000.mp4.part", "sub/20200101_000000.mp4"])
def test_a_foreign_file_keeps_a_deleted_cameras_directory(mirror: Mirror, name: str) -> None:
    """The segments are removed, the file and the directory stay, and a dry run foretells just that."""
    put_hours(mirror, "gone", 9, 8)
    foreign = mirror.root / "gone" / name
    foreign.parent.mkdir(exist_ok=True)
    foreign.write_text("mine")
    foretold = run_prune(mirror, "--dry-run", HELDAR_MIRROR_DELETED_RETENTION_HOURS="0")
    done = run_prune(mirror, HELDAR_MIRROR_DELETED_RETENTION_HOURS="0")
    assert removed_counts(done) == removed_counts(foretold) == {("gone", "deleted"): 2}
    assert foreign.read_text() == "mine"
    assert done["directories"] == []
    assert foretold["directories"] == []


def test_a_recorder_at_work_keeps_a_deleted_cameras_directory(mirror: Mirror) -> None:
    """A recorder that holds its lock is about to record there. When the recorder ends, it is removed."""
    put_hours(mirror, "gone", 9)
    with (mirror.root / "gone" / LOCK).open() as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        pruned = sweep(mirror, deleted_retention_seconds=0)
        assert (went(pruned), pruned.directories) == ({("gone", "deleted"): 1}, [])
        assert (mirror.root / "gone" / LOCK).exists()
    assert sweep(mirror, deleted_retention_seconds=0).directories == ["gone"]


def lock_to_a_directory(path: Path) -> None:
    path.unlink()
    path.mkdir()


def lock_to_a_link(path: Path) -> None:
    path.unlink()
    path.symlink_to(path.parent.parent / MARKER)


def lock_to_a_fifo(path: Path) -> None:
    path.unlink()
    os.mkfifo(path)


@pytest.mark.parametrize("spoil", [lock_to_a_directory, lock_to_a_link, lock_to_a_fifo])
def test_what_only_has_the_lock_files_name_keeps_its_directory(mirror: Mirror, spoil: Callable[[Path], None]) -> None:
    """It is not the recorder's, so it stays. The cameras after it are pruned nevertheless."""
    mirror.database.add("gate")
    put_hours(mirror, "gate", 9)
    put_hours(mirror, "yard", 9)
    sweep(mirror)
    mirror.database.execute("DELETE FROM cameras")
    (held := mirror.root / "gate" / LOCK).touch()
    spoil(held)
    before = held.lstat()
    # It runs in a process of its own, which may hang.
    report = json.loads(
        subprocess.run(
            ["timeout", "120", *mirror.command("prune", "--json")],
            env=mirror.env | {"HELDAR_MIRROR_DELETED_RETENTION_HOURS": "0"},
            capture_output=True,
            check=False,
        ).stdout
    )
    assert removed_counts(report) == {("gate", "deleted"): 1, ("yard", "deleted"): 1}
    assert report["directories"] == ["yard"]
    assert (held.lstat().st_ino, held.lstat().st_mode) == (before.st_ino, before.st_mode)


# What does not belong to the mirror.


def test_nothing_is_touched_that_is_not_named_like_a_segment(mirror: Mirror) -> None:
    """In a root full of other things only segments are removed, even of a camera with the strictest retention."""
    mirror.database.add("gate", retention_hours=1)
    directory, stamp = camera_directory(mirror, "gate"), "20200101_000000.mp4"
    for name in [
        *["20200101_000000", "20200101_000000.MP4", ".20200101_000000.mp4", "20200101_000000.mp4.part", "a.mp4"],
        *[
            "20200101_000000.mp4\n",
            "20200230_000000.mp4",
            "20200101_240000.mp4",
            "20200101_000060.mp4",
            "20201301_000000.mp4",
        ],
        *[
            "2020010\u0661_000000.mp4",
            "\uff12\uff10200101_000000.mp4",
            "00010101_000000.mp4",
            "0001101_000000.mp4",
            "\udcff.mp4",
        ],
    ]:
        (directory / name).write_text("mine")
    (outside := mirror.home / "outside").mkdir()
    (directory / "20200201_000000.mp4").mkdir()
    os.mkfifo(directory / "20200202_000000.mp4")
    (directory / "20200203_000000.mp4").symlink_to(outside / stamp)
    (outside / LOCK).touch()
    make_segment(outside, 1_500_000_000)
    (outside / stamp).write_text("mine")
    (directory / "20200201_000000.mp4" / stamp).write_text("mine")
    (directory / "sub").mkdir()
    (directory / "sub" / stamp).write_text("mine")
    (mirror.root / stamp).write_text("mine")
    (mirror.root / "link").symlink_to(outside)
    (mirror.root / "hall").symlink_to(outside)
    mirror.database.add("hall", retention_hours=1, storage_quota_bytes=1)
    for name in ("stranger", "lost+found", "a b", ".hidden", "x" * 101, "\u0661"):
        (mirror.root / name).mkdir()
        (mirror.root / name / stamp).write_text("mine")
    (mirror.root / "a b" / LOCK).touch()
    (mirror.root / ".hidden" / LOCK).touch()
    (mirror.root / "file").write_text("mine")
    (mirror.root / "yard").write_text("mine")
    mirror.database.add("yard", retention_hours=1)
    before = snapshot(mirror.root, outside)
    for begun in (1_500_000_000, 1_600_000_000, NOW - 2 * HOUR):
        make_segment(directory, begun)
    newest = make_segment(directory, NOW)

    report = run_prune(mirror, HELDAR_MIRROR_DELETED_RETENTION_HOURS="0")
    assert removed_counts(report) == {("gate", "age"): 2}
    assert report["problems"] == []
    for path in (directory / segment_name(NOW - 2 * HOUR), newest):
        path.unlink()
    os.utime(directory, ns=(0, before[str(directory)][3]))
    assert snapshot(mirror.root, outside) == before


@as_root
@pytest.mark.parametrize("place", ["gate", "gate/20200101_000000.mp4", "gate/sub"])
def test_no_mount_in_the_root_is_entered(mirror: Mirror, place: str) -> None:
    """What is mounted on a camera's directory or in one is left alone, and is a problem if it is in the way."""
    for name in ("gate", "hall"):
        mirror.database.add(name, retention_hours=1)
        put_hours(mirror, name, 9, 8, 7)
    point, elsewhere = mirror.root / place, mirror.home / "elsewhere"
    if place.endswith(".mp4"):
        point.write_text("mine")
        elsewhere.write_text("mine")
    else:
        point.mkdir(exist_ok=True)
        elsewhere.mkdir()
        make_segment(elsewhere, NOW - 9 * HOUR)
        make_segment(elsewhere, NOW - 8 * HOUR)
    subprocess.run(["mount", "--bind", elsewhere, point], check=True)
    try:
        before = snapshot(elsewhere)
        report = run_prune(mirror, code=0 if place == "gate/sub" else 1)
        assert snapshot(elsewhere) == before
    finally:
        subprocess.run(["umount", "--lazy", point], check=True)
    assert removed_counts(report) == {("hall", "age"): 2} | ({} if place == "gate" else {("gate", "age"): 2})
    assert [text.partition(": ")[0] for text in report["problems"]] == {
        "gate": [f"cannot look into {mirror.root / 'gate'}"],
        "gate/20200101_000000.mp4": [f"cannot delete 1 segments, such as {point}"],
        "gate/sub": [],
    }[place]


@contextlib.contextmanager
def immutable(*paths: Path) -> Iterator[None]:
    """Make files immutable: nobody can remove them, or anything in them if they are directories."""
    result = subprocess.run(["chattr", "+i", *map(str, paths)], capture_output=True, check=False)
    try:
        if result.returncode:
            pytest.skip(f"no immutable files here: {result.stderr!r}")
        yield
    finally:
        subprocess.run(["chattr", "-i", *map(str, paths)], check=False)


@as_root
def test_files_that_cannot_be_deleted_are_named_once(mirror: Mirror) -> None:
    """A problem gives their number, one of them and the reason. Everything else is removed, and the exit code is 1."""
    for name in ("gate", "hall"):
        mirror.database.add(name, retention_hours=1)
        put_hours(mirror, name, *range(20, 2, -1))
    stuck = mirror.segments("gate")[3:10]
    with immutable(*stuck):
        report = run_prune(mirror, code=1)
    assert removed_counts(report) == {("gate", "age"): 10, ("hall", "age"): 17}
    assert report["problems"] == [f"cannot delete 7 segments, such as {stuck[0]}: Operation not permitted"]
    assert mirror.segments("gate")[:-1] == stuck
    assert removed_counts(run_prune(mirror)) == {("gate", "age"): 7}


@as_root
@pytest.mark.parametrize("what", ["", LOCK])
def test_a_deleted_cameras_directory_that_cannot_be_removed(mirror: Mirror, what: str) -> None:
    """It stays, and the cameras after it are pruned nevertheless."""
    mirror.database.add("yard", retention_hours=1)
    put_hours(mirror, "yard", 9, 8)
    gone = camera_directory(mirror, "gone")
    with immutable(gone / what):
        report = run_prune(mirror, code=1, HELDAR_MIRROR_DELETED_RETENTION_HOURS="0")
        assert removed_counts(report) == {("yard", "age"): 1}
        assert report["directories"] == []
        assert len([text for text in report["problems"] if str(gone) in text]) == 1
    assert run_prune(mirror, HELDAR_MIRROR_DELETED_RETENTION_HOURS="0")["directories"] == ["gone"]


# The root


@pytest.mark.parametrize("primary", ["mirror", "mirror/sub", ".", "link/sub"])
def test_a_root_that_is_not_apart_from_the_primary_is_not_pruned(mirror: Mirror, primary: str) -> None:
    """It may equal, contain or lie in the primary's directory, links resolved: exit code 6, and nothing is deleted."""
    busy_shelves(mirror)
    (mirror.root / "sub").mkdir()
    (mirror.home / "link").symlink_to(mirror.root)
    before = snapshot(mirror.root)
    result = mirror.run("prune", code=6, HELDAR_RECORDINGS_DIR=str(mirror.home / primary))
    assert "is, holds or lies in the primary's recordings" in result.stderr
    with pytest.raises(VolumeError, match="is, holds or lies in"):
        pruner_of(mirror, dry_run=True, recordings_dir=mirror.home / primary).prune(sweep=False)
    assert snapshot(mirror.root) == before


@as_root
def test_a_bind_mount_of_the_primarys_is_not_pruned(mirror: Mirror) -> None:
    """A root that reaches the primary's directory by a bind mount is not apart from it."""
    busy_shelves(mirror)
    primary = mirror.home / "recordings"
    subprocess.run(["mount", "--bind", mirror.root, primary], check=True)
    try:
        before = snapshot(mirror.root)
        assert "is, holds or lies in the primary's" in mirror.run("prune", code=6).stderr
        assert snapshot(mirror.root) == before
    finally:
        subprocess.run(["umount", "--lazy", primary], check=True)


@pytest.mark.parametrize("marker", [None, "another\n", ""])
def test_a_root_that_is_not_proven_is_not_pruned(mirror: Mirror, marker: str | None) -> None:
    """Its marker is lost or of a different instance: exit code 6 with the next step, and nothing is deleted."""
    busy_shelves(mirror)
    (mirror.root / MARKER).unlink()
    if marker is not None:
        (mirror.root / MARKER).write_text(marker)
    before = snapshot(mirror.root)
    assert "heldar-mirror adopt-volume" in mirror.run("prune", code=6).stderr
    with pytest.raises(VolumeError, match="adopt-volume"):
        pruner_of(mirror, dry_run=True).prune(sweep=False)
    assert snapshot(mirror.root) == before


def test_a_root_that_was_never_used_is_not_pruned(mirror: Mirror) -> None:
    """It holds footage and even a marker, but nothing is deleted or made: exit code 6."""
    other = mirror.home / "other"
    shutil.copytree(mirror.root, other)
    before = snapshot(other)
    assert "nothing to prune" in mirror.run("prune", code=6, HELDAR_MIRROR_RECORDINGS_DIR=str(other)).stderr
    assert "nothing to prune" in mirror.run("prune", code=6, HELDAR_MIRROR_STATE_DIR=str(mirror.home / "none")).stderr
    assert snapshot(other) == before
    assert not (mirror.home / "none").exists()


def test_a_root_behind_a_link_is_pruned(mirror: Mirror) -> None:
    """The root itself may be a link, and what it leads to is proven."""
    busy_shelves(mirror)
    moved = mirror.home / "moved"
    mirror.root.rename(moved)
    mirror.root.symlink_to(moved)
    assert run_prune(mirror)["segments"] == 8


# The database


def break_database(mirror: Mirror) -> None:
    mirror.database.path.write_bytes(b"this was a database" * 1000)


@pytest.mark.parametrize("args", [[], ["--dry-run"]])
def test_without_the_database_nothing_is_removed(mirror: Mirror, args: list[str]) -> None:
    """Nothing is, by any rule but the floor, whatever was known before: exit code 4."""
    busy_shelves(mirror)
    run_prune(mirror, "--dry-run")
    break_database(mirror)
    before = snapshot(mirror.root)
    result = mirror.run("prune", "--json", *args, code=4, HELDAR_MIRROR_DELETED_RETENTION_HOURS="0")
    assert "cannot read the cameras in" in result.stderr
    assert json.loads(result.stdout)["segments"] == 0
    assert snapshot(mirror.root) == before


@pytest.mark.parametrize(
    "sql", ["DROP TABLE segments", "ALTER TABLE segments DROP COLUMN locked", "DROP TABLE cameras"]
)
def test_a_table_of_a_different_schema_is_not_read(mirror: Mirror, sql: str) -> None:
    """Without the locks nothing is removed by age either."""
    busy_shelves(mirror)
    mirror.database.execute(sql)
    before = snapshot(mirror.root)
    mirror.run("prune", code=4)
    assert snapshot(mirror.root) == before


def test_without_the_database_no_time_begins_for_a_deleted_camera(mirror: Mirror) -> None:
    """An unreadable table is not one without cameras, so no camera is missed or forgotten."""
    put_hours(mirror, "gone", 9)
    first = run_prune(mirror)["waiting"]
    remembered = (mirror.state / "retention.json").read_bytes()
    whole = mirror.database.path.read_bytes()
    put_hours(mirror, "hall", 9)
    break_database(mirror)
    run_prune(mirror, code=4)
    assert (mirror.state / "retention.json").read_bytes() == remembered
    mirror.database.path.write_bytes(whole)
    assert run_prune(mirror)["waiting"]["gone"] == first["gone"]


def test_a_remembered_time_that_is_damaged_deletes_nothing(mirror: Mirror) -> None:
    """It is a problem and begins anew, so a deleted camera's footage stays as long again. Everything else goes on."""
    busy_shelves(mirror)
    (mirror.state / "retention.json").write_text("{")
    report = run_prune(mirror, code=1)
    assert "is damaged" in report["problems"][0]
    assert "gone" in report["waiting"]
    assert len(mirror.segments("gone")) == 3
    assert run_prune(mirror)["problems"] == []


# The clock


def remember_clock(mirror: Mirror, offset: float, boot: str = "") -> None:
    """Have it remembered that the clock was `offset` seconds ahead of where it is."""
    boot = boot or Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    now = time.time() + offset
    clock = WallClock(boot, now - time.clock_gettime(time.CLOCK_BOOTTIME), now)
    write_retention(Retention(clock=clock), settings_of(mirror))


def test_after_a_clock_was_set_forward_nothing_is_removed_by_age(mirror: Mirror) -> None:
    """Neither are stubs, nor the footage of deleted cameras. The quota holds, and a later process knows of it."""
    busy_shelves(mirror)
    sweep(mirror)
    put_hours(mirror, "aged", 40, 41)
    put_hours(mirror, "capped", 9, 8)
    remember_clock(mirror, -2 * HOUR)
    for _ in range(2):
        report = run_prune(mirror, code=1, HELDAR_MIRROR_DELETED_RETENTION_HOURS="0")
        assert {rule for _, rule in removed_counts(report)} <= {"quota"}
        assert report["problems"][0].startswith("the clock was set forward: nothing goes by age until ")
    assert len(mirror.segments("capped")) == 2
    assert len(mirror.segments("gone")) == 3


@pytest.mark.parametrize(("offset", "boot"), [(-300, ""), (5 * HOUR, ""), (-2 * HOUR, "another boot")])
def test_a_clock_that_is_believed(mirror: Mirror, offset: float, boot: str) -> None:
    """A clock that drifted, was set back, or was read in a different boot is believed, and what is old is removed."""
    busy_shelves(mirror)
    remember_clock(mirror, offset, boot)
    assert run_prune(mirror)["segments"] == 8


# What happens meanwhile


@pytest.mark.parametrize("pattern", ["aged/*_*.mp4", "stubs/*_*.mp4", "gone/*_*.mp4", "whole", "gone"])
def test_what_vanishes_is_no_error(mirror: Mirror, pattern: str) -> None:
    """Somebody else may remove segments, stubs or a whole directory just before. Everything else is removed."""
    busy_shelves(mirror)
    mirror.database.add("whole", retention_hours=1)
    put_hours(mirror, "whole", 9, 8, 7)

    def vanish(what: str, *_: int) -> None:
        if what == "pruning":
            for path in mirror.root.glob(pattern):
                shutil.rmtree(path) if path.is_dir() else path.unlink()

    pruned = pruner_of(mirror, progress=vanish, deleted_retention_seconds=0).prune()
    assert pruned.problems == []
    assert not list(mirror.root.glob(pattern))
    assert went(pruned)["capped", "quota"] == 3
    assert went(pruned)["locked", "age"] == 1
    assert sweep(mirror, deleted_retention_seconds=0).problems == []


def test_a_directory_that_vanishes_before_it_is_listed_is_no_error(mirror: Mirror) -> None:
    """Heldar may remove the directory of a deleted camera at any time, also just before it is listed."""
    busy_shelves(mirror)

    def vanish(what: str, *_: int) -> None:
        if what == "listing":
            shutil.rmtree(mirror.root / "stubs", ignore_errors=True)

    pruned = pruner_of(mirror, progress=vanish).prune()
    assert pruned.problems == []
    assert went(pruned)[("capped", "quota")] == 3


def test_what_was_locked_since_a_pruner_began_stays(mirror: Mirror) -> None:
    """A pruner that lives on reads the locks again at its next sweep."""
    mirror.database.add("gate", retention_hours=1)
    paths = put_hours(mirror, "gate", 9, 8, 7, 6)
    pruner = pruner_of(mirror)
    pruner.prune(sweep=False)
    lock_in_heldar(mirror, paths[1])
    assert went(pruner.prune()) == {("gate", "age"): 1}


def test_two_prunes_at_once_do_it_once(mirror: Mirror) -> None:
    """One waits for the other. Together they delete each segment once, and neither fails."""
    mirror.database.add("gate", retention_hours=1)
    put_hours(mirror, "gate", *(4 + each / 60 for each in range(300)), size=8)
    command = mirror.command("prune", "--json")
    prunes = [subprocess.Popen(command, env=mirror.env, stdout=subprocess.PIPE, text=True) for _ in range(2)]
    reports = [json.loads(each.communicate(timeout=180)[0]) for each in prunes]
    assert [each.returncode for each in prunes] == [0, 0]
    assert sum(report["segments"] for report in reports) == 299
    assert len(mirror.segments("gate")) == 1


def test_more_than_a_batch_is_removed_in_one_run(mirror: Mirror) -> None:
    """However many segments there are, locked ones among them stay."""
    mirror.database.add("gate", retention_hours=1)
    paths = put_hours(mirror, "gate", *(4 + each / 60 for each in range(4200, 0, -1)), size=8)
    for path in paths[1000:4000:2000]:
        lock_in_heldar(mirror, path, 1)
    assert went(sweep(mirror)) == {("gate", "age"): 4200 - 1 - 2 * 2}
    assert {begun_of(path) for path in mirror.segments("gate")} >= {begun_of(path) for path in paths[1000:4000:2000]}
    assert mirror.segments("gate")[-1] == paths[-1]
