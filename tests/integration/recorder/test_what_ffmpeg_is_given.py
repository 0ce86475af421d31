"""What ffmpeg inherits from its recorder, and what `ps` shows of both."""

import shutil
import signal
import subprocess
from pathlib import Path

import imageio_ffmpeg
import pytest
from support.bench import PASSWORD, PYTHON, URL, Bench
from support.examples import settings
from support.listeners import open_port
from support.users import NOT_INHERITED
from support.waiting import wait_for

from heldar_mirror.foreground.warnings import warnings
from heldar_mirror.recorder import lookup
from heldar_mirror.recorder.volume import LOCK, MARKER


def test_ffmpeg_gets_a_clean_environment(bench: Bench) -> None:
    """ffmpeg sees where programs are, how texts are encoded, UTC and no other variable. It has /dev/null for input and
    output, its two locks, and no other file but the pipe on which it lists what it has closed."""
    kept = {"PATH": bench.env["PATH"], "LANG": "C.UTF-8", "LC_ALL": "C.UTF-8", "LC_CTYPE": "C.UTF-8"}
    bench.env |= kept | {"TZ": "Asia/Tokyo", "HELDAR_SECRET_KEY": "c2VjcmV0", "HELDAR_X": "1"} | NOT_INHERITED
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
    assert set(environment) - {"PWD=/", f"PWD={Path.cwd()}"} == {
        "TZ=UTC",
        *(f"{name}={value}" for name, value in kept.items()),
    }
    assert files[:3] == ["/dev/null", "/dev/null", "pipe"]
    assert {f"{bench.root}/{MARKER}", f"{bench.root}/gate/{LOCK}"} == {file for file in files if "heldar" in file}


@pytest.mark.parametrize("ffmpeg", ["ffmpeg", imageio_ffmpeg.get_ffmpeg_exe()], ids=["Debian's", "new"])
def test_ffmpeg_writes_no_report_of_its_own(bench: Bench, ffmpeg: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """FFREPORT would have ffmpeg write its command line, with the password in it, into a file that all can read."""
    report = bench.notes / "report.log"
    bench.env["FFREPORT"] = f"file={report}:level=48"
    if bench.user == "nobody":
        ffmpeg = shutil.copy(shutil.which(ffmpeg) or ffmpeg, str(bench.ffmpeg))  # others may not reach it
    assert "ffmpeg ended" in bench.run(bench.spec(args=[ffmpeg, "-i", URL]))
    assert not report.exists()
    monkeypatch.setenv("FFREPORT", bench.env["FFREPORT"])
    assert not [text for text in warnings(settings(FFMPEG_BIN=ffmpeg)) if "FFMPEG_BIN" in text]
    assert not report.exists()
    subprocess.run([ffmpeg, "-version"], check=True, capture_output=True)
    assert report.exists()  # FFREPORT has this effect


def test_a_name_is_looked_up_without_any_variable(bench: Bench) -> None:
    """The resolver answers the recorder as it answers ffmpeg: no variable names other hosts or other options."""
    script = f"""
import ctypes, sys
sys.path.append({str(Path(lookup.__file__).parents[1])!r})
import recorder.lookup
from recorder.ffmpeg import Child
libc = ctypes.CDLL(None)
libc.getenv.restype = ctypes.c_char_p
names = {list(NOT_INHERITED)}
recorder.lookup._ask = lambda *_: repr([name for name in names if libc.getenv(name.encode()) is not None])
print(eval(recorder.lookup._ask()), recorder.lookup._ask_apart("gate", 554, Child()))
"""
    command = [PYTHON, "-I", "-S", "-c", script]
    shown = subprocess.run(command, env=bench.env | NOT_INHERITED, capture_output=True, text=True, check=True).stdout
    assert shown == f"{list(NOT_INHERITED)} []\n"


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
        (f"rtsp://admin:p%40ss%2Fw%3Ard@127.0.0.1:{open_port()}/x", "p%40ss%2Fw%3Ard"),
        ("rtsp://admin:pa/ss'wörd@localhost/x", "pa/ss'wörd"),
        ("http://localhost/live?user=admin&password=sesame1", "sesame1"),
    ],
    ids=["account", "encoded", "raw", "query"],
)
def test_ps_does_not_show_the_password(bench: Bench, url: str, secret: str) -> None:
    """Once ffmpeg has a socket its command line shows stars of the same length. The URL that ffmpeg copied is whole."""
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
    wait_for(lambda: secret.encode() not in command.read_bytes(), seen=command.read_bytes)
    shown = command.read_bytes()
    assert len(shown) == length
    assert b"*" * len(secret.encode()) in shown
    assert b"rtsp://" in shown or b"http://" in shown
    assert bench.root.name.encode() in shown.replace(b"%%", b"%")
    bench.end(process)
    assert bench.noted() == url


def test_ps_shows_no_password_of_the_recorder(bench: Bench) -> None:
    """The recorder's own command line and environment hold no credential."""
    bench.stand_in("until_told()")
    process = bench.start()
    bench.noted()
    seen = b"".join(Path(f"/proc/{process.pid}/{name}").read_bytes() for name in ("cmdline", "environ"))
    assert PASSWORD.encode() not in seen
