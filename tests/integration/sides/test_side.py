"""A side's recordings through its child process: real files, and volumes and children that fail."""

import contextlib
import hashlib
import os
import signal
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import pytest
from support.made_mp4 import box, moov, recording, trak
from support.mirror import Mirror
from support.mounts import bindfs_volume, hung, tmpfs, unmount
from support.recordings import digests_of
from support.recordings import packets as packets_by_ffmpeg
from support.running import kill
from support.users import STRANGER_UID, as_root, python_for_all, run_as
from support.waiting import COMMAND_SECONDS, processes_of, wait_for

from heldar_mirror.errors import GoneError, HungError, UnreadableError, VolumeError
from heldar_mirror.footage.names import segment_name
from heldar_mirror.packets.index import read_packets
from heldar_mirror.sides import side
from heldar_mirror.sides.side import Side

READER = "heldar_mirror.sides.reader"
MARKER = ".heldar-mirror"
EVER = (0, 2**40)
BEGUN = 1_700_000_000

# Asks once, says so, and waits.
ASKER = """
import sys
from pathlib import Path
from heldar_mirror.sides.side import Side
side = Side("primary", Path(sys.argv[1]))
print(side.cameras(), flush=True)
sys.stdin.read()
"""
# Asks for the names of one camera, and prints the error.
STRANGER = """
import sys
from pathlib import Path
from heldar_mirror.errors import UnreadableError
from heldar_mirror.sides.side import Side
with Side("primary", Path(sys.argv[1])) as side:
    for ask in (side.cameras, lambda: side.names("gate", 0, 2**40), lambda: side.sha256("yard", 1000)):
        try:
            ask()
        except UnreadableError as error:
            print(error)
    print(side.recorded("yard", 0, 2**40, 60))
"""


def put(root: Path, begun: int, content: bytes, mtime: float = 10.0, camera_id: str = "gate") -> Path:
    path = root / camera_id / segment_name(begun)
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(content)
    os.utime(path, (mtime, mtime))
    return path


def readers(root: Path) -> list[int]:
    """The processes that read a root."""
    found = processes_of(f"{READER} {root}")
    return [pid for pid, command in found.items() if "setpriv" not in command]


def has_ended(pid: int, root: Path) -> bool:
    return pid not in readers(root)


def reads(pid: int, path: Path) -> bool:
    return str(path) in files_of(pid)


def answered(asked: Side) -> list[str] | None:
    """The cameras of a side, or None as long as it counts as hung: also while its killed child still ends."""
    try:
        return asked.cameras()
    except HungError:
        return None


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Segments of a real recording, in order."""
    directory = tmp_path_factory.mktemp("source")
    picture, sound = "testsrc2=size=192x144:rate=15:duration=7", "sine=frequency=300:duration=7"
    command = ["ffmpeg", "-v", "error", "-f", "lavfi", "-i", picture, "-f", "lavfi", "-i", sound]
    command += ["-c:v", "libx264", "-g", "15", "-c:a", "aac", "-f", "segment", "-segment_time", "2"]
    command += ["-segment_format_options", "movflags=+frag_keyframe+empty_moov+default_base_moof:flush_packets=1"]
    command += ["-reset_timestamps", "1", str(directory / "%d.mp4")]
    subprocess.run(command, check=True, timeout=COMMAND_SECONDS)
    return sorted(directory.iterdir())


def test_a_real_recording(home: Path, source: list[Path]) -> None:
    """Its segments have their ends, whichever way they are found, and a hole is seen."""
    for number, path in enumerate(source):
        put(home, BEGUN + 2 * number, path.read_bytes(), mtime=BEGUN + 2 * number + 2.2)
    with Side("mirror", home) as asked:
        found = asked.recorded("gate", *EVER, 2)
        assert found.begun.tolist() == [BEGUN, BEGUN + 2, BEGUN + 4, BEGUN + 6]
        assert found.ends[:3].tolist() == [BEGUN + 2, BEGUN + 4, BEGUN + 6]
        assert found.ends[3] == pytest.approx(BEGUN + 7, abs=0.2)
        assert (found.damaged, found.unread, found.missing) == ({}, {}, False)
        assert asked.names("gate", BEGUN + 3, BEGUN + 6).tolist() == [BEGUN + 2, BEGUN + 4]
        (home / "gate" / segment_name(BEGUN + 2)).unlink()
        put(home, BEGUN + 10, b"")
        found = asked.recorded("gate", *EVER, 2)
        assert found.ends[:3].tolist() == pytest.approx([BEGUN + 2, BEGUN + 6, BEGUN + 7], abs=0.2)
        assert asked.cameras() == ["gate"]
        assert asked.recorded("yard", *EVER, 2).missing
        assert len(readers(home)) == 1
    assert readers(home) == []


def test_the_packets_of_a_real_recording(home: Path, source: list[Path]) -> None:
    """They are those that ffmpeg finds, and that we find in this process."""
    path = put(home, BEGUN, source[0].read_bytes())
    with path.open("rb") as file:
        tracks, _ = read_packets(file.fileno())
        digests = digests_of(file.fileno(), tracks)
    with Side("mirror", home, idle=True) as asked:
        found, index = asked.hashes("gate", BEGUN), asked.packets("gate", BEGUN)
        digest, identity = asked.sha256("gate", BEGUN)
        assert asked.identity("gate", BEGUN) == identity == found.identity == index.identity
    about = path.stat()
    assert identity == (about.st_size, about.st_mtime_ns, about.st_ino)
    assert digest == hashlib.sha256(path.read_bytes()).digest()
    assert (found.damage, found.cut) == (None, False)
    for ours, track, theirs, hashes in zip(found.tracks, index.tracks, tracks, digests, strict=True):
        assert (ours.id, ours.handler, ours.timescale) == (theirs.id, theirs.handler, theirs.timescale)
        for each in (ours, track):
            assert (each.sizes, each.times, each.durations) == (theirs.sizes, theirs.times, theirs.durations)
            assert each.keyframes == theirs.keyframes
        assert (ours.digests, track.digests) == (b"".join(hashes), b"")
    assert len(found.tracks[0]) == len(packets_by_ffmpeg([path]))


def test_the_fragments_of_a_real_recording(home: Path, source: list[Path]) -> None:
    """They have all its packets, at their times. Each keyframe begins one; the last has the rest of the sound."""
    path = put(home, BEGUN, source[0].read_bytes())
    put(home, BEGUN + 2, b"")
    with Side("mirror", home) as asked:
        found, packets = asked.layout("gate", BEGUN), asked.packets("gate", BEGUN)
        assert asked.layout("gate", BEGUN + 2).unknown == "expected a box moov"
    assert (found.damage, found.unknown) == (None, None)
    assert [each.begin for each in found.fragments] == pytest.approx([0, 1, 2], abs=0.1)
    assert [each.end for each in found.fragments] == pytest.approx([1, 2, 2], abs=0.1)
    assert [each.alone for each in found.fragments] == [True, True, False]
    for number, track in enumerate(packets.tracks):
        assert [at for each in found.fragments for at in each.packets[number]] == list(range(len(track)))
    assert sum(each.size for each in found.fragments) < path.stat().st_size


def test_a_recording_that_is_not_there(home: Path) -> None:
    """It is gone, which differs from what can't be read. So does a root that is not there."""
    put(home, BEGUN, b"")
    with Side("mirror", home) as asked:
        with pytest.raises(GoneError, match=f"the mirror's recording {home}/gate/.*.mp4 is not there any more"):
            asked.hashes("gate", BEGUN + 1)
        with pytest.raises(GoneError):
            asked.identity("yard", BEGUN)
    with Side("primary", home / "none") as asked:
        for _ in range(2):
            with pytest.raises(UnreadableError, match=f"the primary's recordings in {home}/none: No such file"):
                asked.recorded("gate", *EVER, 60)


def test_a_child_that_is_killed_between_two_questions(home: Path) -> None:
    """A new one answers."""
    put(home, BEGUN, recording())
    with Side("mirror", home) as asked:
        for number in (signal.SIGKILL, signal.SIGTERM, signal.SIGKILL):
            assert asked.names("gate", *EVER).tolist() == [BEGUN]
            (pid,) = readers(home)
            os.kill(pid, number)
            wait_for(partial(has_ended, pid, home))
            assert asked.hashes("gate", BEGUN).tracks


def test_a_child_that_is_killed_while_it_answers(home: Path) -> None:
    """Each question is asked once more, so no answer is lost or mixed up."""
    path = put(home, BEGUN, os.urandom(150_000_000))
    expected = hashlib.sha256(path.read_bytes()).digest()
    with Side("mirror", home) as asked, ThreadPoolExecutor(1) as pool:
        for _ in range(5):
            asked.cameras()
            (pid,) = readers(home)
            answer = pool.submit(asked.sha256, "gate", BEGUN)
            wait_for(partial(reads, pid, path), every=0.001)
            kill(pid)
            assert answer.result()[0] == expected


def files_of(pid: int) -> list[str]:
    found = []
    with contextlib.suppress(OSError):
        for fd in os.listdir(f"/proc/{pid}/fd"):
            with contextlib.suppress(OSError):
                found.append(str(Path(f"/proc/{pid}/fd/{fd}").readlink()))
    return found


@pytest.mark.parametrize("command", [("false",), ("echo", "nonsense"), ("/nowhere",)])
def test_a_child_that_always_fails(home: Path, monkeypatch: pytest.MonkeyPatch, command: tuple[str, ...]) -> None:
    """After a second try it is an error."""
    monkeypatch.setattr(side, "READER", command)
    with (
        Side("mirror", home) as asked,
        pytest.raises(UnreadableError, match="the process that reads them failed twice"),
    ):
        asked.cameras()


def test_no_child_can_be_started(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """That is an error with its reason."""
    monkeypatch.setattr(side, "KILL_WITH_US", ("/nowhere",))
    with Side("mirror", home) as asked, pytest.raises(UnreadableError, match=r"no process can be started .*nowhere"):
        asked.cameras()


@as_root
def test_a_side_that_hangs(mirror: Mirror, monkeypatch: pytest.MonkeyPatch) -> None:
    """It costs one limit, then it is not asked again for a while. The other side is answered for."""
    other = mirror.home / "other"
    other.mkdir()
    put(other, BEGUN, recording())
    with (
        bindfs_volume(mirror) as server,
        Side("mirror", mirror.root, patience=2) as asked,
        Side("primary", other, patience=2) as second,
    ):
        put(mirror.root, BEGUN, recording())
        assert asked.hashes("gate", BEGUN).tracks
        with hung(server):
            with pytest.raises(HungError, match=f"the mirror's volume at {mirror.root} does not answer within 2 s"):
                asked.recorded("gate", *EVER, 60)
            with monkeypatch.context() as patch:
                patch.setattr(side, "Child", None)  # so that nothing can be started
                with pytest.raises(HungError):
                    asked.names("gate", *EVER)
            assert second.recorded("gate", *EVER, 60).begun.tolist() == [BEGUN]
        with pytest.raises(HungError):
            asked.cameras()
        monkeypatch.setattr(side, "AGAIN_SECONDS", 0)
        assert wait_for(lambda: answered(asked)) == ["gate"]


def test_a_child_that_is_stopped_hangs(home: Path) -> None:
    """It writes nothing and uses no processor. A hang is told from a long answer by that."""
    put(home, BEGUN, recording())
    with Side("mirror", home, patience=2) as asked:
        asked.cameras()
        (pid,) = readers(home)
        os.kill(pid, signal.SIGSTOP)
        with pytest.raises(HungError):
            asked.cameras()
        wait_for(lambda: readers(home) == [])


def test_a_file_that_takes_long_is_no_hang(home: Path) -> None:
    """A child that uses the processor is waited for, whatever the limit is."""
    put(home, BEGUN, moov(trak(1)) + 1_000_000 * box("free"))
    with Side("mirror", home, patience=0.5) as asked:
        assert asked.packets("gate", BEGUN).damage is None


def test_a_child_that_can_not_be_killed(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """While it is stuck no second one is started, which would hang as well."""
    put(home, BEGUN, recording())
    monkeypatch.setattr(side, "AGAIN_SECONDS", 0)
    with Side("mirror", home, patience=2) as asked:
        asked.cameras()
        (pid,) = readers(home)
        os.kill(pid, signal.SIGSTOP)
        with monkeypatch.context() as patch:
            patch.setattr(subprocess.Popen, "kill", lambda _: None)  # as in a call that no signal ends
            for _ in range(3):
                with pytest.raises(HungError):
                    asked.cameras()
                assert readers(home) == [pid]
        kill(pid)
        wait_for(lambda: answers(asked))


def answers(asked: Side) -> bool:
    """Whether a side is asked again, and answers."""
    with contextlib.suppress(HungError):
        return asked.cameras() == ["gate"]
    return False


def test_a_child_dies_with_its_parent(home: Path) -> None:
    """Also if the parent is killed. A Ctrl-C reaches the parent alone."""
    (home / "gate").mkdir()
    process = subprocess.Popen(
        [sys.executable, "-c", ASKER, str(home)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert process.stdout
    assert process.stdin
    assert process.stdout.readline() == "['gate']\n"
    (pid,) = readers(home)
    assert os.getsid(pid) != os.getsid(process.pid)
    kill(process.pid)
    process.wait()
    wait_for(lambda: readers(home) == [])
    process.stdin.close()
    process.stdout.close()


def test_low_priority(home: Path) -> None:
    """It is asked for, and is that of the child alone."""
    for idle in (False, True):
        with Side("mirror", home, idle=idle) as asked:
            asked.cameras()
            (pid,) = readers(home)
            assert os.getpriority(os.PRIO_PROCESS, pid) == (19 if idle else os.getpriority(os.PRIO_PROCESS, 0))
            shown = subprocess.run(["ionice", "-p", str(pid)], capture_output=True, text=True, check=True).stdout
            assert ("idle" in shown) == idle


def test_an_interrupted_question_leaves_no_answer_for_the_next(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A Ctrl-C while an answer is awaited ends the child."""
    put(home, BEGUN, recording())
    with Side("mirror", home) as asked:
        asked.cameras()
        assert asked._child

        def interrupt() -> None:
            raise KeyboardInterrupt

        with monkeypatch.context() as patch:
            patch.setattr(asked._child._frames, "_wait", interrupt)
            with pytest.raises(KeyboardInterrupt):
                asked.names("gate", *EVER)
        assert asked.cameras() == ["gate"]


@as_root
def test_a_user_without_permission(home: Path) -> None:
    """A directory that can't be read is an error, and a file of which that is true is named. Neither is 'none'."""
    home.chmod(0o755)
    put(home, 1000, recording())
    (home / "gate").chmod(0o700)
    put(home, 1000, recording(), camera_id="yard").chmod(0o600)
    (home / "yard").chmod(0o755)
    found = run_as(STRANGER_UID, [python_for_all(), "-c", STRANGER, str(home)])
    assert found.stderr == ""
    directory, file, recorded = found.stdout.splitlines()
    assert directory == f"cannot read the primary's {home}/gate: Permission denied"
    assert file == f"cannot read the primary's {home}/yard/{segment_name(1000)}: Permission denied"
    assert "unread={1000: 'Permission denied'}" in recorded


@as_root
def test_a_mount_at_a_cameras_place(home: Path) -> None:
    """It is not entered: it may be the other side."""
    with tmpfs(home / "gate", 10):
        put(home, BEGUN, recording())
        with Side("mirror", home) as asked, pytest.raises(UnreadableError, match="gate: it is a mount of its own"):
            asked.recorded("gate", *EVER, 60)


@as_root
def test_the_volume_is_proven_for_each_answer(home: Path) -> None:
    """With the id of a volume, nothing is read where it is not mounted, nor of a different one."""
    root = home / "mirror"
    with tmpfs(root, 10), Side("mirror", root, volume="ours") as asked:
        with pytest.raises(VolumeError, match="has lost its marker"):
            asked.cameras()
        (root / MARKER).write_text("ours\n")
        put(root, BEGUN, recording())
        assert asked.cameras() == ["gate"]
        unmount(root)
        with pytest.raises(VolumeError, match="has lost its marker"):
            asked.names("gate", *EVER)
        with tmpfs(root, 10):
            (root / MARKER).write_text("another\n")
            with pytest.raises(VolumeError, match="another volume or instance"):
                asked.names("gate", *EVER)
            (root / MARKER).write_text("ours\n")
            assert asked.names("gate", *EVER).tolist() == []


def test_a_root_that_is_replaced(home: Path) -> None:
    """What is at its path now is read, not what was there at first."""
    root = home / "mirror"
    root.mkdir()
    put(root, BEGUN, recording())
    with Side("primary", root) as asked:
        assert asked.cameras() == ["gate"]
        root.rename(home / "older")
        with pytest.raises(UnreadableError, match="No such file"):
            asked.cameras()
        root.mkdir()
        assert asked.cameras() == []


def test_a_verify_does_not_fill_the_page_cache(home: Path) -> None:
    """What was read of a file to hash it is dropped from the cache."""
    path = put(home, BEGUN, os.urandom(20_000_000))
    with path.open("rb") as file:
        os.fsync(file.fileno())
    with Side("mirror", home) as asked:
        for _ in range(2):
            asked.sha256("gate", BEGUN)
            assert cached_bytes(path) < 1_000_000


def cached_bytes(path: Path) -> int:
    shown = subprocess.run(
        ["fincore", "-b", "-n", "-r", "-o", "RES", str(path)], capture_output=True, text=True, check=True
    )
    return int(shown.stdout)
