"""Whatever happens while a restore writes: no half segment is there, none is replaced, and the next run goes on."""

import contextlib
import filecmp
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from itertools import count
from pathlib import Path

import pytest
from support.killed_in_fork import is_killed_at
from support.lost_footage import (
    FRESH,
    RESTORE,
    check_plays,
    leftovers,
    lose_bytes,
    lose_footage,
    mirror_of,
    new_file,
    piece_of,
    primary_directory,
    put_later_file,
    restoring_settings,
    segments,
    swap_places,
)
from support.made_footage import MIB, free_bytes
from support.mirror import Mirror
from support.mounts import bindfs_volume, hung, mount, tmpfs, unmount
from support.quotas import btrfs_quota
from support.running import kill
from support.two_copies import run
from support.users import as_root, python_for_all
from support.waiting import COMMAND_SECONDS, processes_of, wait_for

from heldar_mirror.errors import ExistsError, HungError, NoRoomError, RestoreError
from heldar_mirror.footage.names import segment_name
from heldar_mirror.restore.plan import NewFile
from heldar_mirror.restore.target import TEMPORARY
from heldar_mirror.restore.writer import Answers, Sides
from heldar_mirror.restore.writing import Writer, Written
from heldar_mirror.state.volumes import remembered_volume

LATER = "20991231_235959.mp4"
BIG = 400 * MIB


def writers(mirror: Mirror) -> list[int]:
    return list(processes_of(f"heldar_mirror.restore.writer {mirror.root}"))


def is_under_way(mirror: Mirror) -> bool:
    """Whether some, but not all of the big file was written."""
    with contextlib.suppress(FileNotFoundError):
        return 0 < (primary_directory(mirror) / TEMPORARY).stat().st_size < BIG
    return False


def restore(mirror: Mirror, *files: NewFile) -> None:
    """Do in this process what the child does, as far as it was not done before."""
    settings = restoring_settings(mirror)
    sides = Sides(mirror.root, remembered_volume(settings) or "", settings.recordings_dir, "")
    answers = Answers(sides, lambda: None, lambda: None)
    answers.take(into_empty=True)
    for new in files:
        pieces = [[p.begun, p.chosen, p.at, p.identity] for p in new.pieces]
        with contextlib.suppress(ExistsError):
            answers.write(new.camera_id, new.name, pieces, FRESH)


@pytest.mark.parametrize("torn", [False, True])
@pytest.mark.parametrize("new_disk", [False, True])
def test_a_kill_at_any_step(mirror: Mirror, new_disk: bool, torn: bool) -> None:
    """A segment is there as a whole or not at all. The next run completes the rest, and removes what was left over."""
    first, second, _ = lose_footage(mirror)
    files = new_file(piece_of(first)), new_file(piece_of(second, (1, 3)))
    work = partial(restore, mirror, *files)
    directory = primary_directory(mirror)
    whole: dict[Path, bytes] = {}
    for step in count(0):
        run("rm", "-r", str(directory))
        if not new_disk:
            put_later_file(mirror)
        before = {path: path.read_bytes() for path in segments(directory)}
        if step:
            killed = is_killed_at(step, work, torn=torn)
            for path in segments(directory):
                assert path.read_bytes() == whole[path]
        work_in_fork(work)
        after = {path: path.read_bytes() for path in segments(directory)}
        assert after == (whole or after)
        assert after.items() > before.items()
        assert not leftovers(mirror)
        whole = after
        if step and not killed:
            break
    assert step > 15
    assert len(whole) == (2 if new_disk else 3)
    assert whole[directory / first.name] == first.read_bytes()
    check_plays(directory / second.name, 2)


def work_in_fork(work: partial[None]) -> None:
    """Work to the end in a process of its own, which gives the lock back."""
    assert not is_killed_at(1_000_000, work, torn=False)


@contextlib.contextmanager
def under_way(mirror: Mirror, writer: Writer, new: NewFile) -> Iterator["Future[Written]"]:
    """Have a thread write a big file, a part of which is written."""
    with ThreadPoolExecutor(1) as pool:
        future = pool.submit(writer.write, new, fresh_until=FRESH)
        wait_for(lambda: is_under_way(mirror), every=0.001)
        yield future


def assert_completed(mirror: Mirror, path: Path) -> None:
    """Nothing half is there, and a new writer restores the file."""
    directory = primary_directory(mirror)
    assert segments(directory) == [directory / LATER]
    with Writer(restoring_settings(mirror)) as writer:
        assert not leftovers(mirror)
        written = writer.write(new_file(piece_of(path)), fresh_until=FRESH)
    assert filecmp.cmp(written.path, path, shallow=False)


def test_the_writer_is_killed(mirror: Mirror) -> None:
    """That is said. Files after it fail as well, since a new writer could not become root again."""
    path = lose_bytes(mirror, BIG)
    with Writer(restoring_settings(mirror)) as writer:
        with under_way(mirror, writer, new_file(piece_of(path))) as future:
            kill(*writers(mirror))
            with pytest.raises(RestoreError, match=r"that writes into the primary's .* failed: it ended"):
                future.result()
        with pytest.raises(RestoreError, match="it was ended"):
            writer.write(new_file(piece_of(path)), fresh_until=FRESH)
    assert leftovers(mirror)
    assert_completed(mirror, path)


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
def test_the_command_ends(mirror: Mirror, number: int) -> None:
    """The writer notices that nobody waits for the file any more, and removes what it has of it."""
    path = lose_bytes(mirror, BIG)
    with subprocess.Popen(
        [sys.executable, "-c", RESTORE, path.name], env=mirror.env, stderr=subprocess.DEVNULL
    ) as command:
        wait_for(lambda: is_under_way(mirror), every=0.001)
        command.send_signal(number)
    if number != signal.SIGINT:
        wait_for(lambda: not writers(mirror))
    assert writers(mirror) == []
    assert not leftovers(mirror)
    assert_completed(mirror, path)


@as_root
def test_a_full_disk(mirror: Mirror) -> None:
    """What was written of the file is removed, so that its room is free for Heldar at once."""
    with tmpfs(primary_directory(mirror).parent, 32):
        path = lose_bytes(mirror, 40 * MIB)
        free = free_bytes(primary_directory(mirror))
        with Writer(restoring_settings(mirror)) as writer:
            expected = (
                f"no room for the primary's {primary_directory(mirror)}/{path.name}: No space left on device. Make"
            )
            with pytest.raises(NoRoomError, match=expected):
                writer.write(new_file(piece_of(path)), fresh_until=FRESH)
            assert free_bytes(primary_directory(mirror)) == free
            assert segments(primary_directory(mirror)) == [primary_directory(mirror) / LATER]
            assert not leftovers(mirror)
            mount("-o", "remount,size=64m", primary_directory(mirror).parent)
            written = writer.write(new_file(piece_of(path)), fresh_until=FRESH)
        assert filecmp.cmp(written.path, path, shallow=False)


@as_root
def test_a_quota(mirror: Mirror) -> None:
    """It counts as a full disk."""
    swap_places(mirror)
    with btrfs_quota(mirror, 24):
        path = lose_bytes(mirror, 40 * MIB)
        with Writer(restoring_settings(mirror)) as writer, pytest.raises(NoRoomError, match="Disk quota exceeded"):
            writer.write(new_file(piece_of(path)), fresh_until=FRESH)
        assert segments(primary_directory(mirror)) == [primary_directory(mirror) / LATER]
        assert not leftovers(mirror)


@as_root
def test_a_read_only_disk(mirror: Mirror) -> None:
    """Also one that becomes so in the middle of a restore."""
    place = primary_directory(mirror).parent
    with tmpfs(place, 32):
        path = lose_bytes(mirror, 1 * MIB)
        with Writer(restoring_settings(mirror)) as writer:
            mount("-o", "remount,ro", place)
            with pytest.raises(RestoreError, match=rf"{path.name}: Read-only file system\. See dmesg"):
                writer.write(new_file(piece_of(path)), fresh_until=FRESH)
        mount("-o", "remount,rw", place)
        assert_completed(mirror, path)


@as_root
def test_a_disk_that_is_unmounted(mirror: Mirror) -> None:
    """Nothing is written to the directory below the mount point."""
    place = primary_directory(mirror).parent
    with tmpfs(place, 32):
        path = lose_bytes(mirror, 1 * MIB)
        with Writer(restoring_settings(mirror)) as writer:
            unmount(place)
            with pytest.raises(RestoreError, match=f"the primary's {place} is not what it was when this began"):
                writer.write(new_file(piece_of(path)), fresh_until=FRESH)
        assert list(place.iterdir()) == []


@as_root
@pytest.mark.parametrize("side", ["recordings", "mirror"])
def test_a_disk_that_hangs(mirror: Mirror, side: str) -> None:
    """The restore ends with an error, and nothing half is there when the disk answers again."""
    with bindfs_volume(mirror, side) as server:
        (path, *_) = lose_footage(mirror)
        new = new_file(piece_of(path))
        with Writer(restoring_settings(mirror), patience=2) as writer, hung(server):
            for error in (HungError, RestoreError):
                with pytest.raises(error, match=r"does not answer within 2 s|it was ended"):
                    writer.write(new, fresh_until=FRESH)
        if side == "recordings":
            with hung(server), pytest.raises(HungError), Writer(restoring_settings(mirror), patience=2):
                pass
        wait_for(lambda: not writers(mirror))
        assert_completed(mirror, path)


@as_root
def test_a_command_of_a_different_user_ends_all_the_same(mirror: Mirror) -> None:
    """It may not kill the writer that hangs, which has stayed root. That ends by itself when the disk answers."""
    with bindfs_volume(mirror, "recordings") as server:
        (path, *_) = lose_footage(mirror)
        mirror_of("nobody", mirror)
        script = RESTORE.replace("Writer(settings)", "Writer(settings, patience=2)")
        script = script.replace(
            "        for name", "        print('begun', flush=True), sys.stdin.readline()\n        for name"
        )
        env = mirror.env | {"HELDAR_MIRROR_USER": "nobody"}
        with subprocess.Popen(
            [python_for_all(), "-c", script, path.name],
            env=env,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        ) as command:
            assert command.stdout
            assert command.stdout.readline() == "begun\n"
            with hung(server):
                said, _ = command.communicate("go on\n", timeout=COMMAND_SECONDS)
                assert "HungError" in said
                assert command.returncode == 0
                assert writers(mirror)
        wait_for(lambda: not writers(mirror))
        assert_completed(mirror, path)


def test_names_that_appear_at_any_moment(mirror: Mirror) -> None:
    """Of two who make a file of the same name one wins, and neither's is changed by the other."""
    (path, *_) = lose_footage(mirror)
    directory, names = primary_directory(mirror), range(1000, 1100)

    def compete() -> int:
        won = 0
        for name in names:
            time.sleep(0.003 * random.random())
            with contextlib.suppress(FileExistsError), (directory / segment_name(name)).open("xb") as file:
                file.write(b"Heldar's own")
                won += 1
        return won

    restored = 0
    with Writer(restoring_settings(mirror)) as writer, ThreadPoolExecutor(1) as pool:
        future = pool.submit(compete)
        for name in names:
            with contextlib.suppress(ExistsError):
                writer.write(new_file(piece_of(path), name=name), fresh_until=FRESH)
                restored += 1
    assert restored + future.result() == len(names)
    found = Counter((directory / segment_name(name)).read_bytes() for name in names)
    assert found == Counter({path.read_bytes(): restored, b"Heldar's own": future.result()})
