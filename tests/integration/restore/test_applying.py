"""Restored files are proven, and followed until a process that indexes as Heldar's kernel does has indexed them."""

import signal
import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from support.applying import CAMERA, Restore, RestoreProcess, recorded_by_mirror
from support.heldar_kernel import heldar_kernel
from support.heldar_stand_in import HeldarStandIn
from support.heldar_stand_in import Times as HeldarsTimes
from support.made_footage import adopt
from support.mirror import Mirror
from support.mounts import tmpfs, unmount
from support.two_sides import SEGMENT_SECONDS, primary_root, recording
from support.users import as_root
from support.waiting import wait_for

from heldar_mirror.errors import INTERRUPTED, RestoreError
from heldar_mirror.footage.names import segment_name
from heldar_mirror.heldar.retention import parse_time
from heldar_mirror.restore.following import FRESH_SECONDS, ORPHAN_SECONDS, WAITING, Heldar, Times, Wait
from heldar_mirror.restore.plan import LeftOut, NewFile
from heldar_mirror.restore.result import End, Indexing, Outcome, Result

# Heldar's times, shortened.
RUNS = HeldarsTimes(scan=0.2, quiet=1.0)
HOUR = 3600


@pytest.fixture
def mirror(mirror: Mirror) -> Mirror:
    """A mirror that has a volume, and two cameras without any recording."""
    for camera_id in (CAMERA, "yard"):
        mirror.database.add(camera_id)
    adopt(mirror)
    return mirror


@pytest.fixture
def heldar(mirror: Mirror) -> Iterator[HeldarStandIn]:
    """A process that indexes, not started yet."""
    with HeldarStandIn(mirror.database.path, primary_root(mirror)) as made:
        yield made


def path_of(mirror: Mirror, new: NewFile) -> Path:
    """Return where a new file is in the primary's directory."""
    return primary_root(mirror) / new.camera_id / segment_name(new.name)


def name_of(new: NewFile) -> str:
    return f"{new.camera_id}/{segment_name(new.name)}"


def present(mirror: Mirror) -> set[str]:
    """Return what is in the primary's directory, whole or not."""
    return {f"{path.parent.name}/{path.name}" for path in primary_root(mirror).glob("*/*")}


def check_all_are_there(mirror: Mirror, files: list[NewFile]) -> None:
    """Nothing but the files is in the primary's directory, and each is what the mirror has."""
    assert present(mirror) == set(map(name_of, files))
    for new in files:
        assert path_of(mirror, new).read_bytes() == (mirror.root / name_of(new)).read_bytes()


def indexed(mirror: Mirror) -> list[tuple[float, float]]:
    """Return from when to when Heldar has footage, by its rows."""
    with closing(sqlite3.connect(mirror.database.path)) as connection:
        rows = connection.execute("SELECT start_time, end_time FROM segments ORDER BY start_time").fetchall()
    return [(parse_time(begin), parse_time(end)) for begin, end in rows]


def outcomes(result: Result) -> dict[str, tuple[Outcome, Indexing | None]]:
    return {name_of(each.new): (each.outcome, each.indexing) for each in result.files}


def test_what_is_restored_is_followed_until_it_is_indexed(mirror: Mirror) -> None:
    """The newest file comes first. It is the last of its directory, so Heldar waits before it indexes that."""
    files = recorded_by_mirror(mirror, 3)
    with HeldarStandIn(mirror.database.path, primary_root(mirror), by_ffprobe=True) as heldar:
        heldar.start(RUNS)
        restore = Restore(mirror)
        result = restore.run(files)
        heldar.stop()
    assert [end - begin for begin, end in indexed(mirror)] == pytest.approx([SEGMENT_SECONDS] * 3)
    assert [each.new for each in result.files] == files[::-1]
    assert set(outcomes(result).values()) == {(Outcome.RESTORED, Indexing.INDEXED)}
    assert (result.end, result.exit_code, result.heldar, result.start_within) == (End.DONE, 0, Heldar.RUNNING, None)
    assert result.sentence() == "30s of gate can be played in Heldar again."
    assert set(heldar.indexed()) == set(map(name_of, files))
    check_all_are_there(mirror, files)
    assert restore.told[-1][1] == 1


def test_a_bulk_never_holds_up_the_indexer(mirror: Mirror, heldar: HeldarStandIn) -> None:
    """At most some files wait at a time, of whichever cameras, and also if it is not waited for the last ones."""
    files = recorded_by_mirror(mirror, 30) + recorded_by_mirror(mirror, 30, "yard")
    heldar.start(RUNS._replace(look=0.02))
    result = Restore(mirror, Wait.NOT).run(files)
    assert {each.outcome for each in result.files} == {Outcome.RESTORED}
    wait_for(lambda: len(heldar.indexed()) == len(files))
    assert 1 < max(heldar.unindexed()) <= WAITING
    assert (heldar.indexed()[0].split("/")[1] > segment_name(files[10].name), heldar.swept()) == (True, [])


def test_a_stopped_heldar_finds_all_when_it_is_started(mirror: Mirror, heldar: HeldarStandIn) -> None:
    """Nothing is indexed meanwhile, so that all are written at once. It may be started days later, since they were
    written last in the future, but for the last file of each directory."""
    files = recorded_by_mirror(mirror, 30) + recorded_by_mirror(mirror, 3, "yard")
    result = Restore(mirror).run(files)
    assert set(outcomes(result).values()) == {(Outcome.RESTORED, Indexing.WAITING)}
    assert (result.heldar, result.exit_code) == (Heldar.STOPPED, 0)
    assert result.start_within == pytest.approx(ORPHAN_SECONDS, abs=60)
    assert "of 2 cameras lie in Heldar's recordings again, and Heldar, which is stopped, finds" in result.sentence()
    lasts = {name_of(files[29]), name_of(files[-1])}
    modified = {name_of(new): path_of(mirror, new).stat().st_mtime - time.time() for new in files}
    assert all(abs(modified[name] - (0 if name in lasts else FRESH_SECONDS)) < HOUR / 2 for name in modified)
    heldar.start(RUNS._replace(ahead=48 * HOUR))
    wait_for(lambda: len(heldar.indexed()) == len(files) - 2 - 2)
    assert set(heldar.swept()) == lasts


def test_with_wait_nothing_is_lost_however_late_heldar_starts(mirror: Mirror, heldar: HeldarStandIn) -> None:
    """The last file of a directory is kept fresh. Then the command ends by itself."""
    files = recorded_by_mirror(mirror, 5)
    ahead = [0.0]
    restore = Restore(mirror, Wait.ALWAYS, Times(look=0.1, now=lambda: time.time() + ahead[-1]))
    with restore.running(files) as ended:
        wait_for(lambda: any("it is stopped" in what for what, _ in restore.told))
        for _ in range(3):
            ahead.append(ahead[-1] + HOUR)
            wait_for(lambda: path_of(mirror, files[-1]).stat().st_mtime > time.time() + ahead[-1] - HOUR / 2)
        heldar.start(RUNS._replace(ahead=ahead[-1]))
        result = ended()
    assert set(outcomes(result).values()) == {(Outcome.RESTORED, Indexing.INDEXED)}
    assert (heldar.swept(), result.exit_code) == ([], 0)


def test_a_heldar_that_is_killed_and_started_again_meanwhile(mirror: Mirror, heldar: HeldarStandIn) -> None:
    """While it is away all is written, since nobody would have to wait. All is indexed in the end."""
    files = recorded_by_mirror(mirror, 60)
    heldar.start(RUNS._replace(look=0.1))
    restore = Restore(mirror, Wait.ALWAYS)
    with restore.running(files) as ended:
        wait_for(lambda: len(heldar.indexed()) > 5)
        heldar.kill()
        wait_for(lambda: len(present(mirror)) == len(files))
        wait_for(lambda: "it is stopped" in restore.told[-1][0])
        heldar.start(RUNS._replace(ahead=HOUR))
        result = ended()
    assert set(outcomes(result).values()) == {(Outcome.RESTORED, Indexing.INDEXED)}
    assert heldar.swept() == []
    check_all_are_there(mirror, files)


def test_a_heldar_that_indexes_nothing_holds_up_nothing(mirror: Mirror) -> None:
    """After some time, it gets the next files all the same. The result says what to look at."""
    files = recorded_by_mirror(mirror, WAITING + 5)
    with heldar_kernel(mirror.database.path, 0) as kernel:
        kernel.add("idle")
        result = Restore(mirror, times=Times(look=0.1, slow=0.5)).run(files)
    assert set(outcomes(result).values()) == {(Outcome.RESTORED, Indexing.SLOW)}
    assert result.exit_code == 1
    assert "but Heldar does not index them: see Heldar's log" in result.sentence()


@pytest.mark.parametrize("running", [True, False])
def test_a_second_run_completes_what_was_killed(mirror: Mirror, heldar: HeldarStandIn, *, running: bool) -> None:
    """What is there is whole, and the second run recognizes it."""
    files = recorded_by_mirror(mirror, 30)
    if running:
        heldar.start(RUNS._replace(look=0.02))
    for count in (1, 15):
        killed = RestoreProcess(mirror, files)
        wait_for(lambda: len(restored(mirror)) >= count, every=0.001, seen=killed.told)  # noqa: B023 - it ends at once
        killed.end(signal.SIGKILL)
        assert killed.process.wait() == -signal.SIGKILL
        assert all(path.read_bytes() == recording() for path in restored(mirror))
    result = RestoreProcess(mirror, files).result()
    found = [each["outcome"] for each in result["files"]]
    assert (set(found), found.count(Outcome.THERE.value) >= 15) == ({"restored", "already there"}, True)
    assert {each["indexing"] for each in result["files"]} == {"indexed" if running else "not indexed yet"}
    check_all_are_there(mirror, files)


def restored(mirror: Mirror) -> list[Path]:
    """Return what is there under the name of a recording."""
    return list(primary_root(mirror).glob("*/*.mp4"))


def test_ctrl_c_ends_it_between_two_files(mirror: Mirror, heldar: HeldarStandIn) -> None:
    """Whether it writes or waits, what is there is whole and proven, and the rest is left for the next run."""
    files = recorded_by_mirror(mirror, WAITING + 10)
    heldar.start(RUNS._replace(quiet=1e6, scan=1e6))
    restore = RestoreProcess(mirror, files)
    wait_for(lambda: len(present(mirror)) == WAITING)
    restore.end(signal.SIGINT)
    result = restore.result()
    assert restore.process.returncode == INTERRUPTED
    outcomes = [each["outcome"] for each in result["files"]]
    assert outcomes == [Outcome.RESTORED.value] * WAITING + [Outcome.NOT_REACHED.value] * 10
    assert "1m40s of gate are left for the next run, since it was interrupted" in result["sentence"]
    check_all_are_there(mirror, files[10:])


def test_what_goes_wrong_with_a_file_concerns_that_file(mirror: Mirror, heldar: HeldarStandIn) -> None:
    """A segment of the mirror is gone, and a name is taken by a different file, which stays as it is."""
    files = recorded_by_mirror(mirror, 4) + recorded_by_mirror(mirror, 2, "yard")
    gone, taken = files[1], files[2]
    (mirror.root / name_of(gone)).unlink()
    path_of(mirror, taken).parent.mkdir()
    path_of(mirror, taken).write_bytes(b"somebody's")
    heldar.start(RUNS)
    left_out = LeftOut(CAMERA, 0, 600, "Heldar would delete it again: it is older than 24 h")
    result = Restore(mirror).run(files, [left_out])
    found = outcomes(result)
    assert (found.pop(name_of(gone)), found.pop(name_of(taken))) == ((Outcome.FAILED, None), (Outcome.FAILED, None))
    assert set(found.values()) == {(Outcome.RESTORED, Indexing.INDEXED)}
    assert (path_of(mirror, taken).read_bytes(), result.exit_code) == (b"somebody's", 1)
    reason = f"the primary has {path_of(mirror, taken)} by now: it is left as it is"
    assert result.sentence() == (
        "40s of 2 cameras can be played in Heldar again; 20s of gate could not be restored: "
        f"{reason} (and 1 more reason); 10m00s of gate were left out because {left_out.reason}."
    )


@as_root
def test_a_full_disk_ends_it(mirror: Mirror) -> None:
    """What was written before stays. Nothing more is tried, and the next run goes on."""
    files = recorded_by_mirror(mirror, 60)
    with tmpfs(primary_root(mirror), 1):
        result = Restore(mirror).run(files)
        written = [each.outcome for each in result.files]
        count = written.count(Outcome.RESTORED)
        assert 0 < count < 60
        assert written == [Outcome.RESTORED] * count + [Outcome.NOT_REACHED] * (60 - count)
        assert (result.end, result.exit_code) == (End.LOST, RestoreError.exit_code)
        assert "are left for the next run, since nothing more can be written or read: no room for" in result.sentence()
        check_all_are_there(mirror, files[-count:])


@as_root
def test_a_primary_that_vanishes_ends_it(mirror: Mirror) -> None:
    """Nothing is written where its volume was."""
    files = recorded_by_mirror(mirror, 10)
    with tmpfs(primary_root(mirror), 50):
        restore = Restore(mirror)

        def unmount_at_the_fourth(what: str, share: float) -> None:
            restore.told.append((what, share))
            if what == name_of(files[6]):
                unmount(primary_root(mirror))

        result = restore.run(files, progress=unmount_at_the_fourth)
    assert (result.end, result.exit_code) == (End.LOST, RestoreError.exit_code)
    assert [each.outcome for each in result.files] == [Outcome.RESTORED] * 3 + [Outcome.NOT_REACHED] * 7
    assert "is its volume mounted? Restore again" in result.sentence()
    assert not present(mirror)
