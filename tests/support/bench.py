"""A recorder started as supervisord starts it, with a small script in ffmpeg's place; as root and as nobody."""

import os
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path

from heldar_mirror.proc.recorders import RECORDER
from heldar_mirror.recorder.volume import MARKER
from support.listeners import open_port
from support.waiting import processes_of, wait_for

PASSWORD = "open.sesame"
URL = f"rtsp://admin:{PASSWORD}@127.0.0.1:{open_port()}/Streaming/Channels/101"
SETPRIV = shutil.which("setpriv") or "setpriv"
NOBODY = [SETPRIV, "--reuid=nobody", "--regid=nogroup", "--clear-groups", "--"]
LINE = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ (INFO|ERROR) (.*)\n")

# The system's own Python, which every user may run. A venv's may be in a directory that others can't enter.
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
def until_told():
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(255))
    note("ready")
    while True: signal.pause()
# A recorder starts ffmpeg again after a short run. What is tried here is one run.
first = notes / f"{{camera.name}}.{{os.getppid()}}"
if first.exists():
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(255))
    while True: signal.pause()
first.touch()
made = []
def segment(data=b""):
    # Like ffmpeg, list the last one as closed before the next one is opened.
    if made: close(made[-1])
    made.append(Path(sys.argv[-1].replace("%%", "%").replace("%d", str(len(made)))))
    made[-1].write_bytes(data)
    return str(made[-1])
def close(path):
    pipe = sys.argv[sys.argv.index("-segment_list") + 1].removeprefix("pipe:")
    os.write(int(pipe), f"{{path.name}}\\n".encode())
def box(kind, size=8): return size.to_bytes(4, "big") + kind + bytes(size - 8)
def complain(data): sys.stderr.buffer.write(data); sys.stderr.flush()
"""


@dataclass
class Bench:
    """A mirror root with a marker, a stand-in for ffmpeg, and recorders, which run as `user`."""

    home: Path
    user: str
    env: dict[str, str] = field(default_factory=lambda: {"PATH": os.environ["PATH"], "LC_ALL": "C"})
    recorder: Path = RECORDER
    started: list["subprocess.Popen[str]"] = field(default_factory=list)

    def __post_init__(self) -> None:
        for directory in (self.root, self.notes):
            directory.mkdir()
            directory.chmod(0o777)
        (self.root / MARKER).write_text("volume-1\n")

    @property
    def root(self) -> Path:
        return self.home / "mirrör 100%"

    @property
    def notes(self) -> Path:
        """The directory in which each stand-in writes down what it saw, in a file named by its camera."""
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
        values = {"camera": camera, "root": str(self.root), "volume": "volume-1", "directory": str(directory)}
        lines = [f"{key}={value}" for key, value in (values | {"secret": PASSWORD, "url": url} | fields).items()]
        lines += [f"arg={arg}" for arg in args or [str(self.ffmpeg), "-i", url]]
        path = self.home / f"{camera}.spec"
        path.write_text("\n".join(["generation=1", *lines, ""]))
        path.chmod(0o644)
        return path

    def command(self, spec: Path) -> list[str]:
        drop = NOBODY if self.user == "nobody" and os.geteuid() == 0 else []
        python = PYTHON if self.user == "nobody" else sys.executable
        script = str(self.recorder)
        return [*drop, SETPRIV, "--pdeathsig", "TERM", "--", python, "-I", "-S", script, str(spec), "1"]

    def start(self, spec: Path | None = None) -> "subprocess.Popen[str]":
        """Start a recorder as supervisord would. setpriv is replaced by it, so the process id is the recorder's."""
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

    def run(self, spec: Path | None = None) -> str:
        """Start a recorder, and return its first line of output: level and text. Then stop it."""
        return self.first(self.start(spec))

    def ended(self, spec: Path) -> str:
        """Return the only line of a recorder that ends by itself with status 0: level and text."""
        output, _ = (process := self.start(spec)).communicate(timeout=180)
        match = LINE.fullmatch(output)
        assert match, output
        assert process.returncode == 0, output
        return f"{match[1]} {match[2]}"

    def first(self, process: "subprocess.Popen[str]") -> str:
        """Return the next line of a recorder's output, level and text. Then stop the recorder."""
        assert process.stdout
        output = process.stdout.readline()
        self.end(process)
        match = LINE.fullmatch(output)
        assert match, output
        return f"{match[1]} {match[2]}"

    def end(self, process: "subprocess.Popen[str]") -> str:
        """Stop a recorder, and return what it printed since, without the times."""
        process.terminate()
        output, _ = process.communicate(timeout=180)
        lines = LINE.findall(output)
        assert len(lines) == output.count("\n"), output
        assert process.returncode == 0, output
        return "\n".join(map(" ".join, lines))

    def noted(self, camera: str = "gate") -> str:
        """Return what the stand-in wrote down, as soon as it is there."""
        wait_for((self.notes / camera).exists, every=0.02)
        return (self.notes / camera).read_text()

    def ffmpegs(self) -> dict[int, str]:
        return processes_of(f"{self.ffmpeg} ")
