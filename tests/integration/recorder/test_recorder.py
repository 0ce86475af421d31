"""The real recorder, started as supervisord starts it, with small scripts in ffmpeg's place; as root and as nobody."""

import contextlib
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from support.listeners import listening, refusing, silent
from support.waiting import processes_of, wait_for, wait_for_none

from heldar_mirror.proc.recorders import RECORDER
from heldar_mirror.recorder import recorder
from heldar_mirror.watcher.probe import Address

PASSWORD = "open.sesame"
URL = f"rtsp://admin:{PASSWORD}@localhost:554/Streaming/Channels/101"
SETPRIV = shutil.which("setpriv") or "setpriv"
NOBODY = [SETPRIV, "--reuid=nobody", "--regid=nogroup", "--clear-groups", "--"]
LINE = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ (INFO|ERROR) (.*)\n")

# The system's own Python: anybody may run it, which can't be said of a venv's.
PYTHON = "/usr/bin/python3"
STAND_IN = f"""#!{PYTHON} -IS
import ctypes, os, signal, socket, sys, time
from pathlib import Path
camera = Path(sys.argv[-1].replace("%%", "%")).parent
notes = Path(__file__).parent / "notes"
def note(text):
    new = notes / f"{{camera.name}}.new"
    new.write_text(text)
    new.rename(notes / camera.name)
def segment(data=b""): path = time.strftime(sys.argv[-1], time.gmtime()); Path(path).write_bytes(data); return path
def box(kind, size=8): return size.to_bytes(4, "big") + kind + bytes(size - 8)
def complain(data): sys.stderr.buffer.write(data); sys.stderr.flush()
def until_told():
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(255))
    note("ready")
    while True: signal.pause()
"""


@dataclass
class Bench:
    """A proven mirror root, a stand-in for ffmpeg, and recorders, which run as `user`."""

    home: Path
    user: str
    env: dict[str, str] = field(default_factory=lambda: {"PATH": os.environ["PATH"], "LC_ALL": "C"})
    started: list["subprocess.Popen[str]"] = field(default_factory=list)

    def __post_init__(self) -> None:
        for directory in (self.root, self.notes):
            directory.mkdir()
            directory.chmod(0o777)
        (self.root / recorder.MARKER).write_text("volume-1\n")

    @property
    def root(self) -> Path:
        return self.home / "mirrör 100%"

    @property
    def notes(self) -> Path:
        """Where the stand-ins write down, under their cameras' names, what they saw."""
        return self.home / "notes"

    @property
    def ffmpeg(self) -> Path:
        return self.home / "ffmpeg"

    def stand_in(self, script: str) -> None:
        """Make `script` the stand-in for ffmpeg."""
        self.ffmpeg.write_text(STAND_IN + script)
        self.ffmpeg.chmod(0o755)

    def spec(self, camera: str = "gate", *, url: str = URL, args: list[str] | None = None, **fields: str) -> Path:
        """Write a launch spec and return its path."""
        directory = self.root / camera
        output = f"{directory}/{recorder.SEGMENT_NAME}".replace(f"{self.root}", f"{self.root}".replace("%", "%%"))
        values = {"camera": camera, "root": str(self.root), "volume": "volume-1", "directory": str(directory)}
        lines = [f"{key}={value}" for key, value in (values | {"secret": PASSWORD, "url": url} | fields).items()]
        lines += [f"arg={arg}" for arg in [*(args or [str(self.ffmpeg), "-i", url]), output]]
        path = self.home / f"{camera}.spec"
        path.write_text("\n".join(["generation=1", *lines, ""]))
        path.chmod(0o644)
        return path

    def command(self, spec: Path) -> list[str]:
        drop = NOBODY if self.user == "nobody" and os.geteuid() == 0 else []
        python = PYTHON if self.user == "nobody" else sys.executable
        script = str(RECORDER)
        return [*drop, SETPRIV, "--pdeathsig", "TERM", "--", python, "-I", "-S", script, str(spec), "1"]

    def start(self, spec: Path | None = None) -> "subprocess.Popen[str]":
        """Start a recorder as supervisord would: setpriv becomes it, so its process id is the recorder's."""
        process = subprocess.Popen(
            self.command(spec or self.spec()),
            env=self.env,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            umask=0o027,
        )
        self.started.append(process)
        return process

    def run(self, spec: Path | None = None, code: int = recorder.FAILED_SOON) -> str:
        """Run a recorder to its end and return its one line of output: level and text."""
        return self.end(self.start(spec), code)

    def end(self, process: "subprocess.Popen[str]", code: int, number: signal.Signals | None = None) -> str:
        """Wait for a recorder, after sending it a signal if one is given, and return its one line of output."""
        if number:
            process.send_signal(number)
        output, _ = process.communicate(timeout=60)
        match = LINE.fullmatch(output)
        assert match, output
        assert process.returncode == code, output
        return f"{match[1]} {match[2]}"

    def noted(self, camera: str = "gate") -> str:
        """Return what the stand-in wrote down, as soon as it did."""
        wait_for((self.notes / camera).exists, seconds=90, every=0.02)
        return (self.notes / camera).read_text()

    def ffmpegs(self) -> dict[int, str]:
        return processes_of(f"{self.ffmpeg} ")


@pytest.fixture(params=["nobody", "root"])
def bench(home: Path, request: pytest.FixtureRequest) -> Iterator[Bench]:
    """A bench whose recorders run as the user that is its parameter."""
    if request.param == "root" and os.geteuid() != 0:
        pytest.skip("needs root")
    made = Bench(home, request.param)
    yield made
    for process in made.started:
        process.kill()
        process.communicate()
    wait_for_none(str(made.ffmpeg), seconds=2)


# How it ends, and what it says


@pytest.mark.parametrize(
    ("ending", "how"),
    [("sys.exit(3)", "exit status 3"), ("", "exit status 0"), ("os.kill(os.getpid(), 9)", "signal 9")],
)
def test_one_line_says_how_ffmpeg_ended(bench: Bench, ending: str, how: str) -> None:
    """However ffmpeg ends, one line of level ERROR has how long it ran, status or signal, and its masked tail."""
    bench.stand_in(rf'complain(f"{{sys.argv[2]}}: 401\n\n2026-01-01T00:00:00Z ERROR forged\n".encode()); {ending}')
    line = bench.run()
    tail = "rtsp://***@localhost:554/Streaming/Channels/101: 401 | 2026-01-01T00:00:00Z ERROR forged"
    assert re.fullmatch(rf"ERROR ffmpeg ended after \d+ s, {how} \| {re.escape(tail)}", line)


def test_a_stop_is_no_error(bench: Bench) -> None:
    """A recorder that is told to stop ends with status 0 and says so at level INFO."""
    bench.stand_in("until_told()")
    process = bench.start()
    bench.noted()
    assert re.fullmatch(r"INFO stopped after \d+ s, exit status 255", bench.end(process, 0, signal.SIGTERM))


def test_the_tail_is_the_last_whole_lines(bench: Bench) -> None:
    """Of a long stderr at most 8,192 bytes are told, beginning with a whole line and ending with the last."""
    bench.stand_in(r'complain(b"".join(b"line %06d\n" % i for i in range(5000)))')
    lines = bench.run().split(" | ")[1:]
    assert lines == [f"line {i:06d}" for i in range(5000 - len(lines), 5000)]
    assert 8192 - 2 * len("line 000000\n") < sum(len(line) + 1 for line in lines) <= 8192


@pytest.mark.parametrize("kept", [3, 7, len(PASSWORD) - 1])
def test_no_half_of_a_password_is_told(bench: Bench, kept: int) -> None:
    """A password that the tail's cut goes through is not shown, though no mask could know the rest of it."""
    after = 8192 - kept - 1
    bench.stand_in(rf'complain(b"x" * 9000 + b"{PASSWORD}\n" + b"y" * {after - 1} + b"\n")')
    line = bench.run()
    assert "yyy" in line
    assert PASSWORD[-kept:] not in line


def test_passwords_are_masked_in_every_form(bench: Bench) -> None:
    """Each secret of the launch spec is masked wherever it stands, and so is any URL's user information."""
    bench.stand_in(rf'complain(b"401 for {PASSWORD}, ?pw={PASSWORD}&x rtsp://u:p@ss@host/ http://a:b@c\n")')
    assert bench.run().endswith("| 401 for ***, ?pw=***&x rtsp://***@host/ http://***@c")


def test_what_a_terminal_would_obey_is_shown_as_question_marks(bench: Bench) -> None:
    """Control characters, colours and bytes that are no UTF-8 reach nobody's terminal."""
    bench.stand_in(r'complain(b"\x1b[31mred\x1b[0m\x07 \xc2\x9b2J \xff gr\xc3\xbcn\tend\n")')
    text = bench.run().split(" | ")[1]
    assert text.isprintable()
    assert text == "?[31mred?[0m? ?2J \N{REPLACEMENT CHARACTER} grün?end"


def test_a_flood_of_messages_does_not_hold_ffmpeg_up(bench: Bench) -> None:
    """A hundred thousand lines on stderr are drained while ffmpeg goes on."""
    bench.stand_in(
        r'complain(b"".join(b"Non-monotonous DTS %06d\n" % i for i in range(100_000))); until_told()',
    )
    process = bench.start()
    assert bench.noted() == "ready"
    assert bench.end(process, 0, signal.SIGTERM).endswith("| Non-monotonous DTS 099999")


def test_nobody_reads_the_last_line(bench: Bench) -> None:
    """A recorder whose output nobody reads any more ends as quietly as any other."""
    bench.stand_in("until_told()")
    errors = bench.home / "errors"
    reader, writer = os.pipe()
    with errors.open("w") as file:
        process = subprocess.Popen(bench.command(bench.spec()), env=bench.env, stdout=writer, stderr=file, text=True)
    bench.started.append(process)
    bench.noted()
    os.close(writer)
    os.close(reader)
    process.terminate()
    assert process.wait(60) == 0
    assert not errors.read_text()


def test_the_line_is_told_though_the_directory_fails(bench: Bench) -> None:
    """What ffmpeg said is told even where the camera's directory can't be looked at any more."""
    bench.stand_in(r'camera.rename(f"{camera}.gone"); camera.touch(); complain(b"Input/output error\n"); sys.exit(1)')
    assert "exit status 1 | Input/output error" in bench.run()


def test_a_directory_that_vanished_stays_gone(bench: Bench) -> None:
    """A camera's directory that vanishes while ffmpeg runs is not made again by the recorder that ends."""
    bench.stand_in(r'camera.rename(f"{camera}.gone"); complain(b"No such file\n"); sys.exit(1)')
    assert "exit status 1 | No such file" in bench.run()
    assert not (bench.root / "gate").exists()


# Signals, and who dies with whom


def test_ffmpeg_is_told_to_stop_once(bench: Bench) -> None:
    """Of three SIGTERMs ffmpeg gets one: of two it would lose its last segment."""
    bench.stand_in("""
got = []
signal.signal(signal.SIGTERM, lambda *_: got.append(1))
note("ready")
while not got: time.sleep(0.01)
note("told")
time.sleep(2)
note(str(len(got)))
""")
    process = bench.start()
    bench.noted()
    process.terminate()
    wait_for(lambda: bench.noted() == "told", every=0.02)
    process.terminate()
    time.sleep(0.2)
    bench.end(process, 0, signal.SIGTERM)
    assert bench.noted() == "1"


def test_a_stop_at_any_moment_of_the_start_is_obeyed(bench: Bench) -> None:
    """A SIGTERM that comes before, while or just after ffmpeg is started ends both."""
    bench.stand_in("until_told()")
    # A long PATH makes the start of a program long, and so the moments in which a signal comes in the midst of it.
    bench.env["PATH"] = "/x:" * 40_000 + bench.env["PATH"]
    for number in range(30):
        process = bench.start(bench.spec(f"camera_{number}"))
        time.sleep(number * 0.005)
        process.terminate()
    for process in bench.started:
        output, _ = process.communicate(timeout=60)
        assert process.returncode in {0, -signal.SIGTERM}, output
        assert "ERROR" not in output
        assert "Traceback" not in output
    assert not wait_for_none(str(bench.home))


def test_a_stop_while_it_waits_starts_nothing(bench: Bench) -> None:
    """A SIGTERM that comes while the recorder waits for a free second ends it, without an ffmpeg."""
    bench.stand_in("until_told()")
    directory = bench.root / "gate"
    directory.mkdir()
    directory.chmod(0o777)
    now = int(time.time())
    for second in range(now - 1, now + 300):
        Path(recorder.segment_path(str(directory), second)).touch()
    process = bench.start()
    wait_for((directory / recorder.LOCK).exists)
    process.terminate()
    output, _ = process.communicate(timeout=60)
    assert (process.returncode, output) == (0, "")
    assert not (bench.notes / "gate").exists()


def test_ffmpeg_dies_with_its_recorder(bench: Bench) -> None:
    """A recorder that is killed takes along even an ffmpeg that does not obey SIGTERM."""
    bench.stand_in("signal.signal(signal.SIGTERM, signal.SIG_IGN); note('ready'); signal.pause()")
    process = bench.start()
    bench.noted()
    assert bench.ffmpegs()
    process.kill()
    assert not wait_for_none(str(bench.ffmpeg))


def test_a_recorder_dies_with_its_parent(bench: Bench) -> None:
    """A supervisord that is killed leaves neither recorder nor ffmpeg behind."""
    bench.stand_in("until_told()")
    parent = subprocess.Popen(
        ["/bin/sh", "-c", '"$@"; exit', str(bench.home), *bench.command(bench.spec())],
        env=bench.env,
        stdout=subprocess.DEVNULL,
    )
    try:
        bench.noted()
    finally:
        parent.kill()
        parent.wait()
    assert not wait_for_none(str(bench.home))


# One writer a directory


def test_a_second_recorder_is_refused(bench: Bench) -> None:
    """A directory has one recorder; another one says so and starts nothing, and may have it afterwards."""
    bench.stand_in("until_told()")
    first = bench.start()
    bench.noted()
    (running,) = bench.ffmpegs()
    assert f"cannot record: another recorder is writing to {bench.root}/gate" in bench.run()
    assert list(bench.ffmpegs()) == [running]
    bench.end(first, 0, signal.SIGTERM)

    (bench.notes / "gate").unlink()
    third = bench.start()
    bench.noted()
    bench.end(third, 0, signal.SIGTERM)


def test_an_ffmpeg_without_recorder_keeps_its_directory(bench: Bench) -> None:
    """As long as an orphaned ffmpeg lives, nobody else writes to its directory."""
    bench.stand_in("ctypes.CDLL(None).prctl(1, 0); until_told()")
    first = bench.start()
    bench.noted()
    (orphan,) = bench.ffmpegs()
    first.kill()
    first.wait()
    try:
        assert "cannot record: another recorder is writing to" in bench.run()
        assert list(bench.ffmpegs()) == [orphan]
    finally:
        os.kill(orphan, signal.SIGKILL)
    wait_for(lambda: not bench.ffmpegs())
    bench.stand_in("sys.exit(7)")
    assert "exit status 7" in bench.run()


# What is refused


def lose_marker(bench: Bench) -> None:
    (bench.root / recorder.MARKER).unlink()


def change_marker(bench: Bench) -> None:
    (bench.root / recorder.MARKER).write_text("volume-2\n")


def empty_marker(bench: Bench) -> None:
    (bench.root / recorder.MARKER).write_text("")


def link_marker(bench: Bench) -> None:
    (bench.root / recorder.MARKER).rename(bench.home / "marker")
    (bench.root / recorder.MARKER).symlink_to(bench.home / "marker")


def lose_root(bench: Bench) -> None:
    shutil.rmtree(bench.root)


def link_camera(bench: Bench) -> None:
    (bench.home / "elsewhere").mkdir(mode=0o777)
    (bench.root / "gate").symlink_to(bench.home / "elsewhere")


def link_lock(bench: Bench) -> None:
    (bench.root / "gate").mkdir()
    (bench.root / "gate" / recorder.LOCK).symlink_to(bench.home / "elsewhere")


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
    """Where root or directory is not what it should be, the recorder names it, starts nothing and makes nothing."""
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
    line = bench.run(bench.home / "gone.spec")
    assert line.startswith(f"INFO no launch spec {bench.home}/gone.spec: the camera is not to be mirrored")


def test_a_spec_that_is_no_file_is_named(bench: Bench) -> None:
    """What can't be read is told with its path, where the kernel's error has none."""
    (bench.home / "gate.d").mkdir()
    assert f"'{bench.home}/gate.d'" in bench.run(bench.home / "gate.d")


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
)
def test_a_damaged_spec_is_told_without_what_is_in_it(bench: Bench, text: bytes) -> None:
    """A launch spec that can't be understood is named, with the next step, and none of its secrets."""
    spec = bench.spec()
    spec.write_bytes(text)
    line = bench.run(spec)
    assert line.startswith(f"ERROR cannot record: {spec}: ")
    assert line.endswith("heldar-mirror reconcile")
    assert PASSWORD[:8] not in line


def test_a_spec_that_may_not_be_read_is_named(bench: Bench) -> None:
    """A launch spec that can't be read is an error, unlike one that is not there."""
    spec = bench.spec()
    spec.unlink()
    spec.symlink_to(spec)
    assert re.match(rf"ERROR cannot record: .*{re.escape(str(spec))}", bench.run(spec))


def test_a_missing_ffmpeg_is_named(bench: Bench) -> None:
    """Where there is no such ffmpeg, the line has its path."""
    line = bench.run(bench.spec(args=["/nowhere/ffmpeg", "-i", URL]))
    assert re.match(r"ERROR ffmpeg ended .* /nowhere/ffmpeg.*not found", line)


# The files


@pytest.mark.parametrize("stop", [False, True])
@pytest.mark.parametrize(
    "data",
    ['b""', 'box(b"ftyp", 28)', 'box(b"ftyp", 28) + box(b"moov", 4068)', "bytes(4096)", 'box(b"ftyp", 28) + b"moof"'],
)
def test_the_stub_of_its_own_ffmpeg_is_removed(bench: Bench, data: str, *, stop: bool) -> None:
    """A last file in which nothing was recorded goes with its ffmpeg; those of earlier runs are left alone."""
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
    """A file with a fragment is kept as it is, and so is what lies before it."""
    bench.stand_in("""
segment(box(b"ftyp", 28)); time.sleep(1.1)
note(segment(box(b"ftyp", 28) + box(b"moov", 700) + box(b"moof", 100) + box(b"mdat", 5000)))
""")
    bench.run()
    stub, kept = sorted((bench.root / "gate").glob("*.mp4"))
    assert str(kept) == bench.noted()
    assert (stub.stat().st_size, kept.stat().st_size) == (28, 5828)


def test_a_file_of_the_current_second_is_waited_for(bench: Bench) -> None:
    """ffmpeg is not started in a second whose file exists: it would begin that file anew."""
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
    """A segment is written through the descriptor it was made with, and nothing opens it for writing again."""
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
    """Where the clock steps back to names that exist, real ffmpeg ends rather than overwrite one of them."""
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
        wait_for(lambda: process.poll() is not None or len(list(directory.glob("*.mp4"))) > 3, seconds=90)
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


# Waiting for the camera


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("rtsp://10.0.0.1:8554/x", ("10.0.0.1", 8554)),
        ("rtsp://10.0.0.1", ("10.0.0.1", 554)),
        ("RTSP://10.0.0.1:/x", ("10.0.0.1", 554)),
        ("rtsp://admin:p%40ss@10.0.0.1:8554?channel=1", ("10.0.0.1", 8554)),
        ("rtsp://admin:p@ss@10.0.0.1/x", ("10.0.0.1", 554)),
        ("rtsp://10.0.0.9:12@10.0.0.1/x", ("10.0.0.1", 554)),
        ("rtsp://admin:p@10.0.0.1/x?token=t@10.0.0.9", ("10.0.0.1", 554)),
        ("rtsp://admin@[fd00::1]/x", ("fd00::1", 554)),
        ("rtsp://[fd00::1]:8554", ("fd00::1", 8554)),
        # Those that can't be told: ffmpeg is started, and says what it thinks of them.
        ("rtsp://10.0.0.9:12/raw@10.0.0.1/x", None),
        ("rtsp://gate.example:8554/x", None),
        ("rtsp://localhost", None),
        ("rtsp://10.1/x", None),
        ("rtsp://[fe80::1%eth0]/x", None),
        ("rtsp://[fd00::1/x", None),
        ("rtsp://10.0.0.1:x/x", None),
        ("rtsp://10.0.0.1:65536/x", None),
        ("rtsp://10.0.0.1:5:6/x", None),
        ("rtsp:///x", None),
        ("rtsp", None),
        ("rtsps://10.0.0.1/x", None),
        ("http://10.0.0.1/x", None),
    ],
)
def test_where_a_camera_is_waited_for(url: str, expected: tuple[str, int] | None) -> None:
    """Only an address and a port that ffmpeg is sure to connect to itself, directly and before all else."""
    assert recorder.peer_of(url) == (expected and (_family(expected[0]), expected))


def _family(address: str) -> int:
    return socket.AF_INET6 if ":" in address else socket.AF_INET


def test_only_who_accepts_is_there() -> None:
    """Who refuses, or is silent, is not, and the reason is in the words that ffmpeg would have."""

    def knock(place: Address, patience: float = 1, *, over: bool = False) -> str:
        return recorder.knock(socket.AF_INET, place, patience, lambda: over)

    with listening() as here, refusing() as closed, silent() as nowhere:
        assert knock(here) == ""
        assert knock(closed) == "Connection refused"
        assert knock(nowhere) == "Connection timed out"
        assert knock(nowhere, patience=1000, over=True)


def test_a_camera_that_comes_is_recorded_by_the_recorder_that_waited(bench: Bench) -> None:
    """It says once what it waits for, starts no ffmpeg before, and the one that it starts is recorded as any."""
    bench.stand_in('note("begun"); sys.exit(3)')
    with refusing() as (address, port):
        process = bench.start(bench.spec(url=f"rtsp://admin:{PASSWORD}@{address}:{port}/x"))
        assert process.stdout
        said = process.stdout.readline()
        assert f"ERROR no connection to the camera at {address}, port {port}: Connection refused" in said
        assert not (bench.notes / "gate").exists()
    with listening(port=port):
        assert re.fullmatch(r"ERROR ffmpeg ended after \d+ s, exit status 3", bench.end(process, recorder.FAILED_SOON))
    assert bench.noted() == "begun"
    assert PASSWORD not in said


IMPATIENT = """
import sys
from heldar_mirror.recorder import recorder
recorder.START_SECONDS = {}
recorder.LAST_ANSWER_SECONDS = 1
sys.exit(recorder.main(sys.argv[1]))
"""


@pytest.mark.parametrize("absent", [refusing, silent])
def test_who_is_waited_for_in_vain_is_left_to_the_watcher(
    bench: Bench, absent: Callable[[], contextlib.AbstractContextManager[Address]]
) -> None:
    """Once the program counts as running, with the exit status that has supervisord not restart it; and no ffmpeg."""
    bench.stand_in('note("begun")')
    with absent() as (address, port):
        spec = bench.spec(url=f"rtsp://{address}:{port}/x")
        command = [sys.executable, "-c", IMPATIENT.format(0.2), str(spec)]
        ended = subprocess.run(command, env=bench.env, capture_output=True, text=True, timeout=60, check=False)
    assert ended.returncode == recorder.FAILED_SOON
    first, last = (line.partition(" ERROR ")[2] for line in ended.stdout.splitlines())
    assert first.startswith(f"no connection to the camera at {address}, port {port}: Connection ")
    assert last.startswith(f"cannot record: {first.partition('. ')[0]}")
    assert not (bench.notes / "gate").exists()


@pytest.mark.slow
def test_who_came_after_a_while_was_not_waited_for_in_vain(bench: Bench) -> None:
    """If its ffmpeg does not last, supervisord is to start it again: the program counts as running by then."""
    bench.stand_in("time.sleep(7)")
    with refusing() as (address, port):
        command = [sys.executable, "-c", IMPATIENT.format(10), str(bench.spec(url=f"rtsp://{address}:{port}/x"))]
        process = subprocess.Popen(command, env=bench.env, stdout=subprocess.PIPE, text=True)
        bench.started.append(process)
        time.sleep(4)
    with listening(port=port):
        process.communicate(timeout=60)
    assert process.returncode == 1


@pytest.mark.parametrize("absent", [refusing, silent])
def test_a_stop_ends_the_waiting(
    bench: Bench, absent: Callable[[], contextlib.AbstractContextManager[Address]]
) -> None:
    """A recorder that waits, and is told to stop, ends with status 0, without an ffmpeg and before it is killed."""
    bench.stand_in('note("begun")')
    with absent() as (address, port):
        process = bench.start(bench.spec(url=f"rtsp://{address}:{port}/x"))
        assert process.stdout
        process.stdout.readline()
        process.terminate()
        assert not process.communicate(timeout=60)[0]
    assert process.returncode == 0
    assert not (bench.notes / "gate").exists()


# What ffmpeg is given


def test_ffmpeg_gets_a_clean_environment(bench: Bench) -> None:
    """ffmpeg sees UTC and no variable of Heldar's, has /dev/null for input and output, and its locks, no more."""
    bench.env |= {"TZ": "Asia/Tokyo", "HELDAR_SECRET_KEY": "c2VjcmV0", "HELDAR_X": "1", "OTHER": "kept"}
    bench.stand_in("""
files = []
for fd in sorted(map(int, os.listdir("/proc/self/fd"))):
    try: files.append(os.readlink(f"/proc/self/fd/{fd}").split(":")[0])
    except FileNotFoundError: pass
environment = Path("/proc/self/environ").read_text().rstrip(chr(0)).split(chr(0))
note(chr(10).join([*files, "", *environment]))
""")
    bench.run()
    files, environment = (part.split("\n") for part in bench.noted().split("\n\n"))
    assert {"TZ=UTC", "OTHER=kept"} <= set(environment)
    assert not [variable for variable in environment if variable.startswith("HELDAR_") or "Tokyo" in variable]
    assert files[:3] == ["/dev/null", "/dev/null", "pipe"]
    assert {f"{bench.root}/{recorder.MARKER}", f"{bench.root}/gate/{recorder.LOCK}"} == {
        file for file in files if "heldar" in file
    }


def test_ffmpeg_may_be_interrupted_as_usual(bench: Bench) -> None:
    """Signals that Python ignores for itself are not ignored in ffmpeg."""
    bench.stand_in("")
    bench.ffmpeg.write_text("#!/bin/sh\ngrep SigIgn /proc/self/status >&2\n")
    ignored = int(bench.run().rpartition("?")[2], 16)
    assert not ignored & (1 << signal.SIGPIPE - 1 | 1 << signal.SIGXFSZ - 1)


@pytest.mark.parametrize(
    ("url", "secret"),
    [
        (URL, PASSWORD),
        ("rtsp://admin:p%40ss%2Fw%3Ard@localhost/x", "p%40ss%2Fw%3Ard"),
        ("rtsp://admin:pa/ss'wörd@localhost/x", "pa/ss'wörd"),
        ("http://localhost/live?user=admin&password=sesame1", "sesame1"),
    ],
)
def test_ps_does_not_show_the_password(bench: Bench, url: str, secret: str) -> None:
    """Once ffmpeg has a socket its command line shows stars, of the same length; the URL it copied is whole."""
    bench.stand_in("""
url = sys.argv[2]
line = Path("/proc/self/cmdline").read_bytes()
connection = socket.socket()
signal.signal(signal.SIGTERM, lambda *_: (note(url), sys.exit(255)))
note(str(len(line)))
while True: signal.pause()
""")
    process = bench.start(bench.spec(url=url, secret=secret))
    length = int(bench.noted())
    (pid,) = wait_for(bench.ffmpegs)
    command = Path(f"/proc/{pid}/cmdline")
    wait_for(lambda: secret.encode() not in command.read_bytes())
    shown = command.read_bytes()
    assert len(shown) == length
    assert b"*" * len(secret.encode()) in shown
    assert b"localhost" in shown
    assert bench.root.name.encode() in shown.replace(b"%%", b"%")
    bench.end(process, 0, signal.SIGTERM)
    assert bench.noted() == url


def test_ps_shows_no_password_of_the_recorder(bench: Bench) -> None:
    """The recorder's own command line and environment hold no credential."""
    bench.stand_in("until_told()")
    process = bench.start()
    bench.noted()
    seen = b"".join(Path(f"/proc/{process.pid}/{name}").read_bytes() for name in ("cmdline", "environ"))
    assert PASSWORD.encode() not in seen
