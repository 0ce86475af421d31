"""Which segments are listed in manifests, and when."""

import contextlib
import errno
import fcntl
import os
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from support.listing import Listed

from heldar_mirror.footage.names import segment_name
from heldar_mirror.manifests import backlog, hashing, lister, lookout, writer
from heldar_mirror.manifests.closings import Closings
from heldar_mirror.manifests.form import DIRECTORY
from heldar_mirror.manifests.store import Store
from heldar_mirror.recorder.volume import LOCK, MARKER
from heldar_mirror.volume.room import Room

# A time that is so near that its day is not sealed.
NOW = int(time.time()) // 60 * 60 - 3600


@pytest.fixture
def listed(tmp_path: Path) -> Iterator[Listed]:
    """A mirror root without a camera."""
    made = Listed(tmp_path)
    yield made
    made.lister.lookout.closings.close()


def names(*begun: int) -> list[str]:
    return sorted(map(segment_name, begun))


def test_what_lies_there_is_listed(listed: Listed) -> None:
    """And listed once, however often all is begun anew."""
    listed.put(NOW, NOW + 60, NOW + 120)
    listed.put(NOW, camera_id="hall")
    for _ in range(3):
        listed.run(seconds=100_000)
        assert listed.listed() == names(NOW, NOW + 60, NOW + 120)
        assert listed.listed("hall") == names(NOW)
        listed.begin()
    assert listed.published == [[]] * 3


def test_an_open_segment_is_listed_when_it_is_closed(listed: Listed) -> None:
    """Without a look at the whole camera."""
    listed.put(NOW)
    with listed.recording(NOW + 60):
        listed.run(60)
        assert listed.listed() == names(NOW)
    listed.run()
    assert listed.listed() == names(NOW, NOW + 60)
    for n in range(2, 5):
        with listed.recording(NOW + 60 * n):
            listed.run()
            listed.run(60)
            assert listed.listed() == names(*(NOW + 60 * each for each in range(n)))
    listed.run()
    assert listed.listed() == names(*(NOW + 60 * each for each in range(5)))


def test_a_segment_that_is_named_after_its_end_is_listed(listed: Listed) -> None:
    """As a very short one, or what a killed recorder has left, which lies before others."""
    listed.put(NOW, NOW + 120)
    listed.run()
    for begun in (NOW + 180, NOW + 60):
        numbered = listed.camera() / ".new-1-0.mp4"
        numbered.write_bytes(b"\0\0\0\x08moof")
        listed.run()
        assert segment_name(begun) not in listed.listed()
        numbered.rename(listed.camera() / segment_name(begun))
        listed.run()
        assert segment_name(begun) in listed.listed()


def test_new_cameras_are_found_at_a_tick(listed: Listed) -> None:
    listed.run()
    listed.put(NOW, camera_id="yard")
    listed.run()
    assert listed.listed("yard") == []
    listed.run(lookout.TICK_SECONDS)
    assert listed.listed("yard") == names(NOW)
    listed.put(NOW + 60, camera_id="yard")
    listed.run()
    assert listed.listed("yard") == names(NOW, NOW + 60)


def test_a_directory_that_was_replaced_is_looked_at_anew(listed: Listed) -> None:
    listed.put(NOW)
    listed.run()
    listed.camera().rename(listed.root / "old")
    listed.put(NOW, NOW + 60)
    listed.run(lookout.TICK_SECONDS)
    assert listed.listed() == names(NOW, NOW + 60)
    assert listed.listed("old") == []  # its lock file says that it is a copy
    listed.put(NOW + 120)
    listed.run()
    assert listed.listed() == names(NOW, NOW + 60, NOW + 120)


def test_pruned_segments_stay_listed(listed: Listed) -> None:
    listed.put(NOW, NOW + 60)
    listed.run()
    (listed.camera() / segment_name(NOW)).unlink()
    listed.put(NOW + 120)
    listed.run(100_000)
    assert listed.listed() == names(NOW, NOW + 60, NOW + 120)


def test_what_is_no_segment_is_left_alone(listed: Listed) -> None:
    """Nothing is followed, waited for, or a problem."""
    outside = listed.home / "outside"
    outside.write_bytes(b"\0\0\0\x08moof and a secret")
    directory = listed.camera()
    (directory / segment_name(NOW)).symlink_to(outside)
    os.mkfifo(directory / segment_name(NOW + 60))
    (directory / segment_name(NOW + 120)).mkdir()
    (directory / "20261399_000000.mp4").write_bytes(b"x" * 5000)
    (directory / "notes.txt").write_bytes(b"x" * 5000)
    (directory / segment_name(NOW + 180)).touch()  # a stub
    (listed.root / "linked").symlink_to(directory)
    listed.put(NOW + 240)
    listed.run()
    # The same, heard of.
    for name in (NOW + 300, NOW + 360):
        (directory / ".x").symlink_to(outside)
        (directory / ".x").rename(directory / segment_name(name))
    os.mkfifo(directory / ".x")
    (directory / ".x").rename(directory / segment_name(NOW + 420))
    (directory / segment_name(NOW + 480)).write_bytes(bytes(28))  # a stub
    listed.run(60)
    assert listed.listed() == names(NOW + 240)
    assert listed.published == [[]]
    assert sorted(os.listdir(listed.root / DIRECTORY)) == [LOCK, "gate"]


def test_a_stub_that_becomes_a_recording_is_listed(listed: Listed) -> None:
    listed.put(NOW)
    (listed.camera() / segment_name(NOW + 60)).touch()
    listed.run()
    listed.put(NOW + 60)
    listed.run()
    assert listed.listed() == names(NOW, NOW + 60)


def test_the_newest_come_first_and_each_camera_has_its_turn(listed: Listed, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(backlog, "LOOK_SEGMENTS", 3)
    order: list[tuple[str, int]] = []
    for camera_id in ("gate", "hall"):
        listed.put(*range(NOW, NOW + 500, 60), camera_id=camera_id)
    original = writer.Writer.add

    def add(self: writer.Writer, camera_id: str, begun: int, digest: bytes) -> None:
        order.append((camera_id, (begun - NOW) // 60))
        original(self, camera_id, begun, digest)

    monkeypatch.setattr(writer.Writer, "add", add)
    listed.run()
    assert order == [
        *(("gate", 8), ("hall", 8)),
        *(("gate", n) for n in (7, 6, 5)),
        *(("hall", n) for n in (7, 6, 5)),
        *(("gate", n) for n in (4, 3, 2)),
        *(("hall", n) for n in (4, 3, 2)),
        *(("gate", n) for n in (1, 0)),
        *(("hall", n) for n in (1, 0)),
    ]
    assert listed.listed() == listed.listed("hall") == names(*range(NOW, NOW + 500, 60))


def test_what_is_closed_faster_than_it_is_hashed_is_a_problem(listed: Listed, monkeypatch: pytest.MonkeyPatch) -> None:
    """And is listed all the same if it can be."""
    monkeypatch.setattr(backlog, "MAX_CLOSED", 3)
    listed.put(NOW)
    listed.run()
    times = [NOW + 60 * n for n in range(1, 9)]
    with monkeypatch.context() as patch:
        patch.setattr(lister, "TURN_SECONDS", 0.0)  # nothing is hashed
        listed.put(*times)
        listed.lister.turn()
        assert listed.published[-1] == [lister.BEHIND]
    listed.run()
    assert listed.listed() == names(NOW, *times)
    assert listed.published[-1] == []


def test_what_is_heard_of_while_it_waits_is_listed_once(listed: Listed, monkeypatch: pytest.MonkeyPatch) -> None:
    """As when somebody else opens old segments for writing."""
    times = [NOW + 60 * n for n in range(12)]
    listed.put(*times)
    monkeypatch.setattr(lister, "TURN_SECONDS", 6e-6)  # a few steps
    while listed.lister.turn() is not None:
        for begun in times:
            (listed.camera() / segment_name(begun)).open("ab").close()
        listed.listed()
        if len(listed.listed()) > 10:
            monkeypatch.undo()
    assert listed.listed() == names(*times)


def test_after_a_step_back_of_the_clock_segments_are_listed_as_ever(listed: Listed) -> None:
    listed.put(*range(NOW, NOW + 600, 60))
    listed.run()
    for begun in range(NOW - 600, NOW, 60):
        with listed.recording(begun):
            listed.run()
        listed.run()
        assert listed.listed() == names(*range(NOW, NOW + 600, 60), *range(NOW - 600, begun + 1, 60))


def test_what_was_closed_while_nobody_looked_is_found(listed: Listed) -> None:
    listed.put(NOW)
    with listed.recording(NOW + 60):
        listed.run()
        listed.begin()
        listed.run()
        assert listed.listed() == names(NOW)
        listed.begin()
    listed.put(NOW + 120)
    listed.run()
    assert listed.listed() == names(NOW, NOW + 60, NOW + 120)


def test_lost_events_have_all_cameras_looked_at(listed: Listed, monkeypatch: pytest.MonkeyPatch) -> None:
    listed.put(NOW)
    listed.run()
    events = int(Path("/proc/sys/fs/inotify/max_queued_events").read_text())
    listed.put(NOW + 60)
    for n in range(events + 10):
        (listed.camera() / f"{n % 2}").write_bytes(b"")
    listed.put(NOW + 120)
    listed.run()
    assert listed.listed() == names(NOW, NOW + 60, NOW + 120)


def test_where_nothing_is_heard_it_is_looked_again_and_again(listed: Listed, monkeypatch: pytest.MonkeyPatch) -> None:
    """As beyond Linux's limits."""
    monkeypatch.setattr(Closings, "watch", lambda *_: False)
    listed.put(NOW)
    listed.run()
    with listed.recording(NOW + 60):
        listed.run(backlog.UNWATCHED_LOOK_SECONDS)
        assert listed.listed() == names(NOW)
    listed.run(backlog.UNWATCHED_LOOK_SECONDS)
    assert listed.listed() == names(NOW, NOW + 60)


def test_where_linux_does_not_know_who_writes_a_later_segment_shows_it(
    listed: Listed, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Or that no recorder holds the lock of the directory."""
    monkeypatch.setattr("heldar_mirror.manifests.hashing.has_writer", lambda _: None)
    with (listed.camera() / LOCK).open() as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        listed.put(NOW)
        listed.run()
        assert listed.listed() == []
        with listed.recording(NOW + 60):
            listed.run()
            assert listed.listed() == names(NOW)
        listed.run()
        assert listed.listed() == names(NOW)
    listed.run(lookout.ASK_SECONDS)
    assert listed.listed() == names(NOW, NOW + 60)


def test_a_file_that_grows_while_it_is_read_is_not_listed(listed: Listed, monkeypatch: pytest.MonkeyPatch) -> None:
    listed.put(NOW)
    original = hashing.sha256_of

    def grow(fd: int, size: int) -> bytes:
        with (listed.camera() / segment_name(NOW)).open("ab") as file:
            file.write(b"more")
        return original(fd, size)

    monkeypatch.setattr(hashing, "sha256_of", grow)
    listed.run()
    assert listed.listed() == []
    monkeypatch.undo()
    listed.run(lookout.ASK_SECONDS)
    assert listed.listed() == names(NOW)


def test_a_volume_that_is_not_ours_is_not_written_to(listed: Listed) -> None:
    """The watcher reports it. When it is ours again, all goes on."""
    listed.put(NOW)
    listed.mark("that-of-another")
    listed.run(lookout.TICK_SECONDS)
    assert not (listed.root / DIRECTORY).exists()
    (listed.root / MARKER).unlink()
    listed.run(lookout.TICK_SECONDS)
    assert not (listed.root / DIRECTORY).exists()
    assert listed.published == [[]]
    listed.mark("id-of-the-volume")
    listed.run(lookout.TICK_SECONDS)
    assert listed.listed() == names(NOW)


def test_nothing_is_done_before_there_is_a_volume(listed: Listed) -> None:
    (listed.state / "volumes").unlink()
    listed.put(NOW)
    listed.run(lookout.TICK_SECONDS)
    assert not (listed.root / DIRECTORY).exists()


def test_a_replaced_volume_has_its_own_manifests(listed: Listed) -> None:
    """Nothing of the first is taken for listed there."""
    listed.put(NOW, NOW + 60)
    listed.run()
    listed.root.rename(listed.home / "first")
    listed.root.mkdir()
    listed.mark("second")
    listed.remember("second")
    listed.put(NOW + 60)
    listed.run()
    assert listed.listed() == names(NOW + 60)
    listed.put(NOW + 120)
    listed.run()
    assert listed.listed() == names(NOW + 60, NOW + 120)
    listed.root.rename(listed.home / "second")
    (listed.home / "first").rename(listed.root)
    listed.remember("id-of-the-volume")
    listed.put(NOW + 180)
    listed.run()
    assert listed.listed() == names(NOW, NOW + 60, NOW + 180)


def test_a_full_volume_is_left_to_recording(listed: Listed, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is one problem, and all is listed when there is room again."""
    room = Room(total=1 << 40, free=1 << 20, inodes=0, free_inodes=0)
    monkeypatch.setattr(writer, "room_of", lambda _: room)
    listed.put(NOW)
    listed.put(NOW, camera_id="hall")
    listed.run()
    listed.run(writer.RETRY_SECONDS)
    assert not (listed.root / DIRECTORY).exists()
    [problem] = listed.published[-1]
    assert problem.startswith(f"cannot write manifests: {listed.root}/.manifests: No space left on device. ")
    assert len(listed.published) == 1
    monkeypatch.undo()
    listed.put(NOW + 60)
    listed.run(writer.RETRY_SECONDS)
    listed.run(writer.RETRY_SECONDS)
    assert listed.listed() == names(NOW, NOW + 60)
    assert listed.listed("hall") == names(NOW)
    assert listed.published[-1] == []


def test_a_file_in_the_way_is_a_problem_until_it_is_gone(listed: Listed) -> None:
    (listed.root / DIRECTORY).write_text("in the way")
    listed.put(NOW)
    listed.run()
    assert [len(problems) for problems in listed.published] == [1]
    (listed.root / DIRECTORY).unlink()
    listed.run(writer.RETRY_SECONDS)
    assert listed.listed() == names(NOW)
    assert listed.published[-1] == []


def test_a_file_in_the_way_of_one_camera_costs_that_camera_alone(listed: Listed) -> None:
    listed.put(NOW, NOW + 60)
    listed.put(NOW, camera_id="hall")
    (listed.root / DIRECTORY).mkdir()
    (listed.root / DIRECTORY / "gate").touch()
    listed.run()
    assert listed.listed("hall") == names(NOW)
    assert listed.published[-1] == [f"cannot read the manifests in {listed.root}/.manifests/gate: Not a directory"]
    (listed.root / DIRECTORY / "gate").unlink()
    listed.run(lookout.TICK_SECONDS)
    assert listed.listed() == names(NOW, NOW + 60)
    assert listed.published[-1] == []
    [path] = (listed.root / DIRECTORY / "gate").iterdir()
    path.unlink()
    path.mkdir()
    listed.put(NOW + 120)
    listed.put(NOW + 60, camera_id="hall")
    listed.run()
    assert listed.listed("hall") == names(NOW, NOW + 60)
    assert listed.published[-1][0].startswith(f"cannot write the manifests of gate: {path}: expected a plain file")
    # A problem of a camera without a directory is none.
    listed.camera().rename(listed.home / "away")
    listed.run(lookout.TICK_SECONDS)
    assert listed.published[-1] == []
    (listed.home / "away").rename(listed.root / "gate")
    path.rmdir()
    listed.run(writer.RETRY_SECONDS)
    assert listed.listed() == names(NOW, NOW + 60, NOW + 120)
    assert listed.published[-1] == []


def test_a_day_that_could_not_be_listed_is_not_sealed(listed: Listed, monkeypatch: pytest.MonkeyPatch) -> None:
    old = NOW - 3 * 86_400
    listed.put(old, old + 60, NOW)
    original = Store.append

    def fail(self: Store, camera_id: str, sums: list[tuple[int, bytes]], now: float) -> None:
        original(self, camera_id, [each for each in sums if each[0] != old + 60], now)
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    monkeypatch.setattr(Store, "append", fail)
    listed.run()
    assert listed.listed() == names(old, NOW)
    assert {name.partition(".")[2] for name in names_of(listed)} == {"open"}
    monkeypatch.undo()
    listed.run(writer.RETRY_SECONDS)
    assert listed.listed() == names(old, old + 60, NOW)
    assert sorted(name.partition(".")[2] for name in names_of(listed)) == ["SHA256SUMS", "open"]
    assert listed.published[-1] == []


def test_days_are_signed_with_the_key(listed: Listed, tmp_path: Path) -> None:
    """A key that can't be used is a problem, and days are sealed without it."""
    listed.settings = replace(listed.settings, manifests_key=tmp_path / "key")
    listed.begin()
    listed.put(NOW - 3 * 86_400)
    listed.run()
    sealed = names_of(listed)
    assert [name.rpartition(".")[2] for name in sealed] == ["SHA256SUMS"]
    [problem] = listed.published[-1]
    assert problem.startswith("manifests are not signed: cannot read HELDAR_MIRROR_MANIFESTS_KEY")
    key = Ed25519PrivateKey.generate()
    (tmp_path / "key").touch(0o400)
    (tmp_path / "key").write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    listed.run(backlog.LOOK_SECONDS)
    assert names_of(listed) == [*sealed, f"{sealed[0]}.sig"]
    directory = listed.root / DIRECTORY / "gate"
    key.public_key().verify((directory / f"{sealed[0]}.sig").read_bytes(), (directory / sealed[0]).read_bytes())
    assert listed.published[-1] == []


def names_of(listed: Listed) -> list[str]:
    """The names of a camera's manifests."""
    return sorted(path.name for path in (listed.root / DIRECTORY / "gate").iterdir())


def test_a_segment_that_can_not_be_read_is_a_problem_and_the_others_are_listed(
    listed: Listed, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As on a damaged disk. It is tried again at the next look, and keeps no day from being sealed."""
    old = NOW - 3 * 86_400
    listed.put(old, old + 60, NOW)
    original = hashing.sha256_of

    def fail(fd: int, size: int) -> bytes:
        if str(Path(f"/proc/self/fd/{fd}").readlink()).endswith(segment_name(old)):
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        return original(fd, size)

    monkeypatch.setattr(hashing, "sha256_of", fail)
    listed.run()
    assert listed.listed() == names(old + 60, NOW)
    assert {name.partition(".")[2] for name in names_of(listed)} == {"SHA256SUMS", "open"}
    assert listed.published[-1] == [f"cannot hash {listed.camera() / segment_name(old)}: Input/output error"]
    monkeypatch.undo()
    listed.run(backlog.LOOK_SECONDS)
    assert listed.listed() == names(old, old + 60, NOW)
    assert listed.published[-1] == []


def test_a_torn_line_is_healed(listed: Listed) -> None:
    """What a crash has cut off is listed anew."""
    listed.put(NOW, NOW + 60)
    listed.run()
    [path] = (listed.root / DIRECTORY / "gate").iterdir()
    path.write_bytes(path.read_bytes()[:-30])
    listed.begin()
    listed.run()
    assert listed.listed() == names(NOW, NOW + 60)


def test_a_day_is_sealed_when_all_of_it_is_listed(listed: Listed, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(backlog, "LOOK_SEGMENTS", 2)
    day = 86_400
    long_ago = [NOW - 3 * day + n for n in range(7)]
    listed.put(*long_ago, NOW)
    listed.run()
    found = sorted(path.name for path in (listed.root / DIRECTORY / "gate").iterdir())
    assert [name.partition(".")[2] for name in found] == ["SHA256SUMS", "open"]
    assert len([line for line in listed.lines() if line]) == 8
    # What is found later goes into the day that is open. In the first hour of a day that is a day later than NOW.
    listed.put(NOW - 3 * day + 100)
    listed.run()
    assert listed.listed() == names(*long_ago, NOW - 3 * day + 100, NOW)
    today = time.strftime("%Y-%m-%d.open", time.gmtime())
    assert {path.name for path in (listed.root / DIRECTORY / "gate").iterdir()} == {*found, today}


def test_manifests_of_a_camera_without_a_directory_go_when_their_time_is_over(listed: Listed) -> None:
    listed.put(NOW - 500 * 86_400, NOW - 10 * 86_400)
    listed.run()
    assert len(listed.listed()) == 2
    for path in listed.camera().iterdir():
        path.unlink()
    listed.camera().rmdir()
    listed.run(backlog.LOOK_SECONDS)
    assert listed.listed() == names(NOW - 10 * 86_400)


def test_after_work_there_is_rest(listed: Listed, monkeypatch: pytest.MonkeyPatch) -> None:
    """What was recorded earlier is read at a quarter of the time, and a core is used by two fifths at most."""
    cpu = [0.0]
    made = lister.Lister(listed.settings, listed.published.append, listed.clock, lambda: cpu[0])

    def slow(self: object, *_: object, **__: object) -> bytes:
        listed.now += 1.0
        cpu[0] += 0.8
        return bytes(32)

    monkeypatch.setattr("heldar_mirror.manifests.hashing.Hasher.hash", slow)
    listed.put(NOW, NOW + 60)
    assert made.turn() == pytest.approx(0.8 / lister.CORE_SHARE - 1, rel=0.01)  # the newest
    assert made.turn() == pytest.approx(1 / lister.DISK_SHARE - 1, rel=0.01)
    listed.now += 1
    while made.turn() is not None:
        pass


class History:
    """What happens to a camera's segments. `end` finishes it."""

    def __init__(self, listed: Listed) -> None:
        self.listed = listed
        self.begun = NOW
        self.recorded = 0
        self.recording: contextlib.AbstractContextManager[Path] | None = None
        self.closed: set[int] = set()
        self.pruned: set[int] = set()
        self.numbered: list[Path] = []

    def record(self) -> None:
        """End the segment that is recorded, and begin the next."""
        self.stop()
        self.recording = self.listed.recording(self.begun)
        self.recording.__enter__()
        self.recorded = self.begun

    def stop(self) -> None:
        """End the segment that is recorded, if there is one."""
        if self.recording:
            self.recording.__exit__(None, None, None)
            self.closed.add(self.recorded)
            self.recording = None

    def leave(self) -> None:
        """Leave a file under its number, as a killed recorder does."""
        self.numbered.append(self.listed.camera() / f".new-0-{self.begun}.mp4")
        self.numbered[-1].write_bytes(b"\0\0\0\x08moof")

    def name(self) -> None:
        """Name what was left. Its name may lie before others."""
        if self.numbered:
            path = self.numbered.pop()
            begun = int(path.stem.rpartition("-")[2])
            path.rename(path.with_name(segment_name(begun)))
            self.closed.add(begun)

    def prune(self) -> None:
        """Delete the oldest segment."""
        if left := sorted(self.closed - self.pruned):
            self.pruned.add(left[0])
            (self.listed.camera() / segment_name(left[0])).unlink()

    def turn(self) -> None:
        """Take a turn."""
        self.listed.lister.turn()

    def work(self) -> None:
        """Do all that is to be done."""
        self.listed.run()

    def tick(self) -> None:
        """Let time pass until the next tick."""
        self.listed.run(lookout.TICK_SECONDS)

    def look(self) -> None:
        """Let time pass until all is looked at again."""
        self.listed.run(backlog.LOOK_SECONDS)

    def restart(self) -> None:
        """Kill the process, and start a new one."""
        self.listed.lister.lookout.closings.close()
        self.listed.begin()

    def end(self) -> None:
        """Stop recording, and let time pass until nothing is missing any more."""
        self.stop()
        self.tick()
        self.listed.run(lookout.ASK_SECONDS)
        self.listed.lister.lookout.closings.close()


STEPS = ["record", "stop", "leave", "name", "prune", "turn", "work", "tick", "look", "restart"]


@given(st.lists(st.sampled_from([*STEPS, "record", "record", "work"]), max_size=30))
@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_whatever_happens_each_closed_segment_is_listed_once(
    tmp_path_factory: pytest.TempPathFactory, steps: list[str]
) -> None:
    """Never an open one, which would have a different sum when it is closed."""
    history = History(Listed(tmp_path_factory.mktemp("home")))
    for step in steps:
        history.begun += 2
        getattr(history, step)()
        history.listed.listed()
    history.end()
    found = set(history.listed.listed())
    assert set(names(*(history.closed - history.pruned))) <= found <= set(names(*history.closed))
