"""What a recorder refuses to record with."""

import fcntl
import re
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from support.bench import PASSWORD, URL, Bench

from heldar_mirror.recorder.volume import LOCK, MARKER


def lose_marker(bench: Bench) -> None:
    (bench.root / MARKER).unlink()


def change_marker(bench: Bench) -> None:
    (bench.root / MARKER).write_text("volume-2\n")


def empty_marker(bench: Bench) -> None:
    (bench.root / MARKER).write_text("")


def link_marker(bench: Bench) -> None:
    (bench.root / MARKER).rename(bench.home / "marker")
    (bench.root / MARKER).symlink_to(bench.home / "marker")


def lose_root(bench: Bench) -> None:
    shutil.rmtree(bench.root)


def link_camera(bench: Bench) -> None:
    (bench.home / "elsewhere").mkdir(mode=0o777)
    (bench.root / "gate").symlink_to(bench.home / "elsewhere")


def link_lock(bench: Bench) -> None:
    (bench.root / "gate").mkdir()
    (bench.root / "gate" / LOCK).symlink_to(bench.home / "elsewhere")


@pytest.mark.parametrize(
    ("harm", "reason"),
    [
        (lose_marker, "has lost its marker .heldar-mirror: is the volume mounted?"),
        (change_marker, "holds the marker of another volume or instance"),
        (empty_marker, "holds the marker of another volume or instance"),
        (link_marker, ".heldar-mirror"),
        (lose_root, "has lost its marker .heldar-mirror: is the volume mounted?"),
        (link_camera, "link"),
        (link_lock, ".heldar-mirror.lock"),
    ],
)
def test_a_root_that_is_not_proven_is_left_alone(bench: Bench, harm: Callable[[Bench], None], reason: str) -> None:
    """If root or directory is not what it should be, the recorder names it, starts nothing and makes nothing."""
    bench.stand_in("note('started'); segment()")
    harm(bench)
    spec = bench.spec()
    before = sorted(bench.home.rglob("*"))
    line = bench.run(spec)
    assert line.startswith("ERROR cannot record: ")
    assert str(bench.root) in line
    assert reason in line
    assert sorted(bench.home.rglob("*")) == before


def test_a_camera_without_spec_ends_cleanly(bench: Bench) -> None:
    """A recorder whose launch spec is gone ends with status 0: its camera is not to be mirrored any more."""
    line = bench.ended(bench.home / "gone.spec")
    assert line.startswith(f"INFO no launch spec {bench.home}/gone.spec: the camera is not to be mirrored")


def test_a_spec_that_is_no_file_is_named(bench: Bench) -> None:
    """A spec that can't be read is named by its path, once."""
    (bench.home / "gate.d").mkdir()
    assert f"cannot record: {bench.home}/gate.d: expected a plain file" in bench.ended(bench.home / "gate.d")


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"\0" * 4096,
        b"\xff\xfe",
        b"camera=gate\nroot=/tmp\n",
        f"n:{PASSWORD}@localhost/\n".encode(),
        f"{PASSWORD}\nurl={URL}\n".encode(),
    ],
    ids=["empty", "zeros", "no text", "fields missing", "a secret before it", "a secret alone"],
)
def test_a_damaged_spec_is_told_without_what_is_in_it(bench: Bench, text: bytes) -> None:
    """A launch spec that can't be understood is named, with the next step and none of its secrets."""
    spec = bench.spec()
    spec.write_bytes(text)
    line = bench.ended(spec)
    assert line.startswith(f"ERROR cannot record: {spec}: ")
    assert line.endswith("heldar-mirror reconcile")
    assert PASSWORD[:8] not in line


def test_a_spec_that_may_not_be_read_is_named(bench: Bench) -> None:
    """A launch spec that can't be read is an error, unlike one that does not exist."""
    spec = bench.spec()
    spec.unlink()
    spec.symlink_to(spec)
    assert re.match(rf"ERROR cannot record: .*{re.escape(str(spec))}", bench.ended(spec))


def test_a_missing_ffmpeg_is_named(bench: Bench) -> None:
    """If there is no such ffmpeg, the line gives its path."""
    line = bench.run(bench.spec(args=["/nowhere/ffmpeg", "-i", URL]))
    assert re.match(r"ERROR ffmpeg ended .* /nowhere/ffmpeg.*not found", line)


def test_an_ffmpeg_that_cannot_be_started_costs_no_descriptor(bench: Bench) -> None:
    """If Linux starts no process, the recorder tries again, and has no more open than before."""
    bench.env["PATH"] = "/nowhere"
    process = bench.start()
    assert process.stdout
    assert "ERROR cannot record: [Errno 2] No such file or directory: 'setpriv'" in process.stdout.readline()
    # Those it was given, and the two ends of the pipe by which a stop wakes it.
    assert len(list(Path(f"/proc/{process.pid}/fd").iterdir())) == 3 + 2
    bench.end(process)


def open_files(process: "subprocess.Popen[str]") -> list[str]:
    """Return the files that a recorder has open, without pipes and devices."""
    links = [str(fd.readlink()) for fd in Path(f"/proc/{process.pid}/fd").iterdir()]
    return [link for link in links if not link.startswith(("pipe:", "/dev/"))]


@pytest.mark.parametrize("refused", [MARKER, LOCK])
def test_a_recorder_that_is_refused_keeps_nothing_open(bench: Bench, refused: str) -> None:
    """Else the volume could be neither adopted nor unmounted, and the recorder would run out of descriptors."""
    (bench.root / "gate").mkdir()
    (bench.root / "gate").chmod(0o777)
    lock = bench.root / "gate" / LOCK
    lock.touch()
    lock.chmod(0o666)
    if refused == MARKER:
        change_marker(bench)
    with lock.open() as holder:
        fcntl.flock(holder, fcntl.LOCK_EX)
        process = bench.start()
        assert process.stdout
        assert "ERROR cannot record: " in process.stdout.readline()
        assert open_files(process) == []
        bench.end(process)
