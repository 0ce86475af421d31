"""The files that a recorder's ffmpeg leaves."""

import os
import signal
import subprocess
import time
from pathlib import Path

import pytest
from support.bench import Bench
from support.waiting import wait_for

from heldar_mirror.recorder import recorder


@pytest.mark.parametrize("stop", [False, True])
@pytest.mark.parametrize(
    "data",
    ['b""', 'box(b"ftyp", 28)', 'box(b"ftyp", 28) + box(b"moov", 4068)', "bytes(4096)", 'box(b"ftyp", 28) + b"moof"'],
)
def test_the_stub_of_its_own_ffmpeg_is_removed(bench: Bench, data: str, *, stop: bool) -> None:
    """A recorder removes its ffmpeg's last file if it is a stub. Stubs of earlier runs are left alone."""
    directory = bench.root / "gate"
    directory.mkdir()
    directory.chmod(0o777)
    older = [Path(recorder.segment_path(str(directory), time.time() - age)) for age in (5, 60, 90_000)]
    for path in older:
        path.touch()
    bench.stand_in(f"note(segment({data})){'; until_told()' if stop else ''}")
    process = bench.start()
    if stop:
        wait_for(lambda: bench.noted() == "ready")
    bench.end(process, 0 if stop else recorder.FAILED_SOON, signal.SIGTERM if stop else None)
    assert sorted(directory.glob("*.mp4")) == sorted(older)


def test_a_segment_with_footage_is_kept(bench: Bench) -> None:
    """A file with a fragment is kept as it is, and so are the files before it."""
    bench.stand_in("""
segment(box(b"ftyp", 28)); time.sleep(1.1)
note(segment(box(b"ftyp", 28) + box(b"moov", 700) + box(b"moof", 100) + box(b"mdat", 5000)))
""")
    bench.run()
    stub, kept = sorted((bench.root / "gate").glob("*.mp4"))
    assert str(kept) == bench.noted()
    assert (stub.stat().st_size, kept.stat().st_size) == (28, 5828)


def test_a_file_of_the_current_second_is_waited_for(bench: Bench) -> None:
    """ffmpeg is not started in a second whose file exists, since it would overwrite that file."""
    directory = bench.root / "gate"
    directory.mkdir()
    directory.chmod(0o777)
    now = int(time.time())
    existing = [Path(recorder.segment_path(str(directory), now + second)) for second in range(4)]
    for path in existing:
        path.write_text("footage")
        path.chmod(0o666)
    bench.stand_in('note(segment(box(b"moof")))')
    bench.run()
    assert Path(bench.noted()) > existing[-1]
    assert [path.read_text() for path in existing] == ["footage"] * 4


def test_segments_are_born_read_only(bench: Bench) -> None:
    """A segment is written through the descriptor it was made with, and can't be opened for writing again."""
    bench.stand_in("""
path = segment(box(b"moof"))
said = []
for flags in (os.O_WRONLY, os.O_RDWR, os.O_WRONLY | os.O_CREAT | os.O_TRUNC):
    try: os.open(path, flags, 0o666); said.append("opened")
    except PermissionError: said.append("refused")
note(" ".join(said))
""")
    bench.run()
    assert bench.noted() == "refused refused refused"
    (made,) = (bench.root / "gate").glob("*.mp4")
    modes = {path: path.stat().st_mode & 0o777 for path in (made, made.parent, made.parent / recorder.LOCK)}
    assert list(modes.values()) == [0o440, 0o750, 0o640]


@pytest.mark.slow
def test_no_file_is_overwritten_when_the_clock_steps_back(bench: Bench) -> None:
    """If the clock steps back to names that exist, a real ffmpeg ends and overwrites none of them."""
    clock, pid = bench.home / "clock", bench.notes / "pid"
    clock.write_text("+0")
    found = ["faketime", "-f", "+0", "printenv", "LD_PRELOAD"]
    library = subprocess.run(found, capture_output=True, text=True, check=True).stdout.strip()
    # ffmpeg paces its frames by the monotonic clock, which never steps.
    faked = [f"LD_PRELOAD={library}", f"FAKETIME_TIMESTAMP_FILE={clock}", "FAKETIME_DONT_FAKE_MONOTONIC=1"]
    shell = ["/bin/sh", "-c", f'echo $$ >"{pid}"; exec "$@"', "sh", "env", *faked, "FAKETIME_NO_CACHE=1"]
    source = ["-re", "-f", "lavfi", "-i", "testsrc=size=64x48:rate=10", "-c:v", "libx264", "-preset", "ultrafast"]
    segments = ["-g", "10", "-f", "segment", "-segment_time", "2", "-segment_format", "mp4", "-segment_format_options"]
    options = ["movflags=+frag_keyframe+empty_moov+default_base_moof", "-reset_timestamps", "1", "-strftime", "1"]
    process = bench.start(bench.spec(args=[*shell, "ffmpeg", "-loglevel", "warning", *source, *segments, *options]))
    directory = bench.root / "gate"
    try:
        wait_for(lambda: process.poll() is not None or len(list(directory.glob("*.mp4"))) > 3)
        assert process.poll() is None, process.communicate()
        owner = directory.stat()
        for second in range(int(time.time()) - 3610, int(time.time()) - 3430):
            path = Path(recorder.segment_path(str(directory), second))
            path.write_bytes(b"footage")
            path.chmod(0o440)
            os.chown(path, owner.st_uid, owner.st_gid)
        *closed, _being_written = sorted(directory.glob("*.mp4"))
        before = {path: path.read_bytes() for path in closed}
        clock.write_text("-3600")
        assert "Permission denied" in bench.end(process, recorder.FAILED_SOON)
        assert {path: path.read_bytes() for path in closed} == before
    finally:
        for left in Path("/dev/shm").glob(f"*faketime_s*_{pid.read_text().strip()}"):
            left.unlink()
